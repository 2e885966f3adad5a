#include "agent/power/meter/fnirsi.h"

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

constexpr std::uint8_t kHead = 0xAA;
constexpr std::uint8_t kData = 0x04;
constexpr std::uint8_t kIdentify = 0x81;
constexpr std::uint8_t kStart = 0x82;
constexpr std::uint8_t kContinue = 0x83;
constexpr std::size_t kSamples = 4;
constexpr std::size_t kFirstSample = 2;
constexpr std::size_t kSampleBytes = 15;
constexpr std::size_t kCrcAt = 63;
constexpr double kMaxV = 60;
constexpr double kMaxA = 10;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kPeriodNs = 10 * kMs;
// Commands less than 25 ms apart make the meter hang.
constexpr std::int64_t kStartSpacingNs = 50 * kMs;
constexpr std::int64_t kLeastSpacingNs = 25 * kMs;
// A start command lasts for about a second, and revives a stream that has lapsed.
constexpr std::int64_t kKeepAliveNs = 500 * kMs;
constexpr std::int64_t kLapseNs = 900 * kMs;
constexpr std::int64_t kSilentNs = 200 * kMs;
constexpr int kWriteMs = 500;

std::uint8_t Crc(Bytes report) { return Crc8(report.subspan(1, kCrcAt - 1), 0x39, 0x42); }

std::vector<std::uint8_t> Command(std::uint8_t command) {
  const std::uint8_t head[] = {kHead, command};
  std::vector<std::uint8_t> report = HidReport(head);
  report[kCrcAt] = Crc(report);
  return report;
}

class FnirsiDriver : public HidStreamDriver {
 public:
  FnirsiDriver(FnirsiStart start, NowNs now)
      : HidStreamDriver(std::make_unique<FnirsiDecoder>(), std::move(now)), start_(start) {}

 protected:
  absl::Status Begin(Link& link, double /*rate_hz*/) override {
    every_report_ = false;
    CountSamples(kPeriodNs, kSamples);
    for (const std::uint8_t command :
         {kIdentify, kStart, start_ == FnirsiStart::kStartTwice ? kStart : kContinue}) {
      if (const absl::Status status = Send(link, command); !status.ok()) return status;
      if (const absl::Status status = DiscardReports(link, now(), Now() + kStartSpacingNs);
          !status.ok()) {
        return status;
      }
    }
    restarted_ns_ = Now();
    // The first report may be one of before the start.
    DropNextReport();
    return absl::OkStatus();
  }

  absl::Status KeepAlive(Link& link) override {
    if (SilentNs() >= kSilentNs && Now() - restarted_ns_ >= kSilentNs) {
      // Firmwares differ in what keeps them going; the other way may.
      every_report_ = !every_report_;
      restarted_ns_ = Now();
      DropNextReport();
      return Send(link, kStart);
    }
    if (!every_report_ && Now() - sent_ns_ >= kKeepAliveNs) {
      // The stream may have lapsed, and then begins with a report of before.
      if (Now() - sent_ns_ >= kLapseNs) DropNextReport();
      return Send(link, kStart);
    }
    return absl::OkStatus();
  }

  absl::Status AfterSamples(Link& link) override {
    if (!every_report_ || Now() - sent_ns_ < kLeastSpacingNs) return absl::OkStatus();
    return Send(link, kContinue);
  }

 private:
  absl::Status Send(Link& link, std::uint8_t command) {
    const absl::Status status = link.Write(Command(command), kWriteMs);
    sent_ns_ = Now();
    return status;
  }

  const FnirsiStart start_;
  bool every_report_ = false;
  std::int64_t sent_ns_ = 0;
  std::int64_t restarted_ns_ = 0;
};

struct Product {
  std::uint16_t vendor;
  std::uint16_t product;
};
constexpr Product kBootloader = {0x0483, 0x0038};

template <std::size_t kCount>
UsbMatch Match(const UsbDevice& device, const Product (&products)[kCount]) {
  for (const Product& product : products) {
    if (device.vendor != product.vendor || device.product != product.product) continue;
    return IsVendorHid(device) ? UsbMatch::kYes : UsbMatch::kNo;
  }
  return UsbMatch::kNo;
}

