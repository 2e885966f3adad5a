#include "cli/output/text.h"

#include <gtest/gtest.h>

#include <limits>

namespace joulefarm::cli {
namespace {

TEST(Text, OneLineShowsControlCharacters) {
  EXPECT_EQ(OneLine("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(OneLine("\x1b[31mred\x7f"), "\\x1b[31mred\\x7f");
  EXPECT_EQ(OneLine("\xC2\x9B"
                    "31m"),
            "\\x9b31m");  // the one-character CSI
  EXPECT_EQ(CleanLines("a\nb\x1b"), "a\nb\\x1b");
}

TEST(Text, DisplayWidthCountsCells) {
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("± ≥ é"), 5);
  EXPECT_EQ(DisplayWidth("e\xCC\x81"), 1);  // with a combining accent
  EXPECT_EQ(DisplayWidth("日本"), 4);
  EXPECT_EQ(DisplayWidth("😀"), 2);
}

TEST(Text, ClipKeepsWholeCharacters) {
  EXPECT_EQ(Clip("abcdef", 6), "abcdef");
  EXPECT_EQ(Clip("abcdef", 4), "abc…");
  EXPECT_EQ(Clip("日本語", 4), "日…");  // the second one would need a fifth cell with the mark
  EXPECT_EQ(Clip("abc", 1), "…");
}

TEST(Text, SignificantReal) {
  EXPECT_EQ(SignificantReal(212.4, 3), "212");
  EXPECT_EQ(SignificantReal(84.13, 3), "84.1");
  EXPECT_EQ(SignificantReal(0.061, 3), "0.0610");
  EXPECT_EQ(SignificantReal(9.996, 3), "10.0");
  EXPECT_EQ(SignificantReal(12345, 3), "12345");
  EXPECT_EQ(SignificantReal(0, 3), "0");
  EXPECT_EQ(SignificantReal(-0.5, 2), "-0.50");
  EXPECT_EQ(SignificantReal(1e-9, 3), "1e-09");
  EXPECT_EQ(SignificantReal(std::numeric_limits<double>::quiet_NaN(), 3), "nan");
}

TEST(Text, PlainRealDropsTrailingZeros) {
  EXPECT_EQ(PlainReal(310.2), "310.2");
  EXPECT_EQ(PlainReal(5), "5");
  EXPECT_EQ(PlainReal(1.0 / 3), "0.333333");
  EXPECT_EQ(PlainReal(1234567.89), "1234568");
}

TEST(Text, UncertaintySetsThePlace) {
  EXPECT_EQ(WithUncertainty(0.0612, 0.0204), "0.061 ± 0.020");
  EXPECT_EQ(WithUncertainty(0.0294, 0.0098), "0.0294 ± 0.0098");
  EXPECT_EQ(WithUncertainty(1234.5, 250), "1234 ± 250");
  EXPECT_EQ(WithUncertainty(-1.5, 0.996), "-1.5 ± 1.0");
  EXPECT_EQ(WithUncertainty(5.125, std::nullopt), "5.12");
  EXPECT_EQ(WithUncertainty(5.125, 0.0), "5.12");
}

TEST(Text, HumanCount) {
  EXPECT_EQ(HumanCount(0), "0");
  EXPECT_EQ(HumanCount(999), "999");
  EXPECT_EQ(HumanCount(20'789'760), "20.8 M");
  EXPECT_EQ(HumanCount(8'030'261'248), "8.03 B");
}

TEST(Text, ShortTimeKeepsWhatIsNotUtc) {
  EXPECT_EQ(ShortTime("2026-11-21T11:03:04.250Z"), "2026-11-21 11:03:04");
  EXPECT_EQ(ShortTime("2026-11-21T11:03:04+01:00"), "2026-11-21T11:03:04+01:00");
  EXPECT_EQ(ShortTime("soon"), "soon");
}

TEST(Text, WrapsAtWordsAndClipsInTheMiddle) {
  EXPECT_EQ(WrapWords("a · bc def", 6), (std::vector<std::string>{"a · bc", "def"}));
  EXPECT_EQ(WrapWords("muchlonger b", 4), (std::vector<std::string>{"muchlonger", "b"}));
  EXPECT_EQ(WrapWords("as it is", 0), std::vector<std::string>{"as it is"});
  EXPECT_EQ(ClipMiddle("qwen-0.5b-q8_0", 9), "qwen…q8_0");
  EXPECT_EQ(ClipMiddle("short", 9), "short");
  EXPECT_EQ(ClipMiddle("longer", 1), "…");
}

}  // namespace
}  // namespace joulefarm::cli
