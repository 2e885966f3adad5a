// Carries out one grant from accept to the last word in the spool, on a thread of its own: fetch
// the model, sample, run the workload, end.
//
// Thread rule: see Runner. Ownership: owns its thread; everything in RunEnvironment outlives it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/artifact/artifact_cache.h"
#include "agent/clock/clock_log.h"
#include "agent/core/session_types.h"
#include "agent/host/host_paths.h"
#include "agent/power/registry.h"
#include "agent/run/live_attempt.h"
#include "agent/run/live_helps.h"
#include "agent/run/meter_shelf.h"
#include "agent/run/plan.h"
#include "agent/run/run_limits.h"
#include "agent/run/runner.h"
#include "agent/spool/spool.h"
#include "agent/spool/spool_recorder.h"
#include "agent/workload/workload.h"

namespace joulefarm::agent {

// What every attempt of this agent shares.
struct RunEnvironment {
  Spool* spool = nullptr;
  ArtifactCache* artifacts = nullptr;
  LiveAttempt* live = nullptr;  // for people who watch; may be null, as the next
  LiveHelps* helps = nullptr;
  ClockLog* clocks = nullptr;     // may be null
  std::filesystem::path run_dir;  // attempts get a folder each below it
  PlanJournals journals;          // of RunPlan
  HostPaths paths;
  PowerSettings power;
  MeterShelf* meters = nullptr;  // null: none are here
  PlanSettings plan;
  std::vector<v1::Engine> engines;
  std::string engine_search;  // of WorkloadContext, as the next
  std::vector<std::filesystem::path> engine_dirs;
  std::string agent_version;
  std::string agent_id;
  // MakeWorkload, or a test's own.
  std::function<absl::StatusOr<std::unique_ptr<Workload>>(const v1::JobSpec&)> make_workload;
};

class AttemptRunner : public Runner {
 public:
  AttemptRunner(v1::Grant grant, const RunEnvironment& environment, RunCallbacks callbacks);
  ~AttemptRunner() override;
  AttemptRunner(const AttemptRunner&) = delete;
  AttemptRunner& operator=(const AttemptRunner&) = delete;

  void Stop(StopAttempt stop) override;

 private:
  void Run();
  WorkloadOutcome Execute(SpoolRecorder& recorder, bool& clean);
  struct ChosenPower {
    PowerSelection selection;
    // Why the meter that was granted cannot be used: then only the estimate is left.
    absl::Status meter;
  };
  // What of the power is sampled: this host's own sensors, and the meter where it was granted.
  absl::StatusOr<ChosenPower> ChoosePower();
  // Before anything takes time: whether what the job requires is there.
  std::optional<WorkloadOutcome> CheckPower();
  absl::StatusOr<std::unique_ptr<PowerSource>> OpenMeter(const v1::GrantedResource& granted);
  absl::StatusOr<std::optional<CachedArtifact>> FetchModel();
  WorkloadOutcome RunWorkload(Workload& workload, RunPlan& plan, SpoolRecorder& recorder,
                              std::optional<std::filesystem::path> model, bool& clean);
  void Moved(v1::AttemptState state, const std::string& detail);
  std::optional<StopAttempt> StopReason();

  const v1::Grant grant_;
  const RunEnvironment& environment_;
  const RunCallbacks callbacks_;
  const std::filesystem::path work_dir_;
  std::mutex mutex_;
  std::optional<StopAttempt> stop_;  // guarded by mutex_
  std::stop_source stop_source_;
  bool settling_ = false;  // the attempt's thread only
  std::unique_ptr<RunLimits> limits_;
  std::thread thread_;
};

}  // namespace joulefarm::agent
