#include "cli/view/listing_view.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/output/text.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {
namespace {

// One column of the table under a heading of its own.
ViewColumn Plain(const std::string& header, const std::string& name, Fit fit = Fit::kKeep) {
  return {{header, Align::kLeft, fit}, {name}, [name](const Table& table, const RowValues& row) {
            const int index = table.Find(name);
            const ColumnKind kind =
                index < 0 ? ColumnKind::kText : table.columns[static_cast<std::size_t>(index)].kind;
            return CellOf(table.At(row, name), kind);
          }};
}

ViewColumn Number(const std::string& header, const std::string& name, Fit fit = Fit::kKeep) {
  ViewColumn column = Plain(header, name, fit);
  column.head.align = Align::kRight;
  return column;
}

// Reasons may carry an engine's last output: the first line says what happened.
ViewColumn FirstLine(const std::string& header, const std::string& name) {
  return {{header, Align::kLeft, Fit::kShrink},
          {name},
          [name](const Table& table, const RowValues& row) {
            const std::optional<std::string> text = TextAt(table, row, name);
            if (!text || text->empty()) return TextCell{};
            return TextCell{OneLine(text->substr(0, text->find('\n')))};
          }};
}

// A number as people read it, from any numeric column.
ViewColumn Real(const std::string& header, const std::string& name, int digits,
                Fit fit = Fit::kKeep) {
  return {{header, Align::kRight, fit},
          {name},
          [name, digits](const Table& table, const RowValues& row) {
            const std::optional<double> value = RealAt(table, row, name);
            return value ? TextCell{SignificantReal(*value, digits)} : TextCell{"-", Style::kDim};
          }};
}

ViewColumn Cells(const std::string& header) { return Plain(header, "cell", Fit::kShrink); }

TextCell FailureCell(const Table& table, const RowValues& row) {
  const std::optional<std::string> failure = TextAt(table, row, "failure_class");
  const std::optional<std::string> reason = TextAt(table, row, "reason");
  std::string text = failure.value_or("");
  if (reason && !reason->empty()) {
    absl::StrAppend(&text, text.empty() ? "" : ": ", reason->substr(0, reason->find('\n')));
  }
  return {OneLine(text), failure && !failure->empty() ? Style::kBad : Style::kPlain};
}

TextCell HealthCell(const Table& table, const RowValues& row) {
  // ENABLED is what an operator expects and says nothing.
  const std::string health = TextAt(table, row, "health").value_or("-");
  const std::string admin = TextAt(table, row, "admin").value_or("");
  if (admin.empty() || admin == "ENABLED") return {health, StyleOfWord(health)};
  return {absl::StrCat(health, ", ", admin), Style::kWarn};
}

TextCell MachineCell(const Table& table, const RowValues& row) {
  const std::map<std::string, std::string> facts =
      FlatJson(TextAt(table, row, "facts").value_or(""));
  std::vector<std::string> parts;
  const auto add = [&](const std::string& key, const std::string& before,
                       const std::string& after) {
    const auto found = facts.find(key);
    if (found != facts.end() && !found->second.empty())
      parts.push_back(before + found->second + after);
  };
  add("cpu_model", "", "");
  add("cores", "", " cores");
  add("ram_mib", "", " MiB");
  return {OneLine(absl::StrJoin(parts, ", "))};
}

std::size_t Distinct(const Table& table, const std::string& name) {
  std::set<std::string> values;
  for (const RowValues& row : table.rows) values.insert(PlainText(table.At(row, name)));
  return values.size();
}

// "2026-11-21 11:09:33" as "11:09:33" where every time is of that day. The first cell is the name.
void WithoutCommonDate(std::vector<TextCell>& cells) {
  constexpr std::size_t kDate = sizeof("2026-11-21 ") - 1;
  std::set<std::string> dates;
  for (std::size_t i = 1; i < cells.size(); ++i) {
    const std::string& time = cells[i].text;
    if (time == "-") continue;
    if (time.size() != kDate + sizeof("11:09:33") - 1 || time[kDate - 1] != ' ') return;
    dates.insert(time.substr(0, kDate));
  }
  if (dates.size() != 1) return;
  cells[0].text += absl::StrCat(" (", dates.begin()->substr(0, kDate - 1), ")");
  for (std::size_t i = 1; i < cells.size(); ++i) {
    if (cells[i].text != "-") cells[i].text.erase(0, kDate);
  }
}

}  // namespace

