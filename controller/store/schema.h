// The database schema this program knows: the migrations, built in.
//
// Threads: constants. Ownership: none.
#pragma once

#include <cstdint>
#include <iterator>

#include "absl/types/span.h"

namespace joulefarm::controller {

// A part of a schema version; the parts of one version are applied in order in one transaction.
struct Migration {
  int version;
  const char* name;
  const char* sql;
};

// In order of version, then name.
absl::Span<const Migration> Migrations();

// The version a database has after every migration (PRAGMA user_version).
int LatestSchemaVersion();

// PRAGMA application_id of every Joulefarm database: "JFrm".
inline constexpr std::int32_t kApplicationId = 0x4A46726D;

}  // namespace joulefarm::controller
