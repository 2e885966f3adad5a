// ChargerLAB POWER-Z KM001 Pro ("KingMeter"): HID, samples in bursts that are asked for.
//
// Threads: one per object. Ownership: values.
#pragma once

#include <memory>
#include <vector>

#include "agent/power/meter/decoder.h"
#include "agent/power/meter/hid_stream.h"
#include "agent/power/meter/model.h"

namespace joulefarm::agent {

class Km001ProDecoder : public MeterDecoder {
 public:
  // A report may end after its last value: that is how the published ones are printed. Reports have
  // no check sum: only head, length and range can be verified.
  absl::StatusOr<std::vector<MeterSample>> Decode(Bytes bytes) override;
};

// What ends a command; the ATORCH meters speak the same but for it.
enum class KingMeterTail { kCrc16, kConstant };

// 64 bytes with head, length and check sums around `command`.
std::vector<std::uint8_t> KingMeterCommand(Bytes command, KingMeterTail tail);
// Asks for samples.
inline constexpr std::uint8_t kKingMeterGet[] = {0x22, 0x05, 0x0B, 0x00};
// Both have the same USB ids; only the name tells them apart.
bool HasKingMeterId(const UsbDevice& device);
bool IsAtorch(const UsbDevice& device);

std::unique_ptr<MeterDriver> MakeKm001ProDriver(NowNs now);

MeterModel Km001ProModel();

}  // namespace joulefarm::agent
