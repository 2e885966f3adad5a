// The place where exceptions of the database stop.
//
// Threads: any. Ownership: none.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <exception>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "controller/store/sqlite_status.h"

namespace joulefarm::controller {

// Runs `work`, which returns a status, and turns what it throws into one.
template <typename Work>
auto Guarded(absl::string_view doing, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const SQLite::Exception& error) {
    return SqliteStatus(
        error.getExtendedErrorCode() > 0 ? error.getExtendedErrorCode() : error.getErrorCode(),
        doing, error.what());
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(doing, ": ", error.what()));
  }
}

}  // namespace joulefarm::controller
