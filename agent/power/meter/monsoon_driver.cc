#include "agent/power/meter/monsoon_driver.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

constexpr int kControlMs = 1'000;
constexpr int kDrainMs = 10;
constexpr int kMostDrained = 1'000;  // reads; a device that goes on for longer does not stop
constexpr int kReadMs = 200;
constexpr std::size_t kPacket = 64;
// 38 ms of samples: few reads, and no more than that is late.
constexpr std::size_t kMostBytes = 64 * kPacket;

constexpr std::uint8_t kOut = 0x40;
constexpr std::uint8_t kIn = 0xC0;
constexpr std::uint8_t kValue = 0x01;
constexpr std::uint8_t kStart = 0x02;
constexpr std::uint8_t kStop = 0x03;
constexpr std::uint16_t kCalibrateEveryMs = 1'250;
constexpr std::uint32_t kForever = 0xFFFFFFFF;

// Opcodes.
constexpr std::uint8_t kMainVoltage = 0x41;
constexpr std::uint8_t kSerial = 0x42;
constexpr std::uint8_t kModel = 0x45;
constexpr std::uint8_t kFirmware = 0xC0;
constexpr std::uint8_t kStartStatus = 0xC4;
constexpr std::uint8_t kPassThrough = 0x10;
constexpr std::uint8_t kDacLow = 0x88;
constexpr std::uint8_t kDacHigh = 0x89;

constexpr std::uint32_t kModelLow = 1;
constexpr std::uint32_t kModelHigh = 2;
constexpr std::uint32_t kFirmwareWithStatus = 26;
constexpr std::uint32_t kSampling = 0x80;
constexpr double kVoltageStepsPerV = 1'048'576;

// The LVPM's scales with resistors of exactly 0.05 Ω.
constexpr double kLowFine = 35'946;
constexpr double kLowCoarse = 3'103.4;
constexpr double kLowOhms = 0.05;
constexpr double kOhmsPerStep = 1e-4;

absl::StatusOr<std::uint32_t> Get(Link& link, std::uint8_t opcode) {
  std::vector<std::uint8_t> data(4);
  const absl::Status read = link.Control(
      {.request_type = kIn, .request = kValue, .value = 0, .index = opcode}, data, kControlMs);
  if (!read.ok()) return read;
  if (data.size() != 4)
    return absl::InternalError(
        absl::StrCat("Monsoon: value ", absl::Hex(opcode), " has ", data.size(), " bytes, not 4"));
  return static_cast<std::uint32_t>(data[0]) | static_cast<std::uint32_t>(data[1]) << 8 |
         static_cast<std::uint32_t>(data[2]) << 16 | static_cast<std::uint32_t>(data[3]) << 24;
}

std::vector<std::uint8_t> LittleEndian(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8),
          static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 24)};
}

absl::Status Set(Link& link, std::uint8_t opcode, std::uint32_t value) {
  std::vector<std::uint8_t> data = LittleEndian(value);
  return link.Control({.request_type = kOut,
                       .request = kValue,
                       .value = static_cast<std::uint16_t>(value),
                       .index = static_cast<std::uint16_t>(opcode | (value >> 16 & 0xFF) << 8)},
                      data, kControlMs);
}

absl::Status StopSampling(Link& link) {
  std::vector<std::uint8_t> none;
  return link.Control({.request_type = kOut, .request = kStop, .value = 0, .index = 0}, none,
                      kControlMs);
}

// Stops it, and takes what is left of before.
absl::Status Quieten(Link& link) {
  if (absl::Status stopped = StopSampling(link); !stopped.ok()) return stopped;
  for (int i = 0; i < kMostDrained; ++i) {
    const absl::Status left = link.Read(kMostBytes, kDrainMs).status();
    if (absl::IsDeadlineExceeded(left)) return absl::OkStatus();
    if (!left.ok()) return left;
  }
  return absl::UnavailableError(
      "Monsoon: goes on sending after it was stopped; switch it off and on");
}

