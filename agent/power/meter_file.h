// A file of STATE with one entry per meter of this host: {"version": 1, "meters": {ID: ENTRY, …}}.
//
// Threads: any; one writer at a time. Ownership: values.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm::agent {

struct MeterFile {
  std::filesystem::path path;
  std::string what;  // is kept in it, "tares"
  std::string cure;  // of a damaged one that was removed, "take them anew with `…`"

  // ID to ENTRY. No file is none. DATA_LOSS: it is damaged, and what to do.
  absl::StatusOr<nlohmann::ordered_json> Read() const;
  // Makes its directory; durable when it returns OK, otherwise the old file is as it was.
  absl::Status Write(nlohmann::ordered_json meters) const;
  // DATA_LOSS, for an ENTRY that is not as it should be.
  absl::Status Damaged(absl::string_view why) const;
};

// Whether it is an RFC 3339 time.
bool IsTime(const std::string& text);

}  // namespace joulefarm::agent
