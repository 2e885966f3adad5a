#include "cli/view/report.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <tuple>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/output/text.h"
#include "cli/view/reason_details.h"
#include "cli/view/run_values.h"
#include "cli/view/summary.h"

namespace joulefarm::cli {
namespace {

using TextRow = std::vector<std::string>;

// Text inside a table's cell.
std::string Cell(absl::string_view text) {
  return absl::StrReplaceAll(OneLine(absl::StrReplaceAll(text, {{"\n", " "}})), {{"|", "\\|"}});
}

std::string MarkdownTable(const TextRow& header, const std::vector<TextRow>& rows) {
  std::string out;
  const auto line = [&](const TextRow& cells) {
    absl::StrAppend(&out, "| ", absl::StrJoin(cells, " | "), " |\n");
  };
  line(header);
  line(TextRow(header.size(), "---"));
  for (const TextRow& row : rows) line(row);
  return out + "\n";
}

// The columns of a table as they are, those that are empty everywhere left out.
std::string WholeTable(const Table& table) {
  std::vector<std::size_t> used;
  TextRow header;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const bool any = std::any_of(table.rows.begin(), table.rows.end(),
                                 [&](const RowValues& row) { return !IsNull(row[i]); });
    if (!any) continue;
    used.push_back(i);
    header.push_back(Cell(table.columns[i].name));
  }
  std::vector<TextRow> rows;
  for (const RowValues& row : table.rows) {
    TextRow line;
    for (const std::size_t i : used) {
      const double* real = std::get_if<double>(&row[i]);
      line.push_back(Cell(real != nullptr ? PlainReal(*real) : PlainText(row[i])));
    }
    rows.push_back(std::move(line));
  }
  return MarkdownTable(header, rows);
}

// Code that no line inside it can end.
std::string Fenced(absl::string_view language, absl::string_view code) {
  std::string fence = "```";
  while (absl::StrContains(code, fence)) fence += '`';
  return absl::StrCat(fence, language, "\n", absl::StripTrailingAsciiWhitespace(CleanLines(code)),
                      "\n", fence, "\n\n");
}

// A word of a command line as a POSIX shell reads it.
std::string ShellWord(absl::string_view word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("_-+=.,:/@%", c);
  });
  return plain ? std::string(word)
               : absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

class Report {
 public:
  explicit Report(const ReportData& data) : data_(data), id_(Of("id")), name_(Of("name")) {}

  std::string Write() {
    absl::StrAppend(&out_, "# ", Cell(name_), "\n\n", Cell(id_), ", submitted ",
                    ShortTime(Of("submitted")), " UTC. SHA-256 of the expansion: `",
                    Cell(Of("sha256")), "`.\n\n");
    Jobs();
    Overview();
    Cells();
    Reasons();
    Setup();
    Reproduce();
    return std::move(out_);
  }

 private:
  std::string Of(absl::string_view column) const {
    if (data_.experiment.rows.empty()) return "";
    return PlainText(data_.experiment.At(data_.experiment.rows.front(), column));
  }

  void Jobs() {
    const Table& jobs = data_.jobs;
    std::map<std::string, int> states;
    std::vector<TextRow> failed;
    std::set<std::string> plans;
    for (const RowValues& row : jobs.rows) {
      const auto text = [&](absl::string_view name) { return PlainText(jobs.At(row, name)); };
      ++states[text("state")];
      plans.insert(absl::StrCat(text("warmup"), " + ", text("repetitions")));
      if (text("failure_class").empty()) continue;
      failed.push_back({text("id"), Cell(CellWords(text("cell"))), Cell(text("device_id")),
                        Cell(text("state")), Cell(text("failure_class")),
                        Cell(TextRow(absl::StrSplit(text("reason"), '\n')).front())});
    }
    TextRow counts;
    for (const auto& [state, count] : states) counts.push_back(absl::StrCat(count, " ", state));
    absl::StrAppend(&out_, "## What ran\n\n", jobs.rows.size(),
                    jobs.rows.size() == 1 ? " job" : " jobs", ": ", absl::StrJoin(counts, ", "),
                    ". Warm-ups + measured runs per job: ", absl::StrJoin(plans, "; "), ".\n\n");
    if (failed.empty()) return;
    absl::StrAppend(&out_,
                    MarkdownTable({"job", "cell", "device", "state", "class", "reason"}, failed));
  }

