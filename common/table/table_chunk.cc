#include "common/table/table_chunk.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace joulefarm {
namespace {

ColumnKind KindOf(v1::ColumnKind kind) {
  switch (kind) {
    case v1::COLUMN_KIND_NUMBER:
      return ColumnKind::kNumber;
    case v1::COLUMN_KIND_BOOLEAN:
      return ColumnKind::kBoolean;
    case v1::COLUMN_KIND_JSON:
      return ColumnKind::kJson;
    case v1::COLUMN_KIND_TIME:
      return ColumnKind::kTime;
    default:  // text, and kinds of a newer controller
      return ColumnKind::kText;
  }
}

Value ValueOf(const v1::Cell& cell) {
  switch (cell.value_case()) {
    case v1::Cell::kText:
      return cell.text();
    case v1::Cell::kInteger:
      return static_cast<std::int64_t>(cell.integer());
    case v1::Cell::kReal:
      return cell.real();
    case v1::Cell::kBoolean:
      return cell.boolean();
    case v1::Cell::kBlob:
      return Blob{cell.blob()};
    case v1::Cell::VALUE_NOT_SET:
      break;
  }
  return {};
}

}  // namespace

absl::Status ChunkFeeder::Feed(const v1::TableChunk& chunk) {
  if (!begun_) {
    std::vector<Column> columns;
    for (const v1::Column& column : chunk.columns()) {
      columns.push_back({column.name(), KindOf(column.kind())});
    }
    begun_ = true;
    width_ = columns.size();
    sink_.Begin(columns);
  }
  for (const v1::Row& row : chunk.rows()) {
    if (static_cast<std::size_t>(row.cells_size()) != width_) {
      return absl::InternalError(absl::StrCat("the table has a row of ", row.cells_size(),
                                              " cells for ", width_, " columns"));
    }
    RowValues values;
    values.reserve(width_);
    for (const v1::Cell& cell : row.cells()) values.push_back(ValueOf(cell));
    sink_.Row(values);
  }
  return absl::OkStatus();
}

void ChunkFeeder::End() {
  if (!begun_) sink_.Begin({});
  sink_.End();
}

}  // namespace joulefarm
