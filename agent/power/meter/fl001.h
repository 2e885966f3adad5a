// ChargerLAB POWER-Z FL001 Super: HID reports that come by themselves every 32 ms.
//
// Threads: one per object. Ownership: values.
#pragma once

#include <memory>

#include "agent/power/meter/decoder.h"
#include "agent/power/meter/hid_stream.h"
#include "agent/power/meter/model.h"

namespace joulefarm::agent {

class Fl001Decoder : public MeterDecoder {
 public:
  absl::StatusOr<std::vector<MeterSample>> Decode(Bytes bytes) override;
};

std::unique_ptr<MeterDriver> MakeFl001Driver(NowNs now);

MeterModel Fl001Model();

}  // namespace joulefarm::agent