  // Cells as the experiment's file has them.
  TextRow CellOrder() const {
    TextRow order;
    for (const RowValues& row : data_.jobs.rows) {
      const std::string cell = PlainText(data_.jobs.At(row, "cell"));
      if (std::find(order.begin(), order.end(), cell) == order.end()) order.push_back(cell);
    }
    return order;
  }

  void Overview() {
    std::ostringstream text;
    RenderSummary(data_.summary, data_.results, CellOrder(), Look{}, text, kAllReasons);
    absl::StrAppend(&out_, "## Results\n\n", Fenced("", text.str()));
  }

  // The mean uncertainty of a metric of energy over the runs that count: what is common to all runs
  // does not become smaller by averaging.
  std::optional<double> Uncertainty(const std::string& metric, const RowValues& of) const {
    std::string column = absl::StartsWith(metric, "energy")
                             ? absl::StrReplaceAll(metric, {{"_j", "_u_j"}})
                             : absl::StrCat(metric, "_u");
    double sum = 0;
    int n = 0;
    for (const RowValues& run : data_.results.rows) {
      if (IsWarmup(data_.results, run)) continue;
      const bool same = data_.results.At(run, "cell") == data_.summary.At(of, "cell") &&
                        data_.results.At(run, "workload") == data_.summary.At(of, "workload") &&
                        data_.results.At(run, "device_id") == data_.summary.At(of, "device_id");
      if (!same || TextAt(data_.results, run, "energy_quality") == "INVALID") continue;
      if (const auto u = RealAt(data_.results, run, column)) {
        sum += *u;
        ++n;
      }
    }
    if (n == 0) return std::nullopt;
    return sum / n;
  }

  TextRow MetricLine(const RowValues& row) const {
    const Table& table = data_.summary;
    const auto text = [&](absl::string_view name) { return PlainText(table.At(row, name)); };
    const std::string provenance = text("provenance");
    const std::string mark = provenance == "estimated" || provenance == "modelled"   ? "~"
                             : provenance == "simulated" || provenance == "replayed" ? "sim "
                                                                                     : "";
    const std::optional<double> mean = RealAt(table, row, "mean");
    const std::optional<double> low = RealAt(table, row, "ci_low");
    const std::optional<double> high = RealAt(table, row, "ci_high");
    TextRow labels;
    for (const char* name : {"speed_method", "provenance", "energy_scope"}) {
      if (!text(name).empty()) labels.push_back(text(name));
    }
    const std::optional<double> u =
        provenance.empty() ? std::nullopt : Uncertainty(text("metric"), row);
    return {Cell(text("metric")),
            mean ? absl::StrCat(mark, WithUncertainty(*mean, u)) : "-",
            Cell(text("unit")),
            low && high
                ? absl::StrCat("[", SignificantReal(*low, 3), ", ", SignificantReal(*high, 3), "]")
                : "-",
            absl::StrCat(text("n_valid"), "/", text("n")),
            absl::StrCat(text("n_unit"), " ", text("stat_unit"), text("n_unit") == "1" ? "" : "s"),
            Cell(absl::StrJoin(labels, ", "))};
  }

