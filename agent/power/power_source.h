// Something that says how much power or energy the device takes: a meter, a sensor, an estimate.
//
// Thread rule: channels() from any thread; Start and Poll on the sampling thread only. Ownership: a
// source owns its devices and threads and gives them back in its destructor.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "agent/power/meter/report.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

struct PowerReading {
  int channel = 0;  // index into channels()
  // BOOTTIME of this host. Of power: taken first, then the value is read. Of a counter: taken after
  // it was read, so that no reading shows the counter of later than its stamp.
  // Of a channel with a clock of its own: on that clock, made to rise across restarts of it.
  std::int64_t t_ns = 0;
  std::int64_t raw = 0;  // value = raw * the channel's scale
  // Only where t_ns is not BOOTTIME: that of this host when the reading had arrived.
  std::optional<std::int64_t> arrived_ns = {};

  // Good enough to look at, never to integrate over.
  std::int64_t seen_ns() const { return arrived_ns.value_or(t_ns); }
};

// An instant on a meter's clock and on this host's: what the one is fitted to the other by.
struct ClockPair {
  std::int64_t tick_ns = 0;              // as PowerReading::t_ns
  std::optional<std::int64_t> asked_ns;  // BOOTTIME right before it was asked for, where it was
  std::int64_t arrived_ns = 0;           // BOOTTIME right after it had arrived
  // The meter has begun to count anew: nothing before may be joined to this.
  bool restarted = false;
};

class PowerSource {
 public:
  virtual ~PowerSource() = default;
  // Fixed from Start on. Before it, what only the source's first sample names may be missing.
  virtual const std::vector<v1::ChannelInfo>& channels() const = 0;
  // Before the first Poll. An error: the source gives nothing, and why.
  virtual absl::Status Start() = 0;
  // Appends the readings since the last call: one for a source that is read on demand, all that has
  // arrived for one that samples by itself. In order of time per channel. `lost` is increased by
  // samples known to be missing.
  virtual absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t& lost) = 0;
  // True: it samples by itself, and Poll collects what came; a few times a second is often enough.
  virtual bool buffered() const { return false; }
  // Pairs since the last call, of a source whose channels have a clock of their own.
  virtual std::vector<ClockPair> TakePairs() { return {}; }
  // Which meter it is and how it does, from any thread; nullopt: a sensor of the host.
  virtual std::optional<MeterReport> Meter() const { return std::nullopt; }
  // Samples there have been since Start, handed out or lost, of a source that makes them itself and
  // so knows; nullopt: it does not.
  virtual std::optional<std::int64_t> Made() const { return std::nullopt; }
};

}  // namespace joulefarm::agent
