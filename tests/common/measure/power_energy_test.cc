#include <cmath>
#include <functional>
#include <numbers>
#include <random>

#include "common/measure/energy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/measure/findings.h"

namespace joulefarm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;

// Exactly P(t) at t = from, from + period, … up to the first stamp not before `to`.
PowerTrace Sampled(const std::function<double(double)>& power_w, std::int64_t from, std::int64_t to,
                   std::int64_t period_ns) {
  PowerTrace trace;
  trace.period_ns = period_ns;
  trace.errors.gain_u = 0;
  trace.errors.offset_u_w = 0;
  for (std::int64_t t = from; t < to + period_ns; t += period_ns) {
    trace.t_ns.push_back(t);
    trace.power_w.push_back(power_w(static_cast<double>(t) * 1e-9));
  }
  return trace;
}

PowerTrace Constant(double watts, std::int64_t to = 10 * kSecond, std::int64_t period_ns = kMs) {
  return Sampled([=](double) { return watts; }, 0, to, period_ns);
}

Energy Of(const PowerTrace& trace, std::int64_t start_ns, std::int64_t end_ns) {
  const Interval part{start_ns, end_ns};
  return IntegratePower(trace, {&part, 1});
}

// Leaves the samples strictly between two instants out.
void Drop(PowerTrace& trace, std::int64_t after_ns, std::int64_t before_ns) {
  PowerTrace kept = trace;
  kept.t_ns.clear();
  kept.power_w.clear();
  for (std::size_t i = 0; i < trace.t_ns.size(); ++i) {
    if (trace.t_ns[i] > after_ns && trace.t_ns[i] < before_ns) continue;
    kept.t_ns.push_back(trace.t_ns[i]);
    kept.power_w.push_back(trace.power_w[i]);
  }
  trace = kept;
}

