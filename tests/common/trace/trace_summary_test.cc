#include "common/trace/trace_summary.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace joulefarm {
namespace {

using Column = std::vector<std::int64_t>;

TEST(TraceSummary, SumsOverStraightLines) {
  const auto summary = Summarise(Column{100, 110, 130, 131}, Column{2, 4, -2, -2});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->first_raw, 2);
  EXPECT_EQ(summary->last_raw, -2);
  EXPECT_EQ(summary->lowest_raw, -2);
  EXPECT_EQ(summary->highest_raw, 4);
  EXPECT_EQ(summary->longest_ns, 20);
  EXPECT_DOUBLE_EQ(summary->raw_ns, 3 * 10 + 1 * 20 - 2);
  EXPECT_DOUBLE_EQ(summary->raw2_ns, (4 + 8 + 16) / 3.0 * 10 + (16 - 8 + 4) / 3.0 * 20 + 4);
  EXPECT_DOUBLE_EQ(summary->step2_ns2, 20 * 20 + 120 * 120);
  EXPECT_DOUBLE_EQ(summary->noise2_ns2, 20 * 20);
}

TEST(TraceSummary, OneSampleHasNoTime) {
  const auto summary = Summarise(Column{5}, Column{7});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->first_raw, 7);
  EXPECT_EQ(summary->longest_ns, 0);
  EXPECT_EQ(summary->raw_ns, 0);
}

TEST(TraceSummary, StampsThatDoNotRiseHaveNone) {
  EXPECT_FALSE(Summarise(Column{}, Column{}));
  EXPECT_FALSE(Summarise(Column{1, 2}, Column{1}));
  EXPECT_FALSE(Summarise(Column{1, 1}, Column{1, 2}));
  EXPECT_FALSE(Summarise(Column{1, 5, 4}, Column{1, 2, 3}));
  EXPECT_FALSE(Summarise(Column{std::numeric_limits<std::int64_t>::min(), 5}, Column{1, 2}));
}

TEST(TraceSummary, TheWidestValuesDoNotOverflow) {
  constexpr std::int64_t kLow = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kHigh = std::numeric_limits<std::int64_t>::max();
  const auto summary = Summarise(Column{0, 10, 20}, Column{kLow, kHigh, kLow});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->lowest_raw, kLow);
  EXPECT_EQ(summary->highest_raw, kHigh);
  EXPECT_GT(summary->step2_ns2, 0);
  EXPECT_DOUBLE_EQ(summary->step2_ns2, 2 * summary->noise2_ns2);
}

}  // namespace
}  // namespace joulefarm
