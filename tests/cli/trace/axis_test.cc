#include "cli/trace/axis.h"

#include <gtest/gtest.h>

#include <limits>

namespace joulefarm::cli {
namespace {

std::string Ticks(const Axis& axis) {
  std::string text;
  for (const double tick : axis.ticks) text += (text.empty() ? "" : " ") + TickText(axis, tick);
  return text;
}

TEST(AxisTest, TicksAreRound) {
  EXPECT_EQ(Ticks(MakeAxis(0, 16.3, 6, true)), "0 5 10 15 20");
  EXPECT_EQ(Ticks(MakeAxis(0, 0.0007, 5, true)), "0.0000 0.0002 0.0004 0.0006 0.0008");
  EXPECT_EQ(Ticks(MakeAxis(-3, 3, 5, true)), "-4 -2 0 2 4");
  EXPECT_EQ(Ticks(MakeAxis(0, 1, 5, true)), "0.00 0.25 0.50 0.75 1.00");
  EXPECT_EQ(Ticks(MakeAxis(36.6, 71.2, 5, true)), "30 40 50 60 70 80");
}

TEST(AxisTest, WithoutSnappingTheEndsStay) {
  const Axis axis = MakeAxis(0.3, 7.2, 8, false);
  EXPECT_EQ(axis.low, 0.3);
  EXPECT_EQ(axis.high, 7.2);
  EXPECT_EQ(Ticks(axis), "1 2 3 4 5 6 7");
}

TEST(AxisTest, DegenerateRangesStillHaveAnAxis) {
  for (const auto& [low, high] : std::vector<std::pair<double, double>>{
           {0, 0}, {5, 5}, {-2, -2}, {3, 1}, {std::numeric_limits<double>::quiet_NaN(), 1}}) {
    const Axis axis = MakeAxis(low, high, 5, true);
    EXPECT_LT(axis.low, axis.high) << low;
    EXPECT_GE(axis.ticks.size(), 2u) << low;
  }
}

TEST(AxisTest, UnitsSuitTheValues) {
  EXPECT_EQ(UnitFor("power_w", 14).unit, "W");
  EXPECT_EQ(UnitFor("power_w", 0.2).unit, "mW");
  EXPECT_EQ(UnitFor("power_w", 0.2).factor, 1000);
  EXPECT_EQ(UnitFor("energy_counter_j", 14).unit, "W");
  EXPECT_EQ(UnitFor("frequency_hz", 2.4e9).unit, "GHz");
  EXPECT_EQ(UnitFor("memory_bytes", 1e8).unit, "MiB");
  EXPECT_EQ(UnitFor("memory_bytes", 2e10).unit, "GiB");
  EXPECT_EQ(UnitFor("utilisation", 0.5).factor, 100);
  EXPECT_FALSE(UnitFor("temperature_c", 50).from_zero);
  EXPECT_EQ(UnitFor("power_w", 0).unit, "W");
  EXPECT_EQ(UnitFor("new_quantity", 5).unit, "");
}

}  // namespace
}  // namespace joulefarm::cli
