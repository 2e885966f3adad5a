#include "cli/trace/curve.h"

#include <gtest/gtest.h>

#include <cmath>

namespace joulefarm::cli {
namespace {

CurveOptions Options(std::int64_t from_ns, std::int64_t to_ns, int bins) {
  CurveOptions options;
  options.from_ns = from_ns;
  options.to_ns = to_ns;
  options.bins = bins;
  return options;
}

TEST(CurveTest, BinsKeepTheExtremes) {
  CurveBuilder builder(Options(0, 100, 4));
  for (int i = 0; i < 100; ++i) builder.Add(i, i == 30 ? 1000 : i);
  const Curve curve = builder.Finish();
  ASSERT_EQ(curve.bins.size(), 4u);
  EXPECT_EQ(curve.samples, 100);
  EXPECT_EQ(curve.bins[0].min, 0);
  EXPECT_EQ(curve.bins[0].max, 24);
  EXPECT_EQ(curve.bins[0].mean, 12);
  EXPECT_EQ(curve.bins[1].max, 1000);
  EXPECT_TRUE(curve.IsEnvelope());
  EXPECT_EQ(curve.Lowest(), 0);
  EXPECT_EQ(curve.Highest(), 1000);
}

TEST(CurveTest, WhatIsOutsideIsLeftOut) {
  CurveBuilder builder(Options(10, 20, 2));
  for (const std::int64_t t : {9, 10, 20, 21}) builder.Add(t, static_cast<double>(t));
  const Curve curve = builder.Finish();
  EXPECT_EQ(curve.samples, 2);
  EXPECT_EQ(curve.bins[0].max, 10);
  EXPECT_EQ(curve.bins[1].max, 20);
  EXPECT_FALSE(curve.IsEnvelope());
  const Curve empty = CurveBuilder(Options(0, 10, 3)).Finish();
  EXPECT_FALSE(empty.Lowest().has_value());
}

TEST(CurveTest, AGapIsSeen) {
  CurveOptions options = Options(0, 100, 10);
  options.period_ns = 5;
  CurveBuilder builder(options);
  for (const std::int64_t t : {0, 5, 10, 15, 80, 85}) builder.Add(t, 1);
  const Curve curve = builder.Finish();
  EXPECT_FALSE(curve.bins[1].gap_before);
  EXPECT_TRUE(curve.bins[8].gap_before);
  EXPECT_EQ(curve.bins[5].n, 0);
}

TEST(CurveTest, ACounterBecomesItsRate) {
  CurveOptions options = Options(0, 10'000'000'000, 5);
  options.counter = true;
  CurveBuilder builder(options);
  // 3 J/s, then 7 J/s from 4 s on, read every 1.3 s: no reading falls on an edge.
  const auto energy = [](double s) { return s < 4 ? 3 * s : 12 + 7 * (s - 4); };
  for (double s = -0.5; s < 12; s += 1.3) builder.Add(std::llround(s * 1e9), energy(s));
  const Curve curve = builder.Finish();
  EXPECT_NEAR(curve.bins[0].mean, 3, 1e-9);
  EXPECT_NEAR(curve.bins[4].mean, 7, 1e-9);
  // What the bins hold together is what the counter counted.
  double sum = 0;
  for (const CurveBin& bin : curve.bins) sum += bin.mean * curve.BinNs() / 1e9;
  EXPECT_NEAR(sum, energy(10) - energy(0), 1e-6);
}

TEST(CurveTest, WrapsAreUndoneAndResetsLeaveAHole) {
  CurveOptions options = Options(0, 4'000'000'000, 4);
  options.counter = true;
  options.wrap = 100;
  CurveBuilder wrapped(options);
  const std::vector<double> readings{80, 90, 0, 10, 20};
  for (std::size_t i = 0; i < readings.size(); ++i)
    wrapped.Add(static_cast<std::int64_t>(i) * 1'000'000'000, readings[i]);
  for (const CurveBin& bin : wrapped.Finish().bins) EXPECT_NEAR(bin.mean, 10, 1e-9);
  options.wrap.reset();
  CurveBuilder reset(options);
  for (std::size_t i = 0; i < readings.size(); ++i)
    reset.Add(static_cast<std::int64_t>(i) * 1'000'000'000, readings[i]);
  const Curve curve = reset.Finish();
  EXPECT_EQ(curve.bins[1].n, 0);
  EXPECT_TRUE(curve.bins[2].gap_before);
  EXPECT_NEAR(curve.bins[2].mean, 10, 1e-9);
}

TEST(CurveTest, BinsOfACounterHoldTwoReadings) {
  EXPECT_EQ(SensibleBins(900, 7'000'000'000, 100'000'000, 0, true), 35);
  EXPECT_EQ(SensibleBins(900, 7'000'000'000, 1'000'000, 0, true), 900);
  EXPECT_EQ(SensibleBins(900, 7'000'000'000, 1'000'000, 500'000'000, true), 7);
  EXPECT_EQ(SensibleBins(900, 1, 100, 0, true), 1);
  EXPECT_EQ(SensibleBins(900, 7'000'000'000, 100'000'000, 0, false), 900);
}

}  // namespace
}  // namespace joulefarm::cli
