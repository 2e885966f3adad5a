// What a device does just now, as short texts with units.
//
// Thread rule: pure. Ownership: values. Absent is empty.
#pragma once

#include <string>

#include "joulefarm/v1/agent_service.pb.h"

namespace joulefarm::cli {

std::string PowerText(const v1::Telemetry& telemetry);   // "14.2 W", "~14.2 W", "sim 14.2 W"
std::string TempText(const v1::Telemetry& telemetry);    // "51 °C"
std::string ClockText(const v1::Telemetry& telemetry);   // "2.40 GHz"
std::string CpuText(const v1::Telemetry& telemetry);     // "83 %"
std::string SpeedText(const v1::Telemetry& telemetry);   // "402 tok/s"
std::string MemoryText(const v1::Telemetry& telemetry);  // "96.4 MiB"

// What an active job does: "chat · tiny-q8_0 · run 3 of 4", "chat · tiny-f16 · preparing: fetching
// …".
std::string DoingText(const std::string& cell_words, const std::string& state,
                      const std::string& detail);

}  // namespace joulefarm::cli
