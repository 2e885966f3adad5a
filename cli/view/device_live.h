// Devices and what they do just now, as a table.
//
// Thread rule: pure. Ownership: values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/output/text_table.h"
#include "joulefarm/v1/agent_service.pb.h"

namespace joulefarm::cli {

struct DeviceLive {
  std::string id;
  std::string link;                        // "ONLINE"; empty: not known
  std::string alloc;                       // "FREE"
  std::string admin;                       // "ENABLED"
  std::string job;                         // empty: none
  std::string doing;                       // of the job
  std::optional<v1::Telemetry> telemetry;  // absent: none came lately
};

// One row per device; columns nobody has a value for are left out.
TextTable DeviceLiveTable(const std::vector<DeviceLive>& devices);

// "edge-7f3a  ~14.2 W (estimated)  51 °C  2.40 GHz  cpu 83 %  402 tok/s", for logs.
std::string DeviceLiveLine(const v1::Telemetry& telemetry);

// Whether the telemetry has any value to show.
bool HasLiveValue(const v1::Telemetry& telemetry);

}  // namespace joulefarm::cli