UsbMatch MatchFnb58(const UsbDevice& device) {
  if (device.vendor == kBootloader.vendor && device.product == kBootloader.product) {
    return UsbMatch::kFirmwareUpdate;
  }
  return Match(device, {{0x2E3C, 0x5558}, {0x2E3C, 0x5555}, {0x2E3C, 0x0049}});
}

UsbMatch MatchC1(const UsbDevice& device) {
  return Match(device, {{0x0483, 0x003A}, {0x0483, 0x003B}});
}

MeterModel Model(FnirsiStart start) {
  MeterModel model;
  model.link = LinkKind::kHid;
  model.max_rate_hz = 100;
  model.own_clock = true;
  model.kind = SampleKind::kAveraged;
  // Reports come every 40 ms; when in them the newest sample was taken is not known.
  model.latency_u_ns = 20 * kMs;
  model.resolution_w = 1e-5;
  model.max_voltage_v = kMaxV;
  model.max_current_a = kMaxA;
  model.gain_u = 0.005;
  model.offset_u_w = 0.002;
  model.make_decoder = [] { return std::make_unique<FnirsiDecoder>(); };
  model.make_driver = [start] { return MakeFnirsiDriver(start, BoottimeNs); };
  model.tested = "derived bytes";
  return model;
}

}  // namespace

absl::StatusOr<std::vector<MeterSample>> FnirsiDecoder::Decode(Bytes bytes) {
  if (bytes.size() != kHidReportBytes) {
    return absl::DataLossError(absl::StrCat("a report has 64 bytes, this one ", bytes.size()));
  }
  if (bytes[0] != kHead) {
    return absl::DataLossError(absl::StrFormat("a report begins with aa, not %02x", bytes[0]));
  }
  if (bytes[kCrcAt] != Crc(bytes)) {
    return absl::DataLossError(
        absl::StrFormat("crc %02x, computed %02x", bytes[kCrcAt], Crc(bytes)));
  }
  if (bytes[1] != kData) return std::vector<MeterSample>();

  std::vector<MeterSample> samples;
  samples.reserve(kSamples);
  for (std::size_t i = 0; i < kSamples; ++i) {
    const Bytes at = bytes.subspan(kFirstSample + i * kSampleBytes, kSampleBytes);
    const double volts = U32Le(at, 0) / 1e5;
    // A magnitude in all firmwares seen; one that signs it reads the same up to 10 A.
    const double amperes = I32Le(at, 4) / 1e5;
    if (volts > kMaxV || std::abs(amperes) > kMaxA) {
      return absl::DataLossError(absl::StrFormat("%.5f V and %.5f A are beyond %g V and %g A",
                                                 volts, amperes, kMaxV, kMaxA));
    }
    MeterSample sample;
    sample.voltage_v = volts;
    sample.current_a = amperes;
    sample.power_w = volts * amperes;
    sample.more = {{"d_plus_v", U16Le(at, 8) / 1e3},
                   {"d_minus_v", U16Le(at, 10) / 1e3},
                   {"temperature_c", U16Le(at, 13) / 10.0}};
    samples.push_back(std::move(sample));
  }
  return samples;
}

std::unique_ptr<MeterDriver> MakeFnirsiDriver(FnirsiStart start, NowNs now) {
  return std::make_unique<FnirsiDriver>(start, std::move(now));
}

MeterModel FnirsiModel() {
  MeterModel model = Model(FnirsiStart::kStartTwice);
  model.name = "fnirsi";
  model.title = "FNIRSI FNB58, FNB48S, FNB48P";
  model.match = MatchFnb58;
  model.smoothing_ns = 120 * kMs;
  return model;
}

MeterModel FnirsiC1Model() {
  MeterModel model = Model(FnirsiStart::kStartContinue);
  model.name = "fnirsi-c1";
  model.title = "FNIRSI C1, FNB48";
  model.match = MatchC1;
  model.smoothing_ns = 500 * kMs;
  return model;
}

}  // namespace joulefarm::agent
