// How a meter of one model is spoken to: the conversation over a link, on the sampling thread of
// that meter.
//
// Threads: one per driver. Ownership: the link is lent for each call.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/power/link/link.h"
#include "agent/power/meter/decoder.h"

namespace joulefarm::agent {

// What one step of the conversation brought.
struct MeterBatch {
  std::vector<MeterSample> samples;
  // BOOTTIME of this host, ns. `asked_ns`: right before what they answer was asked, or the last
  // that they did not yet; absent: unasked. `arrived_ns`: the first line after the read returned.
  std::optional<std::int64_t> asked_ns;
  std::int64_t arrived_ns = 0;
  // The ticks of these samples are not of one piece with those before: how many were missing in
  // between is a guess.
  bool clock_stepped = false;
  std::int64_t lost = 0;      // samples known to be missing
  std::int64_t rejected = 0;  // frames refused
  std::string refusal;        // why the last of them was, where there are any
};

// What the meter says of itself once it is open. Absent: it does not say.
struct MeterIdentity {
  std::optional<std::string> serial;
  std::optional<std::string> firmware;
};

class MeterDriver {
 public:
  virtual ~MeterDriver() = default;
  // Drains what is left of before, refuses a device in firmware-update mode (FAILED_PRECONDITION),
  // and starts samples at the nearest rate the meter has to `rate_hz` (0: its fastest).
  virtual absl::StatusOr<MeterIdentity> Start(Link& link, double rate_hz) = 0;
  // One step: asks if the meter is asked, waits at most about a quarter of a second, decodes. Keeps
  // the meter alive where it wants that. Nothing arrived is an empty batch, not an error; an error
  // means that the link has to be opened again. Refused frames are counted, never an error.
  virtual absl::Status Step(Link& link, MeterBatch& batch) = 0;
  // Leaves the meter as it was found, as far as the link still works.
  virtual void Stop(Link& link) = 0;
};

}  // namespace joulefarm::agent
