// WITRN U2p, U3, U3L, A2, A2L, C4, C5 and K2: HID reports that come by themselves, each one sample
// with the meter's own clock.
//
// Threads: one per object. Ownership: values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "agent/power/meter/decoder.h"
#include "agent/power/meter/hid_stream.h"
#include "agent/power/meter/model.h"

namespace joulefarm::agent {

class WitrnDecoder : public MeterDecoder {
 public:
  absl::StatusOr<std::vector<MeterSample>> Decode(Bytes bytes) override;
  std::int64_t TakeLost() override;
  void Reset() override;

 private:
  // Of the meter's clock, which wraps after 256 s; a step back is refused.
  absl::StatusOr<std::int64_t> Unwrap(std::int64_t t_ms);

  std::optional<std::int64_t> last_ms_;  // wraps undone
  std::int64_t refused_ = 0;             // since the last sample
  std::int64_t lost_ = 0;
};

std::unique_ptr<MeterDriver> MakeWitrnDriver(NowNs now);

MeterModel WitrnModel();

}  // namespace joulefarm::agent
