#include "agent/power/meter/km001pro.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "agent/power/meter/bytes.h"
#include "agent/power/meter/checksum.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

constexpr std::uint8_t kSampleHead[] = {0xAA, 0x25, 0x62, 0x05, 0x0B, 0x01};
// Sent now and then; what it says is not known.
constexpr std::uint8_t kOtherHead[] = {0xAA, 0x40, 0x62, 0x05, 0x0B};
constexpr std::size_t kSampleBytes = 37;
constexpr double kMaxV = 60;
constexpr double kMaxA = 10;

constexpr std::int64_t kMs = 1'000'000;
// A request brings 200 samples, which take 400 ms at the highest rate.
constexpr std::int64_t kAskAgainNs = 200 * kMs;
constexpr std::int64_t kSpacingNs = 50 * kMs;
constexpr int kWriteMs = 500;

struct Rate {
  std::uint8_t code;
  std::int64_t period_ns;
};
constexpr std::array<Rate, 4> kRates = {
    {{4, 2 * kMs}, {3, 10 * kMs}, {2, 20 * kMs}, {1, 100 * kMs}}};

const Rate& Nearest(double rate_hz) {
  if (rate_hz <= 0) return kRates[0];
  // By ratio: 200 Hz is nearer to 100 than to 500.
  const auto off = [rate_hz](const Rate& rate) {
    return std::abs(std::log(rate_hz * 1e-9 * static_cast<double>(rate.period_ns)));
  };
  return *std::min_element(kRates.begin(), kRates.end(),
                           [&](const Rate& a, const Rate& b) { return off(a) < off(b); });
}

class Km001ProDriver : public HidStreamDriver {
 public:
  explicit Km001ProDriver(NowNs now)
      : HidStreamDriver(std::make_unique<Km001ProDecoder>(), std::move(now)) {}

 protected:
  absl::Status Begin(Link& link, double rate_hz) override {
    const Rate& rate = Nearest(rate_hz);
    CountSamples(rate.period_ns, 1);
    const std::uint8_t command[] = {0x31, 0x1A, 0xB1, 0x01, rate.code};
    if (const absl::Status status =
            link.Write(KingMeterCommand(command, KingMeterTail::kCrc16), kWriteMs);
        !status.ok()) {
      return status;
    }
    // Its answer, and samples still coming at another rate.
    if (const absl::Status status = DiscardReports(link, now(), Now() + kSpacingNs); !status.ok()) {
      return status;
    }
    return Ask(link);
  }

  absl::Status KeepAlive(Link& link) override {
    return Now() - asked_ns_ < kAskAgainNs ? absl::OkStatus() : Ask(link);
  }

 private:
  absl::Status Ask(Link& link) {
    asked_ns_ = Now();
    return link.Write(KingMeterCommand(kKingMeterGet, KingMeterTail::kCrc16), kWriteMs);
  }

  std::int64_t asked_ns_ = 0;
};

bool StartsWith(Bytes bytes, Bytes head) {
  return bytes.size() >= head.size() && std::equal(head.begin(), head.end(), bytes.begin());
}

bool IsCalled(const UsbDevice& device, std::initializer_list<absl::string_view> parts) {
  const std::string name =
      absl::AsciiStrToLower(absl::StrCat(device.manufacturer, " ", device.product_name));
  return std::any_of(parts.begin(), parts.end(),
                     [&name](absl::string_view part) { return absl::StrContains(name, part); });
}

UsbMatch Match(const UsbDevice& device) {
  return HasKingMeterId(device) && !IsAtorch(device) ? UsbMatch::kYes : UsbMatch::kNo;
}

}  // namespace

std::vector<std::uint8_t> KingMeterCommand(Bytes command, KingMeterTail tail) {
  std::vector<std::uint8_t> frame = {0x55, static_cast<std::uint8_t>(command.size() + 1)};
  frame.insert(frame.end(), command.begin(), command.end());
  const unsigned crc = tail == KingMeterTail::kCrc16 ? Crc16Modbus(frame) : 0xFFEE;
  frame.push_back(Sum8(frame));
  frame.push_back(static_cast<std::uint8_t>(crc & 0xFFU));
  frame.push_back(static_cast<std::uint8_t>(crc >> 8U));
  return HidReport(frame);
}

bool HasKingMeterId(const UsbDevice& device) {
  if (device.product != 0x5750 && device.product != 0x5F50) return false;
  if (!IsVendorHid(device)) return false;
  if (device.vendor == 0x0416) return true;
  // 0483 belongs to every maker that left the ids of the chip's examples: nothing is written to a
  // device that does not call itself a meter.
  return device.vendor == 0x0483 &&
         IsCalled(device, {"power-z", "powerz", "chargerlab", "kingmeter", "km001", "atorch",
                           "acd15p", "c13p"});
}

bool IsAtorch(const UsbDevice& device) { return IsCalled(device, {"acd15p", "c13p", "atorch"}); }

absl::StatusOr<std::vector<MeterSample>> Km001ProDecoder::Decode(Bytes bytes) {
  if (bytes.size() > kHidReportBytes) {
    return absl::DataLossError(absl::StrCat("a report has 64 bytes, this one ", bytes.size()));
  }
  if (StartsWith(bytes, kOtherHead)) return std::vector<MeterSample>();
  if (!StartsWith(bytes, kSampleHead)) {
    return absl::DataLossError("a report of samples begins with aa2562050b01");
  }
  if (bytes.size() < kSampleBytes) {
    return absl::DataLossError(
        absl::StrCat("a sample has ", kSampleBytes, " bytes, this one ", bytes.size()));
  }
  const double volts = I32Le(bytes, 6) / 1e6;
  const double amperes = I32Le(bytes, 10) / 1e6;
  const double watts = I32Le(bytes, 14) / 1e6;
  if (std::abs(volts) > kMaxV || std::abs(amperes) > kMaxA || std::abs(watts) > kMaxV * kMaxA) {
    return absl::DataLossError(absl::StrFormat("%.6f V, %.6f A and %.6f W are beyond %g V and %g A",
                                               volts, amperes, watts, kMaxV, kMaxA));
  }
  MeterSample sample;
  sample.voltage_v = volts;
  sample.current_a = amperes;
  sample.power_w = watts;
  sample.more = {{"d_plus_v", I32Le(bytes, 18) / 1e3},
                 {"d_minus_v", I32Le(bytes, 22) / 1e3},
                 {"voltage2_v", I32Le(bytes, 26) / 1e6},
                 {"current2_a", I32Le(bytes, 30) / 1e6},
                 {"temperature_c", I16Le(bytes, 34) / 10.0}};
  return std::vector<MeterSample>{std::move(sample)};
}

std::unique_ptr<MeterDriver> MakeKm001ProDriver(NowNs now) {
  return std::make_unique<Km001ProDriver>(std::move(now));
}

MeterModel Km001ProModel() {
  MeterModel model;
  model.name = "km001pro";
  model.title = "ChargerLAB POWER-Z KM001 Pro";
  model.link = LinkKind::kHid;
  model.match = Match;
  model.max_rate_hz = 500;
  model.own_clock = true;
  model.latency_u_ns = 5 * kMs;  // nobody states its filter
  model.resolution_w = 1e-6;
  model.max_voltage_v = kMaxV;
  model.max_current_a = kMaxA;
  model.gain_u = 0.005;
  model.offset_u_w = 0.002;
  model.make_decoder = [] { return std::make_unique<Km001ProDecoder>(); };
  model.make_driver = [] { return MakeKm001ProDriver(BoottimeNs); };
  model.tested = "capture";
  return model;
}

}  // namespace joulefarm::agent
