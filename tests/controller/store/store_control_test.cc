// The store contract, control state: what Commit writes, Load brings back, in memory and on disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "controller/store/sqlite_store.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

enum class Where { kMemory, kDisk };

class StoreControlTest : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    store_ = OpenStore(GetParam() == Where::kMemory ? ":memory:" : dir_.File("farm.db"));
    ASSERT_NE(store_, nullptr);
  }
  // On disk another process's view; in memory the only one there is.
  void Reopen() {
    if (GetParam() == Where::kMemory) return;
    store_.reset();
    store_ = OpenStore(dir_.File("farm.db"));
    ASSERT_NE(store_, nullptr);
  }
  FarmSnapshot Load() {
    auto farm = store_->Load();
    EXPECT_TRUE(farm.ok()) << farm.status();
    return farm.ok() ? *std::move(farm) : FarmSnapshot();
  }

  TempDir dir_;
  std::unique_ptr<SqliteStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Stores, StoreControlTest, testing::Values(Where::kMemory, Where::kDisk),
                         [](const auto& where) {
                           return where.param == Where::kMemory ? "Memory" : "Disk";
                         });

TEST_P(StoreControlTest, AnEmptyStoreLoadsAnEmptyFarm) {
  const FarmSnapshot farm = Load();
  EXPECT_EQ(farm.last_fence, 0);
  EXPECT_EQ(farm.last_experiment, 0);
  EXPECT_EQ(farm.last_job, 0);
  EXPECT_EQ(farm.last_epoch, 0);
  EXPECT_TRUE(farm.experiments.empty());
  EXPECT_TRUE(farm.jobs.empty());
}

