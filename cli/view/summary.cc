#include "cli/view/summary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/output/text.h"
#include "cli/view/reason_details.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {
namespace {

// The runs of one cell on one device, warm-ups left out.
struct Group {
  std::string workload;
  std::string cell;
  std::string device;
  std::vector<const RowValues*> runs;
  // Who timed the runs: "stream", "bench", "reported"; empty: nobody.
  std::string method;

  // The cell with its workload, which a file with several may leave out of the matrix.
  std::string Key() const {
    if (absl::StartsWith(cell, "workload=") || absl::StrContains(cell, ",workload=")) return cell;
    return absl::StrCat("workload=", workload, cell.empty() ? "" : ",", cell);
  }
};

// A mean with the interval the controller computed.
struct Mean {
  double value = 0;
  std::optional<double> low;
  std::optional<double> high;
  std::string unit;  // what the interval is over: "run", "block"
};

class Summary {
 public:
  Summary(const Table& summary, const Table& results, const std::vector<std::string>& cell_order,
          std::size_t most_reasons)
      : summary_(summary), results_(results), most_reasons_(most_reasons) {
    std::map<std::string, std::size_t> rank;
    for (const std::string& cell : cell_order) rank.emplace(cell, rank.size());
    std::map<std::tuple<std::string, std::string, std::string>, std::size_t> index;
    for (const RowValues& row : results.rows) {
      const std::string workload = TextAt(results, row, "workload").value_or("");
      const std::string cell = TextAt(results, row, "cell").value_or("");
      const std::string device = TextAt(results, row, "device_id").value_or("");
      const auto [found, added] =
          index.emplace(std::make_tuple(workload, cell, device), groups_.size());
      if (added) groups_.push_back({workload, cell, device, {}, ""});
      if (IsWarmup(results, row)) continue;
      Group& group = groups_[found->second];
      group.runs.push_back(&row);
      if (group.method.empty()) group.method = TextAt(results, row, "speed_method").value_or("");
    }
    const auto rank_of = [&](const Group& group) {
      const auto found = rank.find(group.cell);
      return found == rank.end() ? rank.size() : found->second;
    };
    std::stable_sort(groups_.begin(), groups_.end(), [&](const Group& a, const Group& b) {
      const std::size_t a_rank = rank_of(a);
      const std::size_t b_rank = rank_of(b);
      return std::tie(a_rank, a.workload, a.device) < std::tie(b_rank, b.workload, b.device);
    });
    std::vector<std::string> cells;
    for (const Group& group : groups_) cells.push_back(group.Key());
    labels_ = ShortCells(cells);
    if (labels_.size() == 1) labels_.begin()->second = CellWords(labels_.begin()->first);
  }

  void Render(const Look& look, std::ostream& out) {
    if (groups_.empty()) {
      out << "No run was stored.\n";
      return;
    }
    std::set<std::string> devices;
    for (const Group& group : groups_) devices.insert(group.device);
    several_devices_ = devices.size() > 1;
    // What is timed in different ways does not stand in one column.
    std::map<std::string, std::vector<Row>> timed;
    for (const Group& group : groups_) {
      const bool own = group.method == "bench" || group.method == "reported";
      timed[own ? group.method : ""].push_back(RowOf(group));
    }
    const char* gap = "";
    for (const auto& [method, rows] : timed) {
      out << std::exchange(gap, "\n");
      if (method == "bench") {
        RenderRows("CELL (llama-bench)", rows, {&Row::itps, &Row::otps}, look, out);
      } else {
        RenderRows(method.empty() ? "CELL" : "CELL (as the command says)", rows,
                   {&Row::otps, &Row::ttft}, look, out);
      }
    }
    Notes(look, out);
  }

 private:
  // What a line of the table can show.
  struct Row {
    TextCell cell, device, n, itps, otps, ttft, joules, load, rss, speed, energy, quality;
  };
  using Field = TextCell Row::*;

  static const std::vector<std::pair<Field, TextColumn>>& Columns() {
    static const std::vector<std::pair<Field, TextColumn>> kColumns{
        {&Row::n, {"N", Align::kRight, Fit::kKeep}},
        {&Row::itps, {"ITPS tok/s [95 % CI]", Align::kRight, Fit::kKeep}},
        {&Row::otps, {"OTPS tok/s [95 % CI]", Align::kRight, Fit::kKeep}},
        {&Row::ttft, {"TTFT ms", Align::kRight, Fit::kKeep}},
        {&Row::joules, {"J/TOKEN decode", Align::kRight, Fit::kKeep}},
        {&Row::load, {"LOAD ms", Align::kRight, Fit::kKeep}},
        {&Row::rss, {"RSS MiB", Align::kRight, Fit::kKeep}},
        {&Row::speed, {"SPEED", Align::kLeft, Fit::kKeep}},
        {&Row::energy, {"ENERGY", Align::kLeft, Fit::kKeep}},
        {&Row::quality, {"QUALITY", Align::kLeft, Fit::kKeep}}};
    return kColumns;
  }

