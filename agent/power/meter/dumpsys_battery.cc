#include "agent/power/meter/dumpsys_battery.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/power/meter/program_driver.h"
#include "agent/power/meter/text_decoder.h"

namespace joulefarm::agent {
namespace {

constexpr char kHeader[] = "Current Battery Service state:";
constexpr double kLeastMicrovolts = 1e6;
constexpr double kMostVolts = 100;
constexpr double kLeastMicroamperes = 10'000;
constexpr double kLeastV = 1;
constexpr double kMostV = 30;
constexpr double kMostA = 20;
// BatteryManager's constants.
constexpr int kCharging = 2;
constexpr int kDischarging = 3;
constexpr int kMostStatus = 255;  // five are known

// What is handed on as it is, but for its unit.
struct Plain {
  const char* key;
  const char* name;
  double per_unit;
};
constexpr std::array kPlain = {
    Plain{"charge counter", "charge_ah", 1e6},
    Plain{"temperature", "temperature_c", 10},
    Plain{"level", "level_pct", 1},
    Plain{"health", "health", 1},
    Plain{"max charging current", "max_charging_current_a", 1e6},
    Plain{"max charging voltage", "max_charging_voltage_v", 1e6},
};

double Volts(double value) {
  if (value >= kLeastMicrovolts) return value / 1e6;
  return value < kMostVolts ? value : value / 1e3;
}

double Amperes(double value) {
  return std::abs(value) >= kLeastMicroamperes ? value / 1e6 : value / 1e3;
}

class DumpsysBatteryDecoder : public TextDecoder {
 public:
  absl::StatusOr<std::vector<MeterSample>> Finish() override {
    absl::StatusOr<std::vector<MeterSample>> samples = TextDecoder::Finish();
    if (samples.ok()) End(*samples);
    return samples;
  }
  void Reset() override {
    TextDecoder::Reset();
    open_ = Dump();
  }

 protected:
  absl::Status Line(absl::string_view line, std::vector<MeterSample>& samples) override {
    line = absl::StripAsciiWhitespace(line);
    if (line == kHeader) {
      End(samples);
      return absl::OkStatus();
    }
    const std::size_t colon = line.find(':');
    if (colon == absl::string_view::npos || colon == 0 ||
        absl::StartsWith(line, "Can't find service"))
      return absl::DataLossError(absl::StrCat("no line of dumpsys battery: ", Shown(line)));
    const std::string key = absl::AsciiStrToLower(line.substr(0, colon));
    const absl::string_view value = absl::StripAsciiWhitespace(line.substr(colon + 1));
    if (open_.keys.contains(key)) End(samples);
    absl::Status taken = Take(key, value);
    if (!taken.ok()) return absl::DataLossError(absl::StrCat(taken.message(), ": ", Shown(line)));
    open_.keys.insert(key);
    return absl::OkStatus();
  }

 private:
  struct Dump {
    MeterSample sample;
    std::optional<int> status;
    std::set<std::string> keys;
  };

  absl::Status Take(const std::string& key, absl::string_view value) {
    if (absl::EndsWith(key, " powered")) return TakePowered(key, value);
    const std::optional<double> number = Decimal(value);
    const auto need = [&] { return number ? absl::OkStatus() : absl::DataLossError("no number"); };
    MeterSample& sample = open_.sample;
    if (key == "voltage") {
      if (!number) return need();
      const double volts = Volts(*number);
      if (volts < kLeastV || volts > kMostV)
        return absl::DataLossError("no battery's voltage in V, mV or µV");
      sample.voltage_v = volts;
    } else if (key == "current now" || key == "current_now") {
      if (!number) return need();
      const double amperes = Amperes(*number);
      if (std::abs(amperes) > kMostA) return absl::DataLossError("no phone's current in mA or µA");
      sample.current_a = amperes;
    } else if (key == "status") {
      if (!number) return need();
      if (*number < 0 || *number > kMostStatus)
        return absl::DataLossError("no status of a battery");
      open_.status = static_cast<int>(*number);
      sample.more.emplace_back("status", *number);
    }
    for (const Plain& plain : kPlain) {
      if (key != plain.key) continue;
      if (!number) return need();
      sample.more.emplace_back(plain.name, *number / plain.per_unit);
    }
    return absl::OkStatus();
  }
  absl::Status TakePowered(const std::string& key, absl::string_view value) {
    if (value != "true" && value != "false") return absl::DataLossError("neither true nor false");
    const std::string source = key.substr(0, key.find(' '));
    open_.sample.more.emplace_back(absl::StrCat(source, "_powered"), value == "true" ? 1 : 0);
    return absl::OkStatus();
  }
  void End(std::vector<MeterSample>& samples) {
    Dump dump = std::exchange(open_, Dump());
    MeterSample& sample = dump.sample;
    // Android's current is positive into the battery; power is, as everywhere, what is drawn from
    // it.
    if (sample.voltage_v && sample.current_a)
      sample.power_w = 0 - *sample.voltage_v * *sample.current_a;
    const bool contradicts =
        sample.current_a && ((dump.status == kCharging && *sample.current_a < 0) ||
                             (dump.status == kDischarging && *sample.current_a > 0));
    if (contradicts) sample.more.emplace_back("sign_doubtful", 1);
    if (sample.voltage_v || sample.current_a || !sample.more.empty())
      samples.push_back(std::move(sample));
  }

  Dump open_;
};

// A battery shows what its device draws only while it feeds it.
absl::Status Check(const MeterSample& sample, bool negate) {
  if (!sample.power_w) {
    return absl::DataLossError(absl::StrCat(
        "no power: this phone's dumpsys battery says no ",
        sample.voltage_v ? "\"current now\"; its gauge cannot be read in this way" : "voltage"));
  }
  const auto status = std::find_if(sample.more.begin(), sample.more.end(),
                                   [](const auto& value) { return value.first == "status"; });
  if (status == sample.more.end())
    return absl::DataLossError("it does not say whether the battery is discharging");
  if (status->second != kDischarging) {
    return absl::DataLossError(
        absl::StrCat("the battery is not discharging (status ", status->second,
                     "), so it does not show what the device draws; take it off its charger before "
                     "the job (power: {cut_usb: true} does so too late)"));
  }
  if ((negate ? -1 : 1) * *sample.power_w < 0) {
    return absl::DataLossError(absl::StrCat(
        "the battery is discharging, and the sign of its current says charging: its maker counts "
        "the other way; ",
        negate ? "take reversed: true out" : "state reversed: true"));
  }
  return absl::OkStatus();
}

}  // namespace

MeterModel DumpsysBatteryModel() {
  MeterModel model;
  model.name = "dumpsys-battery";
  model.title = "Android dumpsys battery";
  // Each is a run of a program; no gauge has much more to say.
  model.max_rate_hz = 1;
  model.stamp_bound_ns = RunDriver::kLongestRunNs / 2;
  model.reach = MeterReach::kBattery;
  model.kind = SampleKind::kAveraged;
  // Gauges refresh every quarter of a second to every minute.
  model.refresh_ns = 60'000'000'000;
  model.max_voltage_v = kMostV;
  model.max_current_a = kMostA;
  model.make_decoder = [] { return std::make_unique<DumpsysBatteryDecoder>(); };
  model.tested = "program output";
  ReadFromProgram(model,
                  {.command = {"dumpsys", "battery"}, .once_per_reading = true, .check = Check});
  return model;
}

}  // namespace joulefarm::agent
