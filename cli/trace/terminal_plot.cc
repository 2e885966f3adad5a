#include "cli/trace/terminal_plot.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

constexpr int kRows = 14;
constexpr int kDotsPerRow = 4;
constexpr int kDotsPerColumn = 2;
constexpr int kUsualWidth = 100;
constexpr int kNarrowest = 40;
constexpr int kWidest = 240;
// For the labels of the value axis and the axis itself.
constexpr int kMargin = 8;

int Columns(const Look& look) {
  const int width = look.width > 0 ? look.width : kUsualWidth;
  return std::clamp(width, kNarrowest, kWidest) - kMargin - 1;
}

// A grid of dots, two by four in each cell.
class Dots {
 public:
  Dots(int columns, int rows)
      : columns_(columns),
        rows_(rows),
        cells_(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows), 0) {}

  // The dots of one column between two heights (0 at the bottom), in either order.
  void Line(int x, int a, int b) {
    for (int y = std::min(a, b); y <= std::max(a, b); ++y) Set(x, y);
  }

  std::string Cell(int column, int row) const {
    const unsigned bits = cells_[IndexOf(column, row)];
    if (bits == 0) return " ";
    // U+2800 + bits in UTF-8.
    return {static_cast<char>(0xE2), static_cast<char>(0xA0 | (bits >> 6)),
            static_cast<char>(0x80 | (bits & 0x3F))};
  }

 private:
  std::size_t IndexOf(int column, int row) const {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(columns_) +
           static_cast<std::size_t>(column);
  }
  void Set(int x, int y) {
    const int top = rows_ * kDotsPerRow - 1 - y;
    if (x < 0 || x >= columns_ * kDotsPerColumn || top < 0 || y < 0) return;
    static constexpr unsigned kBits[2][4] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};
    cells_[IndexOf(x / kDotsPerColumn, top / kDotsPerRow)] |=
        kBits[x % kDotsPerColumn][top % kDotsPerRow];
  }

  int columns_;
  int rows_;
  std::vector<unsigned> cells_;
};

Dots Draw(const Picture& picture, const Axis& values, int columns) {
  Dots dots(columns, kRows);
  const Curve& curve = picture.curve;
  const int width = columns * kDotsPerColumn;
  const auto height = [&](double value) {
    const double share = (picture.Shown(value) - values.low) / (values.high - values.low);
    return static_cast<int>(std::lround(share * (kRows * kDotsPerRow - 1)));
  };
  const auto bins = static_cast<int>(curve.bins.size());
  const auto begin_of = [&](int bin) { return static_cast<int>(std::int64_t{bin} * width / bins); };
  std::optional<std::pair<int, int>> before;  // the last dot: column and height
  for (int i = 0; i < bins; ++i) {
    const CurveBin& bin = curve.bins[static_cast<std::size_t>(i)];
    if (bin.n == 0) continue;
    const int from = begin_of(i);
    const int to = std::max(from + 1, begin_of(i + 1));
    const int mean = height(bin.mean);
    if (before && !bin.gap_before) {
      const auto [x0, y0] = *before;
      for (int x = x0 + 1; x < from; ++x)
        dots.Line(x, y0 + (mean - y0) * (x - x0) / (from - x0),
                  y0 + (mean - y0) * (x - x0) / (from - x0));
      dots.Line(from, y0, mean);
    }
    for (int x = from; x < to; ++x) dots.Line(x, height(bin.min), height(bin.max));
    before = {to - 1, mean};
  }
  return dots;
}

std::string Padded(const std::string& text, int width) {
  const int missing = width - DisplayWidth(text);
  return std::string(static_cast<std::size_t>(std::max(0, missing)), ' ') + text;
}

int ColumnOf(const Picture& picture, std::int64_t t_ns, int columns) {
  const double share = static_cast<double>(t_ns - picture.curve.from_ns) /
                       static_cast<double>(picture.curve.to_ns - picture.curve.from_ns);
  return static_cast<int>(std::floor(share * columns));
}

// The phase that fills most of each column, so that a short one between two long ones is not hidden
// by where the column's middle happens to be. Null: none.
std::vector<const PhaseStyle*> Band(const Picture& picture, int columns) {
  std::vector<const PhaseStyle*> band(static_cast<std::size_t>(columns), nullptr);
  std::vector<std::int64_t> longest(band.size(), 0);
  const std::int64_t from_ns = picture.curve.from_ns;
  const double column_ns = static_cast<double>(picture.curve.to_ns - from_ns) / columns;
  for (const TracePhase& phase : picture.info.phases) {
    const int first = std::max(0, ColumnOf(picture, phase.start_ns, columns));
    const int last = std::min(columns - 1, ColumnOf(picture, phase.end_ns - 1, columns));
    for (int column = first; column <= last; ++column) {
      const auto begin = from_ns + static_cast<std::int64_t>(column * column_ns);
      const auto end = from_ns + static_cast<std::int64_t>((column + 1) * column_ns);
      const std::int64_t shared = std::min(end, phase.end_ns) - std::max(begin, phase.start_ns);
      auto& best = longest[static_cast<std::size_t>(column)];
      if (shared <= best) continue;
      best = shared;
      band[static_cast<std::size_t>(column)] = &StyleOfPhase(phase.name);
    }
  }
  return band;
}

std::string InColour(const std::string& text, const PhaseStyle& style, const Look& look) {
  if (!look.color) return text;
  return absl::StrCat("\x1b[48;5;", style.terminal, ";38;5;16m", text, "\x1b[0m");
}

std::string BandText(const std::vector<const PhaseStyle*>& band, const Look& look) {
  std::string line;
  for (std::size_t i = 0; i < band.size();) {
    std::size_t end = i;
    while (end < band.size() && band[end] == band[i]) ++end;
    const std::string text(end - i, band[i] == nullptr ? ' ' : band[i]->letter);
    line += band[i] == nullptr ? text : InColour(text, *band[i], look);
    i = end;
  }
  return line;
}

