#include "common/experiment/device_attributes.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace joulefarm {

Attributes DeviceAttributes(absl::string_view device_id, absl::string_view agent_id,
                            const v1::DeviceFacts& facts,
                            const std::map<std::string, std::string>& labels) {
  Attributes out;
  out["id"] = std::string(device_id);
  out["agent"] = std::string(agent_id);
  if (facts.kind() != v1::DEVICE_KIND_UNSPECIFIED) {
    const std::string name = v1::DeviceKind_Name(facts.kind());
    out["kind"] = absl::AsciiStrToLower(absl::StripPrefix(name, "DEVICE_KIND_"));
  }
  if (!facts.os().empty()) out["os"] = facts.os();
  if (facts.has_os_version()) out["os_version"] = facts.os_version();
  if (facts.has_kernel()) out["kernel"] = facts.kernel();
  if (facts.has_arch()) out["arch"] = facts.arch();
  if (facts.has_cores()) out["cores"] = absl::StrCat(facts.cores());
  if (facts.has_ram_mib()) out["ram_mib"] = absl::StrCat(facts.ram_mib());
  if (facts.has_cpu_model()) out["cpu_model"] = facts.cpu_model();
  if (facts.has_hostname()) out["hostname"] = facts.hostname();
  if (facts.has_soc()) out["soc"] = facts.soc();
  for (const v1::Engine& engine : facts.engines()) {
    out[absl::StrCat("engine.", engine.name())] = engine.version();
  }
  for (const auto& [key, value] : labels) {
    out[absl::StrCat("label.", key)] = value;
    // emplace: a label must not pretend to be a fact.
    out.emplace(key, value);
  }
  return out;
}

bool CannotMeasurePower(const v1::JobSpec& spec, const v1::DeviceFacts& facts) {
  if (spec.power() != v1::POWER_REQUIRE_REQUIRED || facts.power_channels().empty()) return false;
  return std::none_of(facts.power_channels().begin(), facts.power_channels().end(),
                      [](const v1::ChannelInfo& channel) {
                        return channel.provenance() == v1::PROVENANCE_MEASURED;
                      });
}

}  // namespace joulefarm
