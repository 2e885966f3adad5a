#include "agent/run/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "agent/process/boottime.h"
#include "tests/agent/host/host_tree.h"
#include "tests/agent/run/collecting_recorder.h"
#include "tests/agent/run/fake_nvpmodel.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr std::int64_t kMs = 1'000'000;
constexpr char kTemp[] = "sys/class/thermal/thermal_zone0/temp";
constexpr char kGovernor[] = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";

enum class Load { kSteady, kRising };

// What is drawn, W, at the time of the call.
using Watts = std::function<double()>;

// A counter of joules of what is drawn.
class DrawnCounter : public PowerSource {
 public:
  explicit DrawnCounter(Watts watts) : watts_(std::move(watts)), last_ns_(BoottimeNs()) {
    v1::ChannelInfo& channel = channels_.emplace_back();
    channel.set_name("rail");
    channel.set_quantity(v1::QUANTITY_ENERGY_COUNTER_J);
    channel.set_scale(1e-9);
    channel.set_nominal_hz(100);
    channel.set_provenance(v1::PROVENANCE_MEASURED);
    channel.set_scope(v1::SCOPE_DEVICE);
  }
  const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
  absl::Status Start() override { return absl::OkStatus(); }
  absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t&) override {
    const std::int64_t t_ns = BoottimeNs();
    nj_ += watts_() * static_cast<double>(t_ns - std::exchange(last_ns_, t_ns));
    readings.push_back({0, t_ns, std::llround(nj_)});
    return absl::OkStatus();
  }

 private:
  const Watts watts_;
  std::int64_t last_ns_;
  double nj_ = 0;
  std::vector<v1::ChannelInfo> channels_;
};

// A counter of joules whose clock is the sampler's: of 10 W, or of a power that doubles every few
// hundred milliseconds.
class Counter : public PowerSource {
 public:
  Counter(v1::Provenance provenance, Load load) : load_(load), start_ns_(BoottimeNs()) {
    v1::ChannelInfo& channel = channels_.emplace_back();
    channel.set_name("rail");
    channel.set_quantity(v1::QUANTITY_ENERGY_COUNTER_J);
    channel.set_scale(1e-6);
    channel.set_nominal_hz(100);
    channel.set_provenance(provenance);
    channel.set_scope(v1::SCOPE_BOARD_RAIL);
  }
  const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
  absl::Status Start() override { return absl::OkStatus(); }
  absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t&) override {
    const std::int64_t t_ns = BoottimeNs();
    const std::int64_t ms = (t_ns - start_ns_) / kMs;
    const std::int64_t rise = load_ == Load::kRising ? 100 * ms * ms : 0;
    readings.push_back({0, t_ns, (t_ns - start_ns_) / 100 + rise});
    return absl::OkStatus();
  }

 private:
  const Load load_;
  const std::int64_t start_ns_;
  std::vector<v1::ChannelInfo> channels_;
};

