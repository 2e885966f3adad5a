#include "agent/commands/latency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "agent/commands/keep_latency.h"
#include "agent/commands/meters.h"
#include "agent/power/latency_file.h"
#include "tests/agent/host/host_tree.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kMs = 1'000'000;

// A clock and a load that only a test moves.
class World {
 public:
  LatencyHooks Hooks() {
    return {.now_ns = [this] { return now_ns_; },
            .sleep = [this](std::int64_t until_ns) { now_ns_ = std::max(now_ns_ + 1, until_ns); },
            .set_load = [this](bool busy) { changes_.emplace_back(now_ns_, busy); }};
  }
  bool BusyAt(std::int64_t t_ns) const {
    bool busy = false;
    for (const auto& [at_ns, to] : changes_) {
      if (at_ns <= t_ns) busy = to;
    }
    return busy;
  }
  std::int64_t now_ns() const { return now_ns_; }

 private:
  std::int64_t now_ns_ = 500'000'000'000;
  std::vector<std::pair<std::int64_t, bool>> changes_;
};

enum class Kind { kPower, kCounter, kTicks };

// 2 W, 10 W under load, seen `late_ns` later; 200 samples a second.
class LateMeter : public PowerSource {
 public:
  LateMeter(const World& world, std::int64_t late_ns, Kind kind, double busy_w = 10,
            std::int64_t smoothing_ns = 0, std::int64_t latency_u_ns = 2 * kMs)
      : world_(world), late_ns_(late_ns), kind_(kind), busy_w_(busy_w), next_ns_(world.now_ns()) {
    v1::ChannelInfo& info = channels_.emplace_back();
    info.set_name("meter");
    info.set_quantity(kind == Kind::kCounter ? v1::QUANTITY_ENERGY_COUNTER_J
                                             : v1::QUANTITY_POWER_W);
    info.set_scale(1e-6);
    info.set_nominal_hz(200);
    info.set_latency_ns(20 * kMs);
    info.set_latency_u_ns(latency_u_ns);
    if (smoothing_ns > 0) info.set_smoothing_ns(smoothing_ns);
    if (kind == Kind::kTicks) info.set_clock("ticks");
  }
  const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
  absl::Status Start() override { return absl::OkStatus(); }
  bool buffered() const override { return true; }
  absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t&) override {
    for (; next_ns_ <= world_.now_ns(); next_ns_ += 5 * kMs) {
      // A counter has what was drawn since the reading before.
      const std::int64_t of_ns = kind_ == Kind::kCounter ? next_ns_ - 5 * kMs / 2 : next_ns_;
      const double watts = world_.BusyAt(of_ns - late_ns_) ? busy_w_ : 2;
      joules_ += watts * 5e-3;
      const double value = kind_ == Kind::kCounter ? joules_ : watts;
      PowerReading& reading = readings.emplace_back();
      reading.t_ns = next_ns_;
      reading.raw = std::llround(value * 1e6);
      if (kind_ != Kind::kTicks) continue;
      reading.t_ns = next_ns_ - 123'000 * kMs;
      reading.arrived_ns = next_ns_;
      // As often as MeterReadings has them.
      if (next_ns_ % (100 * kMs) == 0)
        pairs_.push_back({reading.t_ns, std::nullopt, next_ns_, false});
    }
    return absl::OkStatus();
  }
  std::vector<ClockPair> TakePairs() override { return std::exchange(pairs_, {}); }

 private:
  const World& world_;
  const std::int64_t late_ns_;
  const Kind kind_;
  const double busy_w_;
  std::int64_t next_ns_;
  double joules_ = 0;
  std::vector<v1::ChannelInfo> channels_;
  std::vector<ClockPair> pairs_;
};

