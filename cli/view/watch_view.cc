#include "cli/view/watch_view.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/output/text.h"
#include "cli/view/live_values.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {
namespace {

constexpr int kLongBar = 21;
constexpr int kShortBar = 9;
constexpr int kShortestDoing = 12;
constexpr char kSilent[] = "no telemetry";

// A device's line before it is fitted.
struct Line {
  std::string device;
  const DeviceRuns* runs = nullptr;
  std::string doing;
  Style style = Style::kPlain;
  std::vector<std::string> values;  // speed, power, temperature
};
constexpr std::size_t kValues = 3;

struct Widths {
  int device = 0;
  int bar = kLongBar;  // 0: none
  int runs = 0;
  int doing = 0;
  std::vector<int> values = std::vector<int>(kValues);

  int Total() const {
    int total = 2 + device;
    if (runs > 0) total += (bar > 0 ? 2 + bar : 0) + 2 + runs;
    total += 2 + doing;
    for (const int value : values) total += value > 0 ? 2 + value : 0;
    return total;
  }
};

std::string RunsText(const DeviceRuns& runs) { return absl::StrCat(runs.done, "/", runs.total); }

std::string Blanks(int count) {
  return std::string(static_cast<std::size_t>(std::max(0, count)), ' ');
}
std::string PadRight(const std::string& text, int width) {
  return text + Blanks(width - DisplayWidth(text));
}
std::string PadLeft(const std::string& text, int width) {
  return Blanks(width - DisplayWidth(text)) + text;
}

// What a job does, its cell called as the picture calls it.
std::string Doing(const v1::ActiveJob& job, const std::map<std::string, std::string>& cells) {
  const auto found = cells.find(job.cell());
  return DoingText(found == cells.end() ? CellWords(job.cell()) : found->second, job.state(),
                   job.detail());
}

std::vector<Line> LinesOf(const WatchPicture& picture) {
  std::map<std::string, const DeviceRuns*> runs;
  for (const DeviceRuns& device : picture.runs) runs[device.device] = &device;
  std::vector<Line> lines;
  std::set<std::string> active;
  for (const v1::ActiveJob& job : picture.progress.progress.active_jobs()) {
    Line line;
    line.device = OneLine(job.device_id());
    const auto found = runs.find(job.device_id());
    // A device works on one job; where a second one still ends on it, the bar is shown once.
    if (active.insert(job.device_id()).second && found != runs.end()) line.runs = found->second;
    line.doing = Doing(job, picture.cells);
    if (job.has_telemetry()) {
      line.values = {SpeedText(job.telemetry()), PowerText(job.telemetry()),
                     TempText(job.telemetry())};
    } else if (picture.silent.count(job.device_id()) > 0) {
      absl::StrAppend(&line.doing, line.doing.empty() ? "" : " · ", kSilent);
    }
    line.values.resize(kValues);
    lines.push_back(std::move(line));
  }
  for (const DeviceRuns& device : picture.runs) {
    if (active.count(device.device) > 0) continue;
    Line line;
    line.device = OneLine(device.device);
    line.runs = &device;
    const bool away = device.link == "OFFLINE" || device.link == "UNKNOWN";
    const bool waits = device.done < device.total;
    line.doing = !waits ? "done" : away ? "waits: its agent is away" : "waits";
    line.style = waits && away ? Style::kWarn : Style::kDim;
    line.values.resize(kValues);
    lines.push_back(std::move(line));
  }
  return lines;
}

// What gives way when the terminal is narrow: the bar, the text, then the values from the last on.
Widths FitTo(const std::vector<Line>& lines, int least_doing, int width) {
  Widths widths;
  const bool values = std::any_of(lines.begin(), lines.end(), [](const Line& line) {
    return std::any_of(line.values.begin(), line.values.end(),
                       [](const std::string& value) { return !value.empty(); });
  });
  if (values) widths.doing = least_doing;
  for (const Line& line : lines) {
    widths.device = std::max(widths.device, DisplayWidth(line.device));
    if (line.runs != nullptr)
      widths.runs = std::max(widths.runs, DisplayWidth(RunsText(*line.runs)));
    widths.doing = std::max(widths.doing, DisplayWidth(line.doing));
    for (std::size_t i = 0; i < kValues; ++i)
      widths.values[i] = std::max(widths.values[i], DisplayWidth(line.values[i]));
  }
  if (widths.Total() > width) widths.bar = kShortBar;
  if (widths.Total() > width) widths.bar = 0;
  if (widths.Total() > width) {
    widths.doing =
        std::max(std::min(widths.doing, kShortestDoing), widths.doing - (widths.Total() - width));
  }
  for (std::size_t i = kValues; i-- > 0 && widths.Total() > width;) widths.values[i] = 0;
  return widths;
}

std::string Draw(const Line& line, const Widths& widths, int width, const Look& look) {
  const bool bar = widths.bar > 0 && widths.runs > 0;
  std::string head = absl::StrCat("  ", PadRight(line.device, widths.device));
  std::string runs;
  if (widths.runs > 0)
    runs = "  " + PadLeft(line.runs == nullptr ? "" : RunsText(*line.runs), widths.runs);
  std::string tail = "  ";
  std::string values;
  for (std::size_t i = 0; i < kValues; ++i) {
    if (widths.values[i] > 0)
      absl::StrAppend(&values, "  ", PadLeft(line.values[i], widths.values[i]));
  }
  const std::string doing = Clip(line.doing, std::max(1, widths.doing));
  while (!values.empty() && values.back() == ' ') values.pop_back();
  absl::StrAppend(&tail, values.empty() ? doing : PadRight(doing, widths.doing), values);
  if (widths.Total() > width) return Clip(head + runs + tail, width);
  std::string out = head;
  if (bar) {
    out += "  ";
    out += line.runs == nullptr
               ? Blanks(widths.bar)
               : Bar(static_cast<double>(line.runs->done) / std::max(1, line.runs->total),
                     widths.bar, look);
  }
  return out + runs + Styled(tail, line.style, look);
}

}  // namespace

std::vector<std::string> WatchLines(const WatchPicture& picture, const Look& look) {
  const int width = look.Columns();
  std::vector<std::string> out{Headline(picture.progress, look)};
  std::vector<Line> lines = LinesOf(picture);
  const std::size_t more =
      lines.size() - std::min(lines.size(), static_cast<std::size_t>(picture.most_devices));
  lines.resize(lines.size() - more);
  const Widths widths = FitTo(lines, picture.least_doing, width);
  for (const Line& line : lines) out.push_back(Draw(line, widths, width, look));
  std::string counts = absl::StrCat("  jobs: ", Counts(picture.progress.progress));
  if (more > 0) absl::StrAppend(&counts, ", ", more, more == 1 ? " more device" : " more devices");
  out.push_back(Styled(Clip(counts, width), Style::kDim, look));
  return out;
}

int DoingWidth(const WatchPicture& picture) {
  int width = 0;
  for (const v1::ActiveJob& job : picture.progress.progress.active_jobs())
    width = std::max(width, DisplayWidth(Doing(job, picture.cells)));
  return width;
}

std::string ActiveJobLine(const v1::ActiveJob& job,
                          const std::map<std::string, std::string>& cells) {
  std::vector<std::string> parts{OneLine(job.device_id()), Doing(job, cells)};
  if (job.has_telemetry()) {
    for (const std::string& value :
         {SpeedText(job.telemetry()), PowerText(job.telemetry()), TempText(job.telemetry())}) {
      if (!value.empty()) parts.push_back(value);
    }
  }
  return absl::StrJoin(parts, "  ");
}

}  // namespace joulefarm::cli
