// Finds the inputs of INA3221 chips in sysfs.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/host/host_paths.h"
#include "agent/power/polled_power.h"

namespace joulefarm::agent {

// One of a chip's three inputs, with a rail on it.
struct Rail {
  std::string label;
  std::string chip;          // its place on the bus, such as "1-0040"
  PolledPower::Reader read;  // raw power
  double scale = 0;          // W
  double nominal_hz = 0;
  std::optional<double> offset_u_w;
  std::int64_t refresh_ns = 0;
};

struct Rails {
  std::vector<Rail> rails;
  std::vector<std::string> obstacles;
};

Rails ListIna3221Hwmon(const HostPaths& paths);
Rails ListIna3221Iio(const HostPaths& paths);

}  // namespace joulefarm::agent
