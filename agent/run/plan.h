// The run plan around a workload: gates, environment, settling, what is recorded before and after.
// docs/measurement.md has the order; the idles, warm-ups and the tail are the workload's.
//
// Threads: the attempt's own. Ownership: what the constructor is given outlives it; the destructor
// puts the environment back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "agent/host/host_paths.h"
#include "agent/host/sampler.h"
#include "agent/process/stop_fd.h"
#include "agent/run/core_list.h"
#include "agent/run/device_state.h"
#include "agent/run/environment.h"
#include "agent/run/port_cut.h"
#include "agent/run/power_step.h"
#include "agent/workload/workload.h"

namespace joulefarm::agent {

// What the operator configured; the same for all attempts.
struct PlanSettings {
  EnvironmentSettings environment;
  // A run starts within 2 °C of it.
  std::optional<double> reference_temp_c;
  std::string power_path;  // as in AttemptFacts; empty: not stated
  std::map<std::string, std::string> operator_stated;
  // The switched port that the device hangs on, cut where a job asks for it.
  std::optional<SwitchedPort> usb_port;
  std::string agent_id;  // see PortResourceId
  // Power is looked at for so long before the port is cut and after, and longer where the meter is
  // too slow to be judged by then; so long after the cut it is left to itself: what hangs on it
  // draws on from its capacitors.
  std::int64_t cut_look_ns = 1'000'000'000;
  std::int64_t longest_cut_look_ns = 10'000'000'000;
  std::int64_t cut_wait_ns = 2'000'000'000;
  std::optional<double> battery_wh;  // as stated
  // How often gates and settling look.
  std::int64_t poll_ns = 1'000'000'000;
};

// Files in the agent's state directory, see Environment and PortCut.
struct PlanJournals {
  std::filesystem::path environment;
  std::filesystem::path port;
  ProcessJournal* processes = nullptr;  // of programs that switch; may be null
};

class RunPlan {
 public:
  using Moved = std::function<void(v1::AttemptState, const std::string& detail)>;

  RunPlan(const v1::JobSpec& spec, const HostPaths& paths, const PlanSettings& settings,
          const PlanJournals& journals, Recorder* recorder, std::stop_token stop, Moved moved);

  // Each returns nullopt to go on. A stop ends the waits: then the outcome says what was waited
  // for, with the failure class it would have as a time-out.
  std::optional<WorkloadOutcome> AwaitGates();
  std::optional<WorkloadOutcome> SetEnvironment();
  // Cuts the port where that is asked for, settles, and records what the attempt begins with.
  // `meters`: see PortCut::Cut.
  std::optional<WorkloadOutcome> Begin(Sampler& sampler, absl::Span<const std::string> meters);

  // `journal`, or one that pins the engine as well. After SetEnvironment.
  ProcessJournal* EngineJournal(ProcessJournal* journal);

  // Records what the attempt ends with.
  void End();
  // Gives power back to a port whose cut the meter has shown, and looks whether it shows that, too.
  // A stop breaks the look off; what is not given back here PutBack gives.
  void PowerPort(Sampler& sampler);
  // See Environment::Restore and PortCut::Restore.
  absl::Status PutBack();

 private:
  // plan_port.cc: the device's USB port.
  std::optional<WorkloadOutcome> CutPort(Sampler& sampler, absl::Span<const std::string> meters);
  void RecordCut(std::int64_t cut_ns, const std::optional<PowerStep>& step);
  // What was measured meanwhile; nullopt: stopped.
  std::optional<std::vector<PowerPoint>> LookAtPower(Sampler& sampler);
  std::optional<WorkloadOutcome> Settle(Sampler& sampler);
  void RecordStated();
  // What is waited for, now and then.
  void Tell(v1::AttemptState state, const std::string& text);
  void RecordFacts(v1::AttemptFacts facts);
  void RecordReason(const v1::Reason& reason);
  void RecordPort(bool on, std::int64_t t_ns, const std::string& verified);
  void RecordSettled(const std::string& text, const std::string& not_judged);

  const v1::JobSpec& spec_;
  const HostPaths paths_;
  const PlanSettings& settings_;
  Recorder* const recorder_;
  const StopFd stop_;
  const Moved moved_;
  DeviceStateReader device_;
  Environment environment_;
  PortCut port_cut_;
  bool cut_shown_ = false;                // by the meter
  CutShows cut_shows_ = CutShows::kFall;  // which way, once it is shown
  std::vector<int> cores_;
  std::optional<CorePinning> pinning_;
  std::int64_t told_ns_ = 0;
};

}  // namespace joulefarm::agent
