// Integration of power samples against loads whose energy is known exactly: thousands of seeded
// trials with true stamps, then with noise, losses and clocks that are off. Issue 4 has the bounds.
#include <cmath>
#include <initializer_list>
#include <map>
#include <numbers>
#include <string>

#include "common/measure/energy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/measure/loads.h"
#include "tests/common/trials.h"

namespace joulefarm {
namespace {

constexpr std::int64_t kPeriodNs = 200'000;  // 5 kHz
constexpr double kLow = 2;
constexpr double kHigh = 12;

Energy Of(const PowerTrace& trace, const Interval& part) {
  return IntegratePower(trace, {&part, 1});
}

// `jitter` as a share of the period moves the sampling itself: the stamps stay true.
template <typename Power>
PowerTrace Sampled(Random& random, std::int64_t until_ns, double jitter, const Power& power) {
  PowerTrace trace;
  trace.period_ns = kPeriodNs;
  trace.errors.gain_u = 0;
  trace.errors.offset_u_w = 0;
  for (std::int64_t t = 0; t < until_ns; t += kPeriodNs) {
    const std::int64_t at =
        t + std::llround(random.Uniform(-jitter, jitter) * static_cast<double>(kPeriodNs));
    trace.t_ns.push_back(at);
    trace.power_w.push_back(power(static_cast<double>(at)));
  }
  return trace;
}

std::int64_t LongestInterval(const PowerTrace& trace) {
  std::int64_t longest = 0;
  for (std::size_t i = 1; i < trace.t_ns.size(); ++i)
    longest = std::max(longest, trace.t_ns[i] - trace.t_ns[i - 1]);
  return longest;
}

Interval RandomPart(Random& random, double from_s, double to_s, double shortest_s) {
  const double start_s = random.Uniform(from_s, to_s - shortest_s);
  const double end_s = random.Uniform(start_s + shortest_s, to_s);
  return {std::llround(start_s * 1e9), std::llround(end_s * 1e9)};
}

TEST(EnergyProof, ConstantsAndRampsAreExact) {
  Random random(1);
  double worst = 0;
  for (int trial = 0; trial < Trials(2000); ++trial) {
    const double a = random.Uniform(0.1, 50);
    const double b = trial % 2 == 0 ? 0 : random.Uniform(-0.1, 5);  // W/s
    const PowerTrace trace =
        Sampled(random, 1'000'000'000, 0.4, [&](double t_ns) { return a + b * t_ns * 1e-9; });
    const Interval part = RandomPart(random, 0.01, 0.98, 0.001);
    const double start = static_cast<double>(part.start_ns) * 1e-9;
    const double end = static_cast<double>(part.end_ns) * 1e-9;
    const double truth = (end - start) * (a + b * (start + end) / 2);
    worst = std::max(worst, std::abs(*Of(trace, part).energy_j / truth - 1));
  }
  EXPECT_LE(worst, 1e-9);
  RecordProperty("worst_relative", std::to_string(worst));
}

TEST(EnergyProof, SinesUpToAFiftiethOfTheRateOverTwentyPeriods) {
  Random random(2);
  double worst = 0;
  for (int trial = 0; trial < Trials(1000); ++trial) {
    const double hz = trial % 10 == 0 ? 100 : 20 * std::pow(5, random.Uniform(0, 1));
    const double omega = 2 * std::numbers::pi * hz;
    const double phase = random.Uniform(0, 2 * std::numbers::pi);
    const double swing = random.Uniform(0, 1);  // up to as deep as it can be
    const PowerTrace trace = Sampled(random, 1'300'000'000, 0, [&](double t_ns) {
      return 8 * (1 + swing * std::sin(omega * t_ns * 1e-9 + phase));
    });
    const Interval part = RandomPart(random, 0.01, 1.25, 20 / hz);
    const auto primitive = [&](std::int64_t t_ns) {
      const double t = static_cast<double>(t_ns) * 1e-9;
      return 8 * (t - swing * std::cos(omega * t + phase) / omega);
    };
    const double truth = primitive(part.end_ns) - primitive(part.start_ns);
    worst = std::max(worst, std::abs(*Of(trace, part).energy_j / truth - 1));
  }
  EXPECT_LE(worst, 1e-4);
  RecordProperty("worst_relative", std::to_string(worst));
}

// Errors against what N steps allow.
class StepErrors {
 public:
  void Add(const StepLoad& load, const PowerTrace& trace, const Interval& part) {
    const double h = static_cast<double>(kPeriodNs) * 1e-9;
    const std::int64_t longest_ns = LongestInterval(trace);
    // A step just outside the part bends the interval its edge lies in: those count as well.
    const double steps =
        static_cast<double>(load.Steps(static_cast<double>(part.start_ns - longest_ns),
                                       static_cast<double>(part.end_ns + longest_ns)));
    const double error = *Of(trace, part).energy_j - load.Energy(static_cast<double>(part.start_ns),
                                                                 static_cast<double>(part.end_ns));
    const double rise = kHigh - kLow;
    const double most = steps * static_cast<double>(longest_ns) * 1e-9 * rise / 2;
    EXPECT_LE(std::abs(error), most * (1 + 1e-9) + 1e-12);
    const double rms = std::sqrt(steps / 12) * h * rise;
    squares_ += error * error / (rms * rms);
    ++trials_;
  }
  double Rms() const { return std::sqrt(squares_ / trials_); }

