#include "agent/power/meter/fl001.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/power/meter/bytes.h"
#include "agent/power/meter/checksum.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

constexpr std::uint8_t kHead[] = {0x00, 0x03, 0x3B};
constexpr std::size_t kCrcAt = 62;
constexpr std::int64_t kPeriodNs = 32'000'000;
constexpr double kMaxV = 60;
constexpr double kMaxA = 10;

class Fl001Driver : public HidStreamDriver {
 public:
  explicit Fl001Driver(NowNs now)
      : HidStreamDriver(std::make_unique<Fl001Decoder>(), std::move(now)) {}

 protected:
  absl::Status Begin(Link& /*link*/, double /*rate_hz*/) override {
    CountSamples(kPeriodNs, 1);
    return absl::OkStatus();
  }
};

UsbMatch Match(const UsbDevice& device) {
  const bool it = device.vendor == 0x0472 && device.product == 0x0002 && IsVendorHid(device);
  return it ? UsbMatch::kYes : UsbMatch::kNo;
}

}  // namespace

absl::StatusOr<std::vector<MeterSample>> Fl001Decoder::Decode(Bytes bytes) {
  if (bytes.size() != kHidReportBytes) {
    return absl::DataLossError(absl::StrCat("a report has 64 bytes, this one ", bytes.size()));
  }
  if (!std::equal(std::begin(kHead), std::end(kHead), bytes.begin())) {
    return absl::DataLossError(absl::StrFormat("a report begins with 00033b, not %02x%02x%02x",
                                               bytes[0], bytes[1], bytes[2]));
  }
  const std::uint16_t crc = Crc16Modbus(bytes.subspan(0, kCrcAt));
  if (U16Le(bytes, kCrcAt) != crc) {
    return absl::DataLossError(
        absl::StrFormat("crc %04x, computed %04x", U16Le(bytes, kCrcAt), crc));
  }
  const auto value = [bytes](std::size_t index) { return double{F32Be(bytes, 3 + 4 * index)}; };
  const double volts = value(0);
  const double amperes = value(1);
  const double watts = value(2);
  // Written so that what is no number is refused, too.
  if (!(std::abs(volts) <= kMaxV && std::abs(amperes) <= kMaxA &&
        std::abs(watts) <= kMaxV * kMaxA)) {
    return absl::DataLossError(absl::StrFormat("%g V, %g A and %g W are beyond %g V and %g A",
                                               volts, amperes, watts, kMaxV, kMaxA));
  }
  MeterSample sample;
  sample.voltage_v = volts;
  sample.current_a = amperes;
  sample.power_w = watts;
  constexpr const char* kMore[] = {"d_plus_v", "d_minus_v", "temperature_c", "temperature2_c"};
  for (std::size_t i = 0; i < std::size(kMore); ++i) {
    if (std::isfinite(value(3 + i))) sample.more.emplace_back(kMore[i], value(3 + i));
  }
  return std::vector<MeterSample>{std::move(sample)};
}

std::unique_ptr<MeterDriver> MakeFl001Driver(NowNs now) {
  return std::make_unique<Fl001Driver>(std::move(now));
}

MeterModel Fl001Model() {
  MeterModel model;
  model.name = "fl001";
  model.title = "ChargerLAB POWER-Z FL001 Super";
  model.link = LinkKind::kHid;
  model.match = Match;
  model.max_rate_hz = 1e9 / static_cast<double>(kPeriodNs);
  model.own_clock = true;
  model.latency_u_ns = kPeriodNs / 2;  // nobody states its filter
  model.resolution_w = 1e-5;
  model.max_voltage_v = kMaxV;
  model.max_current_a = kMaxA;
  model.gain_u = 0.005;
  model.offset_u_w = 0.002;
  model.make_decoder = [] { return std::make_unique<Fl001Decoder>(); };
  model.make_driver = [] { return MakeFl001Driver(BoottimeNs); };
  model.tested = "derived bytes";
  return model;
}

}  // namespace joulefarm::agent