// "┊warm-up ┊run 1   ┊": where runs begin, with their names where there is room.
std::string RunLine(const Picture& picture, int columns) {
  std::vector<std::pair<int, std::string>> marks;
  for (const TraceRun& run : picture.info.runs) {
    const absl::StatusOr<TraceRun> whole = picture.info.FindRun(run.run);
    const int column = ColumnOf(picture, whole.ok() ? whole->start_ns : run.start_ns, columns);
    if (column < 0 || column >= columns) continue;
    marks.emplace_back(
        column, run.warmup ? absl::StrCat("warm-up ", run.run) : absl::StrCat("run ", run.run));
  }
  std::string line;
  int at = 0;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const auto& [column, name] = marks[i];
    if (column < at) continue;
    line.append(static_cast<std::size_t>(column - at), ' ');
    line += "┊";
    at = column + 1;
    const int room = (i + 1 < marks.size() ? marks[i + 1].first : columns) - at;
    // Rather its number alone than nothing.
    const std::string number = name.substr(name.rfind(' ') + 1);
    const std::string& text = static_cast<int>(name.size()) < room ? name : number;
    if (static_cast<int>(text.size()) > room) continue;
    line += text;
    at += static_cast<int>(text.size());
  }
  return line;
}

std::string TimeTicks(const Picture& picture, const Axis& times, int columns, std::string& line) {
  std::string labels(static_cast<std::size_t>(columns + 1), ' ');
  line.clear();
  std::vector<bool> marked(static_cast<std::size_t>(columns), false);
  std::size_t free_from = 0;
  for (const double tick : times.ticks) {
    const auto t_ns = picture.origin_ns + static_cast<std::int64_t>(std::llround(tick * 1e9));
    const int column = std::clamp(ColumnOf(picture, t_ns, columns), 0, columns - 1);
    marked[static_cast<std::size_t>(column)] = true;
    const std::string text = TickText(times, tick);
    const auto centre = static_cast<std::size_t>(column) + 1;
    const std::size_t begin = centre > text.size() / 2 ? centre - text.size() / 2 : 0;
    if (begin < free_from || begin + text.size() > labels.size()) continue;
    labels.replace(begin, text.size(), text);
    free_from = begin + text.size() + 1;
  }
  for (const bool mark : marked) line += mark ? "┬" : "─";
  labels.erase(labels.find_last_not_of(' ') + 1);
  return labels;
}

std::vector<std::string> Legend(const Picture& picture, const Look& look, int width) {
  std::vector<std::string> lines(1);
  int used = 0;
  for (const PhaseStyle* style :
       PhasesWithin(picture.info, picture.curve.from_ns, picture.curve.to_ns)) {
    const std::string key(1, style->letter);
    const int need = 2 + static_cast<int>(style->words.size()) + (used == 0 ? 0 : 3);
    if (used > 0 && used + need > width) {
      lines.emplace_back();
      used = 0;
    }
    absl::StrAppend(&lines.back(), used == 0 ? "" : "   ",
                    InColour(absl::StrCat(" ", key, " "), *style, look), " ", style->words);
    used += need + 2;
  }
  return lines;
}

}  // namespace

int TerminalPlotBins(const Look& look) { return Columns(look) * kDotsPerColumn; }

void DrawOnTerminal(const Picture& picture, const Look& look, std::ostream& out) {
  const int columns = Columns(look);
  const int width = columns + kMargin + 1;
  const std::string indent(static_cast<std::size_t>(kMargin), ' ');
  out << Styled(Clip(picture.Title(), width), Style::kStrong, look) << '\n';
  for (const std::string& line : WrapWords(picture.Subtitle(), width)) out << line << '\n';
  out << '\n';
  const Axis values = picture.ValueAxis(6);
  const Dots dots = Draw(picture, values, columns);
  out << Clip(absl::StrCat("  ", picture.ValueLabel()), width) << '\n';
  std::vector<std::string> labels(kRows);
  for (const double tick : values.ticks) {
    const double share = (tick - values.low) / (values.high - values.low);
    const int dot = static_cast<int>(std::lround(share * (kRows * kDotsPerRow - 1)));
    labels[static_cast<std::size_t>(kRows - 1 - dot / kDotsPerRow)] = TickText(values, tick);
  }
  for (int row = 0; row < kRows; ++row) {
    const std::string& label = labels[static_cast<std::size_t>(row)];
    out << Padded(label, kMargin - 1) << (label.empty() ? " │" : " ┤");
    std::string line;
    for (int column = 0; column < columns; ++column) line += dots.Cell(column, row);
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  }
  std::string axis;
  const Axis times = picture.TimeAxis(std::max(3, columns / 12));
  const std::string ticks = TimeTicks(picture, times, columns, axis);
  out << indent << "└" << axis << '\n' << indent << ticks << '\n';
  const std::string label = picture.TimeLabel();
  out << Padded(label, std::max(DisplayWidth(label), (width + DisplayWidth(label)) / 2)) << '\n';
  if (!picture.info.phases.empty()) {
    out << Padded("phase", kMargin - 1) << "  " << BandText(Band(picture, columns), look) << '\n';
    const std::string runs = RunLine(picture, columns);
    if (!runs.empty()) out << indent << ' ' << runs << '\n';
    for (const std::string& line : Legend(picture, look, columns)) out << indent << line << '\n';
  }
  for (const std::string& note : picture.Notes()) {
    for (const std::string& line : WrapWords(note, columns)) out << indent << line << '\n';
  }
}

}  // namespace joulefarm::cli
