#include "agent/power/meter/monsoon.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/power/meter/bytes.h"
#include "agent/power/meter/monsoon_driver.h"

namespace joulefarm::agent {
namespace {

constexpr std::uint16_t kVendor = 0x2AB9;
constexpr std::uint16_t kProduct = 0x0001;

constexpr std::size_t kHeader = 4;
constexpr std::size_t kObservation = 18;
constexpr std::size_t kMostObservations = 3;
constexpr std::size_t kPacket = 64;
constexpr std::size_t kTypeAt = 17;
constexpr std::uint8_t kTypeMask = 0x30;
constexpr std::uint8_t kMeasurement = 0x00;
constexpr std::uint8_t kZero = 0x10;
constexpr std::uint8_t kReference = 0x30;
// Of the flags. What these two mean is in the document of its API alone; its maker's own program
// does not look at them.
constexpr std::uint8_t kOverCurrent = 0x10;
constexpr std::uint8_t kOutputOn = 0x20;
constexpr std::int64_t kPeriodNs = 200'000;

// Volts per count of the ADC, before the divider in front of it.
constexpr double kAdcCountsPerV = 16'000;
constexpr std::size_t kMeanOf = 5;
constexpr double kUaPerA = 1e6;
constexpr double kMaPerA = 1e3;
constexpr double kMostA = 16;

// Places of an observation's values.
constexpr std::size_t kMainCoarse = 0;
constexpr std::size_t kMainFine = 1;
constexpr std::size_t kUsbCoarse = 2;
constexpr std::size_t kUsbFine = 3;
constexpr std::size_t kMainVoltage = 6;
constexpr std::size_t kUsbVoltage = 7;

// The mean of the last few readings of a calibration.
class Mean {
 public:
  // 0 is what the device says where it has none.
  void Add(int raw) {
    if (raw == 0) return;
    values_[next_ % kMeanOf] = raw;
    ++next_;
  }
  std::optional<double> Get() const {
    const std::size_t n = std::min(next_, kMeanOf);
    if (n == 0) return std::nullopt;
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += values_[i];
    return sum / static_cast<double>(n);
  }

 private:
  std::array<int, kMeanOf> values_{};
  std::size_t next_ = 0;
};

// A current's one range.
struct Range {
  MonsoonRange device;
  Mean zero;
  Mean reference;

  // In the unit of the scale.
  std::optional<double> Current(int raw) const {
    const std::optional<double> at_zero = zero.Get();
    const std::optional<double> at_reference = reference.Get();
    if (!at_zero || !at_reference) return std::nullopt;
    const double base = device.offset + *at_zero;
    if (*at_reference == base) return std::nullopt;
    return (raw - base) * device.scale / (*at_reference - base);
  }
};

struct Channel {
  Range fine;
  Range coarse;
  std::size_t fine_at = 0;
  std::size_t coarse_at = 0;
};

class MonsoonDecoder : public MeterDecoder {
 public:
  explicit MonsoonDecoder(const MonsoonCalibration& calibration)
      : calibration_(calibration), high_(calibration.kind == MonsoonKind::kHighVoltage) {
    Reset();
  }

  absl::StatusOr<std::vector<MeterSample>> Decode(Bytes bytes) override {
    if (absl::Status whole = CheckPacket(bytes); !whole.ok()) {
      Pass(Held(bytes));
      return whole;
    }
    const std::size_t n = bytes[3];
    CountDropped(U16Le(bytes, 0));
    std::vector<MeterSample> samples;
    std::int64_t measurements = 0;
    bool beyond = false;
    for (std::size_t i = 0; i < n; ++i) {
      const Bytes observation = bytes.subspan(kHeader + i * kObservation, kObservation);
      if ((observation[kTypeAt] & kTypeMask) == kMeasurement) ++measurements;
      if (!Observe(observation, samples)) beyond = true;
      ++observations_;
    }
    absl::Status usable = CheckOutput(bytes[2]);
    if (usable.ok() && beyond) {
      usable = absl::DataLossError(
          absl::StrCat("a current beyond ", kMostA, " A: damaged, or its calibration was"));
    }
    if (usable.ok() || measurements == 0) return samples;
    lost_ += measurements;
    return usable;
  }