  void RenderRows(const std::string& title, const std::vector<Row>& rows,
                  const std::vector<Field>& speeds, const Look& look, std::ostream& out) const {
    const auto with = [&](std::vector<Field> fields, const std::vector<Field>& after) {
      fields.insert(fields.end(), speeds.begin(), speeds.end());
      fields.insert(fields.end(), after.begin(), after.end());
      return Select(title, rows, fields);
    };
    const TextTable whole = with({&Row::n}, {&Row::joules, &Row::load, &Row::rss, &Row::quality});
    if (look.width == 0 || Width(whole) <= look.width) {
      joulefarm::cli::Render(whole, look, out);
      return;
    }
    // Rather two tables than a clipped grade.
    const TextTable speed = with({&Row::n}, {&Row::load, &Row::rss, &Row::speed});
    if (FitsReadably(speed, look.width)) {
      joulefarm::cli::Render(speed, look, out);
      out << '\n';
      joulefarm::cli::Render(Select(title, rows, {&Row::joules, &Row::energy}), look, out);
      return;
    }
    joulefarm::cli::Render(with({&Row::n}, {&Row::speed}), look, out);
    out << '\n';
    joulefarm::cli::Render(Select(title, rows, {&Row::joules, &Row::energy, &Row::load, &Row::rss}),
                           look, out);
  }

  // The table with these columns, and the cell's (and device's) before them.
  TextTable Select(const std::string& title, const std::vector<Row>& rows,
                   const std::vector<Field>& fields) const {
    std::vector<Field> all{&Row::cell};
    TextTable table;
    table.columns = {{title, Align::kLeft, Fit::kShrink}};
    if (several_devices_) {
      table.columns.push_back({"DEVICE", Align::kLeft, Fit::kShrink});
      all.push_back(&Row::device);
    }
    for (const Field field : fields) {
      for (const auto& [known, column] : Columns()) {
        if (known == field) table.columns.push_back(column);
      }
      all.push_back(field);
    }
    for (const Row& row : rows) {
      std::vector<TextCell> cells;
      for (const Field field : all) cells.push_back(row.*field);
      table.rows.push_back(std::move(cells));
    }
    return table;
  }

  static bool Usable(const std::optional<std::string>& grade) { return grade != "INVALID"; }

  // Mean of a column over the runs of which the grade allows it.
  std::optional<double> MeanOf(const Group& group, absl::string_view name,
                               absl::string_view grade) const {
    double sum = 0;
    int n = 0;
    for (const RowValues* run : group.runs) {
      const std::optional<double> value = RealAt(results_, *run, name);
      if (!value || !Usable(TextAt(results_, *run, grade))) continue;
      sum += *value;
      ++n;
    }
    if (n == 0) return std::nullopt;
    return sum / n;
  }

  std::optional<double> MaxOf(const Group& group, absl::string_view name) const {
    std::optional<double> best;
    for (const RowValues* run : group.runs) {
      const std::optional<double> value = RealAt(results_, *run, name);
      if (value && (!best || *value > *best)) best = value;
    }
    return best;
  }

  // The controller's aggregate of a metric. `provenances` empty: any.
  std::optional<Mean> Aggregate(const Group& group, absl::string_view metric,
                                const std::set<std::string>& provenances) const {
    for (const RowValues& row : summary_.rows) {
      if (TextAt(summary_, row, "cell") != group.cell ||
          TextAt(summary_, row, "workload") != group.workload ||
          TextAt(summary_, row, "device_id") != group.device ||
          TextAt(summary_, row, "metric") != std::string(metric)) {
        continue;
      }
      const std::string provenance = TextAt(summary_, row, "provenance").value_or("");
      if (!provenances.empty() && provenances.count(provenance) == 0) continue;
      const std::optional<double> mean = RealAt(summary_, row, "mean");
      if (!mean) continue;
      return Mean{*mean, RealAt(summary_, row, "ci_low"), RealAt(summary_, row, "ci_high"),
                  TextAt(summary_, row, "stat_unit").value_or("run")};
    }
    return std::nullopt;
  }

  Mean SpeedMean(const Group& group, absl::string_view metric, bool* found) const {
    if (const auto aggregate = Aggregate(group, metric, {})) {
      *found = true;
      return *aggregate;
    }
    const std::optional<double> mean = MeanOf(group, metric, "speed_quality");
    *found = mean.has_value();
    return {mean.value_or(0), std::nullopt, std::nullopt, ""};
  }

