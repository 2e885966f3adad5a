// The whole farm in fake time: the real controller core over the real store and the real agent
// cores, under crashes, partitions, full disks and cancels from a seed. Whatever happens, every job
// ends once, with its runs stored exactly once, and nothing is executed twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/common/trials.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_controller.h"
#include "tests/sim/world.h"

namespace joulefarm::sim {
namespace {

using controller::Job;

struct Weather {
  double cuts_per_minute = 0;
  double agent_kills_per_minute = 0;
  double controller_kills_per_minute = 0;
  double disk_full_per_minute = 0;
  double crash_after_commit = 0;
  double cancels_per_minute = 0;
  double give_ups_per_minute = 0;
  double lost_spools_per_minute = 0;
  double meter_fails = 0;
  double device_faults = 0;         // share of attempts
  double operators_per_minute = 0;  // who take devices out of service and back
};

// How long anything may be held that nobody uses, while everybody is connected.
constexpr int kPatienceS = 300;
// Tries, so that the weather does not decide which jobs succeed.
constexpr int kForEver = 1'000'000;

class Farm {
 public:
  Farm(std::uint64_t seed, int agents, int cells, int repetitions)
      : Farm(seed, Hosts(agents), cells, repetitions, {v1::POWER_REQUIRE_OPTIONAL}) {}

  // `power`: what the cells want, one after the other, and again.
  Farm(std::uint64_t seed, const std::vector<SimHost>& hosts, int cells, int repetitions,
       std::vector<v1::PowerRequire> power, int retries = kForEver)
      : world_(seed),
        store_(*controller::SqliteStore::Open(":memory:")),
        controller_(world_, *store_),
        repetitions_(repetitions),
        power_(std::move(power)),
        retries_(retries) {
    controller_.Start();
    for (const SimHost& host : hosts) {
      if (host.meter) witness_.meter_of[host.id] = host.meter->serial();
      agents_.push_back(std::make_unique<SimAgent>(world_, controller_, witness_, host));
      agents_.back()->Start();
    }
    world_.RunUntil(5 * kSecond, [] { return false; });
    Submit(cells);
  }

  void Live(const Weather& weather, std::int64_t until_ns) {
    weather_ = weather;
    controller_.SetCrashAfterCommit(weather.crash_after_commit);
    storm_until_ = until_ns;
    for (const auto& agent : agents_) {
      agent->SetMeterFails(weather.meter_fails);
      agent->SetDeviceFaults(weather.device_faults);
    }
    Storm();
    Watch();
    world_.RunUntil(until_ns, [] { return false; });
    controller_.SetCrashAfterCommit(0);
    controller_.SetDiskFull(false);
    for (const auto& agent : agents_) {
      agent->SetMeterFails(0);
      agent->SetDeviceFaults(0);
    }
    TrustAll();
    world_.RunUntil(until_ns + 24 * 3600 * kSecond, [this] { return AllDone(); });
    // What is left comes in, and everybody says that nothing runs any more.
    const std::int64_t end_ns = world_.now() + 600 * kSecond;
    world_.RunUntil(end_ns, [] { return false; });
  }

  bool AllDone() const {
    if (!controller_.running()) return false;
    for (const auto& [id, job] : controller_.farm().jobs()) {
      if (!controller::IsTerminal(job.state)) return false;
    }
    return true;
  }

  void Check() {
    ASSERT_TRUE(controller_.running());
    EXPECT_THAT(witness_.violations, testing::IsEmpty());
    const auto snapshot = store_->Load();
    ASSERT_TRUE(snapshot.ok());
    int succeeded = 0;
    for (const Job& job : snapshot->jobs) {
      ASSERT_TRUE(controller::IsTerminal(job.state))
          << job.id << " " << v1::JobState_Name(job.state) << " " << job.reason;
      EXPECT_EQ(job.live_fence, std::nullopt) << job.id;
      // Memory and disk agree.
      EXPECT_EQ(controller_.farm().jobs().at(job.id).state, job.state);
      if (job.state != v1::JOB_STATE_SUCCEEDED) {
        EXPECT_EQ(job.accepted_fence, std::nullopt) << job.id;
        continue;
      }
      ++succeeded;
      ASSERT_TRUE(job.accepted_fence.has_value()) << job.id;
      EXPECT_EQ(witness_.executed.count({*job.accepted_fence, 0}), 1);
      const auto data = store_->ReadAttempt(*job.accepted_fence);
      ASSERT_TRUE(data.ok()) << job.id << " " << data.status();
      std::multiset<int> runs;
      for (const v1::Event& event : data->events) {
        if (event.has_run()) runs.insert(event.run().run());
      }
      std::multiset<int> expected;
      for (int run = 0; run < data->spec.repetitions(); ++run) expected.insert(run);
      EXPECT_EQ(runs, expected) << job.id;
      CheckMeasured(job, *data);
    }
    succeeded_ = succeeded;
    CheckNothingIsLeft();
  }

