#include "common/table/table.h"

namespace joulefarm {

int Table::Find(absl::string_view name) const {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

const Value& Table::At(const RowValues& row, absl::string_view name) const {
  static const Value kNull;
  const int index = Find(name);
  if (index < 0 || static_cast<std::size_t>(index) >= row.size()) return kNull;
  return row[static_cast<std::size_t>(index)];
}

}  // namespace joulefarm
