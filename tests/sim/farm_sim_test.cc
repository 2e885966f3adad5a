// The whole farm in fake time: the real controller core over the real store and the real agent
// cores, under crashes, partitions, full disks and cancels from a seed. Whatever happens, every job
// ends once, with its runs stored exactly once, and nothing is executed twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
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
};

class Farm {
 public:
  Farm(std::uint64_t seed, int agents, int cells, int repetitions)
      : world_(seed),
        store_(*controller::SqliteStore::Open(":memory:")),
        controller_(world_, *store_),
        repetitions_(repetitions) {
    controller_.Start();
    for (int i = 0; i < agents; ++i) {
      agents_.push_back(
          std::make_unique<SimAgent>(world_, controller_, witness_, absl::StrCat("agent-", i)));
      agents_.back()->Start();
    }
    world_.RunUntil(5 * kSecond, [] { return false; });
    Submit(cells);
  }

  void Live(const Weather& weather, std::int64_t until_ns) {
    weather_ = weather;
    controller_.SetCrashAfterCommit(weather.crash_after_commit);
    storm_until_ = until_ns;
    Storm();
    world_.RunUntil(until_ns, [] { return false; });
    controller_.SetCrashAfterCommit(0);
    controller_.SetDiskFull(false);
    world_.RunUntil(until_ns + 24 * 3600 * kSecond, [this] { return AllDone(); });
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
      EXPECT_EQ(witness_.executed.count(*job.accepted_fence), 1);
      const auto data = store_->ReadAttempt(*job.accepted_fence);
      ASSERT_TRUE(data.ok()) << job.id << " " << data.status();
      std::multiset<int> runs;
      for (const v1::Event& event : data->events) {
        if (event.has_run()) runs.insert(event.run().run());
      }
      std::multiset<int> expected;
      for (int run = 0; run < repetitions_; ++run) expected.insert(run);
      EXPECT_EQ(runs, expected) << job.id;
    }
    succeeded_ = succeeded;
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
      request.cells.push_back(cell);
      order.push_back(i);
    }
    request.block_orders.push_back(order);
    request.retries = 1'000'000;  // the weather must not decide which jobs succeed
    request.lost_after_ns = 120 * kSecond;
    controller_.Handle(request);
  }

  void Storm() {
    if (world_.now() >= storm_until_) return;
    const auto happens = [this](double per_minute) { return world_.Chance(per_minute / 60.0); };
    for (const auto& agent : agents_) {
      if (happens(weather_.cuts_per_minute) && agent->link() != nullptr) {
        controller_.Cut(agent->link(), absl::UnavailableError("network"));
      }
      if (happens(weather_.agent_kills_per_minute) && agent->running()) agent->Kill();
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
    world_.After(kSecond, [this] { Storm(); });
  }

  World world_;
  std::unique_ptr<controller::SqliteStore> store_;
  SimController controller_;
  Witness witness_;
  std::vector<std::unique_ptr<SimAgent>> agents_;
  const int repetitions_;
  Weather weather_;
  std::int64_t storm_until_ = 0;
  int succeeded_ = 0;
};

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
  return seeds > 0 ? seeds : 20;
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

INSTANTIATE_TEST_SUITE_P(Seeds, Storms, testing::Range(1, Seeds() + 1));

}  // namespace
}  // namespace joulefarm::sim