  // Whole, or the result says that it is not.
  void CheckMeasured(const Job& job, const controller::AttemptData& data) {
    int samples = 0;
    bool whole = false;
    bool graded = false;
    bool left_out = false;
    std::vector<v1::Event> events = data.events;
    for (const auto& [source, of] : data.helpers) events.insert(events.end(), of.begin(), of.end());
    for (const v1::Event& event : events) {
      if (event.note().name() == "sample") ++samples;
      if (event.note().name() == "samples") whole = event.note().text() == absl::StrCat(samples);
      graded = graded || event.reason().code() == "meter_lost";
      left_out = left_out || event.reason().code() == "meter_left_out";
    }
    const bool helped = witness_.executed.count({*job.accepted_fence, 1}) > 0;
    EXPECT_TRUE(!helped || whole || graded) << job.id;
    if (whole && !graded) ++whole_;
    if (graded) ++graded_;
    if (left_out) ++left_out_;
    if (witness_.meter_of.count(job.device_id) == 0) return;
    const bool measured = witness_.measured.count(*job.accepted_fence) > 0;
    if (data.spec.power() == v1::POWER_REQUIRE_REQUIRED) {
      EXPECT_TRUE(measured) << job.id;
    }
    if (data.spec.power() == v1::POWER_REQUIRE_NONE) {
      EXPECT_FALSE(measured) << job.id;
    }
    if (data.spec.power() == v1::POWER_REQUIRE_OPTIONAL) {
      EXPECT_NE(measured, left_out) << job.id;
    }
  }

  void CheckNothingIsLeft() {
    for (const auto& [id, resource] : controller_.farm().resources()) {
      EXPECT_EQ(resource.alloc, v1::DEVICE_ALLOC_FREE) << id;
      EXPECT_EQ(resource.fence, std::nullopt) << id;
    }
    for (const auto& [id, device] : controller_.farm().devices()) {
      EXPECT_EQ(device.alloc, v1::DEVICE_ALLOC_FREE) << id;
      EXPECT_EQ(device.gate_reason, "") << id;
      EXPECT_EQ(device.health_check, "") << id;
      EXPECT_EQ(device.health_reason.empty(), device.health == v1::DEVICE_HEALTH_GOOD) << id;
    }
    EXPECT_THAT(controller_.farm().attempts(), testing::IsEmpty());
    EXPECT_THAT(witness_.on_meter, testing::IsEmpty());
    for (const auto& agent : agents_) EXPECT_TRUE(agent->HoldsNothing());
  }

  // Of the accepted attempts: measured from beginning to end on another agent, graded down,
  // without.
  int whole() const { return whole_; }
  int graded() const { return graded_; }
  int left_out() const { return left_out_; }

  // What the farm submitted of its own accord.
  int health_checks() const {
    int checks = 0;
    for (const auto& [id, job] : controller_.farm().jobs()) checks += job.experiment != "exp-1";
    return checks;
  }

  int succeeded() const { return succeeded_; }
  std::size_t jobs() const { return controller_.farm().jobs().size(); }
  SimController& controller() { return controller_; }
  const Witness& witness() const { return witness_; }

