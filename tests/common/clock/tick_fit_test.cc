#include "common/clock/tick_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "common/stats/stats.h"

namespace joulefarm {
namespace {

constexpr double kSecond = 1e9;

struct MeterModel {
  double seconds = 60;
  double batch_ms = 20;
  double rate = 0.002;  // host per meter, less 1
  double wander = 40e-6;
  double latency_ms = 3;
  double jitter_ms = 0.2;  // exponential
  double spike_share = 0.01;
  int stalls = 0;
  int restarts = 0;
};

// A meter's ticks as its host sees them arrive.
class SimulatedMeter {
 public:
  SimulatedMeter(const MeterModel& model, std::uint64_t seed) : random_(seed) {
    double tick = 5e12;
    double host = 900 * kSecond;
    std::vector<double> stalls;
    for (int i = 0; i < model.stalls; ++i)
      stalls.push_back(host + Uniform(2, model.seconds) * kSecond);
    std::vector<double> restarts;
    for (int i = 0; i < model.restarts; ++i)
      restarts.push_back(host + Uniform(10, model.seconds - 10) * kSecond);
    double wander = 0;
    double free_at = 0;  // arrivals come one after the other
    const double end = host + model.seconds * kSecond;
    bool restarted = true;
    while (host < end) {
      knots_.push_back({tick, host, restarted});
      double late = model.latency_ms * 1e6 + Exponential(model.jitter_ms * 1e6);
      if (Uniform(0, 1) < model.spike_share) late += Exponential(100e6);
      double arrived = std::max(free_at, host + late);
      for (const double stall : stalls) {
        if (host >= stall && host < stall + 1.5 * kSecond)
          arrived = std::max(arrived, stall + 1.5 * kSecond + model.latency_ms * 1e6 + 5e6);
      }
      free_at = arrived;
      pairs_.push_back({std::llround(tick), std::llround(arrived), restarted});
      restarted = false;
      if (Uniform(0, 1) < 0.02) wander = Uniform(-model.wander, model.wander);
      const double step = model.batch_ms * 1e6;
      tick += step;
      host += step * (1 + model.rate + wander);
      for (double& restart : restarts) {
        if (restart == 0 || host < restart) continue;
        restart = 0;
        restarted = true;
        tick += 1000 * kSecond;
        host += 2 * kSecond;
      }
    }
    latency_ns_ = model.latency_ms * 1e6;
  }

  const std::vector<TickPair>& pairs() const { return pairs_; }
  // The host's time of a tick, with the latency; 0 between pieces.
  double Truth(double tick) const {
    for (std::size_t i = 1; i < knots_.size(); ++i) {
      if (tick > knots_[i].tick || knots_[i].restarted) continue;
      if (tick < knots_[i - 1].tick) return 0;
      const double share = (tick - knots_[i - 1].tick) / (knots_[i].tick - knots_[i - 1].tick);
      return knots_[i - 1].host + share * (knots_[i].host - knots_[i - 1].host) + latency_ns_;
    }
    return 0;
  }

