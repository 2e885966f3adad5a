#include "cli/view/compare.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/output/text.h"
#include "cli/view/run_values.h"
#include "common/config/suggest.h"

namespace joulefarm::cli {
namespace {

// What is compared with what: a cell of a workload on a device.
using Place = std::tuple<std::string, std::string, std::string>;  // workload, cell, device

// "energy_est_j" and "energy_j" are one metric of different provenance.
std::string FamilyOf(std::string metric) {
  for (const char* label : {"_est", "_sim"}) {
    const std::size_t at = metric.find(label);
    if (at == std::string::npos) continue;
    const std::size_t end = at + 4;
    if (end == metric.size() || metric[end] == '_') metric.erase(at, 4);
  }
  return metric;
}

struct Row {
  std::string metric, unit, speed_method, energy_scope, provenance, stat_unit;
  SampleMoments moments;

  std::string Kind() const {
    std::vector<std::string> parts;
    for (const std::string& part : {speed_method, provenance, energy_scope}) {
      if (!part.empty()) parts.push_back(part);
    }
    return absl::StrJoin(parts, " ");
  }
};

using Metrics = std::map<std::string, std::vector<Row>>;  // by family
using Places = std::map<Place, Metrics>;

Places PlacesOf(const CompareSide& side) {
  Places places;
  const Table& table = side.summary;
  for (const RowValues& values : table.rows) {
    const auto text = [&](absl::string_view name) {
      return TextAt(table, values, name).value_or("");
    };
    const std::optional<double> mean = RealAt(table, values, "mean");
    if (!mean || (side.cell && text("cell") != *side.cell)) continue;
    Row row{text("metric"),
            text("unit"),
            text("speed_method"),
            text("energy_scope"),
            text("provenance"),
            text("stat_unit"),
            {*mean, RealAt(table, values, "stdev").value_or(0),
             static_cast<std::size_t>(RealAt(table, values, "n_unit").value_or(0))}};
    const std::string family = FamilyOf(row.metric);
    places[{text("workload"), text("cell"), text("device_id")}][family].push_back(std::move(row));
  }
  return places;
}

int BetterOf(const std::string& family) {
  if (family == "otps" || family == "itps") return 1;
  static const std::set<std::string> kLess{"ttft_ms",
                                           "itl_p50_ms",
                                           "load_ms",
                                           "peak_rss_mib",
                                           "energy_j",
                                           "j_per_prompt_token",
                                           "j_per_decode_token",
                                           "j_per_output_token_e2e"};
  return kLess.count(family) > 0 ? -1 : 0;
}

// Smaller changes are not told from none in what is shown.
constexpr double kLeastChange = 0.001;

// "is 12 % faster", "takes 8 % less energy". A time that is halved is a speed that doubled, so
// times are said to be less, not faster.
std::string Words(const std::string& family, double change) {
  const bool more = change > 0;
  const std::string size = absl::StrCat(SignificantReal(std::abs(change) * 100, 2), " %");
  if (family == "otps" || family == "itps")
    return absl::StrCat("is ", size, more ? " faster" : " slower");
  const char* what = absl::EndsWith(family, "_ms")                                ? " time"
                     : family == "peak_rss_mib"                                   ? " memory"
                     : family == "energy_j" || absl::StartsWith(family, "j_per_") ? " energy"
                                                                                  : "";
  return absl::StrCat(*what == 0 ? "is " : "takes ", size, more ? " more" : " less", what);
}

std::string Signed(double change) {
  return absl::StrCat(change < 0 ? "-" : "+", SignificantReal(std::abs(change) * 100, 2), " %");
}

std::string NameOf(const Place& place) {
  const auto& [workload, cell, device] = place;
  return absl::StrCat(cell.empty() ? workload : CellWords(cell), " on ", device);
}

// The places of b for those of a.
std::vector<std::pair<Place, Place>> Pairs(const CompareSide& a, const CompareSide& b,
                                           const Places& in_a, const Places& in_b) {
  const auto devices = [](const Places& places) {
    std::set<std::string> all;
    for (const auto& [place, metrics] : places) all.insert(std::get<2>(place));
    return all;
  };
  const std::set<std::string> of_a = devices(in_a);
  const std::set<std::string> of_b = devices(in_b);
  const bool any_device = of_a.size() == 1 && of_b.size() == 1;
  const bool any_cell = a.cell && b.cell && *a.cell != *b.cell;
  std::vector<std::pair<Place, Place>> pairs;
  for (const auto& [left, left_metrics] : in_a) {
    for (const auto& [right, right_metrics] : in_b) {
      const bool same_cell =
          std::get<0>(left) == std::get<0>(right) && std::get<1>(left) == std::get<1>(right);
      const bool same_device = std::get<2>(left) == std::get<2>(right);
      if ((any_cell || same_cell) && (any_device || same_device)) pairs.emplace_back(left, right);
    }
  }
  return pairs;
}

absl::Status Mixed(const std::string& family, const Place& place, const std::vector<Row>& a,
                   const std::vector<Row>& b) {
  const auto kinds = [](const std::vector<Row>& rows) {
    std::vector<std::string> all;
    for (const Row& row : rows) all.push_back(row.Kind().empty() ? "unlabelled" : row.Kind());
    return absl::StrJoin(all, " and ");
  };
  return absl::InvalidArgumentError(
      absl::StrCat(family, " of ", NameOf(place), " cannot be compared: it is ", kinds(a),
                   " in A and ", kinds(b),
                   " in B, and numbers of different speed methods, scopes or provenances say "
                   "different things. Name the metrics that can be compared with --metric."));
}

absl::Status CheckMetrics(const std::vector<std::string>& wanted, const Places& a,
                          const Places& b) {
  std::set<std::string> known;
  for (const Places* side : {&a, &b}) {
    for (const auto& [place, metrics] : *side) {
      for (const auto& [family, rows] : metrics) {
        known.insert(family);
        for (const Row& row : rows) known.insert(row.metric);
      }
    }
  }
  for (const std::string& metric : wanted) {
    if (known.count(metric) > 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--metric ", metric, ": no such metric here",
                     Suggestion(metric, {known.begin(), known.end()}, "metrics")));
  }
  return absl::OkStatus();
}

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

// What a pair's runs say about the comparison: their grades, and whether they did the same.
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

std::string Missing(const CompareSide& side, const Places& places) {
  std::set<std::string> cells;
  for (const RowValues& row : side.summary.rows)
    cells.insert(TextAt(side.summary, row, "cell").value_or(""));
  if (!places.empty()) return "";
  return absl::StrCat(
      side.name, side.summary.rows.empty() ? " has no results" : " has no such cell",
      cells.empty() ? "" : absl::StrCat("; its cells: ", absl::StrJoin(cells, "; ")), ". ");
}

}  // namespace

