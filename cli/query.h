// Queries that commands ask for themselves.
//
// Thread rule: one thread. Ownership: nothing kept.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/client.h"
#include "common/table/table.h"

namespace joulefarm::cli {

// A text as SQL writes it: 'it''s'.
std::string SqlText(absl::string_view text);

// The id of an experiment by id or by name (the newest so named), as an SQL expression; NULL when
// there is none.
std::string SqlExperiment(absl::string_view id_or_name);

absl::StatusOr<Table> Ask(FarmClient& client, const std::string& query);

// A whole number of a row; 0 when it is absent.
std::int64_t IntAt(const Table& table, const RowValues& row, absl::string_view name);

}  // namespace joulefarm::cli
