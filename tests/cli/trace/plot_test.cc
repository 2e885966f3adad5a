// What the pictures of a trace show, and that they fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "absl/strings/str_split.h"
#include "cli/output/text.h"
#include "cli/trace/svg_plot.h"
#include "cli/trace/terminal_plot.h"
#include "tests/cli/trace/sample_trace.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Drawn(const Picture& picture, const Look& look) {
  std::ostringstream out;
  DrawOnTerminal(picture, look, out);
  return out.str();
}

Picture ForTerminal(const Look& look) { return SamplePicture(TerminalPlotBins(look)); }

TEST(TerminalPlot, FitsEveryWidth) {
  for (const int width : {40, 60, 80, 132, 240}) {
    const Look look{width, false};
    for (const std::string& line :
         std::vector<std::string>(absl::StrSplit(Drawn(ForTerminal(look), look), '\n'))) {
      EXPECT_LE(DisplayWidth(line), width) << line;
    }
  }
}

TEST(TerminalPlot, SaysWhatItShows) {
  const std::string text = Drawn(ForTerminal({100, false}), {100, false});
  EXPECT_THAT(text, HasSubstr("edge-7f3a · tiny<q8> · threads=2\n"));
  EXPECT_THAT(text, HasSubstr("channel meter · scope device · measured · exp-1, job-7, attempt 9"));
  EXPECT_THAT(text, HasSubstr("\n  power in W\n"));
  EXPECT_THAT(text, HasSubstr("s since the attempt began"));
  EXPECT_THAT(text, HasSubstr("┊warm-up 0"));
  EXPECT_THAT(text, HasSubstr("┊run 1"));
  EXPECT_THAT(text, HasSubstr("uuuuLLLL"));
  EXPECT_THAT(text, HasSubstr("PPPDDDD"));
  EXPECT_THAT(text, HasSubstr("P  prefill"));
  EXPECT_THAT(text, HasSubstr("6000 samples, one every 1.0 ms"));
  EXPECT_THAT(text, HasSubstr("lowest to highest sample"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  // Decoding at 9 W leaves the upper third empty but for the prefills.
  EXPECT_THAT(text, HasSubstr("⣿"));
}

TEST(TerminalPlot, NothingOfTheSubtitleIsLostWhereItIsNarrow) {
  const std::string text = Drawn(ForTerminal({60, false}), {60, false});
  EXPECT_THAT(text, HasSubstr("\nattempt 9"));
  EXPECT_THAT(text, Not(HasSubstr("…")));
}

TEST(TerminalPlot, ColoursOnlyWhereWanted) {
  EXPECT_THAT(Drawn(ForTerminal({100, true}), {100, true}), HasSubstr("\x1b[48;5;74;38;5;16mD"));
}

TEST(TerminalPlot, LabelsWhatIsNotMeasured) {
  Picture picture = ForTerminal({100, false});
  picture.info.channel.provenance = "estimated";
  EXPECT_THAT(Drawn(picture, {100, false}), HasSubstr("~ power in W (estimated)"));
  picture.info.channel.provenance = "replayed";
  EXPECT_THAT(Drawn(picture, {100, false}), HasSubstr("sim power in W (replayed)"));
  EXPECT_THAT(Drawn(picture, {100, false}), HasSubstr("replayed, not measured"));
}

TEST(TerminalPlot, SaysHowACounterBecamePower) {
  Picture picture = ForTerminal({100, false});
  picture.info.channel.quantity = "energy_counter_j";
  EXPECT_THAT(Drawn(picture, {100, false}), HasSubstr("a counter: drawn is its difference over"));
}

TEST(TerminalPlot, NothingIsNoReasonToFail) {
  Picture picture = ForTerminal({100, false});
  CurveOptions options;
  options.to_ns = 10;
  picture.curve = CurveBuilder(options).Finish();
  picture.info.phases.clear();
  picture.info.runs.clear();
  EXPECT_THAT(Drawn(picture, {100, false}), HasSubstr("0 samples"));
}

TEST(SvgPlot, HasTitleAxesBandsLegendAndEnvelope) {
  const std::string svg = DrawSvg(SamplePicture(SvgPlotBins()));
  EXPECT_THAT(svg, HasSubstr("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_THAT(svg, HasSubstr("edge-7f3a · tiny&lt;q8&gt; · threads=2"));
  EXPECT_THAT(svg, Not(HasSubstr("tiny<q8>")));
  EXPECT_THAT(svg, HasSubstr("power in W"));
  EXPECT_THAT(svg, HasSubstr("fill=\"#56B4E9\""));
  EXPECT_THAT(svg, HasSubstr("D  decode"));
  EXPECT_THAT(svg, HasSubstr("class=\"range\""));
  EXPECT_THAT(svg, HasSubstr("class=\"run\""));
  EXPECT_THAT(svg, HasSubstr("</svg>\n"));
}

TEST(SvgPlot, AGapBreaksTheLine) {
  Picture picture = SamplePicture(SvgPlotBins());
  const auto lines = [](const std::string& svg) {
    return std::vector<std::string>(absl::StrSplit(svg, "<polyline")).size() - 1;
  };
  EXPECT_EQ(lines(DrawSvg(picture)), 1u);
  picture.curve.bins[500].gap_before = true;
  EXPECT_EQ(lines(DrawSvg(picture)), 2u);
}

TEST(SvgPlot, IsSmallHoweverManySamples) {
  EXPECT_LT(DrawSvg(SamplePicture(SvgPlotBins())).size(), 100'000u);
}

}  // namespace
}  // namespace joulefarm::cli