TEST(LatencyTest, OfPowersCountersAndMetersWithAClockTheLatencyIsFound) {
  for (const Kind kind : {Kind::kPower, Kind::kCounter, Kind::kTicks}) {
    for (const std::int64_t late_ns : {0 * kMs, 22 * kMs, 90 * kMs}) {
      World world;
      LateMeter meter(world, late_ns, kind);
      const auto report = MeasureLatency(meter, 0, world.Hooks());
      ASSERT_TRUE(report.ok()) << report.status();
      EXPECT_NEAR(report->found.latency_ns, static_cast<double>(late_ns), 3 * report->found.u_ns);
      EXPECT_LT(report->found.u_ns, 4e6);
      EXPECT_LT(report->bound_ns, 3 * kMs);
      EXPECT_NEAR(report->found.step_w, 8, 0.5);
      EXPECT_EQ(report->stated_ns, 20e6);
      EXPECT_EQ(report->constant_ns, report->found.latency_ns);
      EXPECT_NEAR(report->constant_ns, static_cast<double>(late_ns), report->constant_u_ns);
      EXPECT_LT(report->constant_u_ns, 8e6);
      EXPECT_EQ(report->misaligned.empty(), late_ns == 22 * kMs) << report->misaligned;
    }
  }
}

TEST(LatencyTest, AMeterThatDoesNotSeeTheLoadIsRefused) {
  World world;
  LateMeter meter(world, 0, Kind::kPower, 2);
  EXPECT_THAT(MeasureLatency(meter, 0, world.Hooks()).status().ToString(),
              HasSubstr("does not show"));
}

TEST(LatencyTest, WhatTheMeterAveragesOverIsNoneOfItsOwnLatency) {
  World world;
  LateMeter meter(world, 22 * kMs, Kind::kPower, 10, 30 * kMs);
  const auto report = MeasureLatency(meter, 0, world.Hooks());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->constant_ns, report->found.latency_ns - 15e6);
}

TEST(LatencyTest, WhatAKnownLatencyMayBeOffByIsABoundAndNotAnUncertainty) {
  for (const std::int64_t late_ns : {30 * kMs, 60 * kMs}) {
    World world;
    LateMeter meter(world, late_ns, Kind::kPower, 10, 0, 20 * kMs);
    const auto report = MeasureLatency(meter, 0, world.Hooks());
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_GE(report->bound_ns, 20 * kMs);
    EXPECT_EQ(report->misaligned.empty(), late_ns == 30 * kMs) << report->misaligned;
  }
}

class KeepLatencyTest : public testing::Test {
 protected:
  KeepLatencyTest() {
    report_.channel = "bench";
    report_.constant_ns = 12.4e6;
    report_.constant_u_ns = 1.5e6;
    meter_.id = "meter:quiet:lab:3-1";
    meter_.local_id = "meter:quiet:3-1";
    meter_.model = "quiet";
    request_.file = LatencyFile(dir_.path());
  }
  int Keep() {
    err_.str("");
    return KeepLatency(report_, meter_, request_, 1'795'287'600'500'000'000, out_, err_);
  }
  int Clear(const std::string& meter = "") {
    err_.str("");
    return ClearLatency(request_.file, meter, out_, err_);
  }
  MeterLatencies Kept() {
    const absl::StatusOr<MeterLatencies> kept = ReadLatencies(request_.file);
    EXPECT_TRUE(kept.ok()) << kept.status();
    return kept.ok() ? *kept : MeterLatencies();
  }

