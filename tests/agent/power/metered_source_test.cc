#include "agent/power/metered_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>

#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kMs = 1'000'000;

// What the meter is up to; the test sets it, the source's thread sees it.
struct Script {
  std::mutex mutex;
  std::condition_variable changed;
  absl::Status open;  // of the next attempt to open it
  absl::Status step;  // of the next step
  bool silent = false;
  bool garbage = false;
  int opened = 0;
  int stopped = 0;
  std::int64_t steps = 0;

  template <typename Change>
  void Set(Change change) {
    const std::lock_guard lock(mutex);
    change(*this);
  }
  bool WaitFor(const std::function<bool(const Script&)>& holds) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(30), [&] { return holds(*this); });
  }
};

class FakeLink : public Link {
 public:
  absl::Status Write(absl::Span<const std::uint8_t>, int) override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t, int) override {
    return absl::DeadlineExceededError("nothing");
  }
};

class FakeDriver : public MeterDriver {
 public:
  explicit FakeDriver(Script* script) : script_(script) {}
  absl::StatusOr<MeterIdentity> Start(Link&, double) override {
    return MeterIdentity{std::nullopt, "1.2"};
  }
  absl::Status Step(Link&, MeterBatch& batch) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::lock_guard lock(script_->mutex);
    ++script_->steps;
    script_->changed.notify_all();
    if (!script_->step.ok()) return std::exchange(script_->step, absl::OkStatus());
    batch.arrived_ns = BoottimeNs();
    if (script_->garbage) {
      batch.rejected = 1;
      batch.lost = 1;
      batch.refusal = "noise";
    } else if (!script_->silent) {
      MeterSample& sample = batch.samples.emplace_back();
      sample.power_w = 2;
      sample.t_ns = batch.arrived_ns;
    }
    return absl::OkStatus();
  }
  void Stop(Link&) override {
    script_->Set([](Script& script) { ++script.stopped; });
  }

 private:
  Script* script_;
};

class MeteredSourceTest : public testing::Test {
 protected:
  MeteredSourceTest() {
    model_.name = "test";
    model_.title = "Test meter";
    model_.max_rate_hz = 1000;
    model_.make_driver = [this] { return std::make_unique<FakeDriver>(&script_); };
    timing_.silence_ns = 30 * kMs;
    timing_.back_off_ns = kMs;
    timing_.most_back_off_ns = 4 * kMs;
  }
  MeteredSource& Source() {
    if (source_ == nullptr) {
      source_ = std::make_unique<MeteredSource>(
          model_, settings_, "m",
          MeteredSource::Identity{.id = "meter:test:1", .place = "USB port 3-1", .serial = "1"},
          [this]() -> absl::StatusOr<std::unique_ptr<Link>> {
            const std::lock_guard lock(script_.mutex);
            ++script_.opened;
            script_.changed.notify_all();
            if (!script_.open.ok()) return script_.open;
            return std::make_unique<FakeLink>();
          },
          timing_);
    }
    return *source_;
  }
  absl::Status Poll() {
    lost_ = 0;
    readings_.clear();
    return Source().Poll(readings_, lost_);
  }
  // Samples have come since.
  bool Works() {
    std::int64_t from = 0;
    script_.Set([&](Script& script) { from = script.steps; });
    return script_.WaitFor([&](const Script& script) { return script.steps > from + 5; });
  }

  Script script_;
  MeterModel model_;
  MeterSettings settings_;
  MeteredSource::Timing timing_;
  std::vector<PowerReading> readings_;
  std::int64_t lost_ = 0;
  std::unique_ptr<MeteredSource> source_;  // last: its thread uses the others
};

