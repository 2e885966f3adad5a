// The conversation with a Monsoon power monitor: settings over control transfers, samples over
// bulk.
//
// Threads: see MeterDriver. Ownership: owns its decoder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/strings/string_view.h"
#include "agent/power/meter/driver.h"
#include "agent/power/meter/monsoon.h"

namespace joulefarm::agent {

// Whether the monitor connects the device's USB through. kAuto: not while it samples, so adb is
// gone for that time.
enum class UsbPassThrough : std::uint8_t { kOff = 0, kOn = 1, kAuto = 2 };

// As the configuration says it: "off", "on", "auto"; nullopt: anything else.
std::optional<UsbPassThrough> PassThroughOf(absl::string_view text);

// Absent: left as it is.
struct MonsoonOptions {
  // Of the main output, V; stays when the driver stops, because the device lives on it. HVPM 0.8 to
  // 13.5, LVPM 2.01 to 4.55; 0 switches it off.
  std::optional<double> voltage_v = std::nullopt;
  // Put back when the driver stops, and when it does not start.
  std::optional<UsbPassThrough> pass_through = std::nullopt;
};

class MonsoonDriver : public MeterDriver {
 public:
  explicit MonsoonDriver(const MonsoonOptions& options) : options_(options) {}

  // Stops what is sampling, reads model and calibration, sets what the options say and samples at
  // 5 kHz, the one rate there is. FAILED_PRECONDITION: an unknown model, or a voltage that cannot
  // be set safely.
  absl::StatusOr<MeterIdentity> Start(Link& link, double rate_hz) override;
  absl::Status Step(Link& link, MeterBatch& batch) override;
  void Stop(Link& link) override;

 private:
  absl::StatusOr<MeterIdentity> Begin(Link& link);
  absl::Status Apply(Link& link, MonsoonKind kind);
  void PutPassThroughBack(Link& link);
  absl::Status SetVoltage(Link& link, MonsoonKind kind, double volts);

  const MonsoonOptions options_;
  std::unique_ptr<MeterDecoder> decoder_;
  std::optional<std::uint32_t> pass_through_before_;
};

}  // namespace joulefarm::agent