TEST_P(StoreControlTest, ExperimentAndJobsComeBackWhole) {
  Experiment experiment = MakeExperiment(1);
  experiment.request_id = "req-7";
  experiment.overrides = R"(["repetitions=5"])";
  Job job = MakeJob(3);
  job.state = v1::JOB_STATE_QUEUED;
  job.selector = "os=linux";
  job.priority = 1;
  job.reason = "no device is free";
  ASSERT_TRUE(store_->Commit({experiment, job}).ok());
  Reopen();
  const FarmSnapshot farm = Load();
  ASSERT_EQ(farm.experiments.size(), 1u);
  EXPECT_EQ(farm.experiments[0].id, "exp-1");
  EXPECT_EQ(farm.experiments[0].request_id, "req-7");
  EXPECT_EQ(farm.experiments[0].text, "name: sweep\n");
  EXPECT_EQ(farm.experiments[0].overrides, R"(["repetitions=5"])");
  EXPECT_EQ(farm.experiments[0].seed, 42);
  EXPECT_EQ(farm.experiments[0].submitted_wall_ns, experiment.submitted_wall_ns);
  EXPECT_EQ(farm.experiments[0].job_ids, std::vector<std::string>{"job-3"});
  ASSERT_EQ(farm.jobs.size(), 1u);
  const Job& read = farm.jobs[0];
  EXPECT_EQ(read.number, 3);
  EXPECT_EQ(read.experiment, "exp-1");
  EXPECT_EQ(read.device_id, "dev-1");
  EXPECT_TRUE(read.pinned);
  EXPECT_EQ(read.selector, "os=linux");
  EXPECT_EQ(read.priority, 1);
  EXPECT_EQ(read.retries_left, 2);
  EXPECT_EQ(read.lost_after_ns, 600'000'000'000);
  EXPECT_EQ(read.state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(read.failure_class, v1::FAILURE_CLASS_UNSPECIFIED);
  EXPECT_EQ(read.reason, "no device is free");
  EXPECT_EQ(read.live_fence, std::nullopt);
  EXPECT_EQ(read.accepted_fence, std::nullopt);
  EXPECT_EQ(read.started_wall_ns, std::nullopt);
  ASSERT_NE(read.spec, nullptr);
  EXPECT_EQ(read.spec->SerializeAsString(), job.spec->SerializeAsString());
  EXPECT_EQ(farm.last_experiment, 1);
  EXPECT_EQ(farm.last_job, 3);
}

TEST_P(StoreControlTest, ATerminalJobLosesItsSpecInMemoryButNotInTheFile) {
  Job job = MakeJob(1);
  ASSERT_TRUE(store_->Commit({MakeExperiment(1), job}).ok());
  job.state = v1::JOB_STATE_FAILED;
  job.failure_class = v1::FAILURE_CLASS_USER;
  job.reason = "exit code 3";
  job.accepted_fence = 9;
  job.started_wall_ns = 5;
  job.finished_wall_ns = 6;
  job.spec = nullptr;  // as the farm holds it after a restart
  ASSERT_TRUE(store_->Commit({job}).ok());
  {
    const FarmSnapshot farm = Load();
    ASSERT_EQ(farm.jobs.size(), 1u);
    EXPECT_EQ(farm.jobs[0].spec, nullptr);
    EXPECT_EQ(farm.jobs[0].failure_class, v1::FAILURE_CLASS_USER);
    EXPECT_EQ(farm.jobs[0].accepted_fence, 9);
    EXPECT_EQ(farm.jobs[0].finished_wall_ns, 6);
  }
  job.state = v1::JOB_STATE_QUEUED;  // an operator's retry
  ASSERT_TRUE(store_->Commit({job}).ok());
  Reopen();
  const FarmSnapshot again = Load();
  ASSERT_NE(again.jobs[0].spec, nullptr);
  EXPECT_EQ(again.jobs[0].spec->cell(), "model=tiny");
}

TEST_P(StoreControlTest, AttemptsThatStillMatterAreLoaded) {
  Job open = MakeJob(1);
  open.live_fence = 3;
  Job done = MakeJob(2);
  done.state = v1::JOB_STATE_SUCCEEDED;
  Attempt lost = MakeAttempt(1, open);
  lost.state = v1::ATTEMPT_STATE_LOST;
  lost.link = v1::DEVICE_LINK_UNKNOWN;
  lost.ended_wall_ns = 77;
  Attempt finished = MakeAttempt(2, done);
  finished.state = v1::ATTEMPT_STATE_SUCCEEDED;
  Attempt running = MakeAttempt(3, open);
  running.detail = "run 2 of 4";
  Attempt straggler = MakeAttempt(4, done);
  straggler.state = v1::ATTEMPT_STATE_UPLOADING;
  ASSERT_TRUE(
      store_->Commit({MakeExperiment(1), open, done, lost, finished, running, straggler}).ok());
  Reopen();
  const FarmSnapshot farm = Load();
  ASSERT_EQ(farm.attempts.size(), 3u);
  EXPECT_EQ(farm.attempts[0].fence, 1);
  EXPECT_EQ(farm.attempts[0].state, v1::ATTEMPT_STATE_LOST);
  EXPECT_EQ(farm.attempts[0].link, v1::DEVICE_LINK_UNKNOWN);
  EXPECT_EQ(farm.attempts[0].ended_wall_ns, 77);
  EXPECT_EQ(farm.attempts[1].fence, 3);
  EXPECT_EQ(farm.attempts[1].detail, "run 2 of 4");
  EXPECT_EQ(farm.attempts[1].agent_id, "agent-1");
  EXPECT_EQ(farm.attempts[2].fence, 4);
  EXPECT_EQ(farm.last_fence, 4);
}

TEST_P(StoreControlTest, DevicesAndAgentsComeBackWithTheirFacts) {
  Device device;
  device.id = "dev-1";
  device.agent_id = "agent-1";
  device.link = v1::DEVICE_LINK_ONLINE;
  device.alloc = v1::DEVICE_ALLOC_DIRTY;
  device.admin = v1::DEVICE_ADMIN_DRAINING;
  device.health = v1::DEVICE_HEALTH_SUSPECT;
  device.gate_reason = "cooling";
  device.health_reason = "job-1 and job-2 failed on it";
  device.failed_job = "job-2";
  device.health_check = "job-3";
  device.labels = {{"rack", "a \"1\""}, {"room", "b\n2"}};
  device.facts.set_kind(v1::DEVICE_KIND_SERVER);
  device.facts.set_cpu_model("Some CPU @ 3 GHz");
  device.facts.set_ram_mib(24576);
  device.facts.set_os("linux");
  v1::Engine* engine = device.facts.add_engines();
  engine->set_name("llama.cpp");
  engine->set_version("b1234");
  engine->set_path("/usr/bin");
  device.fence = 4;
  Agent agent;
  agent.id = "agent-1";
  agent.boot_id = "boot";
  agent.instance = "xyz";
  agent.version = "0.1.0";
  agent.link = v1::DEVICE_LINK_UNKNOWN;
  agent.session_epoch = 12;
  agent.last_seen_wall_ns = 99;
  ASSERT_TRUE(store_->Commit({device, agent}).ok());
  device.fence = std::nullopt;
  ASSERT_TRUE(store_->Commit({device}).ok());
  Reopen();
  const FarmSnapshot farm = Load();
  ASSERT_EQ(farm.devices.size(), 1u);
  const Device& read = farm.devices[0];
  EXPECT_EQ(read.facts.SerializeAsString(), device.facts.SerializeAsString())
      << read.facts.ShortDebugString();
  EXPECT_EQ(read.labels, device.labels);
  EXPECT_EQ(read.alloc, v1::DEVICE_ALLOC_DIRTY);
  EXPECT_EQ(read.admin, v1::DEVICE_ADMIN_DRAINING);
  EXPECT_EQ(read.health, v1::DEVICE_HEALTH_SUSPECT);
  EXPECT_EQ(read.gate_reason, "cooling");
  EXPECT_EQ(read.health_reason, "job-1 and job-2 failed on it");
  EXPECT_EQ(read.failed_job, "job-2");
  EXPECT_EQ(read.health_check, "job-3");
  EXPECT_EQ(read.fence, std::nullopt);
  ASSERT_EQ(farm.agents.size(), 1u);
  EXPECT_EQ(farm.agents[0].session_epoch, 12);
  EXPECT_EQ(farm.agents[0].link, v1::DEVICE_LINK_UNKNOWN);
  EXPECT_EQ(farm.agents[0].instance, "xyz");
  EXPECT_EQ(farm.agents[0].last_seen_wall_ns, 99);
}

TEST_P(StoreControlTest, CountersOnlyRise) {
  ASSERT_TRUE(store_->Commit({EpochTaken{5}, FenceBumped{100}}).ok());
  ASSERT_TRUE(store_->Commit({EpochTaken{3}, FenceBumped{50}}).ok());
  const Job job = MakeJob(1);
  ASSERT_TRUE(store_->Commit({MakeExperiment(1), job, MakeAttempt(60, job)}).ok());
  Reopen();
  EXPECT_EQ(Load().last_epoch, 5);
  EXPECT_EQ(Load().last_fence, 100);
}

TEST_P(StoreControlTest, ACommitIsAllOrNothing) {
  Job orphan = MakeJob(2);
  orphan.experiment = "exp-nowhere";  // violates the foreign key
  const absl::Status status = store_->Commit({MakeExperiment(1), MakeJob(1), orphan});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_TRUE(Load().experiments.empty());
  EXPECT_TRUE(store_->Commit({MakeExperiment(1), MakeJob(1)}).ok());
  EXPECT_EQ(Load().jobs.size(), 1u);
}

TEST_P(StoreControlTest, ARequestIdIsUsedOnce) {
  Experiment first = MakeExperiment(1);
  first.request_id = "same";
  Experiment second = MakeExperiment(2);
  second.request_id = "same";
  ASSERT_TRUE(store_->Commit({first}).ok());
  EXPECT_FALSE(store_->Commit({second}).ok());
  second.request_id = "";
  Experiment third = MakeExperiment(3);
  EXPECT_TRUE(store_->Commit({second, third}).ok());
}

TEST_P(StoreControlTest, TheNewestArtifactOfANameIsFound) {
  Artifact artifact;
  artifact.name = "tiny";
  artifact.sha256 = "aa";
  artifact.size_bytes = 10;
  artifact.format = "gguf";
  artifact.architecture = "llama";
  artifact.parameters = 20'800'000;
  artifact.pushed_wall_ns = 30;
  ASSERT_TRUE(store_->Commit({artifact}).ok());
  artifact.sha256 = "bb";
  artifact.architecture = std::nullopt;
  artifact.parameters = std::nullopt;
  artifact.pushed_wall_ns = 20;  // clocks go back
  ASSERT_TRUE(store_->Commit({artifact}).ok());
  Reopen();
  auto newest = store_->FindArtifact("tiny");
  ASSERT_TRUE(newest.ok());
  EXPECT_EQ(newest->sha256, "bb");
  EXPECT_EQ(newest->architecture, std::nullopt);
  artifact.sha256 = "aa";  // pushed again
  ASSERT_TRUE(store_->Commit({artifact}).ok());
  newest = store_->FindArtifact("tiny");
  ASSERT_TRUE(newest.ok());
  EXPECT_EQ(newest->sha256, "aa");
  EXPECT_EQ(store_->FindArtifact("none").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(StoreControlTest, WhoNeedsWhichArtifactAndForgettingOne) {
  Artifact artifact;
  artifact.format = "file";
  for (const auto& [name, sha256] : {std::pair("tiny", "aa"), {"tiny", "bb"}, {"other", "aa"}}) {
    artifact.name = name;
    artifact.sha256 = sha256;
    artifact.pushed_wall_ns += 10;
    ASSERT_TRUE(store_->Commit({artifact}).ok());
  }
  const auto job = [](int number, v1::JobState state, const std::string& sha256) {
    Job made = MakeJob(number);
    made.state = state;
    auto spec = std::make_shared<v1::JobSpec>(*made.spec);
    spec->mutable_model()->set_sha256(sha256);
    made.spec = spec;
    return made;
  };
  ASSERT_TRUE(store_->Commit({MakeExperiment(1)}).ok());
  ASSERT_TRUE(
      store_
          ->Commit({job(1, v1::JOB_STATE_SUCCEEDED, "cc"), job(2, v1::JOB_STATE_QUEUED, "dd"),
                    job(3, v1::JOB_STATE_ACTIVE, "ee"), job(4, v1::JOB_STATE_HELD, "dd")})
          .ok());
  auto use = store_->ReadArtifactUse();
  ASSERT_TRUE(use.ok()) << use.status();
  std::vector<std::string> rows;
  for (const ArtifactUse::Row& row : use->rows)
    rows.push_back(row.name + " " + row.sha256 + (row.current ? " current" : ""));
  EXPECT_THAT(rows, testing::ElementsAre("tiny aa", "tiny bb current", "other aa current"));
  EXPECT_EQ(use->rows[1].pushed_wall_ns, 20);
  EXPECT_THAT(use->of_unfinished_jobs, testing::UnorderedElementsAre("dd", "ee"));

  ASSERT_TRUE(store_->ForgetArtifacts({"aa"}, 77).ok());
  Reopen();
  use = store_->ReadArtifactUse();
  ASSERT_EQ(use->rows.size(), 1u);
  EXPECT_EQ(use->rows[0].sha256, "bb");
}

}  // namespace
}  // namespace joulefarm::controller
