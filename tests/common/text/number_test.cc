#include "common/text/number.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

namespace joulefarm {
namespace {

TEST(Number, ShortestRealReadsBackTheSame) {
  for (const double value : {0.1, 1.0 / 3, 1e300, 5e-324, 84.13, -2.5, 123456789.125, 1e-6}) {
    EXPECT_EQ(std::strtod(ShortestReal(value).c_str(), nullptr), value);
  }
  EXPECT_EQ(ShortestReal(0.1), "0.1");
  EXPECT_EQ(ShortestReal(1e-6), "1e-06");
  EXPECT_EQ(ShortestReal(10000), "10000");
  EXPECT_EQ(ShortestReal(1e300), "1e+300");
  EXPECT_EQ(ShortestReal(-0.0), "0");
  EXPECT_EQ(ShortestReal(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(ShortestReal(std::numeric_limits<double>::quiet_NaN()), "nan");
}

TEST(Number, SecondsKeepWholeOnes) {
  EXPECT_EQ(SecondsText(0.004121), "0.00412 s");
  EXPECT_EQ(SecondsText(30), "30 s");
  EXPECT_EQ(SecondsText(999.4), "999 s");
  EXPECT_EQ(SecondsText(1830), "1830 s");
  EXPECT_EQ(SecondsText(-7200.4), "-7200 s");
}

TEST(Number, HumanBytesHaveThreeDigits) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(999), "999 B");
  EXPECT_EQ(HumanBytes(1'000), "1.00 kB");
  EXPECT_EQ(HumanBytes(9'996), "10.0 kB");
  EXPECT_EQ(HumanBytes(99'960), "100 kB");
  EXPECT_EQ(HumanBytes(41'700'000), "41.7 MB");
  EXPECT_EQ(HumanBytes(999'999), "1.00 MB");
  EXPECT_EQ(HumanBytes(1'500'000'000'000), "1.50 TB");
}

}  // namespace
}  // namespace joulefarm