 private:
  void Submit(int cells) {
    controller::SubmitRequested request;
    request.token = 1;
    request.experiment.name = "storm";
    request.experiment.sha256 = "00";
    std::vector<int> order;
    for (int i = 0; i < cells; ++i) {
      controller::CellToRun cell;
      cell.spec.set_cell(absl::StrCat("n=", i));
      cell.spec.set_workload("w");
      cell.spec.set_repetitions(repetitions_);
      cell.spec.mutable_command()->add_argv("true");
      cell.spec.set_power(power_[static_cast<std::size_t>(i) % power_.size()]);
      request.cells.push_back(cell);
      order.push_back(i);
    }
    request.block_orders.push_back(order);
    request.retries = retries_;
    request.lost_after_ns = 120 * kSecond;
    controller_.Handle(request);
  }

  static std::vector<SimHost> Hosts(int agents) {
    std::vector<SimHost> hosts;
    for (int i = 0; i < agents; ++i)
      hosts.push_back({.id = absl::StrCat("agent-", i), .meters = {}, .meter = {}});
    return hosts;
  }

  void Storm() {
    if (world_.now() >= storm_until_) return;
    const auto happens = [this](double per_minute) { return world_.Chance(per_minute / 60.0); };
    for (const auto& agent : agents_) {
      if (happens(weather_.cuts_per_minute) && agent->link() != nullptr) {
        controller_.Cut(agent->link(), absl::UnavailableError("network"));
      }
      if (happens(weather_.agent_kills_per_minute) && agent->running()) agent->Kill();
      if (happens(weather_.give_ups_per_minute)) agent->GiveUp();
      if (happens(weather_.lost_spools_per_minute) && agent->running()) {
        agent->Kill();
        agent->LoseSpool();
      }
    }
    if (happens(weather_.controller_kills_per_minute) && controller_.running()) controller_.Crash();
    if (happens(weather_.disk_full_per_minute)) {
      controller_.SetDiskFull(true);
      world_.After(world_.Between(kSecond, 60 * kSecond),
                   [this] { controller_.SetDiskFull(false); });
    }
    if (happens(weather_.cancels_per_minute) && controller_.running()) {
      const auto job =
          world_.Between(1, static_cast<std::int64_t>(controller_.farm().jobs().size()));
      controller_.Handle(controller::CancelJobRequested{7, absl::StrCat("job-", job)});
    }
    if (weather_.operators_per_minute > 0 && happens(weather_.operators_per_minute) &&
        controller_.running()) {
      Operate();
    }
    world_.After(kSecond, [this] { Storm(); });
  }

  void Operate() {
    const auto nth =
        static_cast<std::size_t>(world_.Between(0, static_cast<std::int64_t>(agents_.size()) - 1));
    controller::SetDeviceRequested request{.token = 8, .device = agents_[nth]->id()};
    const std::int64_t what = world_.Between(0, 4);
    if (what == 0) request.admin = v1::DEVICE_ADMIN_DRAINING;
    if (what == 1) request.admin = v1::DEVICE_ADMIN_MAINTENANCE;
    if (what == 2) request.admin = v1::DEVICE_ADMIN_ENABLED;
    if (what == 3) request.health = v1::DEVICE_HEALTH_QUARANTINED;
    if (what == 4) request.health = v1::DEVICE_HEALTH_GOOD;
    controller_.Handle(request);
  }

  // Until nothing is left to be done.
  void TrustAll() {
    if (AllDone()) return;
    for (const auto& agent : agents_) {
      if (!controller_.running()) break;
      const auto device = controller_.farm().devices().find(agent->id());
      if (device == controller_.farm().devices().end()) continue;
      controller::SetDeviceRequested request{.token = 8, .device = agent->id()};
      if (device->second.admin != v1::DEVICE_ADMIN_ENABLED)
        request.admin = v1::DEVICE_ADMIN_ENABLED;
      if (device->second.health == v1::DEVICE_HEALTH_QUARANTINED)
        request.health = v1::DEVICE_HEALTH_GOOD;
      if (request.admin || request.health) controller_.Handle(request);
    }
    world_.After(60 * kSecond, [this] { TrustAll(); });
  }

  // Not only at the end: a reconnect of an agent would heal what was leaked.
  void Watch() {
    if (controller_.running()) {
      for (const auto& [id, resource] : controller_.farm().resources()) {
        const SimAgent& agent = AgentOf(resource.agent_id);
        Wait(id, resource.alloc == v1::DEVICE_ALLOC_DIRTY && agent.RunsNothing(), {&agent});
      }
      std::vector<const SimAgent*> all;
      for (const auto& agent : agents_) all.push_back(agent.get());
      for (const auto& [id, device] : controller_.farm().devices())
        Wait(id, device.alloc == v1::DEVICE_ALLOC_OFFERED, all);
    } else {
      waits_.clear();
    }
    world_.After(kSecond, [this] { Watch(); });
  }

