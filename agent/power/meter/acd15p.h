// ATORCH ACD15P and C13P: HID, one sample per request.
//
// Threads: one per object. Ownership: values.
#pragma once

#include <memory>

#include "agent/power/meter/decoder.h"
#include "agent/power/meter/hid_stream.h"
#include "agent/power/meter/model.h"

namespace joulefarm::agent {

class Acd15pDecoder : public MeterDecoder {
 public:
  // What follows the values is not known and not verified; a report may end before it.
  absl::StatusOr<std::vector<MeterSample>> Decode(Bytes bytes) override;
};

std::unique_ptr<MeterDriver> MakeAcd15pDriver(NowNs now);

MeterModel Acd15pModel();

}  // namespace joulefarm::agent