  void Cells() {
    using Place = std::tuple<std::string, std::string, std::string>;
    std::vector<Place> order;
    std::map<Place, std::vector<TextRow>> places;
    const Table& table = data_.summary;
    for (const RowValues& row : table.rows) {
      const Place place{TextAt(table, row, "workload").value_or(""),
                        TextAt(table, row, "cell").value_or(""),
                        TextAt(table, row, "device_id").value_or("")};
      if (places.count(place) == 0) order.push_back(place);
      places[place].push_back(MetricLine(row));
    }
    const TextRow cells = CellOrder();
    const auto rank = [&](const Place& place) {
      return std::find(cells.begin(), cells.end(), std::get<1>(place)) - cells.begin();
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](const Place& a, const Place& b) { return rank(a) < rank(b); });
    for (const Place& place : order) {
      const auto& [workload, cell, device] = place;
      const std::string words = cell.empty() ? "" : absl::StrCat(" · ", CellWords(cell));
      absl::StrAppend(&out_, "### ", Cell(absl::StrCat(workload, words, " on ", device)), "\n\n",
                      MarkdownTable({"metric", "value", "unit", "95 % interval of the mean",
                                     "valid/all runs", "over", "what it is"},
                                    places[place]));
    }
    if (!order.empty()) {
      absl::StrAppend(
          &out_,
          "`~` marks estimated, `sim` simulated values: neither was measured. ± is the "
          "standard uncertainty (k = 1) of one run's\njoules; the interval is Student's "
          "t, of the scatter between runs or blocks. Warm-ups and INVALID runs are "
          "left out.\n\n");
    }
  }

  void Reasons() {
    struct Code {
      std::vector<std::string> details;
      std::set<const RowValues*> runs;
    };
    const Table& table = data_.results;
    std::map<std::pair<std::string, std::string>, Code> codes;
    std::size_t runs = 0;
    for (const RowValues& run : table.rows) {
      if (IsWarmup(table, run)) continue;
      ++runs;
      const std::string cell = TextAt(table, run, "cell").value_or("");
      for (const std::string& reason :
           ListJson(TextAt(table, run, "quality_reasons").value_or(""))) {
        const std::pair<std::string, std::string> parts =
            absl::StrSplit(reason, absl::MaxSplits(':', 1));
        Code& code = codes[{parts.first, cell}];
        code.runs.insert(&run);
        if (!parts.second.empty()) code.details.push_back(parts.second);
      }
    }
    absl::StrAppend(&out_, "## Quality\n\n");
    if (codes.empty()) {
      absl::StrAppend(&out_, runs == 0 ? "No run was stored.\n\n"
                                       : "Every run is VALID: no reason was found.\n\n");
      return;
    }
    std::vector<TextRow> rows;
    for (const auto& [key, code] : codes) {
      rows.push_back({Cell(key.first), Cell(JoinReasonDetails(code.details)),
                      Cell(CellWords(key.second)), absl::StrCat(code.runs.size())});
    }
    absl::StrAppend(&out_, "docs/quality.md says what each code means.\n\n",
                    MarkdownTable({"reason", "value and limit", "cell", "runs"}, rows));
  }

  void Section(absl::string_view title, const Table& table) {
    if (!table.rows.empty()) absl::StrAppend(&out_, "## ", title, "\n\n", WholeTable(table));
  }

  void Setup() {
    std::vector<TextRow> rows;
    for (const RowValues& row : data_.devices.rows) {
      TextRow facts;
      for (const auto& [key, value] : FlatJson(TextAt(data_.devices, row, "facts").value_or("")))
        facts.push_back(absl::StrCat(key, " ", value));
      rows.push_back({Cell(PlainText(data_.devices.At(row, "id"))),
                      Cell(PlainText(data_.devices.At(row, "kind"))),
                      Cell(absl::StrJoin(facts, ", "))});
    }
    if (!rows.empty()) {
      absl::StrAppend(&out_, "## Devices\n\n", MarkdownTable({"device", "kind", "facts"}, rows));
    }
    Section("Engines and their surroundings", data_.builds);
    Section("Models", data_.models);
    Section("Power and energy channels", data_.channels);
  }

  void Reproduce() {
    std::string command = absl::StrCat("joulefarm submit -f ", ShellWord(name_), ".yaml");
    for (const std::string& set : ListJson(Of("overrides")))
      absl::StrAppend(&command, " --set ", ShellWord(set));
    absl::StrAppend(
        &out_, "## Do it again\n\n", Fenced("sh", absl::StrCat(command, " --wait")),
        "with this file as ", Cell(name_), ".yaml (seed ", Of("seed"),
        "; the models above under the same names):\n\n", Fenced("yaml", Of("text")),
        "## Ask the database\n\n",
        Fenced("sql",
               absl::StrCat(
                   "select cell, device_id, metric, n_valid, n, mean, ci_low, ci_high, unit, "
                   "provenance from result_summary where experiment = '",
                   id_, "';\nselect * from result where experiment = '", id_,
                   "' and warmup = 0;\n"
                   "-- the samples behind the joules, run by run and phase by phase (runs that one "
                   "engine process times overlap)\n"
                   "select r.job_id, r.run, p.phase, t.t_ns, t.value from result as r\n"
                   "  join phase as p on p.attempt = r.attempt and p.run = r.run\n"
                   "  join trace(r.attempt, r.energy_channel) as t on t.t_ns >= p.start_ns "
                   "and t.t_ns < p.end_ns\nwhere r.experiment = '",
                   id_, "';")));
    out_.pop_back();
  }

  const ReportData& data_;
  const std::string id_;
  const std::string name_;
  std::string out_;
};

}  // namespace

std::string ReportMarkdown(const ReportData& data) { return Report(data).Write(); }

}  // namespace joulefarm::cli
