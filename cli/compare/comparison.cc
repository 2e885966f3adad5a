#include "cli/compare/comparison.h"

#include "absl/strings/str_cat.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {

std::string NameOf(const Place& place) {
  const auto& [workload, cell, device] = place;
  return absl::StrCat(cell.empty() ? workload : CellWords(cell), " on ", device);
}

}  // namespace joulefarm::cli