 private:
  double squares_ = 0;
  int trials_ = 0;
};

// A duration that is no near multiple of half a period: commensurate loads beat with the sampling,
// and their errors do not average out.
double Incommensurate(Random& random, double fewest, double most) {
  while (true) {
    const double periods = random.Uniform(fewest, most);
    if (std::abs(2 * periods - std::round(2 * periods)) > 0.05)
      return periods * static_cast<double>(kPeriodNs);
  }
}

TEST(EnergyProof, SquareWavesStayWithinTheirBounds) {
  for (const double jitter : {0.0, 0.2}) {
    Random random(3);
    StepErrors errors;
    for (int trial = 0; trial < Trials(3000); ++trial) {
      const double half_ns = Incommensurate(random, 2, 80);
      StepLoad load(kLow);
      bool high = false;
      for (double t = random.Uniform(0, half_ns); t < 0.6e9; t += half_ns)
        load.StepTo(t, (high = !high) ? kHigh : kLow);
      const PowerTrace trace =
          Sampled(random, 600'000'000, jitter, [&](double t_ns) { return load.Power(t_ns); });
      errors.Add(load, trace, RandomPart(random, 0.01, 0.58, 0.2));
    }
    EXPECT_LE(errors.Rms(), 1.2) << jitter;
    RecordProperty(jitter == 0 ? "rms" : "rms_jitter", std::to_string(errors.Rms()));
  }
}

TEST(EnergyProof, BurstsStayWithinTheirBounds) {
  for (const double jitter : {0.0, 0.2}) {
    Random random(4);
    StepErrors errors;
    for (int trial = 0; trial < Trials(3000); ++trial) {
      const double on_ns = random.Uniform(2, 30) * static_cast<double>(kPeriodNs);
      const double every_ns = on_ns + Incommensurate(random, 2, 60);
      StepLoad load(kLow);
      for (double t = random.Uniform(0, every_ns); t < 0.6e9; t += every_ns) {
        load.StepTo(t, kHigh);
        load.StepTo(t + on_ns, kLow);
      }
      const PowerTrace trace =
          Sampled(random, 600'000'000, jitter, [&](double t_ns) { return load.Power(t_ns); });
      errors.Add(load, trace, RandomPart(random, 0.01, 0.58, 0.2));
    }
    EXPECT_LE(errors.Rms(), 1.2) << jitter;
    RecordProperty(jitter == 0 ? "rms" : "rms_jitter", std::to_string(errors.Rms()));
  }
}

// How often the truth lies within three reported uncertainties; and always within hard bounds.
struct Coverage {
  int valid = 0;
  int inside = 0;
  int refused = 0;
  double Share() const { return static_cast<double>(inside) / valid; }
  void Add(const Energy& energy, double truth, double hard_j) {
    if (!energy.energy_j) {
      ++refused;
      return;
    }
    ASSERT_TRUE(energy.energy_u_j);
    const double error = std::abs(*energy.energy_j - truth);
    EXPECT_LE(error, hard_j * (1 + 1e-9) + 1e-9);
    ++valid;
    inside += error <= 3 * *energy.energy_u_j ? 1 : 0;
  }
};

// What a meter does to samples in the trials below; zero: nothing.
struct Disturbance {
  double noise_w = 0;   // uniform, so that there is a hard bound
  double gain = 0;      // standard uncertainty, drawn within three
  double offset_w = 0;  // the same
  double lost = 0;      // share of samples
  double gaps = 0;      // chance per trial of one of 6 to 40 periods
  std::int64_t clock_ns = 0;
};

void Check(const Disturbance& disturbance, std::uint64_t seed, Coverage& coverage) {
  Random random(seed);
  constexpr double kUntil = 0.8e9;
  for (int trial = 0; trial < Trials(2000); ++trial) {
    const StepLoad load = RandomBursts(random, kUntil, 0.4e6, 40e6, kLow, kHigh);
    const double gain = std::clamp(random.Normal(1), -3.0, 3.0) * disturbance.gain;
    const double offset_w = std::clamp(random.Normal(1), -3.0, 3.0) * disturbance.offset_w;
    const std::int64_t shift_ns = random.Whole(-disturbance.clock_ns, disturbance.clock_ns);
    std::int64_t gap_at = -1;
    std::int64_t gap_end = -1;
    if (random.Chance(disturbance.gaps)) {
      gap_at = random.Whole(0, static_cast<std::int64_t>(kUntil) / kPeriodNs);
      gap_end = gap_at + random.Whole(6, 40);
    }
    PowerTrace trace;
    trace.period_ns = kPeriodNs;
    trace.errors.gain_u = disturbance.gain;
    trace.errors.offset_u_w = disturbance.offset_w;
    trace.errors.clock_bound_ns = disturbance.clock_ns;
    const std::int64_t samples = static_cast<std::int64_t>(kUntil) / kPeriodNs;
    for (std::int64_t i = 0; i < samples; ++i) {
      if (i >= gap_at && i < gap_end) continue;
      if (disturbance.lost > 0 && random.Chance(disturbance.lost)) continue;
      const std::int64_t t_ns = i * kPeriodNs;
      trace.t_ns.push_back(t_ns + shift_ns);
      trace.power_w.push_back(load.Power(static_cast<double>(t_ns)) * (1 + gain) + offset_w +
                              random.Uniform(-disturbance.noise_w, disturbance.noise_w));
    }
    const Interval part = RandomPart(random, 0.02, 0.78, 0.1);
    const auto start = static_cast<double>(part.start_ns);
    const auto end = static_cast<double>(part.end_ns);
    // Any interval between samples that a step lies in may be wrong by its whole power range; what
    // a shift exchanges at the edges, noise, gain and offset come on top.
    double hard_j = 0;
    const double range_w = kHigh - kLow;
    for (std::size_t i = 1; i < trace.t_ns.size(); ++i) {
      const std::int64_t from = trace.t_ns[i - 1] - shift_ns;
      const std::int64_t to = trace.t_ns[i] - shift_ns;
      if (load.Steps(static_cast<double>(from), static_cast<double>(to)) > 0)
        hard_j += static_cast<double>(to - from) * 1e-9 * range_w;
    }
    const double seconds = (end - start) * 1e-9;
    const double truth = load.Energy(start, end);
    hard_j += 2 * static_cast<double>(disturbance.clock_ns) * 1e-9 * range_w;
    hard_j += seconds * (disturbance.noise_w + 3 * disturbance.offset_w) +
              3 * disturbance.gain * (truth + hard_j);
    coverage.Add(Of(trace, part), truth, hard_j);
  }
}

TEST(EnergyProof, DisturbedTracesStayWithinTheirUncertainty) {
  int case_number = 0;
  for (const Disturbance& disturbance :
       std::initializer_list<Disturbance>{{},
                                          {.noise_w = 0.5},
                                          {.gain = 0.005, .offset_w = 0.02},
                                          {.lost = 0.008},
                                          {.lost = 0.03},
                                          {.gaps = 0.9},
                                          {.clock_ns = 400'000},
                                          {.clock_ns = 5'000'000},
                                          {.noise_w = 0.2,
                                          .gain = 0.002,
                                          .offset_w = 0.005,
                                          .lost = 0.005,
                                          .gaps = 0.3,
                                          .clock_ns = 1'000'000}}) {
    Coverage coverage;
    Check(disturbance, 100 + static_cast<std::uint64_t>(case_number), coverage);
    EXPECT_GE(coverage.Share(), 0.99) << "case " << case_number;
    EXPECT_GE(coverage.valid, Trials(1000)) << "case " << case_number;
    RecordProperty("case_" + std::to_string(case_number), std::to_string(coverage.Share()));
    ++case_number;
  }
}

TEST(EnergyProof, AveragingMetersWithoutTheirDelay) {
  for (const std::int64_t smoothing_ns : {kPeriodNs, 10 * kPeriodNs, 100 * kPeriodNs}) {
    Random random(7);
    Coverage coverage;
    for (int trial = 0; trial < Trials(2000); ++trial) {
      const StepLoad load = RandomBursts(random, 1.2e9, 5e6, 200e6, kLow, kHigh);
      PowerTrace trace;
      trace.period_ns = kPeriodNs;
      trace.errors.gain_u = 0;
      trace.errors.offset_u_w = 0;
      trace.hold_ns = smoothing_ns;
      for (std::int64_t t = smoothing_ns; t < 1'200'000'000; t += kPeriodNs) {
        trace.t_ns.push_back(t - smoothing_ns / 2);
        trace.power_w.push_back(
            load.Energy(static_cast<double>(t - smoothing_ns), static_cast<double>(t)) /
            (static_cast<double>(smoothing_ns) * 1e-9));
      }
      const Interval part = RandomPart(random, 0.05, 1.15, 0.1);
      const auto start = static_cast<double>(part.start_ns);
      const auto end = static_cast<double>(part.end_ns);
      const auto reach = static_cast<double>(smoothing_ns + kPeriodNs);
      // A step is smeared over the average: at an edge at most half of it is on the wrong side, and
      // inside only the corners of its slope fall between samples.
      const double edges_w =
          load.SumOfSteps(start - reach, start + reach) + load.SumOfSteps(end - reach, end + reach);
      const double hard_j =
          (reach / 2 * edges_w +
           static_cast<double>(kPeriodNs) / 2 * load.SumOfSteps(start - reach, end + reach)) *
          1e-9;
      coverage.Add(Of(trace, part), load.Energy(start, end), hard_j);
    }
    EXPECT_GE(coverage.Share(), 0.99) << smoothing_ns;
    EXPECT_GE(coverage.valid, Trials(500)) << smoothing_ns;
    if (smoothing_ns == 100 * kPeriodNs) {
      EXPECT_GE(coverage.refused, Trials(100)) << "20 ms are too long for some of these";
    }
  }
}

TEST(EnergyProof, PhasesSumToTheAttempt) {
  Random random(8);
  for (int trial = 0; trial < Trials(50); ++trial) {
    const StepLoad load = RandomBursts(random, 2e9, 0.3e6, 50e6, kLow, kHigh);
    const PowerTrace trace = Sampled(random, 2'000'000'000, 0.3, [&](double t_ns) {
      return load.Power(t_ns) + 0.1 * std::sin(t_ns);
    });
    const Interval attempt = RandomPart(random, 0.01, 1.9, 1);
    std::vector<PhaseSpan> phases;
    for (int i = 0; i < 12; ++i) {
      const Interval span = RandomPart(random, 0, 2, 0.001);
      if (i % 3 == 0) continue;
      phases.push_back({i % 2 == 0 ? v1::PHASE_DECODE : v1::PHASE_IDLE_LOADED, span, {}, {}, 0});
    }
    std::map<v1::Phase, std::vector<Interval>> parts;
    for (const PhaseSpan& span : CompletePartition(phases, attempt).spans)
      parts[span.phase].push_back(span.span);
    double sum = 0;
    for (const auto& [phase, spans] : parts) sum += *IntegratePower(trace, spans).energy_j;
    EXPECT_NEAR(sum / *Of(trace, attempt).energy_j, 1, 1e-9);
  }
}

}  // namespace
}  // namespace joulefarm