TEST_F(MeteredSourceTest, SamplesByItself) {
  const std::int64_t before_ns = BoottimeNs();
  ASSERT_TRUE(Source().Start().ok());
  EXPECT_TRUE(Source().buffered());
  ASSERT_TRUE(Works());
  EXPECT_TRUE(Poll().ok());
  ASSERT_GE(readings_.size(), 5U);
  std::int64_t last_ns = before_ns;
  for (const PowerReading& reading : readings_) {
    EXPECT_GT(reading.t_ns, last_ns);
    last_ns = reading.t_ns;
    EXPECT_NEAR(static_cast<double>(reading.raw) * Source().channels()[0].scale(), 2, 1e-9);
  }
  const MeterReport report = *Source().Meter();
  EXPECT_EQ(report.id, "meter:test:1");
  EXPECT_EQ(report.firmware, "1.2");
  EXPECT_GE(report.counts.samples, 5);
  EXPECT_EQ(report.counts.reopened, 0);
}

TEST_F(MeteredSourceTest, OneThatFeedsTheDeviceIsSetToWhatIsStated) {
  std::atomic<double> set_v = 0;
  std::atomic<int> not_again = 0;
  model_.make_stated_driver = [&](const MeterSettings& settings, bool again) {
    set_v = settings.supply_v.value_or(0);
    if (!again) ++not_again;
    return std::make_unique<FakeDriver>(&script_);
  };
  settings_.supply_v = 4.2;
  ASSERT_TRUE(Source().Start().ok());
  EXPECT_EQ(set_v, 4.2);
  EXPECT_EQ(not_again, 1);
  // What it is opened again for must not switch on what has tripped since.
  script_.Set([](Script& script) { script.step = absl::UnavailableError("it was unplugged"); });
  ASSERT_TRUE(script_.WaitFor([](const Script& script) { return script.opened >= 2; }));
  ASSERT_TRUE(Works());
  EXPECT_EQ(not_again, 1);
  source_.reset();
}

TEST_F(MeteredSourceTest, UntilItHasBeenHadOnceItIsNotOpenedAgain) {
  std::atomic<int> again_times = 0;
  model_.make_stated_driver = [&](const MeterSettings&, bool again) {
    if (again) ++again_times;
    return std::make_unique<FakeDriver>(&script_);
  };
  script_.open = absl::ResourceExhaustedError("another program holds it");
  std::jthread release([this] {
    script_.WaitFor([](const Script& script) { return script.opened >= 3; });
    script_.Set([](Script& script) { script.open = absl::OkStatus(); });
  });
  ASSERT_TRUE(Source().Start().ok());
  EXPECT_EQ(again_times, 0);
  source_.reset();
}

TEST_F(MeteredSourceTest, EndsItsConversation) {
  ASSERT_TRUE(Source().Start().ok());
  source_.reset();
  EXPECT_EQ(script_.stopped, 1);
}

TEST_F(MeteredSourceTest, AMeterThatMayNotBeOpenedDoesNotStartAndSaysWhy) {
  script_.open = absl::PermissionDeniedError("no permission; do this");
  const absl::Status status = Source().Start();
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("Test meter 1: no permission; do this"));
}

TEST_F(MeteredSourceTest, OneThatIsHeldForAMomentIsWaitedFor) {
  script_.open = absl::ResourceExhaustedError("another program holds it");
  std::jthread release([this] {
    script_.WaitFor([](const Script& script) { return script.opened >= 3; });
    script_.Set([](Script& script) { script.open = absl::OkStatus(); });
  });
  EXPECT_TRUE(Source().Start().ok());
  EXPECT_EQ(Source().Meter()->counts.reopened, 0);
}

TEST_F(MeteredSourceTest, OneThatIsHeldDoesNotStartAndSaysByWhom) {
  timing_.first_sample_ns = 20 * kMs;
  script_.open = absl::ResourceExhaustedError("another program holds it");
  const absl::Status status = Source().Start();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("another program holds it"));
}

