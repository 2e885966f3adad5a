#include "controller/store/table_writer.h"

#include <chrono>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/store/sqlite_status.h"

namespace joulefarm::controller {
namespace {

// Below what a gRPC client takes in one message (4 MiB).
constexpr std::size_t kMaxRowBytes = 3 << 20;

v1::Cell MakeCell(sqlite3_stmt* statement, int column, v1::ColumnKind kind) {
  v1::Cell cell;
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      if (kind == v1::COLUMN_KIND_BOOLEAN) {
        cell.set_boolean(sqlite3_column_int64(statement, column) != 0);
      } else {
        cell.set_integer(sqlite3_column_int64(statement, column));
      }
      break;
    case SQLITE_FLOAT:
      cell.set_real(sqlite3_column_double(statement, column));
      break;
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      cell.set_text(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, column)));
      break;
    }
    case SQLITE_BLOB: {
      const void* bytes = sqlite3_column_blob(statement, column);
      const int size = sqlite3_column_bytes(statement, column);
      cell.set_blob(bytes == nullptr ? "" : bytes, static_cast<std::size_t>(size));
      break;
    }
    default:
      break;  // NULL: no value is set
  }
  return cell;
}

// A column is of numbers when every value seen is one, NULLs aside.
v1::ColumnKind JudgeKind(const v1::TableChunk& chunk, int column) {
  bool number = false;
  for (const v1::Row& row : chunk.rows()) {
    switch (row.cells(column).value_case()) {
      case v1::Cell::kInteger:
      case v1::Cell::kReal:
        number = true;
        break;
      case v1::Cell::VALUE_NOT_SET:
        break;
      default:
        return v1::COLUMN_KIND_TEXT;
    }
  }
  return number ? v1::COLUMN_KIND_NUMBER : v1::COLUMN_KIND_TEXT;
}

class ChunkSender {
 public:
  ChunkSender(sqlite3_stmt* statement, const std::vector<v1::ColumnKind>& kinds,
              QueryBudget* budget, const TableSink& sink)
      : statement_(statement), kinds_(kinds), budget_(budget), sink_(sink) {}

  v1::TableChunk& chunk() { return chunk_; }

  bool Send() {
    if (!std::exchange(sent_, true)) AddColumns();
    const auto before = std::chrono::steady_clock::now();
    const bool go_on = sink_(std::move(chunk_));
    if (budget_ != nullptr) budget_->Forgive(std::chrono::steady_clock::now() - before);
    chunk_.Clear();
    return go_on;
  }

  bool sent() const { return sent_; }

 private:
  void AddColumns() {
    for (int i = 0; i < sqlite3_column_count(statement_); ++i) {
      v1::Column* column = chunk_.add_columns();
      column->set_name(sqlite3_column_name(statement_, i));
      column->set_kind(kinds_.empty() ? JudgeKind(chunk_, i) : kinds_[static_cast<std::size_t>(i)]);
    }
  }

  sqlite3_stmt* statement_;
  const std::vector<v1::ColumnKind>& kinds_;
  QueryBudget* budget_;
  const TableSink& sink_;
  v1::TableChunk chunk_;
  bool sent_ = false;
};

absl::Status StepError(sqlite3_stmt* statement, int code, const QueryBudget* budget) {
  const char* message = sqlite3_errmsg(sqlite3_db_handle(statement));
  switch (code & 0xFF) {
    case SQLITE_INTERRUPT:
      if (budget != nullptr && budget->used_up()) {
        return absl::DeadlineExceededError(
            "the query took too long: narrow it with WHERE, or work on a copy of the database");
      }
      return absl::CancelledError("the query was interrupted");
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM:
      return absl::ResourceExhaustedError(
          absl::StrCat("a value of the result is too large (", message, ")"));
    case SQLITE_ERROR:
    case SQLITE_AUTH:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
      return absl::InvalidArgumentError(message);
    default:
      return SqliteStatus(code, "cannot read the database", message);
  }
}

}  // namespace

absl::Status WriteTable(sqlite3_stmt* statement, const std::vector<v1::ColumnKind>& kinds,
                        const TableLimits& limits, QueryBudget* budget, const TableSink& sink) {
  ChunkSender sender(statement, kinds, budget, sink);
  std::int64_t rows = 0;
  std::size_t bytes = 0;
  int code = SQLITE_DONE;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    if (limits.max_rows && ++rows > *limits.max_rows) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "the result has more than ", *limits.max_rows, " rows: add a LIMIT, or aggregate"));
    }
    v1::Row row;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      const v1::ColumnKind kind =
          kinds.empty() ? v1::COLUMN_KIND_UNSPECIFIED : kinds[static_cast<std::size_t>(i)];
      *row.add_cells() = MakeCell(statement, i, kind);
    }
    const std::size_t row_bytes = row.ByteSizeLong();
    if (row_bytes > kMaxRowBytes) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "a row of the result has ", row_bytes, " bytes, at most ", kMaxRowBytes, " can be sent"));
    }
    if (bytes > 0 && bytes + row_bytes > limits.chunk_bytes) {
      if (!sender.Send()) return absl::CancelledError("nobody wants the rest of the table");
      bytes = 0;
    }
    bytes += row_bytes;
    *sender.chunk().add_rows() = std::move(row);
  }
  if (code != SQLITE_DONE) return StepError(statement, code, budget);
  if ((bytes > 0 || !sender.sent()) && !sender.Send()) {
    return absl::CancelledError("nobody wants the rest of the table");
  }
  return absl::OkStatus();
}

}  // namespace joulefarm::controller
