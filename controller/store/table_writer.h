// The rows of a prepared statement as parts of a table.
//
// Thread rule: the statement's thread. Ownership: borrows everything.
#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "controller/store/reader.h"
#include "controller/store/sql_guard.h"
#include "controller/store/sqlite_handles.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::controller {

struct TableLimits {
  std::size_t chunk_bytes = std::size_t{512} * 1024;
  std::optional<std::int64_t> max_rows;
};

// Steps through the statement and hands its rows to the sink. `kinds`: of every column; empty:
// judged by the values of the first part. `budget` may be null; the sink's time is not charged to
// it. RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, CANCELLED as Reader::Sql; INVALID_ARGUMENT for an
// error while stepping that the query is to blame for, others as SqliteStatus.
absl::Status WriteTable(sqlite3_stmt* statement, const std::vector<v1::ColumnKind>& kinds,
                        const TableLimits& limits, QueryBudget* budget, const TableSink& sink);

}  // namespace joulefarm::controller
