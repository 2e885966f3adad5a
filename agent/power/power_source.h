// Something that says how much power or energy the device takes: a meter, a sensor, an estimate.
//
// Thread rule: channels() from any thread; Start and Poll on the sampling thread only. Ownership: a
// source owns its devices and threads and gives them back in its destructor.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

struct PowerReading {
  int channel = 0;  // index into channels()
  // BOOTTIME of this host. Of power: taken first, then the value is read. Of a counter: taken after
  // it was read, so that no reading shows the counter of later than its stamp.
  std::int64_t t_ns = 0;
  std::int64_t raw = 0;  // value = raw * the channel's scale
};

class PowerSource {
 public:
  virtual ~PowerSource() = default;
  // Fixed for the object's life.
  virtual const std::vector<v1::ChannelInfo>& channels() const = 0;
  // Before the first Poll. An error: the source gives nothing, and why.
  virtual absl::Status Start() = 0;
  // Appends the readings since the last call: one for a source that is read on demand, all that has
  // arrived for one that samples by itself. In order of time per channel. `lost` is increased by
  // samples known to be missing.
  virtual absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t& lost) = 0;
};

}  // namespace joulefarm::agent
