#include "agent/run/attempt_record.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"
#include "common/sha256/sha256.h"

namespace joulefarm::agent {

std::optional<std::string> PromptsSha256(const v1::JobSpec& spec) {
  if (spec.generate().prompts().empty()) return std::nullopt;
  Sha256 digest;
  for (const v1::Prompt& prompt : spec.generate().prompts()) {
    digest.Update(prompt.text());
    digest.Update("\n");
  }
  return digest.HexDigest();
}

void RecordDeviceState(absl::string_view when, const DeviceState& device, Recorder& recorder) {
  const std::int64_t t_ns = BoottimeNs();
  const auto record = [&](absl::string_view kind, absl::string_view name, double value,
                          const char* unit) {
    v1::Metric metric;
    metric.set_name(absl::StrCat(when, ".", kind, ".", name));
    metric.set_value(value);
    metric.set_unit(unit);
    metric.set_t_ns(t_ns);
    recorder.Record(std::move(metric));
  };
  for (const DeviceState::Zone& zone : device.zones) record("temp", zone.name, zone.temp_c, "°C");
  for (const DeviceState::Count& throttle : device.throttles) {
    record("throttle", throttle.name, static_cast<double>(throttle.count), "");
  }
  for (const DeviceState::Battery& battery : device.batteries) {
    if (battery.charge_pct) record("battery", battery.name, *battery.charge_pct, "%");
  }
}

}  // namespace joulefarm::agent
