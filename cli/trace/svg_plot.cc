#include "cli/trace/svg_plot.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

// Pixels.
constexpr int kWidth = 1100;
constexpr int kHeight = 540;
constexpr int kLeft = 84;
constexpr int kRight = kWidth - 28;
constexpr int kTop = 116;
constexpr int kBottom = 420;
constexpr int kStripTop = kTop - 22;  // of the phases in full colour
constexpr int kStripHeight = 18;
constexpr double kLetterWidth = 7.2;  // of 13 px text, about

constexpr char kStyle[] =
    "<style>text{font-family:Helvetica,Arial,'DejaVu Sans',sans-serif;font-size:14px;fill:#222}"
    ".title{font-size:20px;font-weight:bold}.small{font-size:12px;fill:#555}"
    ".grid{stroke:#DDD}.axis{stroke:#222;fill:none}"
    ".run{stroke:#555;stroke-dasharray:4 3}.curve{stroke:#0072B2;stroke-width:1.6;fill:none;"
    "stroke-linejoin:round}.range{fill:#0072B2;fill-opacity:.4}</style>\n";

std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(CleanUtf8(text),
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string Text(double x, double y, absl::string_view text, absl::string_view attributes = "") {
  return absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\"%s>%s</text>\n", x, y, std::string(attributes),
                         Escaped(text));
}

constexpr char kMiddle[] = " text-anchor=\"middle\"";

class Drawing {
 public:
  explicit Drawing(const Picture& picture)
      : picture_(picture), times_(picture.TimeAxis(11)), values_(picture.ValueAxis(7)) {}

  std::string Draw() {
    out_ = absl::StrFormat(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d "
        "%d\">\n<title>%s</title>\n",
        kWidth, kHeight, kWidth, kHeight,
        Escaped(absl::StrCat(picture_.Title(), " · ", picture_.Subtitle())));
    absl::StrAppend(&out_, kStyle);
    absl::StrAppendFormat(&out_, "<rect width=\"%d\" height=\"%d\" fill=\"#FFF\"/>\n", kWidth,
                          kHeight);
    absl::StrAppend(&out_, Text(kLeft, 32, picture_.Title(), " class=\"title\""),
                    Text(kLeft, 56, picture_.Subtitle()));
    Phases();
    Grid();
    Curve();
    Runs();
    Axes();
    Legend();
    absl::StrAppend(
        &out_, Text(kLeft, kHeight - 16, absl::StrJoin(picture_.Notes(), "; "), " class=\"small\""),
        "</svg>\n");
    return std::move(out_);
  }

 private:
  double X(std::int64_t t_ns) const {
    const double share = static_cast<double>(t_ns - picture_.curve.from_ns) /
                         static_cast<double>(picture_.curve.to_ns - picture_.curve.from_ns);
    return kLeft + share * (kRight - kLeft);
  }
  double XOfSeconds(double seconds) const {
    const double from = picture_.Seconds(picture_.curve.from_ns);
    const double to = picture_.Seconds(picture_.curve.to_ns);
    return kLeft + (seconds - from) / (to - from) * (kRight - kLeft);
  }
  // Of a value in the unit of the axis.
  double Y(double shown) const {
    return kBottom - (shown - values_.low) / (values_.high - values_.low) * (kBottom - kTop);
  }

  void Phases() {
    for (const TracePhase& phase : picture_.info.phases) {
      const double from = std::clamp<double>(X(phase.start_ns), kLeft, kRight);
      const double to = std::clamp<double>(X(phase.end_ns), kLeft, kRight);
      if (to - from < 0.02) continue;
      const PhaseStyle& style = StyleOfPhase(phase.name);
      absl::StrAppendFormat(&out_,
                            "<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill=\"%s\" "
                            "fill-opacity=\".2\"/>\n<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" "
                            "height=\"%d\" fill=\"%s\"/>\n",
                            from, kTop, to - from, kBottom - kTop, std::string(style.svg), from,
                            kStripTop, to - from, kStripHeight, std::string(style.svg));
      // The word where it fits, else its letter, else nothing: the colour has to do.
      const double room = to - from - 6;
      const std::string word(style.phase);
      if (room > static_cast<double>(word.size()) * kLetterWidth) {
        absl::StrAppend(&out_, Text((from + to) / 2, kStripTop + 13.5, word,
                                    absl::StrCat(kMiddle, " style=\"font-size:12px\"")));
      } else if (room > kLetterWidth) {
        absl::StrAppend(&out_, Text((from + to) / 2, kStripTop + 13.5, std::string(1, style.letter),
                                    absl::StrCat(kMiddle, " style=\"font-size:12px\"")));
      }
    }
  }

  void Grid() {
    for (const double tick : values_.ticks) {
      const double y = Y(tick);
      absl::StrAppendFormat(&out_,
                            "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>\n",
                            kLeft, y, kRight, y);
      absl::StrAppend(&out_,
                      Text(kLeft - 10, y + 5, TickText(values_, tick), " text-anchor=\"end\""));
    }
  }

  // Parts of the curve without a gap, as bins.
  std::vector<std::vector<std::size_t>> Parts() const {
    std::vector<std::vector<std::size_t>> parts;
    const auto& bins = picture_.curve.bins;
    for (std::size_t i = 0; i < bins.size(); ++i) {
      if (bins[i].n == 0) continue;
      if (parts.empty() || bins[i].gap_before) parts.emplace_back();
      parts.back().push_back(i);
    }
    return parts;
  }

