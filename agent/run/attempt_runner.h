// Carries out one grant from accept to the last word in the spool, on a thread of its own: fetch
// the model, sample, run the workload, end.
//
// Thread rule: Stop from any thread; the callbacks come on the attempt's threads and must not
// block. Ownership: owns its thread; everything in RunEnvironment outlives it. The destructor stops
// and waits.
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
#include "agent/run/plan.h"
#include "agent/run/run_limits.h"
#include "agent/spool/spool.h"
#include "agent/spool/spool_recorder.h"
#include "agent/workload/workload.h"

namespace joulefarm::agent {

// What every attempt of this agent shares.
struct RunEnvironment {
  Spool* spool = nullptr;
  ArtifactCache* artifacts = nullptr;
  LiveAttempt* live = nullptr;    // for people who watch; may be null
  ClockLog* clocks = nullptr;     // may be null
  std::filesystem::path run_dir;  // attempts get a folder each below it
  PlanJournals journals;          // of RunPlan
  HostPaths paths;
  PowerSettings power;
  PlanSettings plan;
  std::vector<v1::Engine> engines;
  std::string engine_search;
  std::string agent_version;
  std::string agent_id;
  // MakeWorkload, or a test's own.
  std::function<absl::StatusOr<std::unique_ptr<Workload>>(const v1::JobSpec&)> make_workload;
};

struct RunCallbacks {
  std::function<void(Fence, v1::AttemptState, const std::string& detail)> moved;
  // Nothing of the attempt runs any more; its Final is not written yet.
  std::function<void(Fence, bool clean)> ended;
  // The last call. Whether its Final is durable (or nobody wants it).
  std::function<void(Fence, absl::Status stored)> stored;
};

class AttemptRunner {
 public:
  AttemptRunner(v1::Grant grant, const RunEnvironment& environment, RunCallbacks callbacks);
  ~AttemptRunner();
  AttemptRunner(const AttemptRunner&) = delete;
  AttemptRunner& operator=(const AttemptRunner&) = delete;

  // The first reason given counts.
  void Stop(StopAttempt stop);

 private:
  void Run();
  WorkloadOutcome Execute(SpoolRecorder& recorder, bool& clean);
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
