// A meter on another host, with a clock of its own: its energies against what one host would say.
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/clock/simulated_link.h"
#include "tests/controller/ingest/attempt_builder.h"

namespace joulefarm::controller {
namespace {

using attempt_builder::Attempt;
using attempt_builder::Find;
using attempt_builder::kMs;
using attempt_builder::kNone;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int kSource = 1;
constexpr double kPeriodMs = 0.5;

// The device's attempt lasts from 0 to 10 s of its host; the controller's clock then shows 50 000 s
// and more.
LinkModel DeviceLink() {
  LinkModel model;
  model.seconds = 10;
  model.start_s = 0;
  model.offset_s = 50'000;
  model.back_ms = 4;
  model.uniform_ms = 1;
  return model;
}

LinkModel MeterLink() {
  LinkModel model;
  model.seconds = 10;
  model.start_s = 777;
  model.offset_s = 50'000 - 777;
  model.there_ms = 8;
  return model;
}

// The load steps at these instants of the device, ms, to these powers.
struct Step {
  double t_ms;
  double watts;
};
const std::vector<Step> kLoad = {{-5'000, 2},  {2'000, 12}, {2'100, 7}, {2'200, 2}, {3'000.4, 5},
                                 {3'700.9, 2}, {6'000, 12}, {6'100, 7}, {6'200, 2}};

double PowerAt(double t_ms) {
  const auto after = std::find_if(kLoad.begin() + 1, kLoad.end(),
                                  [&](const Step& step) { return step.t_ms > t_ms; });
  return (after - 1)->watts;
}

double EnergyBetween(double from_ms, double to_ms) {
  double joules = 0;
  for (std::size_t i = 0; i < kLoad.size(); ++i) {
    const double begin = std::max(from_ms, kLoad[i].t_ms);
    const double end = std::min(to_ms, i + 1 < kLoad.size() ? kLoad[i + 1].t_ms : 1e9);
    if (end > begin) joules += kLoad[i].watts * (end - begin) * 1e-3;
  }
  return joules;
}

// Steps that a stamp off by so much can move over an edge or inside.
double StepsWithin(double from_ms, double to_ms) {
  double watts = 0;
  for (std::size_t i = 1; i < kLoad.size(); ++i) {
    if (kLoad[i].t_ms >= from_ms && kLoad[i].t_ms <= to_ms)
      watts += std::abs(kLoad[i].watts - kLoad[i - 1].watts);
  }
  return watts;
}

void Record(const SimulatedLink& link, std::vector<v1::Event>& events) {
  for (const v1::ClockSnapshot& snapshot : link.snapshots())
    *events.emplace_back().mutable_clock() = snapshot;
  for (const v1::ClockExchange& exchange : link.exchanges())
    *events.emplace_back().mutable_clock_exchange() = exchange;
}

struct MeterModel {
  bool own_clock = false;
  double rate = 1.003;  // of its clock
  double latency_ms = 0;
};

class TwoHosts {
 public:
  TwoHosts(const LinkModel& device, const LinkModel& meter, std::uint64_t seed,
           MeterModel model = {})
      : device_(device, seed), meter_(meter, seed + 1'000'000), model_(model) {
    attempt_.Run(0, 1'900, 6'300);
    attempt_.Request(0, 0, 2'000);
    attempt_.Request(0, 1, 6'000);
    attempt_.Phase(v1::PHASE_LOAD, 2'500, 4'000);
    Record(device_, attempt_.data().events);
    v1::ChannelInfo& info = *Helper().emplace_back().mutable_channel();
    info.set_name("meter");
    info.set_quantity(v1::QUANTITY_POWER_W);
    info.set_scale(1e-3);
    info.set_provenance(v1::PROVENANCE_MEASURED);
    info.set_scope(v1::SCOPE_DEVICE);
    info.set_gain_u(0);
    info.set_offset_u(0);
    info.set_primary(true);
    if (model.own_clock) info.set_clock("ticks");
    if (model.latency_ms != 0) {
      info.set_latency_ns(std::llround(model.latency_ms * 1e6));
      info.set_latency_u_ns(50'000);
    }
    Sample();
  }

  Attempt& attempt() { return attempt_; }
  std::vector<v1::Event>& Helper() { return attempt_.data().helpers[kSource]; }
  void ExchangeStamps() { Record(meter_, Helper()); }

 private:
  // What the meter's host and, if it has one, the meter say of 10 s and half a second around.
  void Sample() {
    TraceEncoder encoder;
    ChunkWriter writer("meter", &encoder);
    const auto keep = [&](const std::optional<v1::TraceChunk>& chunk) {
      if (chunk) attempt_.data().chunks.push_back({kSource, *chunk});
    };
    std::exponential_distribution<double> late(1 / 0.1e6);
    v1::MeterTicks ticks;
    ticks.set_clock("ticks");
    ticks.set_restarted(true);
    const auto from = static_cast<double>(meter_.start_ns()) - 0.5e9;
    const auto to = static_cast<double>(meter_.end_ns()) + 0.5e9;
    int n = 0;
    for (double t = from; t < to; t += kPeriodMs * 1e6, ++n) {
      const double controller = t + meter_.TrueOffset(std::llround(t));
      const double device_ns = device_.OwnTime(controller);
      const auto raw = static_cast<std::int64_t>(std::llround(PowerAt(device_ns * 1e-6) * 1e3));
      const double stamp = t + model_.latency_ms * 1e6;
      if (!model_.own_clock) {
        keep(writer.Add(std::llround(stamp), raw));
        continue;
      }
      const std::int64_t tick = std::llround(5e9 + (t - from) * model_.rate);
      keep(writer.Add(tick, raw));
      if (n % 20 != 0) continue;
      ticks.add_tick_ns(tick);
      ticks.add_arrived_ns(std::llround(stamp + late(meter_.random())));
    }
    keep(writer.Flush());
    if (model_.own_clock) *Helper().emplace_back().mutable_meter_ticks() = ticks;
  }

  SimulatedLink device_;
  SimulatedLink meter_;
  MeterModel model_;
  Attempt attempt_;
};

// Every row against the truth: what the clocks may do, and what the sampling may.
void ExpectWithinBounds(const AttemptResults& results, std::uint64_t seed) {
  ASSERT_EQ(results.clock_bounds.size(), 1U);
  const double bound_s = static_cast<double>(results.clock_bounds[0].parts.Sum()) * 1e-9;
  int looked = 0;
  for (const EnergyResult& row : results.energies) {
    const bool one_piece = row.request || row.phase == v1::PHASE_LOAD;
    if (!one_piece) continue;
    ++looked;
    ASSERT_TRUE(row.energy_j.has_value()) << "seed " << seed << ": " << row.reasons[0];
    const auto from_ms = static_cast<double>(row.start_ns) * 1e-6;
    const auto to_ms = static_cast<double>(row.end_ns) * 1e-6;
    const double reach_ms = bound_s * 1e3 + kPeriodMs;
    const double steps_w = StepsWithin(from_ms - reach_ms, to_ms + reach_ms);
    const double sampling_j = steps_w * kPeriodMs * 1e-3 / 2;
    const double off = std::abs(*row.energy_j - EnergyBetween(from_ms, to_ms));
    EXPECT_LE(off, bound_s * steps_w + sampling_j) << "seed " << seed << " from " << from_ms;
    EXPECT_LE(off, 3 * *row.energy_u_j + 1e-9) << "seed " << seed << " from " << from_ms;
  }
  EXPECT_GE(looked, 5);
}

TEST(FinaliserClockTest, AMeterOnAnotherHostMeasuresWhatOneHostWould) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    TwoHosts hosts(DeviceLink(), MeterLink(), seed);
    hosts.ExchangeStamps();
    const AttemptResults results = hosts.attempt().Finalised();
    ExpectWithinBounds(results, seed);
    const ClockParts& parts = results.clock_bounds[0].parts;
    EXPECT_GT(*parts.source_host_ns, 3 * kMs);  // half of 8 ms one way
    EXPECT_GT(*parts.device_host_ns, kMs);
    EXPECT_LT(parts.Sum(), 10 * kMs);
    EXPECT_FALSE(parts.meter_fit_ns.has_value());
    EXPECT_EQ(results.clock_bounds[0].source, kSource);
  }
}

TEST(FinaliserClockTest, AMeterWithAClockAndALatencyOfItsOwnDoesToo) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    TwoHosts hosts(DeviceLink(), MeterLink(), seed,
                   {.own_clock = true, .rate = seed % 2 == 0 ? 1.004 : 0.997, .latency_ms = 12});
    hosts.ExchangeStamps();
    const AttemptResults results = hosts.attempt().Finalised();
    ExpectWithinBounds(results, seed);
    const ClockParts& parts = results.clock_bounds[0].parts;
    EXPECT_GT(parts.meter_fit_ns.value_or(0), 0);
    EXPECT_LT(*parts.meter_fit_ns, 2 * kMs);
    EXPECT_EQ(parts.latency_ns, 50'000);
  }
}

TEST(FinaliserClockTest, EveryChunkHasItsTimeOnTheDevice) {
  TwoHosts hosts(DeviceLink(), MeterLink(), 1);
  hosts.ExchangeStamps();
  std::int64_t id = 100;
  for (AttemptData::Chunk& chunk : hosts.attempt().data().chunks) chunk.id = ++id;
  const AttemptResults results = hosts.attempt().Finalised();
  ASSERT_EQ(results.chunk_times.size(), hosts.attempt().data().chunks.size());
  // From half a second before the attempt to as long after it.
  const double bound = static_cast<double>(results.clock_bounds[0].parts.Sum());
  EXPECT_EQ(results.chunk_times.front().chunk, 101);
  EXPECT_NEAR(static_cast<double>(results.chunk_times.front().t0_ns), -0.5e9, 2 * bound);
  EXPECT_NEAR(static_cast<double>(results.chunk_times.back().t1_ns), 10.5e9, 2 * bound + 5e6);
  for (std::size_t i = 1; i < results.chunk_times.size(); ++i)
    EXPECT_GT(results.chunk_times[i].t0_ns, results.chunk_times[i - 1].t1_ns);
}

TEST(FinaliserClockTest, OnOneHostAMeterWithAClockOfItsOwnNeedsNoExchange) {
  Attempt attempt;
  attempt.Phase(v1::PHASE_LOAD, 3'000, 5'000);
  v1::MeterTicks ticks;
  ticks.set_clock("ticks");
  for (int i = 0; i <= 1'000; ++i) {
    ticks.add_tick_ns(77 * kMs + 10 * i * kMs);
    ticks.add_arrived_ns(10 * i * kMs);
  }
  *attempt.Event().mutable_meter_ticks() = ticks;
  attempt.Samples("meter", 77, 10'077, 1,
                  [](std::int64_t t) { return t >= 4'077 ? 4'000 : 2'000; });
  v1::ChannelInfo& info = attempt.Channel("meter", v1::QUANTITY_POWER_W, 1e-3);
  info.set_clock("ticks");
  const AttemptResults results = attempt.Finalised();
  const EnergyResult& load = *Find(results, "meter", kNone, kNone, v1::PHASE_LOAD);
  EXPECT_NEAR(*load.energy_j, 6, 0.002);
  ASSERT_EQ(results.clock_bounds.size(), 1U);
  EXPECT_GT(results.clock_bounds[0].parts.meter_fit_ns.value_or(0), 0);
  EXPECT_FALSE(results.clock_bounds[0].parts.source_host_ns.has_value());
}

// No value, and the reason.
void ExpectNothing(const AttemptResults& results, const std::string& reason) {
  int rows = 0;
  for (const EnergyResult& row : results.energies) {
    if (row.start_ns == row.end_ns) continue;
    ++rows;
    EXPECT_FALSE(row.energy_j.has_value());
    EXPECT_EQ(row.quality, v1::QUALITY_INVALID);
    EXPECT_THAT(row.reasons, Contains(reason));
  }
  EXPECT_GT(rows, 5);
  ASSERT_EQ(results.clock_bounds.size(), 1U);
  EXPECT_FALSE(results.clock_bounds[0].known);
  ASSERT_EQ(results.runs.size(), 1U);
  EXPECT_EQ(results.runs[0].energy_quality, v1::QUALITY_INVALID);
}

TEST(FinaliserClockTest, WithoutAnExchangeThereIsNoEnergy) {
  TwoHosts hosts(DeviceLink(), MeterLink(), 1);
  ExpectNothing(hosts.attempt().Finalised(), "clock_unknown:no clock exchange of source 1");
}

TEST(FinaliserClockTest, WithOtherBootsOfTheControllerThereIsNoEnergy) {
  LinkModel meter = MeterLink();
  meter.boot_id = "another boot";
  TwoHosts hosts(DeviceLink(), meter, 1);
  hosts.ExchangeStamps();
  ExpectNothing(hosts.attempt().Finalised(),
                "clock_unknown:no time that both hosts exchanged stamps of");
}

TEST(FinaliserClockTest, WithoutATickThereIsNoEnergy) {
  TwoHosts hosts(DeviceLink(), MeterLink(), 1, {.own_clock = true});
  hosts.ExchangeStamps();
  std::erase_if(hosts.Helper(), [](const v1::Event& event) { return event.has_meter_ticks(); });
  ExpectNothing(hosts.attempt().Finalised(), "clock_unknown:no ticks of ticks");
}

TEST(FinaliserClockTest, AMeterWhoseClockRunsWildGivesNoEnergy) {
  TwoHosts hosts(DeviceLink(), MeterLink(), 1, {.own_clock = true, .rate = 1.05});
  hosts.ExchangeStamps();
  const AttemptResults results = hosts.attempt().Finalised();
  EXPECT_THAT(Find(results, "meter", kNone, kNone, v1::PHASE_LOAD)->reasons,
              Contains(StartsWith("clock_unknown:rate off by")));
}

TEST(FinaliserClockTest, ExchangesThatContradictEachOtherGiveNoEnergy) {
  for (const bool device : {true, false}) {
    LinkModel wild = device ? DeviceLink() : MeterLink();
    wild.fixed_rate = 20 * kMostPeerRate;
    TwoHosts hosts(device ? wild : DeviceLink(), device ? MeterLink() : wild, 1);
    hosts.ExchangeStamps();
    const AttemptResults results = hosts.attempt().Finalised();
    const EnergyResult& load = *Find(results, "meter", kNone, kNone, v1::PHASE_LOAD);
    EXPECT_THAT(load.reasons, Contains(StartsWith(device ? "clock_violated:source 0: "
                                                         : "clock_violated:source 1: ")));
    EXPECT_EQ(load.quality, v1::QUALITY_INVALID);
    EXPECT_FALSE(load.energy_j.has_value());
  }
}

TEST(FinaliserClockTest, WhileAClockWasSlewedThereIsNoEnergyAndElsewhereThereIs) {
  LinkModel seldom = MeterLink();
  seldom.period_s = 5;
  TwoHosts hosts(DeviceLink(), seldom, 3);
  hosts.ExchangeStamps();
  // Between the bursts at 5 s and 10 s the meter's host says that its clock was slewed.
  for (v1::Event& event : hosts.Helper()) {
    if (event.has_clock() && event.clock().boottime_ns() > 786'000 * kMs)
      event.mutable_clock()->set_monotonic_raw_ns(event.clock().monotonic_raw_ns() + 50 * kMs);
  }
  const AttemptResults results = hosts.attempt().Finalised();
  EXPECT_TRUE(Find(results, "meter", kNone, kNone, v1::PHASE_LOAD)->energy_j.has_value());
  const EnergyResult& second = *Find(results, "meter", 0, 1, v1::PHASE_DECODE);
  EXPECT_FALSE(second.energy_j.has_value());
  EXPECT_THAT(second.reasons, Contains(StartsWith("clock_break:")));
  EXPECT_EQ(second.quality, v1::QUALITY_INVALID);
}

TEST(FinaliserClockTest, AHelperSpeaksOfItsMeterAndOfNothingElse) {
  TwoHosts hosts(DeviceLink(), MeterLink(), 1);
  hosts.ExchangeStamps();
  v1::ChannelInfo& hot = *hosts.Helper().emplace_back().mutable_channel();
  hot.set_name("temp.cpu");
  hot.set_quantity(v1::QUANTITY_TEMPERATURE_C);
  hot.set_scale(1);
  hosts.attempt().Samples(
      "temp.cpu", 777'000, 787'000, 100, [](std::int64_t) { return 99; }, kSource);
  v1::RunDone& run = *hosts.Helper().emplace_back().mutable_run();
  run.set_run(5);
  v1::Reason& reason = *hosts.Helper().emplace_back().mutable_reason();
  reason.set_code("meter_stalled");
  reason.set_quality(v1::QUALITY_SUSPECT);
  const AttemptResults results = hosts.attempt().Finalised();
  ASSERT_EQ(results.runs.size(), 1U);
  EXPECT_FALSE(results.runs[0].max_temp_c.has_value());
  EXPECT_THAT(results.runs[0].quality_reasons, Contains("energy meter_stalled"));
  EXPECT_THAT(results.runs[0].quality_reasons, Not(Contains("speed meter_stalled")));
}

TEST(FinaliserClockTest, OnOneHostStampsAreOffByWhatTheirSourceSays) {
  Attempt attempt;
  attempt.Phase(v1::PHASE_LOAD, 3'000, 5'000).set_bound_ns(3'000);
  attempt.Meter().set_stamp_bound_ns(700);
  const AttemptResults results = attempt.Finalised();
  ASSERT_EQ(results.clock_bounds.size(), 1U);
  ClockParts expected;
  expected.stamp_ns = 700;
  expected.phase_ns = 3'000;
  EXPECT_EQ(results.clock_bounds[0].parts, expected);
  EXPECT_TRUE(results.clock_bounds[0].known);
}

}  // namespace
}  // namespace joulefarm::controller