  double BinX(double bin) const {
    return kLeft + bin / static_cast<double>(picture_.curve.bins.size()) * (kRight - kLeft);
  }

  void Curve() {
    const auto& bins = picture_.curve.bins;
    const bool steps = picture_.info.channel.IsCounter();
    const auto point = [&](double bin, double value) {
      return absl::StrFormat("%.2f,%.2f", BinX(bin), Y(picture_.Shown(value)));
    };
    for (const std::vector<std::size_t>& part : Parts()) {
      std::vector<std::string> line;
      std::vector<std::string> upper;
      std::vector<std::string> lower;
      for (const std::size_t i : part) {
        const auto at = static_cast<double>(i);
        if (steps) {
          line.push_back(point(at, bins[i].mean));
          line.push_back(point(at + 1, bins[i].mean));
          continue;
        }
        line.push_back(point(at + 0.5, bins[i].mean));
        upper.push_back(point(at + 0.5, bins[i].max));
        lower.push_back(point(at + 0.5, bins[i].min));
      }
      if (!upper.empty() && picture_.curve.IsEnvelope()) {
        std::reverse(lower.begin(), lower.end());
        absl::StrAppend(&out_, "<polygon class=\"range\" points=\"", absl::StrJoin(upper, " "), " ",
                        absl::StrJoin(lower, " "), "\"/>\n");
      }
      // One sample alone would be an invisible line.
      if (line.size() == 1)
        line.push_back(point(static_cast<double>(part.front()) + 1.5, bins[part.front()].mean));
      absl::StrAppend(&out_, "<polyline class=\"curve\" points=\"", absl::StrJoin(line, " "),
                      "\"/>\n");
    }
    if (picture_.curve.samples == 0) {
      absl::StrAppend(&out_, Text((kLeft + kRight) / 2.0, (kTop + kBottom) / 2.0,
                                  "no samples in this time", kMiddle));
    }
  }

  void Runs() {
    double free_from = 0;
    for (const TraceRun& run : picture_.info.runs) {
      const absl::StatusOr<TraceRun> whole = picture_.info.FindRun(run.run);
      const std::int64_t start_ns = whole.ok() ? whole->start_ns : run.start_ns;
      if (start_ns < picture_.curve.from_ns || start_ns > picture_.curve.to_ns) continue;
      const double x = X(start_ns);
      absl::StrAppendFormat(&out_,
                            "<line class=\"run\" x1=\"%.2f\" y1=\"%d\" x2=\"%.2f\" y2=\"%d\"/>\n",
                            x, kStripTop - 4, x, kBottom);
      const std::string name =
          run.warmup ? absl::StrCat("warm-up ", run.run) : absl::StrCat("run ", run.run);
      const double width = static_cast<double>(name.size()) * kLetterWidth;
      if (x < free_from || x + width > kWidth) continue;
      absl::StrAppend(&out_, Text(x, kStripTop - 9, name, " style=\"font-size:13px\""));
      free_from = x + width + 6;
    }
  }

  void Axes() {
    absl::StrAppendFormat(&out_, "<path class=\"axis\" d=\"M%d,%d V%d H%d\"/>\n", kLeft, kTop,
                          kBottom, kRight);
    for (const double tick : times_.ticks) {
      const double x = XOfSeconds(tick);
      absl::StrAppendFormat(&out_,
                            "<line class=\"axis\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n",
                            x, kBottom, x, kBottom + 6);
      absl::StrAppend(&out_, Text(x, kBottom + 22, TickText(times_, tick), kMiddle));
    }
    absl::StrAppend(
        &out_, Text((kLeft + kRight) / 2.0, kBottom + 44, picture_.TimeLabel(), kMiddle),
        absl::StrFormat(
            "<text transform=\"translate(24,%d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
            (kTop + kBottom) / 2, Escaped(picture_.ValueLabel())));
  }

  void Legend() {
    double x = kLeft;
    double y = kBottom + 70;
    for (const PhaseStyle* style :
         PhasesWithin(picture_.info, picture_.curve.from_ns, picture_.curve.to_ns)) {
      const std::string words = absl::StrCat(std::string(1, style->letter), "  ", style->words);
      const double width = 22 + static_cast<double>(words.size()) * kLetterWidth + 18;
      if (x > kLeft && x + width > kRight) {
        x = kLeft;
        y += 20;
      }
      absl::StrAppendFormat(&out_,
                            "<rect x=\"%.1f\" y=\"%.1f\" width=\"16\" height=\"12\" fill=\"%s\" "
                            "stroke=\"#555\" stroke-width=\".5\"/>\n",
                            x, y - 11, std::string(style->svg));
      absl::StrAppend(&out_, Text(x + 22, y, words, " style=\"font-size:13px\""));
      x += width;
    }
  }

  const Picture& picture_;
  const Axis times_;
  const Axis values_;
  std::string out_;
};

}  // namespace

int SvgPlotBins() { return kRight - kLeft; }

std::string DrawSvg(const Picture& picture) { return Drawing(picture).Draw(); }

}  // namespace joulefarm::cli
