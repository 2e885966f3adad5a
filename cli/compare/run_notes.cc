#include "cli/compare/run_notes.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/output/text.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {
namespace {

std::vector<const RowValues*> RunsOf(const CompareSide& side, const Place& place) {
  std::vector<const RowValues*> runs;
  const Table& table = side.runs;
  for (const RowValues& row : table.rows) {
    const auto text = [&](absl::string_view name) { return TextAt(table, row, name).value_or(""); };
    if (!IsWarmup(table, row) && Place{text("workload"), text("cell"), text("device_id")} == place)
      runs.push_back(&row);
  }
  return runs;
}

// "speed SUSPECT 2 of 3, energy INVALID 1 of 3"; empty when every run is VALID or not graded.
std::string GradesOf(const CompareSide& side, const Place& place) {
  const std::vector<const RowValues*> runs = RunsOf(side, place);
  std::vector<std::string> parts;
  for (const char* what : {"speed", "energy"}) {
    for (const char* grade : {"INVALID", "SUSPECT"}) {
      const auto n = std::count_if(runs.begin(), runs.end(), [&](const RowValues* run) {
        return TextAt(side.runs, *run, absl::StrCat(what, "_quality")) == grade;
      });
      if (n > 0) parts.push_back(absl::StrCat(what, " ", grade, " ", n, " of ", runs.size()));
    }
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace

void NoteRuns(const CompareSide& a, const Place& left, const CompareSide& b, const Place& right,
              std::vector<std::string>& notes) {
  const std::string name =
      left == right ? NameOf(left) : absl::StrCat(NameOf(left), " and ", NameOf(right));
  std::vector<std::string> work;
  for (const char* column : {"n_prompt", "n_gen"}) {
    const auto values = [&](const CompareSide& side, const Place& place) {
      std::set<std::string> all;
      for (const RowValues* run : RunsOf(side, place)) {
        const Value& value = side.runs.At(*run, column);
        if (!IsNull(value)) all.insert(PlainText(value));
      }
      return all;
    };
    const std::set<std::string> x = values(a, left);
    const std::set<std::string> y = values(b, right);
    if (x.empty() || y.empty() || x == y) continue;
    work.push_back(
        absl::StrCat(column, " ", absl::StrJoin(x, "/"), " and ", absl::StrJoin(y, "/")));
  }
  if (!work.empty())
    notes.push_back(absl::StrCat(name, ": not the same work: ", absl::StrJoin(work, ", ")));
  const std::string grades_a = GradesOf(a, left);
  const std::string grades_b = GradesOf(b, right);
  if (!grades_a.empty()) notes.push_back(absl::StrCat(NameOf(left), ", A: ", grades_a, " runs"));
  if (!grades_b.empty()) notes.push_back(absl::StrCat(NameOf(right), ", B: ", grades_b, " runs"));
}

}  // namespace joulefarm::cli
