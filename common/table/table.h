// The table model of listings and queries: named columns with a kind, rows of values that may be
// absent.
//
// Thread rule: plain values. Ownership: values. Absent is std::monostate (NULL), never 0 or "".
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace joulefarm {

// What the cells of a column are.
enum class ColumnKind {
  kText,
  kNumber,
  kBoolean,
  kJson,  // JSON text, shown as what it says
  kTime,  // RFC 3339 text
};

struct Column {
  std::string name;
  ColumnKind kind = ColumnKind::kText;
};

// Bytes that are not text.
struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};

using Value = std::variant<std::monostate, std::string, std::int64_t, double, bool, Blob>;
using RowValues = std::vector<Value>;

inline bool IsNull(const Value& value) { return std::holds_alternative<std::monostate>(value); }

// A whole table; what streams in pieces goes through TableSink.
struct Table {
  std::vector<Column> columns;
  std::vector<RowValues> rows;

  // Index of a column, or -1.
  int Find(absl::string_view name) const;
  // The value at a row's column; NULL when there is no such column.
  const Value& At(const RowValues& row, absl::string_view name) const;
};

// Takes a table piece by piece: Begin once, then rows in order, then End. A table without rows has
// Begin and End only. A row has as many values as there are columns.
class TableSink {
 public:
  virtual ~TableSink() = default;
  virtual void Begin(const std::vector<Column>& columns) = 0;
  virtual void Row(const RowValues& row) = 0;
  virtual void End() = 0;
  // False when nobody can take more rows (closed pipe): the source stops early.
  virtual bool WantsMore() const { return true; }
};

// Keeps the table in memory.
class TableCollector : public TableSink {
 public:
  void Begin(const std::vector<Column>& columns) override { table_.columns = columns; }
  void Row(const RowValues& row) override { table_.rows.push_back(row); }
  void End() override {}
  Table& table() { return table_; }

 private:
  Table table_;
};

}  // namespace joulefarm