TEST_F(MeteredSourceTest, ASilentMeterDoesNotStart) {
  timing_.first_sample_ns = 20 * kMs;
  timing_.silence_ns = 60'000 * kMs;
  script_.silent = true;
  const absl::Status status = Source().Start();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

TEST_F(MeteredSourceTest, AfterAnUnplugItIsOpenedAgain) {
  ASSERT_TRUE(Source().Start().ok());
  script_.Set([](Script& script) {
    script.step = absl::UnavailableError("it was unplugged");
    script.open = absl::UnavailableError("it is not plugged in");
  });
  ASSERT_TRUE(script_.WaitFor([](const Script& script) { return script.opened >= 4; }));
  const absl::Status gone = Poll();
  EXPECT_TRUE(absl::IsUnavailable(gone)) << gone;
  // As long as it is away.
  EXPECT_FALSE(Poll().ok());
  EXPECT_THAT(readings_, IsEmpty());
  script_.Set([](Script& script) { script.open = absl::OkStatus(); });
  ASSERT_TRUE(Works());
  // What happened is told once more, then all is well.
  EXPECT_FALSE(Poll().ok());
  ASSERT_TRUE(Works());
  EXPECT_TRUE(Poll().ok());
  EXPECT_FALSE(readings_.empty());
  EXPECT_EQ(Source().Meter()->counts.reopened, 1);
  EXPECT_THAT(Source().Meter()->trouble, HasSubstr("not plugged in"));
}

TEST_F(MeteredSourceTest, AfterSilenceItIsOpenedAgain) {
  ASSERT_TRUE(Source().Start().ok());
  script_.Set([](Script& script) { script.silent = true; });
  ASSERT_TRUE(script_.WaitFor([](const Script& script) { return script.opened >= 2; }));
  EXPECT_THAT(std::string(Poll().message()), HasSubstr("no sample for"));
  script_.Set([](Script& script) { script.silent = false; });
  ASSERT_TRUE(Works());
  EXPECT_GE(Source().Meter()->counts.reopened, 1);
}

TEST_F(MeteredSourceTest, GarbageIsCountedAndEndsInAnotherOpening) {
  ASSERT_TRUE(Source().Start().ok());
  Poll().IgnoreError();
  script_.Set([](Script& script) { script.garbage = true; });
  ASSERT_TRUE(script_.WaitFor([](const Script& script) { return script.opened >= 2; }));
  EXPECT_THAT(std::string(Poll().message()), HasSubstr("the last refusal: noise"));
  EXPECT_GT(lost_, 0);
  EXPECT_GT(Source().Meter()->counts.rejected, 0);
}

TEST_F(MeteredSourceTest, WhatNobodyCollectsIsLostAndCounted) {
  timing_.most_waiting = 10;
  ASSERT_TRUE(Source().Start().ok());
  ASSERT_TRUE(script_.WaitFor([](const Script& script) { return script.steps > 30; }));
  EXPECT_TRUE(Poll().ok());
  EXPECT_EQ(readings_.size(), 10U);
  EXPECT_GE(lost_, 15);
  const MeterCounts counts = source_->Meter()->counts;
  EXPECT_GE(counts.overflowed, 15);
  EXPECT_EQ(counts.lost, counts.overflowed);
}

TEST_F(MeteredSourceTest, ARestartWhileNobodyCollectsIsStillABorderOfItsClock) {
  model_.own_clock = true;
  timing_.most_waiting = 1;
  ASSERT_TRUE(Source().Start().ok());
  ASSERT_TRUE(Works());
  script_.Set([](Script& script) { script.step = absl::UnavailableError("it was unplugged"); });
  ASSERT_TRUE(script_.WaitFor([](const Script& script) { return script.opened >= 2; }));
  ASSERT_TRUE(Works());
  Poll().IgnoreError();
  EXPECT_EQ(readings_.size(), 1U);
  const std::vector<ClockPair> pairs = Source().TakePairs();
  EXPECT_EQ(std::count_if(pairs.begin(), pairs.end(),
                          [](const ClockPair& pair) { return pair.restarted; }),
            2);
}

}  // namespace
}  // namespace joulefarm::agent