  TempDir dir_;
  LatencyReport report_;
  MeterReport meter_;
  KeepRequest request_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(KeepLatencyTest, WhatIsFoundIsKeptForTheMeter) {
  EXPECT_EQ(Keep(), 0) << err_.str();
  EXPECT_EQ(Kept(), (MeterLatencies{{"meter:quiet:3-1",
                                     {.model = "quiet",
                                      .latency_ns = 12'400'000,
                                      .latency_u_ns = 1'500'000,
                                      .taken_at = "2026-11-21T19:00:00Z"}}}));
  EXPECT_THAT(out_.str(), HasSubstr("stamps count as 12.4 ms late, within 1.5 ms"));
  report_.constant_ns = -0.1e6;
  EXPECT_EQ(Keep(), 0);
  EXPECT_EQ(Kept().at("meter:quiet:3-1").latency_ns, -100'000);
}

TEST_F(KeepLatencyTest, WhatIsNotKnownOfItIsKeptOnlyWhereThatIsAskedFor) {
  report_.misaligned = "12.4 ms>2 ms";
  EXPECT_EQ(Keep(), 3);
  EXPECT_THAT(err_.str(), HasSubstr("--force"));
  EXPECT_FALSE(std::filesystem::exists(request_.file));
  request_.force = true;
  EXPECT_EQ(Keep(), 0);
  EXPECT_EQ(Kept().size(), 1U);
}

TEST_F(KeepLatencyTest, ItIsForgottenByTheMetersName) {
  EXPECT_EQ(Clear(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("there is no latency in"));
  EXPECT_EQ(Keep(), 0);
  meter_.local_id = "meter:quiet:B2";
  EXPECT_EQ(Keep(), 0);
  EXPECT_EQ(Clear(), 1);
  EXPECT_THAT(err_.str(), HasSubstr("meter:quiet:3-1, meter:quiet:B2"));
  EXPECT_EQ(Clear("B2"), 0);
  EXPECT_EQ(Kept().size(), 1U);
  EXPECT_EQ(Clear("meter:quiet:3-1"), 0);
  EXPECT_TRUE(Kept().empty());
}

TEST_F(KeepLatencyTest, ADamagedFileIsLeftAloneAndSaid) {
  for (const char* text :
       {"", "[]", R"({"version": 2, "meters": {}})", R"({"version": 1})",
        R"({"version": 1, "meters": {"meter:a:1": {}}})",
        R"({"version": 1, "meters": {"meter:a:1": {"model": "a", "latency_ns": 1.5,
            "latency_u_ns": 1, "taken_at": "2026-11-21T19:00:00Z"}}})",
        R"({"version": 1, "meters": {"meter:a:1": {"model": "a", "latency_ns": 1,
            "latency_u_ns": -1, "taken_at": "2026-11-21T19:00:00Z"}}})",
        R"({"version": 1, "meters": {"meter:a:1": {"model": "a", "latency_ns": 1,
            "latency_u_ns": 1, "taken_at": "yesterday"}}})"}) {
    std::ofstream(request_.file) << text;
    EXPECT_EQ(Keep(), 1);
    EXPECT_THAT(err_.str(), testing::AllOf(HasSubstr("damaged"), HasSubstr("meters latency")))
        << text;
    std::ifstream in(request_.file);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), text);
  }
}

TEST_F(KeepLatencyTest, MetersShowsItAndItsDate) {
  MetersReport report;
  MeterNow& now = report.meters.emplace_back();
  now.channel.set_name("quiet");
  now.meter.emplace().title = "Quiet meter";
  WriteMetersJson(report, out_, err_);
  EXPECT_THAT(out_.str(), HasSubstr("\"latency_ns\": null"));
  now.meter->settings.latency = {.model = "quiet",
                                 .latency_ns = 12'400'000,
                                 .latency_u_ns = 1'500'000,
                                 .taken_at = "2026-11-21T19:00:00Z"};
  out_.str("");
  WriteMetersJson(report, out_, err_);
  EXPECT_THAT(out_.str(), testing::AllOf(HasSubstr("\"latency_ns\": 12400000"),
                                         HasSubstr("\"latency_u_ns\": 1500000"),
                                         HasSubstr("\"latency_at\": \"2026-11-21T19:00:00Z\"")));
  out_.str("");
  WriteMetersTable(report, out_);
  EXPECT_THAT(out_.str(), HasSubstr("stamps 12.4 ± 1.5 ms late as found"));
}

TEST(LatencyTest, WhereNothingMeasuresItSaysSo) {
  HostTree host;
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(ShowLatency(host.paths(), {}, {.channel = "nonsuch"}, out, err), 1);
  EXPECT_THAT(err.str(), HasSubstr("there is no channel nonsuch"));
  EXPECT_EQ(out.str(), "");
}

}  // namespace
}  // namespace joulefarm::agent