absl::StatusOr<MonsoonRange> HighRange(Link& link, std::uint8_t scale, std::uint8_t offset) {
  const absl::StatusOr<std::uint32_t> of_scale = Get(link, scale);
  if (!of_scale.ok()) return of_scale.status();
  const absl::StatusOr<std::uint32_t> of_offset = Get(link, offset);
  if (!of_offset.ok()) return of_offset.status();
  if (*of_scale == 0 || *of_scale == kForever)
    return absl::FailedPreconditionError(absl::StrCat("Monsoon: scale ", absl::Hex(scale),
                                                      " was never calibrated (", *of_scale, ")"));
  return MonsoonRange{.scale = static_cast<double>(*of_scale),
                      .offset = static_cast<double>(*of_offset)};
}

absl::StatusOr<MonsoonRange> LowRange(Link& link, std::uint8_t resistor, double scale) {
  const absl::StatusOr<std::uint32_t> value = Get(link, resistor);
  if (!value.ok()) return value.status();
  const auto steps = static_cast<std::int8_t>(*value);
  return MonsoonRange{.scale = scale * kLowOhms / (kLowOhms + kOhmsPerStep * steps), .offset = 0};
}

absl::StatusOr<MonsoonCalibration> ReadCalibration(Link& link, MonsoonKind kind) {
  const bool high = kind == MonsoonKind::kHighVoltage;
  MonsoonCalibration calibration{
      .kind = kind, .main_fine = {}, .main_coarse = {}, .usb_fine = {}, .usb_coarse = {}};
  struct Place {
    MonsoonRange* range;
    std::uint8_t scale;
    std::uint8_t offset;
    std::uint8_t resistor;
    double low_scale;
  };
  for (const Place& place : {Place{&calibration.main_fine, 0x1A, 0x25, 0x02, kLowFine},
                             Place{&calibration.main_coarse, 0x1B, 0x26, 0x11, kLowCoarse},
                             Place{&calibration.usb_fine, 0x1C, 0x27, 0x0D, kLowFine},
                             Place{&calibration.usb_coarse, 0x1D, 0x28, 0x12, kLowCoarse}}) {
    const absl::StatusOr<MonsoonRange> range =
        high ? HighRange(link, place.scale, place.offset)
             : LowRange(link, place.resistor, place.low_scale);
    if (!range.ok()) return range.status();
    *place.range = *range;
  }
  return calibration;
}

}  // namespace

std::optional<UsbPassThrough> PassThroughOf(absl::string_view text) {
  if (text == "off") return UsbPassThrough::kOff;
  if (text == "on") return UsbPassThrough::kOn;
  if (text == "auto") return UsbPassThrough::kAuto;
  return std::nullopt;
}

absl::StatusOr<MeterIdentity> MonsoonDriver::Start(Link& link, double /*rate_hz*/) {
  absl::StatusOr<MeterIdentity> begun = Begin(link);
  // Nobody stops what has not started.
  if (!begun.ok()) PutPassThroughBack(link);
  return begun;
}

absl::StatusOr<MeterIdentity> MonsoonDriver::Begin(Link& link) {
  decoder_.reset();
  if (absl::Status quiet = Quieten(link); !quiet.ok()) return quiet;
  const absl::StatusOr<std::uint32_t> model = Get(link, kModel);
  if (!model.ok()) return model.status();
  if (*model != kModelLow && *model != kModelHigh)
    return absl::FailedPreconditionError(
        absl::StrCat("Monsoon: model ", *model, " is neither LVPM (1) nor HVPM (2)"));
  const MonsoonKind kind =
      *model == kModelHigh ? MonsoonKind::kHighVoltage : MonsoonKind::kLowVoltage;
  const absl::StatusOr<std::uint32_t> firmware = Get(link, kFirmware);
  if (!firmware.ok()) return firmware.status();
  if (*firmware >= kFirmwareWithStatus) {
    const absl::StatusOr<std::uint32_t> status = Get(link, kStartStatus);
    if (!status.ok()) return status.status();
    if ((*status & kSampling) != 0)
      return absl::UnavailableError("Monsoon: still sampling after it was stopped");
  }
  const absl::StatusOr<std::uint32_t> serial = Get(link, kSerial);
  if (!serial.ok()) return serial.status();
  const absl::StatusOr<MonsoonCalibration> calibration = ReadCalibration(link, kind);
  if (!calibration.ok()) return calibration.status();
  if (absl::Status applied = Apply(link, kind); !applied.ok()) return applied;
  decoder_ = MakeMonsoonDecoder(*calibration);
  std::vector<std::uint8_t> samples = LittleEndian(kForever);
  const absl::Status started = link.Control(
      {.request_type = kOut, .request = kStart, .value = kCalibrateEveryMs, .index = 0}, samples,
      kControlMs);
  if (!started.ok()) return started;
  return MeterIdentity{.serial = absl::StrCat(*serial), .firmware = absl::StrCat(*firmware)};
}