ListingView ExperimentView() {
  return {Plain("ID", "id"),
          Plain("NAME", "name", Fit::kShrink),
          Plain("STATE", "state"),
          Number("JOBS", "jobs"),
          Number("QUEUED", "queued"),
          Number("ACTIVE", "active"),
          Number("SUCCEEDED", "succeeded"),
          Number("FAILED", "failed"),
          Number("CANCELED", "canceled"),
          Plain("SUBMITTED (UTC)", "submitted", Fit::kDrop),
          Plain("FINISHED (UTC)", "finished", Fit::kDrop)};
}

ListingView JobView(const Table& jobs) {
  ListingView view{Plain("ID", "id"), Plain("EXPERIMENT", "experiment", Fit::kShrink),
                   Cells("CELL")};
  if (Distinct(jobs, "block") > 1) view.push_back(Number("BLOCK", "block"));
  view.push_back(Plain("DEVICE", "device_id", Fit::kShrink));
  view.push_back(Plain("STATE", "state"));
  view.push_back(Number("TRIES", "attempts", Fit::kDrop));
  view.push_back(Plain("SUBMITTED (UTC)", "submitted", Fit::kDrop));
  view.push_back({{"WHY", Align::kLeft, Fit::kShrink}, {"failure_class", "reason"}, FailureCell});
  return view;
}

ListingView DeviceView() {
  return {Plain("ID", "id"),
          Plain("KIND", "kind"),
          Plain("LINK", "link"),
          Plain("ALLOC", "alloc"),
          {{"HEALTH", Align::kLeft, Fit::kKeep}, {"health", "admin"}, HealthCell},
          FirstLine("WAITS FOR", "gate_reason"),
          {{"MACHINE", Align::kLeft, Fit::kShrink}, {"facts"}, MachineCell},
          Plain("AGENT", "agent_id", Fit::kDrop)};
}

ListingView ResourceView() {
  return {Plain("ID", "id", Fit::kShrink),
          Plain("KIND", "kind"),
          Plain("LINK", "link"),
          Plain("ALLOC", "alloc"),
          Plain("AGENT", "agent_id", Fit::kShrink),
          Plain("PLACE", "place", Fit::kDrop),
          {{"HEALTH", Align::kLeft, Fit::kDrop}, {"health", "admin"}, HealthCell},
          FirstLine("CANNOT BE USED", "obstacle")};
}

ListingView AgentView() {
  return {Plain("ID", "id"), Plain("LINK", "link"), Plain("VERSION", "version"),
          Number("DEVICES", "devices"), Plain("LAST SEEN (UTC)", "last_seen", Fit::kDrop)};
}

ListingView ArtifactView() {
  ViewColumn size{{"SIZE", Align::kRight, Fit::kKeep},
                  {"size_bytes"},
                  [](const Table& table, const RowValues& row) {
                    const std::optional<double> bytes = RealAt(table, row, "size_bytes");
                    return bytes ? TextCell{HumanBytes(static_cast<std::int64_t>(*bytes))}
                                 : TextCell{"-", Style::kDim};
                  }};
  ViewColumn parameters{{"PARAMETERS", Align::kRight, Fit::kDrop},
                        {"parameters"},
                        [](const Table& table, const RowValues& row) {
                          const std::optional<double> count = RealAt(table, row, "parameters");
                          return count ? TextCell{HumanCount(static_cast<std::int64_t>(*count))}
                                       : TextCell{"-", Style::kDim};
                        }};
  ViewColumn hash{
      {"SHA-256", Align::kLeft, Fit::kKeep},
      {"sha256"},
      [](const Table& table, const RowValues& row) {
        return TextCell{OneLine(TextAt(table, row, "sha256").value_or("-").substr(0, 12))};
      }};
  return {Plain("NAME", "name", Fit::kShrink),
          size,
          Plain("FORMAT", "format", Fit::kDrop),
          Plain("ARCHITECTURE", "architecture", Fit::kDrop),
          Plain("QUANT", "quant"),
          parameters,
          Number("CONTEXT", "context_length", Fit::kDrop),
          hash,
          Plain("PUSHED (UTC)", "pushed", Fit::kDrop)};
}

