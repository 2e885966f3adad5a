// Measures, with the meters of this host, a device that another agent drives: from the grant until
// it is released, under a source of its own.
//
// Thread rule: see Runner. Ownership: owns its thread and the open meters; everything in
// RunEnvironment outlives it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/host/live_reading.h"
#include "agent/host/power_history.h"
#include "agent/host/sampled_source.h"
#include "agent/run/attempt_runner.h"
#include "agent/run/runner.h"
#include "common/trace/trace_codec.h"

namespace joulefarm::agent {

class HelperRunner : public Runner {
 public:
  HelperRunner(v1::Grant grant, const RunEnvironment& environment, RunCallbacks callbacks);
  ~HelperRunner() override;
  HelperRunner(const HelperRunner&) = delete;
  HelperRunner& operator=(const HelperRunner&) = delete;

  void Stop(StopAttempt stop) override;

 private:
  void Run();
  WorkloadOutcome Measure(SpoolRecorder& recorder);
  absl::Status Open(SpoolRecorder& recorder, TraceEncoder& encoder,
                    std::vector<std::unique_ptr<SampledSource>>& meters);
  void Sample(const std::vector<std::unique_ptr<SampledSource>>& meters);
  LiveReading Live();

  const v1::Grant grant_;
  const RunEnvironment& environment_;
  const RunCallbacks callbacks_;
  std::mutex mutex_;
  std::optional<StopAttempt> stop_;  // guarded by mutex_
  std::stop_source stop_source_;
  std::unique_ptr<RunLimits> limits_;
  // The channel results are reported from, of the meter with this index.
  std::size_t shown_meter_ = 0;
  int shown_channel_ = 0;
  std::mutex shown_mutex_;
  std::optional<PowerHistory> shown_;  // guarded by shown_mutex_
  std::thread thread_;
};

}  // namespace joulefarm::agent
