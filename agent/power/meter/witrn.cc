#include "agent/power/meter/witrn.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/power/meter/bytes.h"
#include "agent/power/meter/checksum.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

constexpr std::uint8_t kHead = 0xFF;
constexpr std::uint8_t kSecondHead = 0x55;
// Models that listen to USB PD send its messages in reports of their own.
constexpr std::uint8_t kPdHead = 0xFE;
constexpr std::uint8_t kData = 0x1A;
constexpr std::size_t kBodyAt = 8;
constexpr std::size_t kBodySumAt = 62;
constexpr std::size_t kSumAt = 63;
constexpr double kMaxV = 60;
constexpr double kMaxA = 20;
// Without a probe the meter shows -73.
constexpr double kNoProbeC = -60;

constexpr std::int64_t kWrapMs = 256'000;
constexpr std::int64_t kPeriodMs = 10;
constexpr std::int64_t kGapMs = 5 * kPeriodMs;

// The meter sends its milliseconds modulo 256 and modulo 100, which only one number below 1000 has.
std::optional<std::int64_t> ClockMs(Bytes report) {
  for (std::int64_t ms = report[3]; ms < 1000; ms += 256) {
    if (ms % 100 == report[6]) return report[2] * std::int64_t{1000} + ms;
  }
  return std::nullopt;
}

class WitrnDriver : public HidStreamDriver {
 public:
  explicit WitrnDriver(NowNs now)
      : HidStreamDriver(std::make_unique<WitrnDecoder>(), std::move(now)) {}
};

UsbMatch Match(const UsbDevice& device) {
  constexpr std::array<std::uint16_t, 9> kProducts = {0x5030, 0x5044, 0x5045, 0x5050, 0x5053,
                                                      0x5054, 0x5060, 0x5063, 0x5064};
  if (device.vendor != 0x0716 || !IsVendorHid(device)) return UsbMatch::kNo;
  const bool known =
      std::find(kProducts.begin(), kProducts.end(), device.product) != kProducts.end();
  return known ? UsbMatch::kYes : UsbMatch::kNo;
}

}  // namespace

absl::StatusOr<std::vector<MeterSample>> WitrnDecoder::Decode(Bytes bytes) {
  if (bytes.size() != kHidReportBytes) {
    ++refused_;
    return absl::DataLossError(absl::StrCat("a report has 64 bytes, this one ", bytes.size()));
  }
  if (bytes[0] == kPdHead) return std::vector<MeterSample>();
  if (bytes[0] != kHead || bytes[1] != kSecondHead) {
    ++refused_;
    return absl::DataLossError(
        absl::StrFormat("a report begins with ff55, not %02x%02x", bytes[0], bytes[1]));
  }
  const std::uint8_t body = Sum8(bytes.subspan(kBodyAt, kBodySumAt - kBodyAt));
  const auto sum = static_cast<std::uint8_t>(Sum8(bytes.subspan(0, kBodyAt)) + body);
  if (bytes[kBodySumAt] != body || bytes[kSumAt] != sum) {
    ++refused_;
    return absl::DataLossError(absl::StrFormat("sums %02x%02x, computed %02x%02x",
                                               bytes[kBodySumAt], bytes[kSumAt], body, sum));
  }
  if (bytes[kBodyAt] != kData) return std::vector<MeterSample>();

  const double volts = F32Le(bytes, 46);
  const double amperes = F32Le(bytes, 50);
  // Written so that what is no number is refused, too.
  if (!(std::abs(volts) <= kMaxV && std::abs(amperes) <= kMaxA)) {
    ++refused_;
    return absl::DataLossError(
        absl::StrFormat("%g V and %g A are beyond %g V and %g A", volts, amperes, kMaxV, kMaxA));
  }
  const std::optional<std::int64_t> clock_ms = ClockMs(bytes);
  if (!clock_ms) {
    ++refused_;
    return absl::DataLossError(absl::StrFormat(
        "milliseconds %d modulo 256 and %d modulo 100 contradict each other", bytes[3], bytes[6]));
  }
  const absl::StatusOr<std::int64_t> t_ms = Unwrap(*clock_ms);
  if (!t_ms.ok()) {
    ++refused_;
    return t_ms.status();
  }

  MeterSample sample;
  sample.voltage_v = volts;
  sample.current_a = amperes;
  sample.power_w = volts * amperes;
  sample.t_ns = *t_ms * 1'000'000;
  const auto add = [&sample](const char* name, double value) {
    if (std::isfinite(value)) sample.more.emplace_back(name, value);
  };
  add("charge_ah", F32Le(bytes, 14));
  add("energy_wh", F32Le(bytes, 18));
  add("record_s", U32Le(bytes, 22));
  add("run_s", U32Le(bytes, 26));
  add("d_plus_v", F32Le(bytes, 30));
  add("d_minus_v", F32Le(bytes, 34));
  add("temperature_c", F32Le(bytes, 38));
  if (F32Le(bytes, 42) > kNoProbeC) add("probe_temperature_c", F32Le(bytes, 42));
  add("group", bytes[54]);
  add("cc1_v", bytes[55] / 10.0);
  add("cc2_v", bytes[56] / 10.0);
  return std::vector<MeterSample>{std::move(sample)};
}

absl::StatusOr<std::int64_t> WitrnDecoder::Unwrap(std::int64_t t_ms) {
  if (last_ms_) {
    const std::int64_t step_ms = ((t_ms - *last_ms_) % kWrapMs + kWrapMs) % kWrapMs;
    if (step_ms == 0 || step_ms > kWrapMs / 2) {
      return absl::DataLossError(
          absl::StrFormat("the meter's clock went from %d to %d ms", *last_ms_ % kWrapMs, t_ms));
    }
    if (step_ms >= kGapMs) {
      lost_ += std::max<std::int64_t>(step_ms / kPeriodMs - 1, refused_);
    } else {
      lost_ += refused_;
    }
    t_ms = *last_ms_ + step_ms;
  }
  refused_ = 0;
  last_ms_ = t_ms;
  return t_ms;
}

std::int64_t WitrnDecoder::TakeLost() { return std::exchange(lost_, 0); }

void WitrnDecoder::Reset() {
  last_ms_.reset();
  refused_ = 0;
  lost_ = 0;
}

std::unique_ptr<MeterDriver> MakeWitrnDriver(NowNs now) {
  return std::make_unique<WitrnDriver>(std::move(now));
}

MeterModel WitrnModel() {
  MeterModel model;
  model.name = "witrn";
  model.title = "WITRN U2p, U3, U3L, A2, A2L, C4, C5, K2";
  model.link = LinkKind::kHid;
  model.match = Match;
  model.max_rate_hz = 100;
  model.own_clock = true;
  model.latency_u_ns = 10'000'000;  // nobody states its filter: one period
  model.resolution_w = 1e-5;
  model.max_voltage_v = kMaxV;
  model.max_current_a = kMaxA;
  model.gain_u = 0.005;
  model.offset_u_w = 0.002;
  model.make_decoder = [] { return std::make_unique<WitrnDecoder>(); };
  model.make_driver = [] { return MakeWitrnDriver(BoottimeNs); };
  model.tested = "derived bytes";
  return model;
}

}  // namespace joulefarm::agent