class RunPlanTest : public testing::Test {
 protected:
  void SetUp() override {
    settings_.poll_ns = kMs;
    spec_.set_power(v1::POWER_REQUIRE_OPTIONAL);
    spec_.mutable_plan()->set_settle_ns(200 * kMs);
    tree_.Write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    tree_.Write(kTemp, "40000\n");
    tree_.Write(kGovernor, "schedutil\n");
    tree_.Write("proc/stat", "cpu  100 0 0 900 0 0 0 0 0 0\ncpu0 100 0 0 900 0 0 0 0 0 0\n");
  }
  RunPlan& Plan() {
    plan_.emplace(spec_, tree_.paths(), settings_,
                  PlanJournals{dir_.path() / "environment", dir_.path() / "port"}, &recorder_,
                  stop_.get_token(), [this](v1::AttemptState state, const std::string& text) {
                    told_.emplace_back(state, text);
                    if (on_told_) on_told_();
                  });
    return *plan_;
  }
  Sampler& StartSampler(std::optional<v1::Provenance> provenance, Load load = Load::kSteady) {
    return StartSampler(provenance ? std::make_unique<Counter>(*provenance, load) : nullptr);
  }
  Sampler& StartSampler(std::unique_ptr<PowerSource> power) {
    SamplerOptions options;
    options.paths = tree_.paths();
    options.period_ns = 10 * kMs;
    options.sensor_period_ns = 10 * kMs;
    if (power != nullptr) {
      options.power.push_back(std::move(power));
      options.ranking = {"rail"};
    }
    sampler_.emplace(std::move(options), &recorder_);
    sampler_->Start();
    return *sampler_;
  }
  std::vector<std::string> Reasons() const {
    std::vector<std::string> reasons;
    for (const v1::Event& event : recorder_.events) {
      if (event.has_reason())
        reasons.push_back(absl::StrCat(event.reason().code(), ":", event.reason().detail()));
    }
    return reasons;
  }
  std::vector<std::string> MetricNames() const {
    std::vector<std::string> names;
    for (const v1::Metric& metric : recorder_.metrics) names.push_back(metric.name());
    return names;
  }

  HostTree tree_;
  const TempDir dir_;
  v1::JobSpec spec_;
  PlanSettings settings_;
  CollectingRecorder recorder_;
  std::stop_source stop_;
  std::vector<std::pair<v1::AttemptState, std::string>> told_;
  std::function<void()> on_told_;
  std::optional<RunPlan> plan_;
  std::optional<Sampler> sampler_;
};

TEST_F(RunPlanTest, GatesThatAreMetSayNothing) {
  spec_.mutable_gates()->set_max_temp_c(45);
  EXPECT_FALSE(Plan().AwaitGates());
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_THAT(recorder_.logs, IsEmpty());
}

TEST_F(RunPlanTest, AHotDeviceWaitsUntilItHasCooled) {
  spec_.mutable_gates()->set_max_temp_c(45);
  tree_.Write(kTemp, "61200\n");
  on_told_ = [this] { tree_.Write(kTemp, "44000\n"); };
  EXPECT_FALSE(Plan().AwaitGates());
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].first, v1::ATTEMPT_STATE_PREPARING);
  EXPECT_EQ(told_[0].second, "waiting for gate max_temp_c: cpu-thermal has 61.2 °C > 45 °C");
  EXPECT_THAT(recorder_.logs,
              ElementsAre(HasSubstr("waiting for gate max_temp_c"), HasSubstr("gates met after")));
}

TEST_F(RunPlanTest, AStopEndsTheWaitAndSaysWhatForAndWhoseFailureItWouldBe) {
  spec_.mutable_gates()->set_max_temp_c(45);
  tree_.Write(kTemp, "61200\n");
  on_told_ = [this] { stop_.request_stop(); };
  const std::optional<WorkloadOutcome> outcome = Plan().AwaitGates();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->outcome, v1::OUTCOME_TIMED_OUT);
  EXPECT_EQ(outcome->failure_class, v1::FAILURE_CLASS_THERMAL);
  EXPECT_THAT(outcome->reason, HasSubstr("waited for gate max_temp_c"));
}

TEST_F(RunPlanTest, ASensorThatIsMissingFailsAtOnce) {
  spec_.mutable_gates()->set_max_temp_c(45);
  tree_.Remove("sys/class/thermal");
  const std::optional<WorkloadOutcome> outcome = Plan().AwaitGates();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->outcome, v1::OUTCOME_FAILED);
  EXPECT_EQ(outcome->failure_class, v1::FAILURE_CLASS_DEVICE);
  EXPECT_THAT(outcome->reason, HasSubstr("a temperature cannot be read"));
}

TEST_F(RunPlanTest, TheModelHasToFitIntoMemory) {
  tree_.Write("proc/meminfo", "MemAvailable: 1024 kB\n");
  spec_.mutable_model()->set_size_bytes(2 << 20);
  on_told_ = [this] { tree_.Write("proc/meminfo", "MemAvailable: 4096 kB\n"); };
  EXPECT_FALSE(Plan().AwaitGates());
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_THAT(told_[0].second, HasSubstr("free_memory: 1 MiB are available"));
}