absl::Status MonsoonDriver::Apply(Link& link, MonsoonKind kind) {
  if (options_.pass_through) {
    const absl::StatusOr<std::uint32_t> before = Get(link, kPassThrough);
    if (!before.ok()) return before.status();
    pass_through_before_ = *before;
    const absl::Status set =
        Set(link, kPassThrough, static_cast<std::uint32_t>(*options_.pass_through));
    if (!set.ok()) return set;
  }
  return options_.voltage_v ? SetVoltage(link, kind, *options_.voltage_v) : absl::OkStatus();
}

absl::Status MonsoonDriver::SetVoltage(Link& link, MonsoonKind kind, double volts) {
  const bool high = kind == MonsoonKind::kHighVoltage;
  const double least = high ? 0.8 : 2.01;
  const double most = high ? 13.5 : 4.55;
  if (volts != 0 && (!(volts >= least) || !(volts <= most)))
    return absl::FailedPreconditionError(absl::StrCat("Monsoon: supply_v, ", volts,
                                                      " V, is not within ", least, " to ", most,
                                                      " V of this model"));
  if (high && volts != 0) {
    // Outside of these the DAC has lost its calibration and would put out anything.
    const absl::StatusOr<std::uint32_t> low_cal = Get(link, kDacLow);
    if (!low_cal.ok()) return low_cal.status();
    const absl::StatusOr<std::uint32_t> high_cal = Get(link, kDacHigh);
    if (!high_cal.ok()) return high_cal.status();
    if (*low_cal < 0xD000 || *low_cal > 0xF000 || *high_cal < 0xC000 || *high_cal > 0xD000)
      return absl::FailedPreconditionError(
          absl::StrCat("Monsoon: its voltage output is not calibrated (", absl::Hex(*low_cal), ", ",
                       absl::Hex(*high_cal), "), so no voltage is set; have it calibrated"));
  }
  return Set(link, kMainVoltage,
             static_cast<std::uint32_t>(std::lround(volts * kVoltageStepsPerV)));
}

absl::Status MonsoonDriver::Step(Link& link, MeterBatch& batch) {
  if (decoder_ == nullptr) return absl::FailedPreconditionError("Monsoon: it was not started");
  const absl::StatusOr<std::vector<std::uint8_t>> bytes = link.Read(kMostBytes, kReadMs);
  batch.arrived_ns = BoottimeNs();
  if (absl::IsDeadlineExceeded(bytes.status())) return absl::OkStatus();
  if (!bytes.ok()) return bytes.status();
  for (std::size_t at = 0; at < bytes->size(); at += kPacket) {
    const std::size_t size = std::min(kPacket, bytes->size() - at);
    const absl::StatusOr<std::vector<MeterSample>> samples =
        decoder_->Decode(Bytes(bytes->data() + at, size));
    if (samples.ok()) {
      batch.samples.insert(batch.samples.end(), samples->begin(), samples->end());
    } else {
      ++batch.rejected;
      batch.refusal = std::string(samples.status().message());
    }
  }
  batch.lost += decoder_->TakeLost();
  return absl::OkStatus();
}

void MonsoonDriver::Stop(Link& link) {
  StopSampling(link).IgnoreError();
  PutPassThroughBack(link);
}

void MonsoonDriver::PutPassThroughBack(Link& link) {
  if (pass_through_before_) Set(link, kPassThrough, *pass_through_before_).IgnoreError();
  pass_through_before_.reset();
}

}  // namespace joulefarm::agent
