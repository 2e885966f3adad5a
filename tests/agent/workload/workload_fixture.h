// What the workload tests share: a recorder and a journal in memory, a private directory, a
// context.
//
// Threads: the recorder and the journal from any, the rest from the test. Ownership: the fixture
// owns everything.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/process/proc_stat.h"
#include "agent/workload/workload.h"

namespace joulefarm::agent {

class MemoryRecorder : public Recorder {
 public:
  void Log(const std::string& source, std::string text) override {
    const std::lock_guard lock(mutex_);
    logs.push_back(source + ": " + text);
    changed_.notify_all();
  }
  void Record(v1::Event event) override {
    const std::lock_guard lock(mutex_);
    events.push_back(std::move(event));
    changed_.notify_all();
  }
  void Record(v1::Metric metric) override {
    const std::lock_guard lock(mutex_);
    metrics.push_back(std::move(metric));
  }
  void Record(v1::TokenBatch batch) override {
    const std::lock_guard lock(mutex_);
    tokens.push_back(std::move(batch));
  }
  void Record(v1::Stream stream, v1::TraceChunk chunk) override {
    const std::lock_guard lock(mutex_);
    chunks.emplace_back(stream, std::move(chunk));
    changed_.notify_all();
  }

  // Waits until `done` is true of what was recorded; false after 20 s.
  bool WaitUntil(const std::function<bool()>& done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), done);
  }
  bool HasLog(const std::string& text) const {
    for (const std::string& line : logs) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  }

  std::vector<std::string> logs;
  std::vector<v1::Event> events;
  std::vector<v1::Metric> metrics;
  std::vector<v1::TokenBatch> tokens;
  std::vector<std::pair<v1::Stream, v1::TraceChunk>> chunks;

  template <typename Message>
  std::vector<Message> All(bool (v1::Event::*has)() const,
                           const Message& (v1::Event::*get)() const) const {
    std::vector<Message> found;
    for (const v1::Event& event : events) {
      if ((event.*has)()) found.push_back((event.*get)());
    }
    return found;
  }
  std::vector<v1::PhaseDone> phases() const {
    return All(&v1::Event::has_phase, &v1::Event::phase);
  }
  std::vector<v1::RunDone> runs() const { return All(&v1::Event::has_run, &v1::Event::run); }
  std::vector<v1::RequestDone> requests() const {
    return All(&v1::Event::has_request, &v1::Event::request);
  }
  std::vector<v1::AttemptFacts> facts() const {
    return All(&v1::Event::has_facts, &v1::Event::facts);
  }
  std::vector<v1::Reason> reasons() const {
    return All(&v1::Event::has_reason, &v1::Event::reason);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

class MemoryJournal : public ProcessJournal {
 public:
  absl::Status Started(pid_t pid, std::uint64_t) override {
    all.push_back(pid);
    open.insert(pid);
    return absl::OkStatus();
  }
  void Ended(pid_t pid) override { open.erase(pid); }

  std::vector<pid_t> all;
  std::set<pid_t> open;
};

class WorkloadTest : public testing::Test {
 protected:
  WorkloadTest()
      : dir_(testing::TempDir() +
             absl::StrCat("/jf_workload_", getpid(), "_",
                          testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(dir_);
    spec_.set_repetitions(2);
    spec_.set_warmup(1);
    spec_.set_power(v1::POWER_REQUIRE_NONE);
    spec_.mutable_limits()->set_prepare_ns(60'000'000'000);
    spec_.mutable_limits()->set_run_ns(60'000'000'000);
    context_.spec = &spec_;
    context_.work_dir = dir_;
    context_.recorder = &recorder_;
    context_.journal = &journal_;
    context_.stop = stop_.get_token();
    context_.on_state = [this](v1::AttemptState state, const std::string& text) {
      states_.push_back(v1::AttemptState_Name(state) + " " + text);
    };
    context_.on_engine = [this](std::optional<pid_t> leader) {
      engine_up_ = leader.has_value();
      ++engine_changes_;
    };
  }
  ~WorkloadTest() override {
    unsetenv("FAKE_LLAMA_MODE");
    EXPECT_TRUE(journal_.open.empty()) << "an engine was not journalled as ended";
    EXPECT_FALSE(engine_up_) << "nobody was told that the engine is gone";
    for (const pid_t pid : journal_.all) {
      for (const ProcStat& process : FamilyOf(ListProcesses("/proc"), pid)) {
        EXPECT_FALSE(process.alive()) << "left behind: " << process.pid;
      }
    }
    std::filesystem::remove_all(dir_);
  }

  void GiveModel() {
    std::ofstream(dir_ / "model.gguf") << "model";
    context_.model_path = dir_ / "model.gguf";
  }
  void GiveLlama(const std::filesystem::path& server, const std::string& version) {
    v1::Engine& engine = context_.engines.emplace_back();
    engine.set_name("llama.cpp");
    engine.set_version(version);
    engine.set_path(server);
  }
  // A failure of this class whose reason contains `text`.
  static void ExpectFailed(const WorkloadOutcome& outcome, v1::FailureClass failure_class,
                           const std::string& text) {
    EXPECT_EQ(outcome.outcome, v1::OUTCOME_FAILED) << outcome.reason;
    EXPECT_EQ(v1::FailureClass_Name(outcome.failure_class), v1::FailureClass_Name(failure_class))
        << outcome.reason;
    EXPECT_THAT(outcome.reason, testing::HasSubstr(text));
  }

  std::filesystem::path dir_;
  MemoryRecorder recorder_;
  MemoryJournal journal_;
  std::stop_source stop_;
  v1::JobSpec spec_;
  WorkloadContext context_;
  std::vector<std::string> states_;
  bool engine_up_ = false;
  int engine_changes_ = 0;
};

}  // namespace joulefarm::agent
