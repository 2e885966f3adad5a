#include "agent/run/gates.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace joulefarm::agent {
namespace {

constexpr double kReferenceToleranceC = 2;
constexpr char kMaxTemp[] = "max_temp_c";
constexpr char kReferenceTemp[] = "reference_temp_c";
constexpr char kMinBattery[] = "min_battery_pct";
constexpr char kNotCharging[] = "not_charging";
constexpr char kBackground[] = "max_background_cpu";
constexpr char kMemory[] = "free_memory";

class Judge {
 public:
  explicit Judge(const DeviceState& device) : device_(device) {}

  void MaxTemp(double limit_c) {
    const DeviceState::Zone* hottest = Hottest(kMaxTemp);
    if (hottest == nullptr || hottest->temp_c <= limit_c) return;
    Wait(kMaxTemp,
         absl::StrFormat("%s has %.1f °C > %g °C", hottest->name, hottest->temp_c, limit_c),
         v1::FAILURE_CLASS_THERMAL);
  }

  void ReferenceTemp(double reference_c) {
    const DeviceState::Zone* hottest = Hottest(kReferenceTemp);
    if (hottest == nullptr) return;
    if (std::abs(hottest->temp_c - reference_c) <= kReferenceToleranceC) return;
    Wait(kReferenceTemp,
         absl::StrFormat("%s has %.1f °C, runs start at %g ± %g °C", hottest->name, hottest->temp_c,
                         reference_c, kReferenceToleranceC),
         v1::FAILURE_CLASS_THERMAL);
  }

  void MinBattery(double least_pct) {
    for (const DeviceState::Battery& battery : device_.batteries) {
      if (!battery.charge_pct) {
        Unreadable(kMinBattery, absl::StrCat("the charge of battery ", battery.name));
      } else if (*battery.charge_pct < least_pct) {
        Wait(kMinBattery,
             absl::StrFormat("battery %s has %g %% < %g %%", battery.name, *battery.charge_pct,
                             least_pct),
             v1::FAILURE_CLASS_DEVICE);
      }
    }
  }

  void NotCharging() {
    for (const DeviceState::Battery& battery : device_.batteries) {
      if (!battery.charging) {
        Unreadable(kNotCharging, absl::StrCat("the status of battery ", battery.name));
      } else if (*battery.charging) {
        Wait(kNotCharging, absl::StrCat("battery ", battery.name, " is being charged"),
             v1::FAILURE_CLASS_DEVICE);
      }
    }
  }

  void Background(double most) {
    if (!device_.background_cpu) {
      Unreadable(kBackground, "the use of the processors");
    } else if (*device_.background_cpu > most) {
      Wait(kBackground,
           absl::StrFormat("others use %.3g %% of all cores > %.3g %%",
                           *device_.background_cpu * 100, most * 100),
           v1::FAILURE_CLASS_DEVICE);
    }
  }

  void Memory(std::int64_t model_bytes) {
    if (!device_.available_bytes || *device_.available_bytes >= model_bytes) return;
    Wait(kMemory,
         absl::StrCat(*device_.available_bytes >> 20, " MiB are available, the model has ",
                      model_bytes >> 20, " MiB"),
         v1::FAILURE_CLASS_DEVICE);
  }

  std::vector<GateFinding> Take() {
    std::stable_partition(findings_.begin(), findings_.end(),
                          [](const GateFinding& finding) { return finding.unreadable; });
    return std::move(findings_);
  }

 private:
  const DeviceState::Zone* Hottest(const char* gate) {
    const auto hottest =
        std::max_element(device_.zones.begin(), device_.zones.end(),
                         [](const auto& a, const auto& b) { return a.temp_c < b.temp_c; });
    if (hottest != device_.zones.end()) return &*hottest;
    Unreadable(gate, "a temperature");
    return nullptr;
  }

  void Wait(const char* gate, absl::string_view why, v1::FailureClass failure_class) {
    findings_.push_back({gate, absl::StrCat("gate ", gate, ": ", why), failure_class, false});
  }

  void Unreadable(const char* gate, absl::string_view what) {
    findings_.push_back({gate,
                         absl::StrCat("gate ", gate, ": ", what,
                                      " cannot be read on this device; leave the gate out or "
                                      "choose devices that have the sensor"),
                         v1::FAILURE_CLASS_DEVICE, true});
  }

  const DeviceState& device_;
  std::vector<GateFinding> findings_;
};

}  // namespace

std::vector<GateFinding> JudgeGates(const GateWishes& wishes, const DeviceState& device) {
  Judge judge(device);
  const v1::GateSpec& spec = wishes.spec;
  if (spec.has_max_temp_c()) judge.MaxTemp(spec.max_temp_c());
  if (wishes.reference_temp_c) judge.ReferenceTemp(*wishes.reference_temp_c);
  if (spec.has_min_battery_pct()) judge.MinBattery(spec.min_battery_pct());
  if (spec.not_charging()) judge.NotCharging();
  if (spec.has_max_background_cpu()) judge.Background(spec.max_background_cpu());
  if (wishes.model_bytes > 0) judge.Memory(wishes.model_bytes);
  return judge.Take();
}

std::vector<std::string> GateRemarks(const GateWishes& wishes, const DeviceState& device) {
  std::vector<std::string> remarks;
  if (wishes.spec.has_min_battery_pct() && device.batteries.empty()) {
    remarks.push_back(absl::StrCat("gate ", kMinBattery, ": this device has no battery"));
  }
  if (wishes.model_bytes > 0 && !device.available_bytes) {
    remarks.push_back(absl::StrCat(
        "gate ", kMemory, ": not judged, /proc/meminfo does not say how much is available"));
  }
  return remarks;
}

}  // namespace joulefarm::agent
