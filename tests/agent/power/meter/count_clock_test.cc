#include "agent/power/meter/count_clock.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "common/clock/tick_fit.h"

namespace joulefarm::agent {
namespace {

constexpr double kMs = 1e6;

struct Trial {
  double nominal_ns = 10 * kMs;
  std::size_t per_report = 4;
  double rate = 0;             // of the meter's clock, relative
  double jitter_ns = 2 * kMs;  // mean of an exponential delay
  int reports = 3000;
  std::vector<int> gone = {};  // reports that never arrive
};

struct Outcome {
  std::int64_t lost = 0;
  double worst_ns = 0;  // of a stamp against the truth, after the first three seconds
  bool monotonic = true;
};

// Both clocks begin with the first sample; a constant delay between them is nobody's error.
Outcome Simulate(const Trial& trial, unsigned seed) {
  CountClock clock(static_cast<std::int64_t>(trial.nominal_ns), trial.per_report);
  std::mt19937 random(seed);
  std::exponential_distribution<double> delay(1);
  Outcome outcome;
  const double period_ns = trial.nominal_ns * (1 + trial.rate);
  std::int64_t before = -1;
  double arrived_ns = 0;
  std::vector<double> errors;
  for (int report = 0; report < trial.reports; ++report) {
    bool gone = false;
    for (const int i : trial.gone) gone = gone || i == report;
    if (gone) continue;
    const double first_ns =
        period_ns * static_cast<double>(report) * static_cast<double>(trial.per_report);
    const double last_ns = first_ns + period_ns * static_cast<double>(trial.per_report - 1);
    arrived_ns = std::max(arrived_ns, last_ns + trial.jitter_ns * delay(random));
    outcome.lost += clock.Arrived(static_cast<std::int64_t>(arrived_ns), 1);
    for (std::size_t i = 0; i < trial.per_report; ++i) {
      const std::int64_t stamp = clock.Next();
      outcome.monotonic = outcome.monotonic && stamp > before;
      before = stamp;
      const double error_ns =
          static_cast<double>(stamp) - first_ns - period_ns * static_cast<double>(i);
      if (first_ns > 3e9) outcome.worst_ns = std::max(outcome.worst_ns, std::abs(error_ns));
    }
  }
  return outcome;
}

TEST(CountClockTest, AnExactMeterStaysExact) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const Outcome outcome = Simulate({}, seed);
    EXPECT_EQ(outcome.lost, 0);
    EXPECT_TRUE(outcome.monotonic);
    EXPECT_LT(outcome.worst_ns, 1 * kMs);
  }
}

TEST(CountClockTest, ARateThatIsOffIsNoLossAndNotInTheStamps) {
  for (const double rate : {-0.01, -0.0005, 0.0005, 0.01}) {
    for (unsigned seed = 0; seed < 5; ++seed) {
      const Outcome outcome = Simulate({.rate = rate}, seed);
      EXPECT_EQ(outcome.lost, 0);
      EXPECT_TRUE(outcome.monotonic);
      // All of the difference of two even clocks over two minutes.
      EXPECT_NEAR(outcome.worst_ns, std::abs(rate) * 120e9, std::abs(rate) * 40e6) << rate;
    }
  }
}

// What a meter off by 0.3 % is to the fit of its clock, from the first second of an opening on.
TEST(CountClockTest, TheFitOfItsTicksHoldsItsBound) {
  constexpr double kLatencyNs = 5 * kMs;
  for (const double rate : {-0.003, -0.0002, 0.0, 0.0002, 0.003}) {
    for (unsigned seed = 0; seed < 5; ++seed) {
      const double period_ns = 10 * kMs * (1 + rate);
      CountClock clock(10'000'000, 4);
      std::mt19937 random(seed);
      std::exponential_distribution<double> jitter(1 / 0.1e6);
      std::vector<TickPair> pairs;
      std::vector<double> true_ns;
      for (int report = 0; report < 2250; ++report) {
        const double last_ns = period_ns * (4 * report + 3);
        const auto arrived =
            static_cast<std::int64_t>(1e12 + last_ns + kLatencyNs + jitter(random));
        ASSERT_EQ(clock.Arrived(arrived, 1), 0);
        std::int64_t tick = 0;
        for (int i = 0; i < 4; ++i) tick = clock.Next();
        pairs.push_back({tick, arrived, report == 0});
        true_ns.push_back(1e12 + last_ns + kLatencyNs);
      }
      const TickFit fit(pairs);
      ASSERT_TRUE(fit.problems().empty()) << rate << ": " << fit.problems()[0];
      int outside = 0;
      for (std::size_t i = 0; i < pairs.size(); ++i) {
        const auto at = fit.At(pairs[i].tick_ns);
        ASSERT_TRUE(at.has_value());
        const double off = std::abs(static_cast<double>(at->t_ns) - true_ns[i]);
        if (off > static_cast<double>(at->bound_ns)) ++outside;
        EXPECT_LT(static_cast<double>(at->bound_ns), 1 * kMs);
      }
      EXPECT_EQ(outside, 0) << rate << " seed " << seed;
    }
  }
}

TEST(CountClockTest, MissingReportsAreSteppedOver) {
  const Outcome outcome = Simulate({.gone = {500, 501, 1200, 1201, 1202, 1203, 1204, 1205}}, 3);
  EXPECT_EQ(outcome.lost, 8 * 4);
  EXPECT_TRUE(outcome.monotonic);
  EXPECT_LT(outcome.worst_ns, 5 * kMs);
}

TEST(CountClockTest, AFastMeterWhoseBacklogOverflowed) {
  CountClock clock(2'000'000, 1);
  std::int64_t now = 0;
  std::int64_t last = 0;
  for (int i = 0; i < 1000; ++i, now += 2'000'000) {
    ASSERT_EQ(clock.Arrived(now, 1), 0);
    last = clock.Next();
  }
  // The host stands still for 300 ms: 64 reports were kept, the newer ones are gone.
  now += 300'000'000;
  ASSERT_EQ(clock.Arrived(now, 64), 0);
  for (int i = 0; i < 64; ++i) {
    const std::int64_t stamp = clock.Next();
    EXPECT_NEAR(static_cast<double>(stamp - last), 2e6, 1e3);
    last = stamp;
  }
  now += 2'000'000;
  EXPECT_EQ(clock.Arrived(now, 1), 300 / 2 + 1 - 64);
  EXPECT_NEAR(static_cast<double>(clock.Next()), static_cast<double>(now), 2e6);
}

TEST(CountClockTest, RefusedReportsTakeTheirTime) {
  CountClock clock(10'000'000, 4);
  EXPECT_EQ(clock.Arrived(0, 2), 0);
  clock.Miss();
  EXPECT_EQ(clock.Next(), 40'000'000);
  EXPECT_EQ(clock.Arrived(1, 0), 0);
}

TEST(CountClockTest, MoreRefusalsThanTheMeterCanHaveSent) {
  CountClock clock(10'000'000, 4);
  std::int64_t last = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(clock.Arrived(i * 40'000'000, 1), 0);
    for (int sample = 0; sample < 4; ++sample) last = clock.Next();
    for (std::int64_t junk = 1; i > 100 && junk < 10; ++junk) {
      ASSERT_EQ(clock.Arrived(i * 40'000'000 + junk * 4'000'000, 1, 1), 0);
      clock.Miss();
    }
  }
  // Ahead by no more than what a fast meter and a few losses would be.
  EXPECT_NEAR(static_cast<double>(last), 1000 * 40e6, 0.01 * 1000 * 40e6 + 200e6);
}

}  // namespace
}  // namespace joulefarm::agent
