#include "cli/compare/pairing.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/compare/run_notes.h"
#include "cli/compare/verdict.h"
#include "cli/view/run_values.h"
#include "common/config/suggest.h"

namespace joulefarm::cli {
namespace {

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

}  // namespace joulefarm::cli
