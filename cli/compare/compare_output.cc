#include "cli/compare/compare_output.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/compare/verdict.h"
#include "cli/output/text.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {

Table CompareTable(const CompareResult& result) {
  Table table;
  for (const char* name :
       {"cell_a", "cell_b", "device_a", "device_b", "metric", "unit", "speed_method",
        "energy_scope", "provenance", "stat_unit_a", "stat_unit_b"}) {
    table.columns.push_back({name, ColumnKind::kText});
  }
  for (const char* name : {"n_a", "n_b", "mean_a", "mean_b", "stdev_a", "stdev_b", "difference",
                           "ci_low", "ci_high", "degrees", "ratio"}) {
    table.columns.push_back({name, ColumnKind::kNumber});
  }
  table.columns.push_back({"better", ColumnKind::kText});
  table.columns.push_back({"verdict", ColumnKind::kText});
  const auto text = [](const std::string& value) { return value.empty() ? Value() : Value(value); };
  const auto stdev = [](const SampleMoments& moments) {
    return moments.n < 2 ? Value() : Value(moments.stdev);
  };
  for (const Comparison& row : result.rows) {
    const std::optional<Difference>& d = row.difference;
    Value better;
    if (BetterOf(row) != Better::kNeither)
      better = std::string(BetterOf(row) == Better::kB ? "b" : "a");
    table.rows.push_back({row.cell_a,
                          row.cell_b,
                          row.device_a,
                          row.device_b,
                          row.metric,
                          text(row.unit),
                          text(row.speed_method),
                          text(row.energy_scope),
                          text(row.provenance),
                          text(row.stat_unit_a),
                          text(row.stat_unit_b),
                          static_cast<std::int64_t>(row.a.n),
                          static_cast<std::int64_t>(row.b.n),
                          row.a.mean,
                          row.b.mean,
                          stdev(row.a),
                          stdev(row.b),
                          row.b.mean - row.a.mean,
                          d ? Value(d->low) : Value(),
                          d ? Value(d->high) : Value(),
                          d ? Value(d->degrees) : Value(),
                          row.ratio ? Value(*row.ratio) : Value(),
                          better,
                          Verdict(row)});
  }
  return table;
}

void RenderCompare(const CompareSide& a, const CompareSide& b, const CompareResult& result,
                   const Look& look, std::ostream& out) {
  const auto name = [](const CompareSide& side) { return OneLine(side.name); };
  out << "A: " << name(a) << "\nB: " << name(b) << '\n';
  std::vector<std::string> cells;
  std::set<std::string> devices;
  for (const Comparison& row : result.rows) {
    cells.push_back(row.cell_a);
    devices.insert(row.device_a);
    devices.insert(row.device_b);
  }
  const std::map<std::string, std::string> labels = ShortCells(cells);
  std::string above;
  TextTable table;
  const auto flush = [&] {
    if (table.rows.empty()) return;
    out << '\n' << Styled(above, Style::kStrong, look) << '\n';
    Render(table, look, out);
    table.rows.clear();
  };
  table.columns = {
      {"METRIC", Align::kLeft, Fit::kKeep},   {"A", Align::kRight, Fit::kKeep},
      {"B", Align::kRight, Fit::kKeep},       {"B - A [95 % CI]", Align::kRight, Fit::kKeep},
      {"B/A", Align::kRight, Fit::kKeep},     {"N", Align::kRight, Fit::kDrop},
      {"VERDICT", Align::kLeft, Fit::kShrink}};
  std::set<std::string> marks;
  for (const Comparison& row : result.rows) {
    std::string where = row.cell_a == row.cell_b
                            ? CellWords(row.cell_a)
                            : absl::StrCat(CellWords(row.cell_a), " → ", CellWords(row.cell_b));
    if (devices.size() > 1) {
      absl::StrAppend(&where, " · ", row.device_a,
                      row.device_a == row.device_b ? "" : absl::StrCat(" → ", row.device_b));
    }
    where = OneLine(where.empty() ? "(one cell)" : where);
    if (where != above) flush();
    above = where;
    const bool estimated = row.provenance == "estimated" || row.provenance == "modelled";
    const bool simulated = row.provenance == "simulated" || row.provenance == "replayed";
    const std::string mark = estimated ? "~" : simulated ? "sim " : "";
    if (!mark.empty()) marks.insert(mark);
    const auto number = [](double value) { return SignificantReal(value, 3); };
    std::string difference = number(row.b.mean - row.a.mean);
    if (row.difference) {
      absl::StrAppend(&difference, " [", number(row.difference->low), ", ",
                      number(row.difference->high), "]");
    }
    const Better better = BetterOf(row);
    const Style style = better == Better::kNeither ? Style::kPlain
                        : better == Better::kB     ? Style::kGood
                                                   : Style::kBad;
    table.rows.push_back(
        {{OneLine(absl::StrCat(row.metric, row.unit.empty() ? "" : absl::StrCat(" ", row.unit)))},
         {mark + number(row.a.mean)},
         {mark + number(row.b.mean)},
         {difference},
         {row.ratio ? number(*row.ratio) : "-"},
         {absl::StrCat(row.a.n, "/", row.b.n)},
         {Verdict(row), style}});
  }
  flush();
  out << '\n';
  std::string legend;
  if (marks.count("~") > 0) legend += "~ estimated, not measured. ";
  if (marks.count("sim ") > 0) legend += "sim: simulated, not measured. ";
  legend +=
      "Intervals are Welch's, of the scatter between runs (or blocks); what a meter always shows "
      "too much or too little is not in them.";
  for (const std::string& line : WrapWords(legend, look.width)) out << line << '\n';
  for (const std::string& note : result.notes) {
    for (const std::string& line : WrapWords(OneLine(note), look.width)) out << line << '\n';
  }
}

}  // namespace joulefarm::cli