TEST(PowerEnergyTest, ConstantIsExact) {
  const Energy energy = Of(Constant(7.25), 123'456'789, 9'876'543'211);
  const double seconds = 9.753086422;
  EXPECT_NEAR(*energy.energy_j / (7.25 * seconds), 1, 1e-12);
  EXPECT_DOUBLE_EQ(energy.duration_s, seconds);
  EXPECT_NEAR(*energy.mean_w, 7.25, 1e-12);
  EXPECT_DOUBLE_EQ(*energy.peak_w, 7.25);
  EXPECT_THAT(energy.findings, IsEmpty());
  EXPECT_FALSE(energy.lo_j);
}

TEST(PowerEnergyTest, RampIsExact) {
  const PowerTrace trace = Sampled([](double t) { return 1 + 3 * t; }, 0, 10 * kSecond, 2 * kMs);
  const double a = 0.0012345;
  const double b = 8.7654321;
  const Energy energy = Of(trace, 1'234'500, 8'765'432'100);
  EXPECT_NEAR(*energy.energy_j / ((b - a) + 1.5 * (b * b - a * a)), 1, 1e-9);
}

TEST(PowerEnergyTest, SineUpToAFiftiethOfTheRate) {
  constexpr double kRate = 5000;
  for (const double frequency : {3.0, 17.3, 50.1, 99.97}) {
    const PowerTrace trace =
        Sampled([=](double t) { return 10 + 8 * std::sin(2 * std::numbers::pi * frequency * t); },
                0, 8 * kSecond, 200'000);
    const double seconds = 20 / frequency;
    const double start = 0.1234567;
    const auto primitive = [=](double t) {
      return 10 * t - 8 * std::cos(2 * std::numbers::pi * frequency * t) /
                          (2 * std::numbers::pi * frequency);
    };
    const std::int64_t start_ns = std::llround(start * 1e9);
    const std::int64_t end_ns = start_ns + std::llround(seconds * 1e9);
    const double truth = primitive(static_cast<double>(end_ns) * 1e-9) -
                         primitive(static_cast<double>(start_ns) * 1e-9);
    ASSERT_LE(frequency, kRate / 50);
    EXPECT_NEAR(*Of(trace, start_ns, end_ns).energy_j / truth, 1, 1e-4) << frequency;
  }
}

// Energy of a square wave between 0 and t: `high_w` in the first half of every period, `low_w` in
// the second.
double SquareEnergy(double t, double period, double offset, double low_w, double high_w) {
  const double shifted = t + offset;
  const double whole = std::floor(shifted / period);
  const double in_high = whole * period / 2 + std::min(shifted - whole * period, period / 2);
  return low_w * shifted + (high_w - low_w) * in_high;
}

TEST(PowerEnergyTest, SquareWavesStayWithinTheirBounds) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform(0, 1);
  constexpr std::int64_t kPeriodNs = 200'000;
  constexpr double kLow = 2;
  constexpr double kHigh = 12;
  double squares = 0;  // of the errors, each in units of its own allowed rms
  constexpr int kTrials = 2000;
  for (int trial = 0; trial < kTrials; ++trial) {
    const double wave = 0.02 * (0.7 + 0.6 * uniform(random));
    const double offset = wave * uniform(random);
    const auto power = [=](double t) {
      const double phase = std::fmod(t + offset, wave);
      return phase < wave / 2 ? kHigh : kLow;
    };
    const PowerTrace trace = Sampled(power, 0, 600 * kMs, kPeriodNs);
    const std::int64_t start_ns = 10 * kMs + static_cast<std::int64_t>(uniform(random) * 50e6);
    const std::int64_t end_ns =
        start_ns + static_cast<std::int64_t>((0.2 + 0.3 * uniform(random)) * 1e9);
    const double start = static_cast<double>(start_ns) * 1e-9;
    const double end = static_cast<double>(end_ns) * 1e-9;
    const double truth = SquareEnergy(end, wave, offset, kLow, kHigh) -
                         SquareEnergy(start, wave, offset, kLow, kHigh);
    // A step just outside the phase bends the interval its edge lies in: those count as well.
    const double h = static_cast<double>(kPeriodNs) * 1e-9;
    const auto steps_before = [=](double t) { return std::floor((t + offset) / (wave / 2)); };
    const double steps = steps_before(end + h) - steps_before(start - h);
    const Energy energy = Of(trace, start_ns, end_ns);
    const double error = *energy.energy_j - truth;
    EXPECT_LE(std::abs(error), steps * h * (kHigh - kLow) / 2 * (1 + 1e-9));
    const double rms = std::sqrt(steps / 12) * h * (kHigh - kLow);
    squares += error * error / (rms * rms);
  }
  EXPECT_LE(std::sqrt(squares / kTrials), 1.2);
}

TEST(PowerEnergyTest, DropsAndNoiseStayWithinTheirUncertainty) {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::normal_distribution<double> noise(0, 0.2);
  int inside = 0;
  constexpr int kTrials = 1000;
  for (int trial = 0; trial < kTrials; ++trial) {
    const double wave = 0.03 * (0.7 + 0.6 * uniform(random));
    const double offset = wave * uniform(random);
    const double gain = 1 + 0.01 * noise(random) / 0.2;
    PowerTrace trace;
    trace.period_ns = kMs;
    trace.errors.gain_u = 0.01;
    trace.errors.offset_u_w = 0;
    for (std::int64_t t = 0; t < 1'000 * kMs; t += kMs) {
      if (uniform(random) < 0.008) continue;
      const double phase = std::fmod(static_cast<double>(t) * 1e-9 + offset, wave);
      trace.t_ns.push_back(t);
      trace.power_w.push_back(gain * (phase < wave / 2 ? 12 : 2) + noise(random));
    }
    const double start = 0.05 + 0.1 * uniform(random);
    const double end = 0.7 + 0.2 * uniform(random);
    const double truth =
        SquareEnergy(end, wave, offset, 2, 12) - SquareEnergy(start, wave, offset, 2, 12);
    const Energy energy = Of(trace, std::llround(start * 1e9), std::llround(end * 1e9));
    ASSERT_TRUE(energy.energy_j);
    inside += std::abs(*energy.energy_j - truth) <= 3 * *energy.energy_u_j ? 1 : 0;
  }
  EXPECT_GE(inside, kTrials * 99 / 100);
}

TEST(PowerEnergyTest, PhasesSumToTheWhole) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> watts(0, 20);
  const PowerTrace trace = Sampled([&](double) { return watts(random); }, 0, 60 * kSecond, 200'000);
  std::vector<std::int64_t> cuts{0};
  while (cuts.back() < 59 * kSecond)
    cuts.push_back(cuts.back() + 1 + static_cast<std::int64_t>(random() % (kSecond)));
  double sum = 0;
  std::vector<Interval> parts;
  for (std::size_t i = 1; i < cuts.size(); ++i) {
    sum += *Of(trace, cuts[i - 1], cuts[i]).energy_j;
    parts.push_back({cuts[i - 1], cuts[i]});
  }
  EXPECT_NEAR(sum / *Of(trace, cuts.front(), cuts.back()).energy_j, 1, 1e-9);
  EXPECT_NEAR(sum / *IntegratePower(trace, parts).energy_j, 1, 1e-9);
}

TEST(PowerEnergyTest, NegativePowerStaysNegative) {
  const Energy energy = Of(Constant(-3), kSecond, 2 * kSecond);
  EXPECT_NEAR(*energy.energy_j, -3, 1e-12);
}

TEST(PowerEnergyTest, AnEmptyPhaseHasNoEnergy) {
  const Energy energy = Of(Constant(3), kSecond, kSecond);
  EXPECT_DOUBLE_EQ(*energy.energy_j, 0);
  EXPECT_FALSE(energy.mean_w);
  EXPECT_FALSE(energy.peak_w);
  EXPECT_THAT(energy.findings, IsEmpty());
}

TEST(PowerEnergyTest, UncertaintyByComponent) {
  PowerTrace trace = Constant(10);
  trace.errors = {0.02, 0.005, 0};
  const Energy energy = Of(trace, kSecond, 5 * kSecond);
  EXPECT_NEAR(*energy.parts.gain_j, 0.02 * 40, 1e-9);
  EXPECT_NEAR(*energy.parts.offset_j, 0.005 * 4, 1e-12);
  EXPECT_DOUBLE_EQ(*energy.parts.clock_j, 0);
  EXPECT_NEAR(*energy.parts.counter_j, 0, 1e-12);
  EXPECT_FALSE(energy.parts.gap_j);
  EXPECT_NEAR(*energy.energy_u_j, std::hypot(0.8, 0.02), 1e-9);
}

TEST(PowerEnergyTest, AStepBetweenTwoSamplesMayLieAnywhere) {
  const PowerTrace trace =
      Sampled([](double t) { return t < 2.5 ? 1 : 7; }, 0, 5 * kSecond, 10 * kMs);
  EXPECT_NEAR(*Of(trace, kSecond, 4 * kSecond).parts.counter_j, 6 * 0.01 / std::sqrt(12.0), 1e-9);
}

TEST(PowerEnergyTest, ClockBoundCountsTheStepsAtTheEdges) {
  // 1 W, but 11 W from 2 s to 4 s; the phase is the pulse.
  PowerTrace trace =
      Sampled([](double t) { return t >= 2 && t < 4 ? 11 : 1; }, 0, 6 * kSecond, kMs);
  trace.errors.clock_bound_ns = 5 * kMs;
  // A step of 10 W at either edge, and the power at the edges themselves differs by 10 W.
  EXPECT_NEAR(*Of(trace, 2 * kSecond, 4 * kSecond).parts.clock_j, 0.005 * 30, 1e-9);
  EXPECT_NEAR(*Of(trace, kSecond, 5 * kSecond).parts.clock_j, 0, 1e-12);
}

TEST(PowerEnergyTest, ClockBoundHoldsForEveryOffset) {
  std::mt19937_64 random(4);
  std::uniform_real_distribution<double> uniform(0, 1);
  PowerTrace trace;
  trace.period_ns = kMs;
  trace.errors.gain_u = 0;
  trace.errors.offset_u_w = 0;
  double watts = 5;
  for (std::int64_t t = 0; t < 10 * kSecond; t += kMs) {
    if (uniform(random) < 0.01) watts = 20 * uniform(random);
    trace.t_ns.push_back(t);
    trace.power_w.push_back(watts);
  }
  trace.errors.clock_bound_ns = 4 * kMs;
  for (int trial = 0; trial < 500; ++trial) {
    const std::int64_t start = kSecond + static_cast<std::int64_t>(uniform(random) * 3e9);
    const std::int64_t end = start + 100 * kMs + static_cast<std::int64_t>(uniform(random) * 4e9);
    const auto offset = static_cast<std::int64_t>((2 * uniform(random) - 1) * 4e6);
    const Energy seen = Of(trace, start, end);
    const Energy truth = Of(trace, start + offset, end + offset);
    EXPECT_LE(std::abs(*seen.energy_j - *truth.energy_j), *seen.parts.clock_j + 1e-9);
  }
}

TEST(PowerEnergyTest, ClockRateHoldsForBurstsInside) {
  // Idle at both edges, so that an offset costs nothing; the sampler's clock gains or loses.
  const auto load = [](double t) { return t > 3 && t < 4.5 ? 12.0 : 2.0; };
  for (const double rate : {-1e-3, -4e-4, 4e-4, 1e-3}) {
    PowerTrace trace =
        Sampled([&](double t) { return load(5 + (t - 5) * (1 + rate)); }, 0, 10 * kSecond, kMs);
    trace.errors.clock_rate = std::abs(rate);
    const Energy seen = Of(trace, kSecond, 9 * kSecond);
    const double truth_j = 8 * 2 + 1.5 * 10;
    EXPECT_NEAR(*seen.energy_j, truth_j, *seen.parts.clock_j + 10 * 1e-3);
    EXPECT_NEAR(*seen.parts.clock_j, std::abs(rate) * 8 * 3.9, std::abs(rate) * 0.1);
  }
}

TEST(PowerEnergyTest, UnknownGainHasNoUncertainty) {
  PowerTrace trace = Constant(10);
  trace.errors.gain_u.reset();
  const Energy energy = Of(trace, kSecond, 2 * kSecond);
  EXPECT_TRUE(energy.energy_j);
  EXPECT_FALSE(energy.energy_u_j);
  EXPECT_EQ(Detail(energy.findings, "gain_unknown"), "");
  EXPECT_EQ(Worst(energy.findings), v1::QUALITY_SUSPECT);
}

TEST(PowerEnergyTest, UnknownZeroHasNoUncertainty) {
  PowerTrace trace = Constant(10);
  trace.errors.offset_u_w.reset();
  Energy energy = Of(trace, kSecond, 2 * kSecond);
  EXPECT_TRUE(energy.energy_j);
  EXPECT_FALSE(energy.energy_u_j);
  EXPECT_FALSE(energy.parts.offset_j);
  EXPECT_EQ(Detail(energy.findings, "offset_unknown"), "");
  EXPECT_EQ(Worst(energy.findings), v1::QUALITY_SUSPECT);
  // A cable does not make it known.
  AddCable(0.1, 5, energy);
  EXPECT_FALSE(energy.energy_u_j);
  // Nor does the battery's own gauge, whose zero is known.
  const Energy known = Of(Constant(1), kSecond, 2 * kSecond);
  ASSERT_TRUE(known.energy_u_j);
  EXPECT_FALSE(WithBattery(energy, known).energy_u_j);
}

TEST(PowerEnergyTest, OfASourceThatStatesNothingTheGainIsTheReason) {
  PowerTrace trace = Constant(10);
  trace.errors = {};
  EXPECT_EQ(Detail(Of(trace, kSecond, 2 * kSecond).findings, "gain_unknown"), "");
  EXPECT_EQ(Of(trace, kSecond, 2 * kSecond).findings.size(), 1U);
}

TEST(PowerEnergyTest, NoSamplesNoEnergy) {
  const Energy energy = Of(PowerTrace{}, 0, kSecond);
  EXPECT_FALSE(energy.energy_j);
  EXPECT_EQ(Detail(energy.findings, "no_samples"), "0<2");
  EXPECT_EQ(Worst(energy.findings), v1::QUALITY_INVALID);
  EXPECT_EQ(Covered(PowerTrace{}), (Interval{}));
}

TEST(PowerEnergyTest, EdgesOutsideTheTraceGiveNoEnergy) {
  const PowerTrace trace = Constant(5, 10 * kSecond);
  EXPECT_TRUE(Of(trace, 0, 10 * kSecond).energy_j);
  const Energy early = Of(trace, -4 * kMs, kSecond);
  EXPECT_FALSE(early.energy_j);
  EXPECT_EQ(Detail(early.findings, "edge_uncovered"), "0.004 s>0");
  EXPECT_FALSE(Of(trace, kSecond, 11 * kSecond).energy_j);
}

TEST(PowerEnergyTest, LossAboveOnePercentIsSuspect) {
  // Every 50th sample of 1 kHz is lost: 2 %. Every 200th: 0.5 %.
  for (const int every : {50, 200}) {
    PowerTrace trace = Constant(5);
    for (std::int64_t t = every; t < 10'000; t += every) Drop(trace, (t - 1) * kMs, (t + 1) * kMs);
    const Energy energy = Of(trace, kSecond, 9 * kSecond);
    EXPECT_NEAR(*energy.energy_j, 40, 1e-9);
    EXPECT_EQ(Detail(energy.findings, "loss"), every == 50 ? "2%>1%" : "(none)");
  }
}

TEST(PowerEnergyTest, LossesTheSourceCountedAreSharedOut) {
  PowerTrace trace = Constant(5);
  // 200 of 10 s * 1 kHz lost between 2 s and 4 s; the stamps do not show it.
  trace.losses.push_back({{2 * kSecond, 4 * kSecond}, 200});
  EXPECT_EQ(Detail(Of(trace, kSecond, 2 * kSecond).findings, "loss"), "(none)");
  EXPECT_EQ(Detail(Of(trace, 3 * kSecond, 4 * kSecond).findings, "loss"), "10%>1%");
  EXPECT_EQ(Detail(Of(trace, 0, 8 * kSecond).findings, "loss"), "2.5%>1%");
}

TEST(PowerEnergyTest, AGapAtAnEdgeGivesNoEnergy) {
  PowerTrace trace = Constant(5);
  Drop(trace, 995 * kMs, 1'005 * kMs);
  const Energy touching = Of(trace, kSecond, 9 * kSecond);
  EXPECT_FALSE(touching.energy_j);
  EXPECT_EQ(Detail(touching.findings, "gap_at_edge"), "10>5");
  EXPECT_EQ(Worst(touching.findings), v1::QUALITY_INVALID);
  // Outside the phase it does not matter, also where it ends exactly at the edge.
  EXPECT_THAT(Of(trace, 1'005 * kMs, 9 * kSecond).findings, IsEmpty());
  // Five periods are no gap.
  PowerTrace small = Constant(5);
  Drop(small, 998 * kMs, 1'003 * kMs);
  EXPECT_TRUE(Of(small, kSecond, 9 * kSecond).energy_j);
}

TEST(PowerEnergyTest, AGapInsideIsFilledWithTheRangeInTheUncertainty) {
  PowerTrace trace =
      Sampled([](double t) { return std::fmod(t, 0.1) < 0.05 ? 4 : 10; }, 0, 10 * kSecond, kMs);
  Drop(trace, 3'000 * kMs, 3'040 * kMs);
  const Energy energy = Of(trace, kSecond, 9 * kSecond);
  ASSERT_TRUE(energy.energy_j);
  EXPECT_EQ(Detail(energy.findings, "gap_filled"), "0.5%>0");
  EXPECT_NEAR(*energy.parts.gap_j, 0.04 * 6 / std::sqrt(3.0), 1e-9);
  EXPECT_EQ(Worst(energy.findings), v1::QUALITY_VALID);
}

TEST(PowerEnergyTest, TooLittleOutsideGapsGivesNoEnergy) {
  PowerTrace trace = Constant(5);
  Drop(trace, 3'000 * kMs, 3'100 * kMs);
  const Energy energy = Of(trace, kSecond, 9 * kSecond);
  EXPECT_FALSE(energy.energy_j);
  EXPECT_EQ(Detail(energy.findings, "gap_coverage"), "98.8%<99%");
}

TEST(PowerEnergyTest, FewSamplesAreSuspect) {
  const PowerTrace trace = Constant(5, 10 * kSecond, 100 * kMs);
  const Energy energy = Of(trace, 1'010 * kMs, 1'260 * kMs);
  EXPECT_NEAR(*energy.energy_j, 1.25, 1e-9);
  EXPECT_EQ(Detail(energy.findings, "few_samples"), "2<10");
  EXPECT_THAT(Of(trace, kSecond, 2 * kSecond).findings, IsEmpty());
}

TEST(PowerEnergyTest, DuplicateStampsAreLeftOutAndCounted) {
  std::vector<std::int64_t> t_ns;
  std::vector<std::int64_t> raw;
  for (int i = 0; i <= 1000; ++i) {
    t_ns.push_back(i * kMs);
    raw.push_back(5'000);
    if (i % 50 != 0) continue;
    t_ns.push_back(i * kMs - (i % 100 == 0 ? 0 : 3 * kMs));
    raw.push_back(1'000'000);
  }
  const PowerTrace trace = MakePowerTrace(t_ns, raw, 1e-3, 1000);
  EXPECT_EQ(trace.duplicates, 21);
  EXPECT_EQ(trace.period_ns, kMs);
  const Energy energy = Of(trace, 0, 1'000 * kMs);
  EXPECT_NEAR(*energy.energy_j, 5, 1e-12);
  EXPECT_EQ(Detail(energy.findings, "duplicate_stamps"), "2.05%>1%");
}

TEST(PowerEnergyTest, ThePeriodIsTheMedianWhereNoneIsStated) {
  const std::vector<std::int64_t> t_ns{0, 10, 20, 90, 100};
  const std::vector<std::int64_t> raw(5, 1);
  EXPECT_EQ(MakePowerTrace(t_ns, raw, 1, 0).period_ns, 10);
  EXPECT_EQ(MakePowerTrace(t_ns, raw, 1, 50).period_ns, 20 * kMs);
}

TEST(PowerEnergyTest, PartsThatTouchHaveNoEdgeBetweenThem) {
  PowerTrace trace = Constant(5);
  Drop(trace, 3'000 * kMs, 3'030 * kMs);
  const std::vector<Interval> parts{{kSecond, 3'010 * kMs}, {3'010 * kMs, 9 * kSecond}};
  EXPECT_FALSE(IntegratePower(trace, {parts.data(), 1}).energy_j);
  EXPECT_TRUE(IntegratePower(trace, parts).energy_j);
}

TEST(PowerEnergy, LateSamplesMoveStepsOverTheEdges) {
  // A gauge that holds each value for half a second; 1 W up to 5 s, then 2 W.
  PowerTrace trace = Sampled([](double t) { return t < 5 ? 1.0 : 2.0; }, 0, 10 * kSecond, kMs);
  EXPECT_DOUBLE_EQ(*Of(trace, 1 * kSecond, 4 * kSecond).energy_j, 3);
  trace.hold_ns = 500 * kMs;
  const Energy steady = Of(trace, 1 * kSecond, 4 * kSecond);
  EXPECT_DOUBLE_EQ(*steady.energy_j, 3) << "no step near its edges";
  EXPECT_DOUBLE_EQ(*steady.parts.counter_j, 0);
  const Energy step = Of(trace, 5 * kSecond + 100 * kMs, 9 * kSecond + 100 * kMs);
  EXPECT_FALSE(step.energy_j);
  EXPECT_THAT(CodesOf(step.findings), ElementsAre("smoothing"));
  trace.hold_ns = 100 * kMs;
  const Energy small = Of(trace, 5 * kSecond + 50 * kMs, 9 * kSecond + 50 * kMs);
  ASSERT_TRUE(small.energy_j);
  EXPECT_NEAR(*small.parts.counter_j, 0.1, 1e-9) << "0.1 s of 1 W";
}

}  // namespace
}  // namespace joulefarm
