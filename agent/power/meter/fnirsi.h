// FNIRSI FNB48, FNB48S/48P, FNB58 and C1: HID reports of four samples, 10 ms apart.
//
// Threads: one per object. Ownership: values.
#pragma once

#include <memory>

#include "agent/power/meter/decoder.h"
#include "agent/power/meter/hid_stream.h"
#include "agent/power/meter/model.h"

namespace joulefarm::agent {

class FnirsiDecoder : public MeterDecoder {
 public:
  absl::StatusOr<std::vector<MeterSample>> Decode(Bytes bytes) override;
};

// What differs between the models.
enum class FnirsiStart {
  kStartTwice,     // FNB58, FNB48S, FNB48P
  kStartContinue,  // FNB48, C1
};

std::unique_ptr<MeterDriver> MakeFnirsiDriver(FnirsiStart start, NowNs now);

// FNB58, FNB48S and FNB48P; knows the bootloader, too.
MeterModel FnirsiModel();
// FNB48 and C1, which start otherwise and smooth for longer.
MeterModel FnirsiC1Model();

}  // namespace joulefarm::agent