  // `stuck` over one and the same connection of each of the agents.
  void Wait(const std::string& id, bool stuck, const std::vector<const SimAgent*>& agents) {
    std::vector<std::shared_ptr<Link>> links;
    for (const SimAgent* agent : agents) {
      stuck = stuck && agent->link() != nullptr && agent->link()->up;
      links.push_back(agent->link());
    }
    auto& [since, seconds] = waits_[id];
    seconds = stuck && since == links ? seconds + 1 : 0;
    since = std::move(links);
    if (seconds == kPatienceS)
      witness_.violations.push_back(absl::StrCat(id, " is held though nobody uses it"));
  }

  const SimAgent& AgentOf(const std::string& id) const {
    return **std::find_if(agents_.begin(), agents_.end(),
                          [&](const auto& agent) { return agent->id() == id; });
  }

  World world_;
  std::unique_ptr<controller::SqliteStore> store_;
  SimController controller_;
  Witness witness_;
  std::vector<std::unique_ptr<SimAgent>> agents_;
  const int repetitions_;
  const std::vector<v1::PowerRequire> power_;
  const int retries_;
  Weather weather_;
  std::int64_t storm_until_ = 0;
  std::map<std::string, std::pair<std::vector<std::shared_ptr<Link>>, int>> waits_;
  int succeeded_ = 0;
  int whole_ = 0;
  int graded_ = 0;
  int left_out_ = 0;
};

v1::MeterBinding MeterOn(const std::string& agent, const std::string& serial) {
  v1::MeterBinding binding;
  binding.set_agent_id(agent);
  binding.set_serial(serial);
  return binding;
}

// A lab host with two meters and a device without one; two devices share the first meter, one has
// the second; one measures itself; one has a meter nobody ever plugs in.
std::vector<SimHost> MeteredHosts() {
  return {{.id = "lab", .meters = {"A", "B"}, .meter = {}},
          {.id = "phone-1", .meters = {}, .meter = MeterOn("lab", "A")},
          {.id = "phone-2", .meters = {}, .meter = MeterOn("lab", "A")},
          {.id = "board", .meters = {}, .meter = MeterOn("lab", "B")},
          {.id = "server", .meters = {"C"}, .meter = MeterOn("server", "C")}};
}

TEST(FarmSim, CalmWeatherEveryJobSucceedsInOneAttempt) {
  Farm farm(1, 3, 10, 3);
  farm.Live({}, 3600 * kSecond);
  farm.Check();
  EXPECT_EQ(farm.succeeded(), 30);
  EXPECT_EQ(farm.witness().executed.size(), 30u);
}

// More on demand: JOULEFARM_SIM_SEEDS=2000 for a long night.
int Seeds() {
  const char* text = std::getenv("JOULEFARM_SIM_SEEDS");
  const int seeds = text == nullptr ? 0 : std::atoi(text);
  return seeds > 0 ? seeds : Trials(20);
}

class Storms : public testing::TestWithParam<int> {};

TEST_P(Storms, EveryJobIsDoneExactlyOnce) {
  Farm farm(static_cast<std::uint64_t>(GetParam()), 4, 12, 3);
  farm.Live({.cuts_per_minute = 0.5,
             .agent_kills_per_minute = 0.2,
             .controller_kills_per_minute = 0.2,
             .disk_full_per_minute = 0.1,
             .crash_after_commit = 0.002},
            2 * 3600 * kSecond);
  farm.Check();
  EXPECT_EQ(farm.succeeded(), 48) << "seed " << GetParam();
  EXPECT_GT(farm.controller().restarts(), 3);
  EXPECT_GT(farm.controller().read_only_spells(), 0);
}

TEST_P(Storms, CancelsEndEveryJobToo) {
  Farm farm(1000 + static_cast<std::uint64_t>(GetParam()), 3, 10, 2);
  farm.Live({.cuts_per_minute = 0.5,
             .agent_kills_per_minute = 0.1,
             .controller_kills_per_minute = 0.1,
             .crash_after_commit = 0.001,
             .cancels_per_minute = 2},
            1800 * kSecond);
  farm.Check();
  EXPECT_LT(farm.succeeded(), 30);
}

TEST(FarmSim, CalmWeatherEveryMeasurementIsWhole) {
  Farm farm(7, MeteredHosts(), 6, 3, {v1::POWER_REQUIRE_REQUIRED, v1::POWER_REQUIRE_NONE});
  farm.Live({}, 3600 * kSecond);
  farm.Check();
  EXPECT_EQ(farm.succeeded(), 30);
  EXPECT_EQ(farm.whole(), 9);  // three cells of three devices; the server measures itself
  EXPECT_EQ(farm.graded(), 0);
}

TEST_P(Storms, MetersOnOtherAgentsAreWholeOrGraded) {
  Farm farm(2000 + static_cast<std::uint64_t>(GetParam()), MeteredHosts(), 9, 2,
            {v1::POWER_REQUIRE_REQUIRED, v1::POWER_REQUIRE_OPTIONAL, v1::POWER_REQUIRE_NONE});
  farm.Live({.cuts_per_minute = 0.5,
             .agent_kills_per_minute = 0.3,
             .controller_kills_per_minute = 0.2,
             .disk_full_per_minute = 0.1,
             .crash_after_commit = 0.002},
            2 * 3600 * kSecond);
  farm.Check();
  EXPECT_EQ(farm.succeeded(), 45) << "seed " << GetParam();
  EXPECT_GT(farm.whole() + farm.graded(), 0);
}

// Long calm spells between the cuts: what is leaked stays leaked.
TEST_P(Storms, MetersThatFailAndAreGivenUpComeBack) {
  Farm farm(4000 + static_cast<std::uint64_t>(GetParam()), MeteredHosts(), 9, 2,
            {v1::POWER_REQUIRE_REQUIRED, v1::POWER_REQUIRE_OPTIONAL, v1::POWER_REQUIRE_NONE});
  farm.Live({.cuts_per_minute = 0.02,
             .cancels_per_minute = 0.2,
             .give_ups_per_minute = 0.5,
             .lost_spools_per_minute = 0.05,
             .meter_fails = 0.2},
            1800 * kSecond);
  farm.Check();
  EXPECT_GT(farm.succeeded(), 0);
}

TEST_P(Storms, CancelsOfMeasuredJobsLeaveNothing) {
  Farm farm(3000 + static_cast<std::uint64_t>(GetParam()), MeteredHosts(), 9, 2,
            {v1::POWER_REQUIRE_REQUIRED, v1::POWER_REQUIRE_OPTIONAL, v1::POWER_REQUIRE_NONE});
  farm.Live({.cuts_per_minute = 0.5,
             .agent_kills_per_minute = 0.1,
             .controller_kills_per_minute = 0.1,
             .crash_after_commit = 0.001,
             .cancels_per_minute = 2},
            1800 * kSecond);
  farm.Check();
  EXPECT_LT(farm.succeeded(), 45);
}

// Devices that fail jobs and operators who come and go: nothing waits for a check that is over.
TEST_P(Storms, DevicesThatAreNotTrustedAreLookedAtAndNothingIsLeftWaiting) {
  Farm farm(5000 + static_cast<std::uint64_t>(GetParam()), MeteredHosts(), 30, 1,
            {v1::POWER_REQUIRE_REQUIRED, v1::POWER_REQUIRE_OPTIONAL, v1::POWER_REQUIRE_NONE}, 1);
  farm.Live({.cuts_per_minute = 0.2,
             .agent_kills_per_minute = 0.05,
             .controller_kills_per_minute = 0.1,
             .crash_after_commit = 0.001,
             .cancels_per_minute = 0.1,
             .device_faults = 0.6,
             .operators_per_minute = 0.5},
            2 * 3600 * kSecond);
  farm.Check();
  EXPECT_GT(farm.health_checks(), 3);
  EXPECT_GT(farm.succeeded(), 10);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Storms, testing::Range(1, Seeds() + 1));

}  // namespace
}  // namespace joulefarm::sim
