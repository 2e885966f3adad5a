// The feasible interval over thousands of simulated links: it holds the true offset in every trial.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "common/clock/feasible_offset.h"
#include "common/stats/stats.h"
#include "tests/common/clock/simulated_link.h"

namespace joulefarm {
namespace {

constexpr int kLinks = 10'000;

struct Verdict {
  int looked = 0;
  int answered = 0;
  int wrong = 0;
  double worst_ns = 0;  // beyond the bound
};

void Look(const SimulatedLink& link, const FeasibleOffset& offset, std::int64_t t_ns,
          Verdict& verdict, std::vector<double>* bounds_ms) {
  ++verdict.looked;
  const auto at = offset.At(t_ns);
  if (!at) return;
  ++verdict.answered;
  if (bounds_ms != nullptr) bounds_ms->push_back(static_cast<double>(at->bound_ns) * 1e-6);
  const double off = std::abs(static_cast<double>(at->offset_ns) - link.TrueOffset(t_ns));
  if (off <= static_cast<double>(at->bound_ns)) return;
  ++verdict.wrong;
  verdict.worst_ns = std::max(verdict.worst_ns, off - static_cast<double>(at->bound_ns));
}

// Every half second, and at edges of phases anywhere between.
void LookEverywhere(SimulatedLink& link, const FeasibleOffset& offset, Verdict& verdict,
                    std::vector<double>* bounds_ms = nullptr) {
  for (std::int64_t t = link.start_ns(); t <= link.end_ns(); t += 500'000'000)
    Look(link, offset, t, verdict, bounds_ms);
  std::uniform_int_distribution<std::int64_t> any(link.start_ns(), link.end_ns());
  for (int edge = 0; edge < 20; ++edge) Look(link, offset, any(link.random()), verdict, nullptr);
}

LinkModel AnyLink(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  LinkModel model;
  model.seconds = uniform(10, 60);
  model.there_ms = uniform(0, 10);
  model.back_ms = seed % 4 == 0 ? model.there_ms : uniform(0, 10);
  model.uniform_ms = seed % 3 == 0 ? 0 : uniform(0, 40);  // ±20 ms about its middle
  model.exponential_ms = seed % 5 == 0 ? 0 : uniform(0.01, 2);
  model.spike_share = 0.01;
  model.spike_ms = 200;
  model.suspends = seed % 3 == 1 ? 1 + static_cast<int>(seed % 2) : 0;
  return model;
}

TEST(ClockLinksTest, TheTrueOffsetIsInsideTheBoundInEveryTrial) {
  Verdict verdict;
  int slept = 0;
  std::vector<double> medians_ms;
  for (std::uint64_t seed = 1; seed <= kLinks; ++seed) {
    SimulatedLink link(AnyLink(seed), seed);
    const ClockSegments segments(link.snapshots());
    slept += segments.count() > 1 ? 1 : 0;
    const FeasibleOffset offset(link.exchanges(), &segments);
    EXPECT_TRUE(offset.violations().empty()) << "link " << seed;
    std::vector<double> bounds_ms;
    LookEverywhere(link, offset, verdict, &bounds_ms);
    if (const auto median = Median(bounds_ms)) medians_ms.push_back(*median);
  }
  EXPECT_EQ(verdict.wrong, 0) << "worst by " << verdict.worst_ns << " ns";
  EXPECT_GT(verdict.answered, verdict.looked * 0.9);
  EXPECT_GT(slept, kLinks / 4);
  RecordProperty("median_bound_us", static_cast<int>(*Median(medians_ms) * 1e3));
  RecordProperty("looked", verdict.looked);
}

TEST(ClockLinksTest, AQuietNetworkGivesLessThanAMillisecond) {
  std::vector<double> bounds_ms;
  Verdict verdict;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SimulatedLink link({}, seed);
    const ClockSegments segments(link.snapshots());
    const FeasibleOffset offset(link.exchanges(), &segments);
    LookEverywhere(link, offset, verdict, &bounds_ms);
  }
  EXPECT_EQ(verdict.wrong, 0);
  EXPECT_EQ(verdict.answered, verdict.looked);
  const double median_ms = *Median(bounds_ms);
  EXPECT_LE(median_ms, 1);
  EXPECT_LE(*Percentile(bounds_ms, 0.99), 1);
  RecordProperty("median_bound_us", static_cast<int>(median_ms * 1e3));
  RecordProperty("p99_bound_us", static_cast<int>(*Percentile(bounds_ms, 0.99) * 1e3));
}

TEST(ClockLinksTest, AsymmetryIsInTheBoundAndNotInTheError) {
  LinkModel model;
  model.there_ms = 8.1;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SimulatedLink link(model, seed);
    const ClockSegments segments(link.snapshots());
    const FeasibleOffset offset(link.exchanges(), &segments);
    Verdict verdict;
    std::vector<double> bounds_ms;
    LookEverywhere(link, offset, verdict, &bounds_ms);
    EXPECT_EQ(verdict.wrong, 0) << "link " << seed;
    // Nobody can know which half of it is which way.
    EXPECT_GE(*Percentile(bounds_ms, 0), 4) << "link " << seed;
  }
}

TEST(ClockLinksTest, ARateBeyondRhoIsDetected) {
  int detected = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    LinkModel model;
    model.fixed_rate = (seed % 2 == 0 ? 3 : -3) * kMostPeerRate;
    model.uniform_ms = seed % 3 == 0 ? 20 : 0;
    model.seconds = 300;
    SimulatedLink link(model, seed);
    const ClockSegments segments(link.snapshots());
    const FeasibleOffset offset(link.exchanges(), &segments);
    if (offset.violations().empty()) continue;
    ++detected;
    EXPECT_FALSE(offset.At(link.start_ns()).has_value());
  }
  EXPECT_EQ(detected, 1000);
}

}  // namespace
}  // namespace joulefarm