std::string Comparison::Verdict() const {
  if (!difference) {
    return absl::StrCat("too few ", stat_unit_a == stat_unit_b ? stat_unit_a + "s" : "values",
                        " to tell (", a.n, " and ", b.n, ", 3 needed)");
  }
  if (difference->low > 0 || difference->high < 0) {
    if (a.mean == 0) return "B differs from A";
    if (std::abs(difference->value / a.mean) < kLeastChange)
      return "no difference worth the name (below 0.1 %)";
    return absl::StrCat("B ", Words(FamilyOf(metric), difference->value / std::abs(a.mean)));
  }
  if (difference->low == 0 && difference->high == 0) return "the same";
  if (a.mean == 0) return "no difference shown";
  return absl::StrCat("no difference shown (", Signed(difference->low / std::abs(a.mean)), " … ",
                      Signed(difference->high / std::abs(a.mean)), ")");
}

absl::StatusOr<CompareResult> Compare(const CompareSide& a, const CompareSide& b,
                                      const std::vector<std::string>& metrics) {
  const Places in_a = PlacesOf(a);
  const Places in_b = PlacesOf(b);
  if (in_a.empty() || in_b.empty()) {
    return absl::NotFoundError(
        absl::StrCat("nothing to compare: ", Missing(a, in_a), Missing(b, in_b)));
  }
  if (absl::Status known = CheckMetrics(metrics, in_a, in_b); !known.ok()) return known;
  const auto wanted = [&](const std::string& family, const std::vector<Row>& rows) {
    if (metrics.empty()) return true;
    return std::any_of(metrics.begin(), metrics.end(), [&](const std::string& metric) {
      return metric == family || std::any_of(rows.begin(), rows.end(),
                                             [&](const Row& row) { return row.metric == metric; });
    });
  };
  CompareResult result;
  std::set<Place> paired_a;
  std::set<Place> paired_b;
  for (const auto& [left, right] : Pairs(a, b, in_a, in_b)) {
    paired_a.insert(left);
    paired_b.insert(right);
    NoteRuns(a, left, b, right, result.notes);
    const Metrics& right_metrics = in_b.at(right);
    for (const auto& [family, left_rows] : in_a.at(left)) {
      const auto found = right_metrics.find(family);
      if (found == right_metrics.end() || !wanted(family, left_rows)) continue;
      const std::vector<Row>& right_rows = found->second;
      const Row& x = left_rows.front();
      const Row& y = right_rows.front();
      if (left_rows.size() > 1 || right_rows.size() > 1 || x.speed_method != y.speed_method ||
          x.energy_scope != y.energy_scope || x.provenance != y.provenance) {
        return Mixed(family, left, left_rows, right_rows);
      }
      if (x.unit != y.unit) {
        result.notes.push_back(absl::StrCat(family, " of ", NameOf(left), " is in ", x.unit,
                                            " in A and in ", y.unit, " in B: left out"));
        continue;
      }
      Comparison row;
      row.cell_a = std::get<1>(left);
      row.cell_b = std::get<1>(right);
      row.device_a = std::get<2>(left);
      row.device_b = std::get<2>(right);
      row.metric = x.metric;
      row.unit = x.unit;
      row.speed_method = x.speed_method;
      row.energy_scope = x.energy_scope;
      row.provenance = x.provenance;
      row.a = x.moments;
      row.b = y.moments;
      row.stat_unit_a = x.stat_unit;
      row.stat_unit_b = y.stat_unit;
      row.difference = WelchDifference95(row.a, row.b);
      if (row.a.mean != 0) row.ratio = row.b.mean / row.a.mean;
      row.better = BetterOf(family);
      result.rows.push_back(std::move(row));
    }
  }
  for (const auto& [place, rows] : in_a) {
    if (paired_a.count(place) == 0) result.notes.push_back("only in A: " + NameOf(place));
  }
  for (const auto& [place, rows] : in_b) {
    if (paired_b.count(place) == 0) result.notes.push_back("only in B: " + NameOf(place));
  }
  if (result.rows.empty()) {
    return absl::NotFoundError(absl::StrCat(
        a.name, " and ", b.name, " have no cell on the same device with a metric in common: ",
        absl::StrJoin(result.notes, "; "), ". Name cells as EXPERIMENT/CELL to compare two"));
  }
  return result;
}

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
    // Whose mean is better, where the interval shows it.
    Value better;
    if (d && row.better != 0 && (d->low > 0 || d->high < 0))
      better = std::string((d->value > 0) == (row.better > 0) ? "b" : "a");
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
                          row.Verdict()});
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
    const bool shown =
        row.difference && row.better != 0 &&
        (row.difference->low > 0 || row.difference->high < 0) &&
        (row.a.mean == 0 || std::abs(row.difference->value / row.a.mean) >= kLeastChange);
    const bool good = shown && (row.difference->value > 0) == (row.better > 0);
    const Style style = !shown ? Style::kPlain : good ? Style::kGood : Style::kBad;
    table.rows.push_back(
        {{OneLine(absl::StrCat(row.metric, row.unit.empty() ? "" : absl::StrCat(" ", row.unit)))},
         {mark + number(row.a.mean)},
         {mark + number(row.b.mean)},
         {difference},
         {row.ratio ? number(*row.ratio) : "-"},
         {absl::StrCat(row.a.n, "/", row.b.n)},
         {row.Verdict(), style}});
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