TEST_F(RunPlanTest, TheAgentsReferenceTemperatureIsAGate) {
  settings_.reference_temp_c = 35;
  on_told_ = [this] { tree_.Write(kTemp, "36900\n"); };
  EXPECT_FALSE(Plan().AwaitGates());
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_THAT(told_[0].second, HasSubstr("runs start at 35 ± 2 °C"));
}

TEST_F(RunPlanTest, BusyProcessorsAreWaitedFor) {
  spec_.mutable_gates()->set_max_background_cpu(0.5);
  RunPlan& plan = Plan();
  tree_.Write("proc/stat", "cpu  190 0 0 910 0 0 0 0 0 0\ncpu0 190 0 0 910 0 0 0 0 0 0\n");
  on_told_ = [this] {
    tree_.Write("proc/stat", "cpu  190 0 0 990 0 0 0 0 0 0\ncpu0 190 0 0 990 0 0 0 0 0 0\n");
  };
  EXPECT_FALSE(plan.AwaitGates());
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_THAT(told_[0].second, HasSubstr("others use 90 %"));
}

TEST_F(RunPlanTest, SettlesByMeasuredPowerAndTemperature) {
  RunPlan& plan = Plan();
  EXPECT_FALSE(plan.Begin(StartSampler(v1::PROVENANCE_MEASURED), {}));
  const std::string settled = recorder_.Facts().settled();
  EXPECT_THAT(settled, HasSubstr("settled in "));
  EXPECT_THAT(settled, HasSubstr("temperature +0.00 °C/min within 0.5"));
  EXPECT_THAT(settled, HasSubstr("power "));
  EXPECT_THAT(Reasons(), IsEmpty());
  ASSERT_FALSE(told_.empty());
  EXPECT_EQ(told_[0].first, v1::ATTEMPT_STATE_SETTLING);
}

TEST_F(RunPlanTest, AnEstimateIsNotJudged) {
  RunPlan& plan = Plan();
  EXPECT_FALSE(plan.Begin(StartSampler(v1::PROVENANCE_ESTIMATED), {}));
  EXPECT_THAT(recorder_.Facts().settled(), HasSubstr("power is estimated, not measured"));
  EXPECT_THAT(recorder_.Facts().settled(), HasSubstr("temperature +0.00"));
  EXPECT_THAT(Reasons(), ElementsAre("settle_not_judged:power"));
}

TEST_F(RunPlanTest, WithNothingToJudgeByItDoesNotWait) {
  tree_.Remove("sys/class/thermal");
  spec_.mutable_plan()->set_settle_ns(std::int64_t{3600} * 1000 * kMs);
  RunPlan& plan = Plan();
  EXPECT_FALSE(plan.Begin(StartSampler(std::nullopt), {}));
  EXPECT_EQ(recorder_.Facts().settled(),
            "not judged; power is not sampled; no temperature can be read");
  EXPECT_THAT(Reasons(), ElementsAre("settle_not_judged:power,temperature"));
}

TEST_F(RunPlanTest, WithoutPowerOrWindowThereIsNoSettling) {
  spec_.set_power(v1::POWER_REQUIRE_NONE);
  spec_.mutable_plan()->set_settle_ns(std::int64_t{3600} * 1000 * kMs);
  EXPECT_FALSE(Plan().Begin(StartSampler(v1::PROVENANCE_MEASURED), {}));
  spec_.set_power(v1::POWER_REQUIRE_OPTIONAL);
  spec_.mutable_plan()->set_settle_ns(0);
  EXPECT_FALSE(Plan().Begin(*sampler_, {}));
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_FALSE(recorder_.Facts().has_settled());
  EXPECT_THAT(Reasons(), IsEmpty());
}