 private:
  struct Knot {
    double tick;
    double host;
    bool restarted;
  };
  double Uniform(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  }
  double Exponential(double mean) {
    return std::exponential_distribution<double>(1 / mean)(random_);
  }
  std::mt19937_64 random_;
  std::vector<Knot> knots_;
  std::vector<TickPair> pairs_;
  double latency_ns_ = 0;
};

struct Verdict {
  int looked = 0;
  int wrong = 0;
  std::vector<double> bounds_ms;
};

void Look(const SimulatedMeter& meter, const TickFit& fit, Verdict& verdict) {
  const auto& pairs = meter.pairs();
  const std::size_t step = std::max<std::size_t>(1, pairs.size() / 60);
  for (std::size_t i = 0; i + 1 < pairs.size(); i += step) {
    if (pairs[i + 1].restarted) continue;
    const std::int64_t tick = (pairs[i].tick_ns + pairs[i + 1].tick_ns) / 2;
    const auto at = fit.At(tick);
    ++verdict.looked;
    if (!at) {
      ++verdict.wrong;
      continue;
    }
    verdict.bounds_ms.push_back(static_cast<double>(at->bound_ns) * 1e-6);
    const double off =
        std::abs(static_cast<double>(at->t_ns) - meter.Truth(static_cast<double>(tick)));
    if (off > static_cast<double>(at->bound_ns)) ++verdict.wrong;
  }
}

TEST(TickFitTest, TheTrueTimeIsInsideTheBoundInEveryTrial) {
  Verdict verdict;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    std::mt19937_64 random(seed);
    const auto uniform = [&](double low, double high) {
      return std::uniform_real_distribution<double>(low, high)(random);
    };
    MeterModel model;
    model.seconds = uniform(21, 90);
    model.batch_ms = uniform(10, 100);
    model.rate = uniform(-0.005, 0.005);
    model.latency_ms = uniform(0, 8);
    model.jitter_ms = uniform(0.01, 0.25);
    model.stalls = seed % 4 == 0 ? 2 : 0;
    model.restarts = seed % 5 == 0 ? 1 : 0;
    const SimulatedMeter meter(model, seed);
    const TickFit fit(meter.pairs());
    ASSERT_TRUE(fit.problems().empty()) << "seed " << seed << ": " << fit.problems()[0];
    const int before = verdict.wrong;
    Look(meter, fit, verdict);
    EXPECT_EQ(verdict.wrong, before) << "seed " << seed;
  }
  EXPECT_EQ(verdict.wrong, 0);
  EXPECT_LE(*Median(verdict.bounds_ms), 1);
  RecordProperty("median_bound_us", static_cast<int>(*Median(verdict.bounds_ms) * 1e3));
  RecordProperty("p99_bound_us", static_cast<int>(*Percentile(verdict.bounds_ms, 0.99) * 1e3));
}

// Every arrival is some ms late, as on a busy host: too few for one of them to be in time.
TEST(TickFitTest, OfAShortPieceTheTrueTimeIsInsideAWiderBound) {
  std::mt19937_64 random(1);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  Verdict verdict;
  for (int trial = 0; trial < 3000; ++trial) {
    const auto n = static_cast<int>(uniform(3, 21));
    const double rate = trial % 3 == 0 ? uniform(0.99, 1.01) : 1;
    const double latest_ms = trial % 2 == 0 ? 8 : 50;
    std::vector<TickPair> pairs;
    for (int i = 0; i < n; ++i) {
      const std::int64_t tick = 100'000'000LL * i;
      const double true_ns = 1e12 + rate * static_cast<double>(tick);
      pairs.push_back({tick, std::llround(true_ns + uniform(3, latest_ms) * 1e6), i == 0});
    }
    const TickFit fit(pairs);
    ASSERT_TRUE(fit.problems().empty()) << fit.problems()[0];
    for (std::int64_t tick = 0; tick <= pairs.back().tick_ns; tick += 50'000'000) {
      const auto at = fit.At(tick);
      ASSERT_TRUE(at.has_value());
      ++verdict.looked;
      verdict.bounds_ms.push_back(static_cast<double>(at->bound_ns) * 1e-6);
      const double true_ns = 1e12 + rate * static_cast<double>(tick);
      if (std::abs(static_cast<double>(at->t_ns) - true_ns) > static_cast<double>(at->bound_ns))
        ++verdict.wrong;
    }
  }
  EXPECT_EQ(verdict.wrong, 0) << "of " << verdict.looked;
  EXPECT_LE(*Median(verdict.bounds_ms), 50);
}

TEST(TickFitTest, APieceOfTwoTicksIsRefused) {
  const std::vector<TickPair> two{{0, 0, true}, {100'000'000, 100'000'000, false}};
  const TickFit fit(two);
  EXPECT_EQ(fit.At(0), std::nullopt);
  ASSERT_EQ(fit.problems().size(), 1U);
  EXPECT_EQ(fit.problems()[0], "2 ticks<3");
}

TEST(TickFitTest, PiecesAreNotJoined) {
  MeterModel model;
  model.restarts = 1;
  const SimulatedMeter meter(model, 7);
  const TickFit fit(meter.pairs());
  EXPECT_EQ(fit.At(meter.pairs().front().tick_ns)->piece, 0);
  EXPECT_EQ(fit.At(meter.pairs().back().tick_ns)->piece, 1);
}

TEST(TickFitTest, ARateBeyondTheToleranceIsRefused) {
  MeterModel model;
  model.rate = 0.03;
  const SimulatedMeter meter(model, 1);
  const TickFit fit(meter.pairs());
  EXPECT_EQ(fit.At(meter.pairs()[5].tick_ns), std::nullopt);
  ASSERT_EQ(fit.problems().size(), 1U);
  EXPECT_EQ(fit.problems()[0], "rate off by 3%>1%");
}

TEST(TickFitTest, TicksThatAreLateForLongAreRefused) {
  std::vector<TickPair> pairs;
  for (std::int64_t i = 0; i < 3000; ++i) {
    const std::int64_t tick = i * 20'000'000;
    // 30 s of a minute, as of a host that cannot keep up.
    const std::int64_t late = i > 1000 && i < 2500 ? 50'000'000 : 0;
    pairs.push_back({tick, tick + late, i == 0});
  }
  const TickFit fit(pairs);
  EXPECT_EQ(fit.At(0), std::nullopt);
  ASSERT_EQ(fit.problems().size(), 1U);
  EXPECT_EQ(fit.problems()[0], "30 s without a tick in time>10 s");
}

TEST(TickFitTest, ASecondLifeWithTheSameTicksIsRefused) {
  std::vector<TickPair> pairs;
  for (std::int64_t i = 0; i < 100; ++i) pairs.push_back({i * 20'000'000, i * 20'000'000, i == 0});
  for (std::int64_t i = 0; i < 100; ++i)
    pairs.push_back({i * 20'000'000, 5'000'000'000 + i * 20'000'000, i == 0});
  const TickFit fit(pairs);
  EXPECT_EQ(fit.At(1'000'000'000), std::nullopt);
  EXPECT_EQ(fit.problems().size(), 1U);
}

TEST(TickFitTest, OnePairSaysNothingOfARate) {
  const std::vector<TickPair> one{{5, 5, true}};
  const TickFit fit(one);
  EXPECT_EQ(fit.At(5), std::nullopt);
  EXPECT_EQ(fit.problems().size(), 1U);
  EXPECT_EQ(TickFit({}).At(5), std::nullopt);
}

}  // namespace
}  // namespace joulefarm