  std::int64_t TakeLost() override { return std::exchange(lost_, 0); }

  void Reset() override {
    main_ = {{calibration_.main_fine, {}, {}},
             {calibration_.main_coarse, {}, {}},
             kMainFine,
             kMainCoarse};
    usb_ = {
        {calibration_.usb_fine, {}, {}}, {calibration_.usb_coarse, {}, {}}, kUsbFine, kUsbCoarse};
    dropped_.reset();
    lost_ = 0;
    observations_ = 0;
  }

 private:
  static absl::Status CheckPacket(Bytes bytes) {
    if (bytes.size() < kHeader + kObservation || bytes.size() > kPacket)
      return absl::DataLossError(absl::StrCat("a packet of ", bytes.size(), " bytes, not ",
                                              kHeader + kObservation, " to ", kPacket));
    const std::size_t n = bytes[3];
    if (n == 0 || n > kMostObservations)
      return absl::DataLossError(absl::StrCat("a packet says it has ", n, " observations"));
    if (bytes.size() < kHeader + n * kObservation)
      return absl::DataLossError(
          absl::StrCat("a packet of ", bytes.size(), " bytes cannot have ", n, " observations"));
    return absl::OkStatus();
  }
  // How many observations a damaged packet had: what it says where that can be, else what it has
  // room for.
  static std::int64_t Held(Bytes bytes) {
    if (bytes.size() < kHeader || bytes.size() > kPacket) return 0;
    const std::size_t n = bytes[3];
    if (n > 0 && n <= kMostObservations) return static_cast<std::int64_t>(n);
    return static_cast<std::int64_t>((bytes.size() - kHeader) / kObservation);
  }
  // Their time passes without them.
  void Pass(std::int64_t lost) {
    lost_ += lost;
    observations_ += lost;
  }
  // Measurements of an output that is off are about 0 W, and nothing of the device.
  static absl::Status CheckOutput(std::uint8_t flags) {
    if ((flags & kOverCurrent) != 0) {
      return absl::DataLossError(
          "the monitor says over-current (bit 4 of its flags, which one document describes): it "
          "has switched its output off or is about to; find what draws so much, the next run "
          "switches it on again");
    }
    if ((flags & kOutputOn) == 0) {
      return absl::DataLossError(
          "the monitor says that its output is off (bit 5 of its flags, which one document "
          "describes): state supply_v, which the next run sets, or set it on the monitor");
    }
    return absl::OkStatus();
  }

  void CountDropped(std::uint16_t dropped) {
    if (dropped_) {
      Pass(static_cast<std::uint16_t>(dropped - *dropped_));
    }
    dropped_ = dropped;
  }

  // Big-endian; the LVPM's currents have a sign.
  int Raw(Bytes observation, std::size_t place) const {
    const std::uint16_t raw = U16Be(observation, 2 * place);
    return high_ || place >= kMainVoltage ? raw : static_cast<std::int16_t>(raw);
  }

  std::optional<double> Amperes(const Channel& channel, Bytes observation) const {
    const int fine = Raw(observation, channel.fine_at);
    const std::optional<double> micro = channel.fine.Current(fine);
    const std::optional<double> milli = channel.coarse.Current(Raw(observation, channel.coarse_at));
    if (!micro || !milli) return std::nullopt;
    // Above it the fine range is at its end.
    const int most_fine = high_ ? 64'000 : 30'000;
    return fine < most_fine ? *micro / kUaPerA : *milli / kMaPerA;
  }