TEST_F(RunPlanTest, AStopWhileSettlingSaysWhatItWaitedFor) {
  spec_.mutable_plan()->set_settle_ns(100 * kMs);
  RunPlan& plan = Plan();
  Sampler& sampler = StartSampler(v1::PROVENANCE_MEASURED, Load::kRising);
  std::jthread limit([&](const std::stop_token& done) {
    if (StopFd(done).SleepUntil(BoottimeNs() + 300 * kMs) != Wake::kStop) stop_.request_stop();
  });
  const std::optional<WorkloadOutcome> outcome = plan.Begin(sampler, {});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->outcome, v1::OUTCOME_TIMED_OUT);
  EXPECT_EQ(outcome->failure_class, v1::FAILURE_CLASS_DEVICE);
  EXPECT_THAT(outcome->reason, HasSubstr("the device to settle: "));
  EXPECT_FALSE(recorder_.Facts().has_settled());
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_THAT(told_[0].second, StartsWith("settling: watched for "));
  EXPECT_THAT(told_[1].second, StartsWith("waiting for the device to settle: "));
}

TEST_F(RunPlanTest, WhatTheOperatorStatesAndWhatTheDeviceIsLikeIsRecorded) {
  settings_.power_path = "internal";
  settings_.operator_stated = {{"ambient_c", "21.5"}, {"fan", "off"}};
  spec_.mutable_generate()->add_prompts()->set_text("hello");
  tree_.Write("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "3\n");
  RunPlan& plan = Plan();
  EXPECT_FALSE(plan.SetEnvironment());
  EXPECT_FALSE(plan.Begin(StartSampler(std::nullopt), {}));
  tree_.Write("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "8\n");
  plan.End();
  const v1::AttemptFacts facts = recorder_.Facts();
  EXPECT_EQ(facts.power_path(), "internal");
  EXPECT_EQ(facts.operator_stated().at("ambient_c"), "21.5");
  EXPECT_EQ(facts.prompts_sha256().size(), 64u);
  EXPECT_FALSE(facts.has_pinned_cores());
  EXPECT_FALSE(facts.has_power_mode());
  EXPECT_THAT(MetricNames(), ElementsAre("start.temp.cpu-thermal", "start.throttle.core",
                                         "end.temp.cpu-thermal", "end.throttle.core"));
}

TEST_F(RunPlanTest, TheEnvironmentIsSetAndPutBack) {
  settings_.environment.governor = "performance";
  RunPlan& plan = Plan();
  EXPECT_FALSE(plan.SetEnvironment());
  std::string governor;
  std::ifstream(tree_.root() / kGovernor) >> governor;
  EXPECT_EQ(governor, "performance");
  EXPECT_TRUE(plan.PutBack().ok());
  std::ifstream(tree_.root() / kGovernor) >> governor;
  EXPECT_EQ(governor, "schedutil");
}

TEST_F(RunPlanTest, AnEnvironmentThatCannotBeSetIsInfra) {
  settings_.environment.power_mode = 1;
  const std::optional<WorkloadOutcome> outcome = Plan().SetEnvironment();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->outcome, v1::OUTCOME_FAILED);
  EXPECT_EQ(outcome->failure_class, v1::FAILURE_CLASS_INFRA);
  EXPECT_THAT(outcome->reason, HasSubstr("has no nvpmodel"));
}

TEST_F(RunPlanTest, EnginesArePinnedOnlyWhereTheOperatorWantsIt) {
  RunPlan& free_plan = Plan();
  EXPECT_FALSE(free_plan.SetEnvironment());
  EXPECT_EQ(free_plan.EngineJournal(nullptr), nullptr);
  settings_.environment.cores = "0-100000";
  EXPECT_TRUE(Plan().SetEnvironment());
}

// Which may be what brings them up.
TEST_F(RunPlanTest, CoresAreLookedForInThePowerModeTheyAreUsedIn) {
  const FakeNvpmodel nvpmodel(tree_);
  settings_.environment.power_mode = 1;
  settings_.environment.cores = "0,1023";
  RunPlan& plan = Plan();
  const std::optional<WorkloadOutcome> outcome = plan.SetEnvironment();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->failure_class, v1::FAILURE_CLASS_INFRA);
  EXPECT_THAT(outcome->reason, HasSubstr("may not use processor 1023"));
  EXPECT_EQ(nvpmodel.modes(), "1\n");
  EXPECT_TRUE(plan.PutBack().ok());
  EXPECT_EQ(nvpmodel.modes(), "1\n2\n");
  // What is no list at all changes nothing.
  settings_.environment.cores = "some";
  EXPECT_TRUE(Plan().SetEnvironment());
  EXPECT_EQ(nvpmodel.modes(), "1\n2\n");
}

