// Counters against loads whose energy is known exactly: the truth is always inside the hard bounds,
// and within three reported uncertainties in nearly every one of thousands of seeded trials.
#include <cmath>
#include <initializer_list>
#include <string>

#include "common/measure/energy.h"
#include "gtest/gtest.h"
#include "tests/common/measure/loads.h"

namespace joulefarm {
namespace {

struct Polling {
  std::int64_t period_ns = 0;
  double jitter = 0;            // of the period
  std::int64_t refresh_ns = 0;  // the counter shows the energy of an instant so long ago at most
  double lost = 0;              // share of readings
  std::int64_t clock_ns = 0;    // stamps are off by at most this
  double resolution_j = 0;      // of one step of the counter
};

TEST(CounterProof, TheTruthIsInsideTheBoundsAndNearlyAlwaysWithinThreeUncertainties) {
  int case_number = 0;
  for (const Polling& polling : std::initializer_list<Polling>{
           {.period_ns = 20'000'000},
           {.period_ns = 20'000'000, .jitter = 0.4, .refresh_ns = 3'000'000},
           {.period_ns = 5'000'000, .refresh_ns = 60'000'000},
           {.period_ns = 20'000'000, .refresh_ns = 1'000'000, .lost = 0.1},
           {.period_ns = 20'000'000, .refresh_ns = 3'000'000, .clock_ns = 2'000'000},
           {.period_ns = 10'000'000,
           .jitter = 0.3,
           .refresh_ns = 2'000'000,
           .lost = 0.05,
           .clock_ns = 10'000'000,
           .resolution_j = 61e-6}}) {
    Random random(20 + static_cast<std::uint64_t>(case_number));
    int inside = 0;
    constexpr int kTrials = 2000;
    for (int trial = 0; trial < kTrials; ++trial) {
      const StepLoad load = RandomBursts(random, 2.5e9, 1e6, 150e6, 2, 12);
      const std::int64_t shift_ns = random.Whole(-polling.clock_ns, polling.clock_ns);
      std::vector<std::int64_t> t_ns;
      std::vector<std::int64_t> raw;
      double shown_ns = 0;
      for (std::int64_t t = 0; t < 2'500'000'000; t += polling.period_ns) {
        const double at = static_cast<double>(t) + random.Uniform(-polling.jitter, polling.jitter) *
                                                       static_cast<double>(polling.period_ns);
        // What a reading shows never goes back.
        shown_ns =
            std::max(shown_ns, at - random.Uniform(0, static_cast<double>(polling.refresh_ns)));
        if (random.Chance(polling.lost)) continue;
        t_ns.push_back(std::llround(at) + shift_ns);
        const double joules = load.Energy(0, shown_ns);
        const double step_j = polling.resolution_j > 0 ? polling.resolution_j : 1e-9;
        raw.push_back(static_cast<std::int64_t>(std::floor(joules / step_j)));
      }
      CounterTrace trace =
          MakeCounterTrace(t_ns, raw, polling.resolution_j > 0 ? polling.resolution_j : 1e-9,
                           std::nullopt, polling.refresh_ns);
      trace.errors.gain_u = 0;
      trace.errors.clock_bound_ns = polling.clock_ns;
      const double start_s = random.Uniform(0.2, 1.5);
      const double end_s = random.Uniform(start_s + 0.3, 2.2);
      const Interval part{std::llround(start_s * 1e9), std::llround(end_s * 1e9)};
      const Energy energy = IntegrateCounter(trace, {&part, 1});
      ASSERT_TRUE(energy.energy_j) << case_number;
      const double truth =
          load.Energy(static_cast<double>(part.start_ns), static_cast<double>(part.end_ns));
      // A counter in steps shows up to one less than it counted.
      const double step_j = std::max(polling.resolution_j, 1e-9);
      EXPECT_GE(truth, *energy.lo_j - step_j) << case_number;
      EXPECT_LE(truth, *energy.hi_j + step_j) << case_number;
      inside += std::abs(*energy.energy_j - truth) <= 3 * *energy.energy_u_j ? 1 : 0;
    }
    EXPECT_GE(inside, kTrials * 99 / 100) << case_number;
    RecordProperty("case_" + std::to_string(case_number), inside);
    ++case_number;
  }
}

}  // namespace
}  // namespace joulefarm
