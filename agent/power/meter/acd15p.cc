#include "agent/power/meter/acd15p.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/power/meter/bytes.h"
#include "agent/power/meter/km001pro.h"
#include "agent/power/meter/round_trip.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

constexpr std::uint8_t kHead[] = {0xAA, 0x40, 0x62, 0x05, 0x0B, 0x00, 0xEB, 0x01};
constexpr std::size_t kSampleBytes = 40;
constexpr double kMaxV = 60;
constexpr double kMaxA = 10;

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kMaxWaitNs = 250'000'000;
constexpr std::int64_t kSilenceNs = 5 * kSecondNs;
// An answer that took longer is refused: a stamp is the middle, so none is off by more than half.
constexpr std::int64_t kLongestRoundTripNs = kSecondNs;
constexpr int kWriteMs = 500;

int WaitMs(std::int64_t left_ns) {
  return static_cast<int>(std::clamp<std::int64_t>(left_ns, 0, kMaxWaitNs) / 1'000'000);
}

class Acd15pDriver : public MeterDriver {
 public:
  explicit Acd15pDriver(NowNs now) : now_(std::move(now)) {}

  absl::StatusOr<MeterIdentity> Start(Link& link, double rate_hz) override {
    decoder_.Reset();
    period_ns_ = rate_hz > 0 && rate_hz < 1
                     ? static_cast<std::int64_t>(static_cast<double>(kSecondNs) / rate_hz)
                     : kSecondNs;
    if (const absl::Status status = DiscardReports(link, now_, now_()); !status.ok()) return status;
    waiting_ = false;
    due_ns_ = now_();
    heard_ns_ = now_();
    return MeterIdentity{};
  }

  absl::Status Step(Link& link, MeterBatch& batch) override {
    if (!waiting_ && now_() < due_ns_) {
      // What comes unasked answers nothing that is known.
      const auto stray = link.Read(kHidReportBytes, std::max(WaitMs(due_ns_ - now_()), 1));
      return stray.ok() || absl::IsDeadlineExceeded(stray.status()) ? absl::OkStatus()
                                                                    : stray.status();
    }
    if (!waiting_) {
      // A late answer to an earlier request would get this one's stamp.
      if (const absl::Status status = DiscardReports(link, now_, now_()); !status.ok()) {
        return status;
      }
      asked_ns_ = now_();
      due_ns_ = std::max(due_ns_ + period_ns_, asked_ns_);
      if (const absl::Status status =
              link.Write(KingMeterCommand(kKingMeterGet, KingMeterTail::kConstant), kWriteMs);
          !status.ok()) {
        return status;
      }
      waiting_ = true;
    }
    const auto report = link.Read(kHidReportBytes, WaitMs(kMaxWaitNs));
    if (report.ok()) {
      batch.arrived_ns = now_();
      Take(*report, batch);
    } else if (!absl::IsDeadlineExceeded(report.status())) {
      return report.status();
    }
    if (now_() - asked_ns_ >= kLongestRoundTripNs) waiting_ = false;
    if (now_() - heard_ns_ < kSilenceNs + period_ns_) return absl::OkStatus();
    return absl::UnavailableError(
        absl::StrCat("no answer for ", (now_() - heard_ns_) / 1'000'000, " ms"));
  }

  void Stop(Link& link) override { DiscardReports(link, now_, now_()).IgnoreError(); }

 private:
  void Take(Bytes report, MeterBatch& batch) {
    auto samples = decoder_.Decode(report);
    if (!samples.ok()) {
      ++batch.rejected;
      batch.refusal = std::string(samples.status().message());
      return;
    }
    if (samples->empty()) return;
    const std::int64_t took_ns = batch.arrived_ns - asked_ns_;
    if (took_ns > kLongestRoundTripNs) {
      batch.lost += static_cast<std::int64_t>(samples->size());
      ++batch.rejected;
      batch.refusal = LongRoundTrip(took_ns, kLongestRoundTripNs);
      return;
    }
    batch.samples = *std::move(samples);
    batch.asked_ns = asked_ns_;
    heard_ns_ = batch.arrived_ns;
    waiting_ = false;
  }

  Acd15pDecoder decoder_;
  const NowNs now_;
  std::int64_t period_ns_ = kSecondNs;
  std::int64_t due_ns_ = 0;
  std::int64_t asked_ns_ = 0;
  std::int64_t heard_ns_ = 0;
  bool waiting_ = false;
};

UsbMatch Match(const UsbDevice& device) {
  return HasKingMeterId(device) && IsAtorch(device) ? UsbMatch::kYes : UsbMatch::kNo;
}

}  // namespace

absl::StatusOr<std::vector<MeterSample>> Acd15pDecoder::Decode(Bytes bytes) {
  if (bytes.size() < kSampleBytes || bytes.size() > kHidReportBytes) {
    return absl::DataLossError(absl::StrCat("a report has ", kSampleBytes, " to ", kHidReportBytes,
                                            " bytes, this one ", bytes.size()));
  }
  if (!std::equal(std::begin(kHead), std::end(kHead), bytes.begin())) {
    return absl::DataLossError("a report begins with aa4062050b00eb01");
  }
  const auto value = [bytes](std::size_t index) { return I32Le(bytes, 8 + 4 * index) / 1e6; };
  const double volts = value(0);
  const double amperes = value(1);
  const double watts = value(2);
  if (std::abs(volts) > kMaxV || std::abs(amperes) > kMaxA || std::abs(watts) > kMaxV * kMaxA) {
    return absl::DataLossError(absl::StrFormat("%.6f V, %.6f A and %.6f W are beyond %g V and %g A",
                                               volts, amperes, watts, kMaxV, kMaxA));
  }
  MeterSample sample;
  sample.voltage_v = volts;
  sample.current_a = amperes;
  sample.power_w = watts;
  sample.more = {{"d_plus_v", value(3)},
                 {"d_minus_v", value(4)},
                 {"cc1_v", value(5)},
                 {"cc2_v", value(6)},
                 {"temperature_c", value(7)}};
  return std::vector<MeterSample>{std::move(sample)};
}

std::unique_ptr<MeterDriver> MakeAcd15pDriver(NowNs now) {
  return std::make_unique<Acd15pDriver>(std::move(now));
}

MeterModel Acd15pModel() {
  MeterModel model;
  model.name = "acd15p";
  model.title = "ATORCH ACD15P, C13P";
  model.link = LinkKind::kHid;
  model.match = Match;
  model.max_rate_hz = 1;
  // Nobody states what it averages over; its values may be as old as the second between them.
  model.refresh_ns = kSecondNs;
  model.stamp_bound_ns = kLongestRoundTripNs / 2;
  model.resolution_w = 1e-6;
  model.max_voltage_v = kMaxV;
  model.max_current_a = kMaxA;
  model.gain_u = 0.005;
  model.offset_u_w = 0.002;
  model.make_decoder = [] { return std::make_unique<Acd15pDecoder>(); };
  model.make_driver = [] { return MakeAcd15pDriver(BoottimeNs); };
  model.tested = "capture";
  return model;
}

}  // namespace joulefarm::agent