ListingView CollectedView() {
  ListingView view = ArtifactView();
  view.push_back(Plain("KIND", "kind"));
  return view;
}

ListingView ResultView(const Table& results) {
  const bool several = Distinct(results, "experiment") > 1;
  std::vector<std::string> cells;
  for (const RowValues& row : results.rows)
    cells.push_back(TextAt(results, row, "cell").value_or(""));
  auto labels = ShortCells(cells);
  for (auto& [cell, label] : labels) {
    if (label == cell) label = CellWords(cell);
  }

  ListingView view;
  if (several) view.push_back(Plain("EXPERIMENT", "experiment", Fit::kShrink));
  view.push_back({{"CELL", Align::kLeft, Fit::kShrink},
                  {"cell"},
                  [labels](const Table& table, const RowValues& row) {
                    const std::string cell = TextAt(table, row, "cell").value_or("");
                    const auto found = labels.find(cell);
                    return TextCell{OneLine(found == labels.end() ? cell : found->second)};
                  }});
  view.push_back(Plain("JOB", "job_id"));
  const auto run_cell = [](const std::string& before) {
    return [before](const Table& table, const RowValues& row) {
      const std::string run = PlainText(table.At(row, "run"));
      return IsWarmup(table, row) ? TextCell{before + run, Style::kDim} : TextCell{run};
    };
  };
  view.push_back({{"RUN", Align::kRight, Fit::kKeep},
                  {"run"},
                  run_cell("warm-up "),
                  NarrowColumn{"RUN", run_cell("w")}});
  const bool devices = Distinct(results, "device_id") > 1;
  view.push_back(Plain("DEVICE", "device_id", devices ? Fit::kShrink : Fit::kDrop));
  ViewColumn otps = Real("OTPS tok/s", "otps", 3);
  otps.narrow = NarrowColumn{"TOK/S", otps.cell};
  view.push_back(std::move(otps));
  view.push_back(Real("TTFT ms", "ttft_ms", 3, Fit::kDrop));
  view.push_back({{"J/TOKEN decode", Align::kRight, Fit::kKeep},
                  {"j_per_decode_token", "j_per_decode_token_est", "j_per_decode_token_sim"},
                  [](const Table& table, const RowValues& row) {
                    return EnergyCell(DecodeJoulesPerToken(table, row));
                  },
                  NarrowColumn{"J/TOKEN", [](const Table& table, const RowValues& row) {
                                 std::optional<Sourced> joules = DecodeJoulesPerToken(table, row);
                                 if (joules) joules->uncertainty.reset();
                                 return EnergyCell(joules);
                               }}});
  view.push_back(
      {{"MEAN W", Align::kRight, Fit::kDrop},
       {"mean_w", "mean_est_w", "mean_sim_w"},
       [](const Table& table, const RowValues& row) { return EnergyCell(MeanWatts(table, row)); }});
  view.push_back(Real("LOAD ms", "load_ms", 3, Fit::kDrop));
  view.push_back(Real("RSS MiB", "peak_rss_mib", 3, Fit::kDrop));
  view.push_back(Plain("SPEED", "speed_quality"));
  view.push_back(
      {{"ENERGY", Align::kLeft, Fit::kKeep},
       {"energy_quality", "provenance"},
       [](const Table& table, const RowValues& row) {
         return EnergyGrade(TextAt(table, row, "provenance"), TextAt(table, row, "energy_quality"));
       },
       // What is not measured is marked at the joules.
       NarrowColumn{"ENERGY", [](const Table& table, const RowValues& row) {
                      return EnergyGrade(std::nullopt, TextAt(table, row, "energy_quality"));
                    }}});
  return view;
}