// A relay whose state is a file.
SwitchedPort Relay(const std::filesystem::path& state) {
  const std::string file = state.string();
  return {{.name = "relay",
           .kind = "command",
           .command = {{"sh", "-c", "echo on > " + file},
                       {"sh", "-c", "echo off > " + file},
                       {"cat", file}}},
          1};
}

// Cuts a relay's port and gives it power again, on a device that draws so much meanwhile.
class PortOfPlanTest : public RunPlanTest {
 protected:
  PortOfPlanTest() {
    std::ofstream(relay_) << "on\n";
    settings_.usb_port = Relay(relay_);
    settings_.agent_id = "lab";
    settings_.cut_look_ns = 700 * kMs;
    settings_.cut_wait_ns = 200 * kMs;
    spec_.mutable_plan()->set_settle_ns(0);
    spec_.set_cut_usb(true);
  }
  bool IsOn() const {
    std::string word;
    std::ifstream(relay_) >> word;
    return word != "off";
  }
  // What is recorded of the port.
  std::vector<std::string> Run(const Watts& watts) {
    RunPlan& plan = Plan();
    Sampler& sampler = StartSampler(std::make_unique<DrawnCounter>(watts));
    EXPECT_FALSE(plan.Begin(sampler, {}));
    EXPECT_FALSE(IsOn());
    plan.End();
    plan.PowerPort(sampler);
    sampler.Stop();
    EXPECT_TRUE(plan.PutBack().ok());
    EXPECT_TRUE(IsOn());
    std::vector<std::string> verified;
    for (const v1::Event& event : recorder_.events) {
      if (event.has_port())
        verified.push_back(
            absl::StrCat(event.port().on() ? "on " : "off ", event.port().verified()));
    }
    return verified;
  }

  const std::filesystem::path relay_ = dir_.path() / "relay";
};

TEST_F(PortOfPlanTest, ACutIsAFallAndItsEndARise) {
  EXPECT_THAT(Run([this] { return IsOn() ? 10.0 : 7.0; }), ElementsAre("off seen", "on seen"));
  EXPECT_THAT(Reasons(), IsEmpty());
}

TEST_F(PortOfPlanTest, PowerThatRisesIsNoCut) {
  EXPECT_THAT(Run([this] { return IsOn() ? 7.0 : 10.0; }), ElementsAre("off not_seen", "on "));
  EXPECT_THAT(Reasons(), ElementsAre("port_not_cut:port:command:lab:relay:1"));
  EXPECT_THAT(recorder_.logs,
              testing::Contains(testing::AllOf(HasSubstr("it rose by 3"),
                                               HasSubstr("(not stated) a cut is a fall"))));
}

TEST_F(PortOfPlanTest, AMeterInPlaceOfTheBatterySeesTheCutRise) {
  settings_.power_path = "battery_bypass";
  EXPECT_THAT(Run([this] { return IsOn() ? 7.0 : 10.0; }), ElementsAre("off seen", "on seen"));
  EXPECT_THAT(Reasons(), IsEmpty());
}

