// What every meter's protocol gives: bytes in, samples or a named refusal out.
//
// Threads: one per object. Ownership: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace joulefarm::agent {

using Bytes = absl::Span<const std::uint8_t>;

// One sample of a meter. What the protocol does not carry is absent; nothing is derived here but
// power = voltage * current of the same instant where the meter sends no power of its own.
struct MeterSample {
  std::optional<double> voltage_v;
  // As the meter signs it; which way the device is, its operator states.
  std::optional<double> current_a;
  std::optional<double> power_w;
  // Of the meter's own clock, ns since any instant, wraps of its counter undone; absent: it has
  // none.
  std::optional<std::int64_t> t_ns;
  // Parts of power_w by name, W, none within another: what it is the sum of, or contains.
  std::vector<std::pair<std::string, double>> parts;
  // What else it reports, by a name with its unit, such as {"temperature_c", 25.5}; in the order of
  // the frame.
  std::vector<std::pair<std::string, double>> more;
};

// One protocol, with what it has to remember between frames (wraps, counters, fragments).
class MeterDecoder {
 public:
  virtual ~MeterDecoder() = default;
  // One unit of the link: a HID report, a USB transfer, or as many bytes of a serial line as there
  // are (a frame may then span calls, and one call may end several). Reads nothing beyond `bytes`
  // whatever they claim. Empty: legal, but no sample in it.
  //   DATA_LOSS: refused, and why (checksum, length, magic, range); what followed in the same call
  //     is decoded by the next one.
  //   FAILED_PRECONDITION: the device says that it must not be used now (firmware update mode).
  virtual absl::StatusOr<std::vector<MeterSample>> Decode(Bytes bytes) = 0;
  // What the last bytes left unfinished, where only the next ones would have ended it: nothing more
  // will come. DATA_LOSS: refused, as of Decode; to be called until it is OK.
  virtual absl::StatusOr<std::vector<MeterSample>> Finish() { return std::vector<MeterSample>(); }
  // Samples known to be missing between those given out, since the last call.
  virtual std::int64_t TakeLost() { return 0; }
  // Forgets everything: the link was opened again.
  virtual void Reset() {}
};

}  // namespace joulefarm::agent