  // False: a current that cannot be.
  bool Observe(Bytes observation, std::vector<MeterSample>& samples) {
    const std::uint8_t type = observation[kTypeAt] & kTypeMask;
    if (type == kZero || type == kReference) {
      for (Channel* channel : {&main_, &usb_}) {
        const auto add = [&](Range& range, std::size_t place) {
          (type == kZero ? range.zero : range.reference).Add(Raw(observation, place));
        };
        add(channel->fine, channel->fine_at);
        add(channel->coarse, channel->coarse_at);
      }
    }
    if (type != kMeasurement) return true;
    const std::optional<double> current_a = Amperes(main_, observation);
    if (!current_a) return true;
    if (std::abs(*current_a) > kMostA) return false;
    MeterSample& sample = samples.emplace_back();
    sample.voltage_v = Raw(observation, kMainVoltage) * (high_ ? 4 : 2) / kAdcCountsPerV;
    sample.current_a = current_a;
    sample.power_w = *sample.voltage_v * *current_a;
    sample.t_ns = observations_ * kPeriodNs;
    sample.more.emplace_back("usb_voltage_v", Raw(observation, kUsbVoltage) * 2 / kAdcCountsPerV);
    if (const std::optional<double> usb_a = Amperes(usb_, observation))
      sample.more.emplace_back("usb_current_a", *usb_a);
    return true;
  }

  const MonsoonCalibration calibration_;
  const bool high_;
  Channel main_;
  Channel usb_;
  std::optional<std::uint16_t> dropped_;
  std::int64_t lost_ = 0;
  std::int64_t observations_ = 0;  // and dropped ones, since Reset
};

}  // namespace

MonsoonCalibration NominalMonsoonCalibration() {
  constexpr MonsoonRange kFine{.scale = 36'500, .offset = 15};
  constexpr MonsoonRange kCoarse{.scale = 6'400, .offset = 15};
  return {.kind = MonsoonKind::kHighVoltage,
          .main_fine = kFine,
          .main_coarse = kCoarse,
          .usb_fine = kFine,
          .usb_coarse = kCoarse};
}

std::unique_ptr<MeterDecoder> MakeMonsoonDecoder(const MonsoonCalibration& calibration) {
  return std::make_unique<MonsoonDecoder>(calibration);
}

MeterModel MonsoonModel() {
  MeterModel model;
  model.name = "monsoon";
  model.title = "Monsoon HVPM or LVPM";
  model.link = LinkKind::kUsbBulk;
  model.match = [](const UsbDevice& device) {
    return device.vendor == kVendor && device.product == kProduct ? UsbMatch::kYes : UsbMatch::kNo;
  };
  model.endpoint_out = 0x01;
  model.endpoint_in = 0x81;
  model.max_rate_hz = 5'000;
  model.own_clock = true;
  // Nobody states it: its queue of 16 samples (3.2 ms), a packet of three (0.6 ms) and a frame of
  // USB (1 ms).
  model.latency_u_ns = 5'000'000;
  // One count of the fine range (below about 50 mA) is some uW, one of the coarse range, in which a
  // device that computes is measured, some mW. Finer steps than this would mostly store noise.
  model.resolution_w = 1e-4;
  model.max_voltage_v = 14;
  model.max_current_a = kMostA;
  // Of a class of 1 %, evenly spread.
  model.gain_u = 0.0058;
  model.make_decoder = [] { return MakeMonsoonDecoder(NominalMonsoonCalibration()); };
  model.make_driver = [] { return std::make_unique<MonsoonDriver>(MonsoonOptions{}); };
  // Of both models together; the driver asks which one it is.
  model.supply = {.least_v = 0.8, .most_v = 13.5, .off_is_zero = true};
  model.has_usb_pass_through = true;
  model.make_stated_driver = [](const MeterSettings& settings, bool again) {
    MonsoonOptions options;
    // One that has tripped since, or was switched off by somebody, stays off.
    if (!again) options.voltage_v = settings.supply_v;
    options.pass_through = PassThroughOf(settings.usb_pass_through);
    return std::make_unique<MonsoonDriver>(options);
  };
  model.tested = "derived bytes";
  return model;
}

}  // namespace joulefarm::agent