void RenderView(const ListingView& view, const Table& table, const Look& look, std::ostream& out) {
  TextTable text;
  std::vector<const ViewColumn*> used;
  for (const ViewColumn& column : view) {
    if (std::any_of(column.needs.begin(), column.needs.end(),
                    [&](const std::string& name) { return table.Find(name) >= 0; })) {
      used.push_back(&column);
      text.columns.push_back(column.head);
    }
  }
  if (used.empty()) {
    RenderRaw(table, look, out);
    return;
  }
  for (const RowValues& row : table.rows) {
    std::vector<TextCell> cells;
    for (const ViewColumn* column : used) cells.push_back(column->cell(table, row));
    text.rows.push_back(std::move(cells));
  }
  if (look.width > 0 && !FitsReadably(text, look.width)) {
    for (std::size_t i = 0; i < used.size(); ++i) {
      if (!used[i]->narrow) continue;
      text.columns[i].header = used[i]->narrow->header;
      for (std::size_t row = 0; row < table.rows.size(); ++row)
        text.rows[row][i] = used[i]->narrow->cell(table, table.rows[row]);
    }
  }
  Render(text, look, out);
}

void RenderRaw(const Table& table, const Look& look, std::ostream& out) {
  TextTable text;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    bool numbers = false;
    bool others = false;
    for (const RowValues& row : table.rows) {
      const bool number =
          std::holds_alternative<double>(row[i]) || std::holds_alternative<std::int64_t>(row[i]);
      numbers = numbers || number;
      others = others || (!number && !IsNull(row[i]));
    }
    const Align align = numbers && !others ? Align::kRight : Align::kLeft;
    text.columns.push_back(
        {OneLine(table.columns[i].name), align, others ? Fit::kShrink : Fit::kKeep});
  }
  for (const RowValues& row : table.rows) {
    std::vector<TextCell> cells;
    for (std::size_t i = 0; i < row.size(); ++i)
      cells.push_back(CellOf(row[i], table.columns[i].kind));
    text.rows.push_back(std::move(cells));
  }
  Render(text, look, out);
}

void RenderSideBySide(const Table& table, const std::string& head, const Look& look,
                      std::ostream& out) {
  std::vector<Column> common;
  RowValues shared;
  std::vector<std::size_t> below;
  TextTable text;
  text.columns.push_back({OneLine(head)});
  for (const RowValues& row : table.rows) {
    text.columns.push_back({OneLine(PlainText(table.At(row, head))), Align::kRight, Fit::kShrink});
  }
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const Column& column = table.columns[i];
    if (column.name == head) continue;
    if (std::all_of(table.rows.begin(), table.rows.end(),
                    [&](const RowValues& row) { return row[i] == table.rows.front()[i]; })) {
      common.push_back(column);
      shared.push_back(table.rows.front()[i]);
      continue;
    }
    if (column.kind == ColumnKind::kJson) {
      below.push_back(i);
      continue;
    }
    std::vector<TextCell> cells{{OneLine(column.name), Style::kStrong}};
    for (const RowValues& row : table.rows) cells.push_back(CellOf(row[i], column.kind));
    if (column.kind == ColumnKind::kTime) WithoutCommonDate(cells);
    text.rows.push_back(std::move(cells));
  }
  RenderRecord(common, shared, look, out);
  out << '\n';
  Render(text, look, out);
  for (const std::size_t i : below) {
    out << '\n' << Styled(OneLine(table.columns[i].name), Style::kStrong, look) << '\n';
    for (const RowValues& row : table.rows) {
      const std::string before =
          absl::StrCat(OneLine(head), " ", OneLine(PlainText(table.At(row, head))), "  ");
      const std::string* json = std::get_if<std::string>(&row[i]);
      std::vector<std::string> entries;
      if (json != nullptr) entries = ListJson(*json);
      if (json != nullptr && entries.empty() && *json != "[]") entries = {*json};
      for (const std::string& entry : entries) {
        const int room = look.width == 0 ? 0 : std::max(20, look.width - DisplayWidth(before));
        std::string indent = before;
        for (const std::string& line : WrapWords(OneLine(entry), room)) {
          out << indent << line << '\n';
          indent.assign(static_cast<std::size_t>(DisplayWidth(before)), ' ');
        }
      }
    }
  }
}

}  // namespace joulefarm::cli