  TextCell SpeedCell(const Group& group, absl::string_view metric) {
    bool found = false;
    const Mean mean = SpeedMean(group, metric, &found);
    if (!found) return {"-", Style::kDim};
    if (!mean.low || !mean.high) return {SignificantReal(mean.value, 3)};
    interval_units_.insert(mean.unit);
    return {absl::StrCat(SignificantReal(mean.value, 3), " [", SignificantReal(*mean.low, 3), ", ",
                         SignificantReal(*mean.high, 3), "]")};
  }

  std::optional<Sourced> Joules(const Group& group) const {
    static const std::map<Source, std::set<std::string>> kProvenances{
        {Source::kMeasured, {"measured"}},
        {Source::kEstimated, {"estimated", "modelled"}},
        {Source::kSimulated, {"simulated", "replayed"}}};
    for (const auto& [source, provenances] : kProvenances) {
      double sum = 0;
      double u = 0;
      int n = 0;
      int with_u = 0;
      for (const RowValues* run : group.runs) {
        const auto value = DecodeJoulesPerToken(results_, *run, source);
        if (!value || !Usable(TextAt(results_, *run, "energy_quality"))) continue;
        sum += value->value;
        ++n;
        if (value->uncertainty) {
          u += *value->uncertainty;
          ++with_u;
        }
      }
      if (n == 0) continue;
      const std::string metric = absl::StrCat("j_per_decode_token", SuffixOf(source));
      auto aggregate = Aggregate(group, metric, provenances);
      if (!aggregate) aggregate = Aggregate(group, "j_per_decode_token", provenances);
      Sourced joules{aggregate ? aggregate->value : sum / n, std::nullopt, source};
      // Gain and offset are common to the runs, so averaging does not shrink them: the runs' mean
      // u, not u/√n.
      if (with_u > 0) joules.uncertainty = u / with_u;
      return joules;
    }
    return std::nullopt;
  }

  TextCell JoulesCell(const Group& group) {
    const std::optional<Sourced> joules = Joules(group);
    if (joules) {
      sources_.insert(joules->source);
      if (joules->uncertainty) uncertainty_shown_ = true;
    }
    return EnergyCell(joules);
  }

  // The worst grade of a column and how many runs have it: "VALID", "SUSPECT 1/3". Empty when no
  // run was graded.
  std::string Grade(const Group& group, absl::string_view column) const {
    static constexpr std::array<absl::string_view, 3> kWorstFirst{"INVALID", "SUSPECT", "VALID"};
    std::map<std::string, std::size_t> counts;
    for (const RowValues* run : group.runs) {
      if (const auto grade = TextAt(results_, *run, column)) ++counts[*grade];
    }
    for (const absl::string_view grade : kWorstFirst) {
      const auto found = counts.find(std::string(grade));
      if (found == counts.end()) continue;
      if (found->second == group.runs.size()) return found->first;
      return grade == "VALID"
                 ? found->first
                 : absl::StrCat(found->first, " ", found->second, "/", group.runs.size());
    }
    return "";
  }

  static TextCell Graded(const std::string& text) {
    const bool bad = absl::StrContains(text, "INVALID");
    const bool warn = absl::StrContains(text, "SUSPECT");
    return {OneLine(text), bad ? Style::kBad : warn ? Style::kWarn : Style::kPlain};
  }

  // "VALID", "estimated", "estimated SUSPECT 1/3", "none".
  std::string EnergyGradeOf(const Group& group) const {
    const std::string grade = Grade(group, "energy_quality");
    std::optional<std::string> provenance;
    for (const RowValues* run : group.runs) {
      if (!provenance) provenance = TextAt(results_, *run, "provenance");
    }
    if (!provenance || *provenance == "measured") return grade.empty() ? "none" : grade;
    return grade.empty() || grade == "VALID" ? *provenance : absl::StrCat(*provenance, " ", grade);
  }

  Row RowOf(const Group& group) {
    const auto valid = std::count_if(
        group.runs.begin(), group.runs.end(),
        [&](const RowValues* run) { return Usable(TextAt(results_, *run, "speed_quality")); });
    const auto all = static_cast<std::ptrdiff_t>(group.runs.size());
    const auto real = [](std::optional<double> value) {
      return value ? TextCell{SignificantReal(*value, 3)} : TextCell{"-", Style::kDim};
    };
    bool has_ttft = false;
    const Mean ttft = SpeedMean(group, "ttft_ms", &has_ttft);
    const std::string speed = Grade(group, "speed_quality");
    const std::string energy = EnergyGradeOf(group);
    Row row;
    row.cell = {OneLine(labels_.at(group.Key()))};
    row.device = {OneLine(group.device)};
    row.n = {valid == all ? absl::StrCat(all) : absl::StrCat(valid, "/", all)};
    if (group.method == "bench") row.itps = SpeedCell(group, "itps");
    row.otps = SpeedCell(group, "otps");
    row.ttft = real(has_ttft ? std::optional<double>(ttft.value) : std::nullopt);
    row.joules = JoulesCell(group);
    row.load = real(MeanOf(group, "load_ms", ""));
    row.rss = real(MaxOf(group, "peak_rss_mib"));
    row.speed = Graded(speed.empty() ? "-" : speed);
    row.energy = Graded(energy);
    row.quality =
        Graded(absl::StrCat(speed.empty() ? "" : absl::StrCat("speed ", speed, " · "),
                            energy == "none" ? "no energy" : absl::StrCat("energy ", energy)));
    return row;
  }

