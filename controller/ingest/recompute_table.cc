#include "controller/ingest/recompute_table.h"

#include <optional>
#include <utility>

#include "controller/ingest/recompute.h"
#include "controller/store/attempt_reader.h"
#include "controller/store/enum_text.h"
#include "controller/store/json_text.h"

namespace joulefarm::controller {
namespace {

void AddColumns(v1::TableChunk& chunk) {
  const auto add = [&](const char* name, v1::ColumnKind kind) {
    v1::Column* column = chunk.add_columns();
    column->set_name(name);
    column->set_kind(kind);
  };
  for (const char* name : {"attempt", "source", "run", "request"})
    add(name, v1::COLUMN_KIND_NUMBER);
  for (const char* name : {"phase", "channel"}) add(name, v1::COLUMN_KIND_TEXT);
  for (const char* name : {"energy_j", "recomputed_j", "energy_u_j", "recomputed_u_j"})
    add(name, v1::COLUMN_KIND_NUMBER);
  add("identical", v1::COLUMN_KIND_BOOLEAN);
  add("differs", v1::COLUMN_KIND_JSON);
  add("outcome", v1::COLUMN_KIND_TEXT);
}

const char* OutcomeOf(const Recomputed& of) {
  if (!of.differs.empty()) return "differs";
  return of.stored.energy_j ? "same" : "absent";
}

void AddRow(Fence attempt, const Recomputed& of, v1::TableChunk& chunk) {
  v1::Row& row = *chunk.add_rows();
  const auto integer = [&](const std::optional<int>& value) {
    v1::Cell* cell = row.add_cells();
    if (value) cell->set_integer(*value);
  };
  const auto real = [&](const std::optional<double>& value) {
    v1::Cell* cell = row.add_cells();
    if (value) cell->set_real(*value);
  };
  row.add_cells()->set_integer(attempt);
  integer(of.stored.source);
  integer(of.stored.run);
  integer(of.stored.request);
  v1::Cell* phase = row.add_cells();
  if (of.stored.phase) phase->set_text(EnumText(*of.stored.phase));
  row.add_cells()->set_text(of.stored.channel);
  real(of.stored.energy_j);
  real(of.recomputed.energy_j);
  real(of.stored.energy_u_j);
  real(of.recomputed.energy_u_j);
  row.add_cells()->set_boolean(of.differs.empty());
  row.add_cells()->set_text(JsonArray(of.differs));
  row.add_cells()->set_text(OutcomeOf(of));
}

}  // namespace

absl::Status SendRecomputed(const std::string& database, const v1::RecomputeRequest& request,
                            const TableSink& sink) {
  const auto reader = AttemptReader::Open(database);
  if (!reader.ok()) return reader.status();
  const std::optional<Fence> wanted =
      request.has_attempt() ? std::optional<Fence>(request.attempt()) : std::nullopt;
  const auto attempts = (*reader)->Find(request.subject(), wanted);
  if (!attempts.ok()) return attempts.status();
  bool first = true;
  for (const Fence attempt : *attempts) {
    const auto stored = (*reader)->Read(attempt);
    if (!stored.ok()) return stored.status();
    v1::TableChunk chunk;
    if (std::exchange(first, false)) AddColumns(chunk);
    for (const Recomputed& row : Recompute(*stored)) AddRow(attempt, row, chunk);
    if (!sink(std::move(chunk))) return absl::CancelledError("nobody reads the table any more");
  }
  return absl::OkStatus();
}

}  // namespace joulefarm::controller
