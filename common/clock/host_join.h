// From one host's clock to another's, through the controller that both exchange stamps with.
//
// Threads: a value, then pure. Ownership: values.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/clock/clock_segments.h"
#include "common/clock/feasible_offset.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm {

// What one host recorded of its clock and its controller's.
struct HostClock {
  std::vector<v1::ClockSnapshot> snapshots;
  std::vector<v1::ClockExchange> exchanges;
};

// The offsets of one host to every boot of its controller's host.
class HostOffsets {
 public:
  explicit HostOffsets(const HostClock& clock);

  const std::map<std::string, FeasibleOffset>& by_peer() const { return by_peer_; }
  // Where neither the host's clock nor a controller's was slewed or slept.
  const ClockSegments& segments() const { return *segments_; }
  // The worst contradiction of all; nullopt: none.
  std::optional<OffsetViolation> violation() const;

 private:
  std::unique_ptr<const ClockSegments> segments_;  // in place when this is moved
  std::map<std::string, FeasibleOffset> by_peer_;
};

struct JoinedTime {
  std::int64_t t_ns = 0;  // on the device's host
  // What it is off by at most: because of the source's offset, and of the device's.
  std::int64_t source_bound_ns = 0;
  std::int64_t device_bound_ns = 0;
  int source_segment = 0;
  int device_segment = 0;
};

// The instant `t_ns` of the source's host on the device's host, through the boot of the controller
// that tells it best. nullopt: no boot that both know tells it.
std::optional<JoinedTime> Join(const HostOffsets& source, const HostOffsets& device,
                               std::int64_t t_ns);

}  // namespace joulefarm
