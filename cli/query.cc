#include "cli/query.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace joulefarm::cli {

std::string SqlText(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "''"}}), "'");
}

std::string SqlExperiment(absl::string_view id_or_name) {
  const std::string text = SqlText(id_or_name);
  return absl::StrCat("(SELECT id FROM experiment WHERE id = ", text, " OR name = ", text,
                      " ORDER BY id = ", text, " DESC, number DESC LIMIT 1)");
}

absl::StatusOr<Table> Ask(FarmClient& client, const std::string& query) {
  TableCollector collector;
  absl::Status status = client.Sql(query, collector);
  if (!status.ok()) return status;
  return std::move(collector.table());
}

std::int64_t IntAt(const Table& table, const RowValues& row, absl::string_view name) {
  const std::int64_t* number = std::get_if<std::int64_t>(&table.At(row, name));
  return number == nullptr ? 0 : *number;
}

}  // namespace joulefarm::cli