  // One line per code of a grade: its values, and how many runs have it. A code of one cell only
  // names the cell.
  std::vector<std::string> Reasons() const {
    struct Code {
      std::vector<std::string> details;
      std::set<const RowValues*> runs;
      std::set<const Group*> groups;
    };
    std::map<std::string, Code> codes;
    for (const Group& group : groups_) {
      for (const RowValues* run : group.runs) {
        for (const std::string& reason :
             ListJson(TextAt(results_, *run, "quality_reasons").value_or(""))) {
          const std::pair<std::string, std::string> parts =
              absl::StrSplit(reason, absl::MaxSplits(':', 1));
          Code& code = codes[parts.first];
          code.runs.insert(run);
          code.groups.insert(&group);
          if (!parts.second.empty()) code.details.push_back(parts.second);
        }
      }
    }
    std::size_t all_runs = 0;
    for (const Group& group : groups_) all_runs += group.runs.size();
    // What explains the speed's grade first: energy often has more reasons than there is room for.
    using Entry = std::pair<std::string, Code>;
    std::vector<Entry> sorted(codes.begin(), codes.end());
    std::stable_sort(sorted.begin(), sorted.end(), [](const Entry& a, const Entry& b) {
      const bool a_speed = absl::StartsWith(a.first, "speed ");
      const bool b_speed = absl::StartsWith(b.first, "speed ");
      if (a_speed != b_speed) return a_speed;
      return a.second.runs.size() > b.second.runs.size();
    });
    std::vector<std::string> lines;
    for (const auto& [name, code] : sorted) {
      const bool one_cell = code.groups.size() == 1 && groups_.size() > 1;
      const std::size_t of = one_cell ? (*code.groups.begin())->runs.size() : all_runs;
      const std::string details = JoinReasonDetails(code.details);
      lines.push_back(absl::StrCat(one_cell ? labels_.at((*code.groups.begin())->Key()) + ": " : "",
                                   name, details.empty() ? "" : ":", details, " (",
                                   code.runs.size(), " of ", of, of == 1 ? " run)" : " runs)"));
    }
    return lines;
  }

  void Notes(const Look& look, std::ostream& out) const {
    std::vector<std::string> legend;
    if (sources_.count(Source::kEstimated) > 0) legend.push_back("~ estimated, not measured");
    if (sources_.count(Source::kSimulated) > 0) legend.push_back("sim: simulated, not measured");
    if (uncertainty_shown_) legend.push_back("± standard uncertainty (k = 1)");
    if (!interval_units_.empty()) {
      legend.push_back(absl::StrCat("interval of the mean over ",
                                    absl::StrJoin(interval_units_, "s and "), "s"));
    }
    const auto write = [&](const std::string& text) {
      for (const std::string& line : WrapWords(text, look.width))
        out << Styled(line, Style::kDim, look) << '\n';
    };
    if (!legend.empty()) write(absl::StrJoin(legend, " · "));
    const std::vector<std::string> reasons = Reasons();
    const std::size_t shown = std::min(reasons.size(), most_reasons_);
    for (std::size_t i = 0; i < shown; ++i) write(OneLine(reasons[i]));
    const std::size_t more = reasons.size() - shown;
    if (more > 0)
      write(
          absl::StrCat("and ", more, more == 1 ? " more grading reason" : " more grading reasons"));
  }

  const Table& summary_;
  const Table& results_;
  const std::size_t most_reasons_;
  std::vector<Group> groups_;
  std::map<std::string, std::string> labels_;
  bool several_devices_ = false;
  // What the rows made use of, for the legend.
  std::set<Source> sources_;
  std::set<std::string> interval_units_;
  bool uncertainty_shown_ = false;
};

}  // namespace

void RenderSummary(const Table& summary, const Table& results,
                   const std::vector<std::string>& cell_order, const Look& look, std::ostream& out,
                   std::size_t most_reasons) {
  Summary(summary, results, cell_order, most_reasons).Render(look, out);
}

}  // namespace joulefarm::cli
