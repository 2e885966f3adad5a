// What a device must be like before an attempt may begin. A gate that is not met delays; one whose
// sensor cannot be read is never taken as met.
//
// Threads: pure functions over plain values. Ownership: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "joulefarm/v1/job.pb.h"

namespace joulefarm::agent {

struct GateWishes {
  v1::GateSpec spec;
  // From the agent's configuration: a run starts within 2 °C of it.
  std::optional<double> reference_temp_c;
  std::int64_t model_bytes = 0;  // 0: no model
};

// How a device is just now. Absent: cannot be read.
struct DeviceState {
  struct Zone {
    std::string name;
    double temp_c = 0;
  };
  struct Battery {
    std::string name;
    std::optional<double> charge_pct;
    std::optional<bool> charging;
  };
  // Events since boot in which the hardware slowed itself down.
  struct Count {
    std::string name;
    std::int64_t count = 0;
  };
  std::vector<Zone> zones;  // that have a value
  std::vector<Battery> batteries;
  std::optional<double> background_cpu;  // share of all cores, 0 to 1, over about a second
  std::optional<std::int64_t> available_bytes;
  std::vector<Count> throttles;  // that can be read
};

struct GateFinding {
  std::string gate;  // as in the experiment file
  std::string text;  // "gate max_temp_c: cpu-thermal has 61.2 °C > 45 °C"
  v1::FailureClass failure_class = v1::FAILURE_CLASS_DEVICE;
  bool unreadable = false;
};

// The gates that are not met; empty: go. Those that waiting does not help come first.
std::vector<GateFinding> JudgeGates(const GateWishes& wishes, const DeviceState& device);

// What would be good to know of the device but is not: for the log, once.
std::vector<std::string> GateRemarks(const GateWishes& wishes, const DeviceState& device);

}  // namespace joulefarm::agent
