// What a job executes: one implementation per workload kind.
//
// Thread rule: Run blocks on the attempt's own thread and returns soon (within a second or two,
// engines killed and reaped) after `stop` is requested. Ownership: the context outlives Run.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/process/process_journal.h"
#include "agent/workload/recorder.h"
#include "joulefarm/v1/device.pb.h"
#include "joulefarm/v1/job.pb.h"
#include "joulefarm/v1/lease.pb.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

struct WorkloadOutcome {
  v1::Outcome outcome = v1::OUTCOME_UNSPECIFIED;
  v1::FailureClass failure_class = v1::FAILURE_CLASS_UNSPECIFIED;
  std::string reason;  // what, where, what to do; with the engine's last output
};

struct WorkloadContext {
  const v1::JobSpec* spec = nullptr;
  std::filesystem::path work_dir;  // private to the attempt, exists
  std::optional<std::filesystem::path>
      model_path;  // present and verified when the spec names a model
  Recorder* recorder = nullptr;
  ProcessJournal* journal = nullptr;  // may be null
  std::vector<v1::Engine> engines;    // what the agent found
  std::string engine_search;  // where it looked, for people (DescribeSearch in host/engines.h)
  // The same as directories: programs of servers are looked for there, too.
  std::vector<std::filesystem::path> engine_dirs;
  std::string agent_version;         // for AttemptFacts; empty: not said
  std::filesystem::path root = "/";  // of procfs and sysfs
  // Requested on cancel, time-out, shutdown. Whoever requests it decides the outcome; Run reports
  // OUTCOME_CANCELED.
  std::stop_token stop;
  // State and one line for people ("run 2 of 4"). May be empty, like the functions below.
  std::function<void(v1::AttemptState, const std::string&)> on_state;
  // The engine's process group leader is up (samplers attach), or gone (nullopt).
  std::function<void(std::optional<pid_t>)> on_engine;
  // Peak resident set, bytes, of the engine's process tree since the last call
  // (Sampler::TakePeakRss); called at the start and the end of every run. nullopt: not sampled.
  std::function<std::optional<std::int64_t>()> take_peak_rss;
  // Decode speed so far of the request that runs, tokens per second, for people who watch; called a
  // few times a second at most, after the stamps it is made of were taken.
  std::function<void(double)> on_speed;
};

class Workload {
 public:
  virtual ~Workload() = default;
  virtual WorkloadOutcome Run(WorkloadContext& context) = 0;
};

// The workload of a spec; INVALID_ARGUMENT for a kind this agent does not know.
absl::StatusOr<std::unique_ptr<Workload>> MakeWorkload(const v1::JobSpec& spec);

}  // namespace joulefarm::agent