TEST_F(PortOfPlanTest, WhereEitherMayBeACutTheWayBackIsTheOtherWay) {
  settings_.power_path = "supply";
  bool was_cut = false;
  EXPECT_THAT(Run([&] {
                was_cut = was_cut || !IsOn();
                return !was_cut ? 10.0 : IsOn() ? 4.0 : 7.0;
              }),
              ElementsAre("off seen", "on not_seen"));
  EXPECT_THAT(Reasons(), IsEmpty());
}

TEST_F(PortOfPlanTest, PowerThatDoesNotComeBackIsSaid) {
  bool was_cut = false;
  EXPECT_THAT(Run([&] { return (was_cut = was_cut || !IsOn()) ? 7.0 : 10.0; }),
              ElementsAre("off seen", "on not_seen"));
  EXPECT_THAT(Reasons(), IsEmpty());
  EXPECT_THAT(recorder_.logs,
              testing::Contains(HasSubstr("has power again, and the power does not show it")));
}

TEST_F(RunPlanTest, APortIsCutWhileItIsMeasuredAndTheMeterHasToShowIt) {
  const std::filesystem::path relay = dir_.path() / "relay";
  std::ofstream(relay) << "on\n";
  settings_.usb_port = Relay(relay);
  settings_.cut_look_ns = 700 * kMs;
  settings_.cut_wait_ns = 0;
  spec_.mutable_plan()->set_settle_ns(0);
  spec_.set_cut_usb(true);
  RunPlan& plan = Plan();
  EXPECT_FALSE(plan.Begin(StartSampler(v1::PROVENANCE_MEASURED), {}));
  std::string word;
  std::ifstream(relay) >> word;
  EXPECT_EQ(word, "off");
  EXPECT_TRUE(plan.PutBack().ok());
  std::ifstream(relay) >> word;
  EXPECT_EQ(word, "on");
  sampler_->Stop();
  std::vector<std::string> verified;
  bool suspect = false;
  for (const v1::Event& event : recorder_.events) {
    if (event.has_port()) verified.push_back(event.port().verified());
    suspect = suspect || event.reason().code() == "port_not_cut";
  }
  // The load is as it was: the relay says so and does nothing.
  EXPECT_THAT(verified, testing::ElementsAre("not_seen", ""));
  EXPECT_TRUE(suspect);
}

TEST_F(RunPlanTest, ASlowMeterIsLookedAtUntilItCanTell) {
  const std::filesystem::path relay = dir_.path() / "relay";
  settings_.usb_port = Relay(relay);
  // Within which the counter gives no five points.
  settings_.cut_look_ns = 20 * kMs;
  settings_.cut_wait_ns = 0;
  spec_.mutable_plan()->set_settle_ns(0);
  spec_.set_cut_usb(true);
  const auto verified = [&] {
    std::ofstream(relay) << "on\n";
    recorder_.events.clear();
    RunPlan& plan = Plan();
    EXPECT_FALSE(plan.Begin(StartSampler(v1::PROVENANCE_MEASURED), {}));
    EXPECT_TRUE(plan.PutBack().ok());
    sampler_->Stop();
    std::vector<std::string> words;
    for (const v1::Event& event : recorder_.events) {
      if (event.has_port()) words.push_back(event.port().verified());
    }
    return words;
  };
  EXPECT_THAT(verified(), ElementsAre("not_seen", ""));
  settings_.longest_cut_look_ns = 60 * kMs;
  EXPECT_THAT(verified(), ElementsAre("no_meter", "")) << "it cannot tell for ever";
}

TEST_F(RunPlanTest, WithoutAPortAJobThatWantsItCutFails) {
  spec_.set_cut_usb(true);
  const auto outcome = Plan().Begin(StartSampler(std::nullopt), {});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->failure_class, v1::FAILURE_CLASS_POLICY);
  EXPECT_THAT(outcome->reason, testing::HasSubstr("usb_port"));
}

}  // namespace
}  // namespace joulefarm::agent
