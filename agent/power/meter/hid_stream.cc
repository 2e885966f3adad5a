#include "agent/power/meter/hid_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/power/meter/model.h"

namespace joulefarm::agent {
namespace {

constexpr int kWaitMs = 100;
// More than the kernel keeps for a reader; a bound where a meter sends faster than it is read.
constexpr std::size_t kMostReports = 256;
constexpr std::int64_t kSilenceNs = 1'500'000'000;

}  // namespace

std::vector<std::uint8_t> HidReport(Bytes command) {
  std::vector<std::uint8_t> report(command.begin(), command.end());
  report.resize(kHidReportBytes);
  return report;
}

absl::Status DiscardReports(Link& link, const NowNs& now, std::int64_t until_ns) {
  for (std::size_t i = 0; i < kMostReports || now() < until_ns; ++i) {
    const std::int64_t left_ms = (until_ns - now() + 999'999) / 1'000'000;
    const auto report =
        link.Read(kHidReportBytes, static_cast<int>(std::max<std::int64_t>(left_ms, 0)));
    if (absl::IsDeadlineExceeded(report.status())) {
      if (now() >= until_ns) return absl::OkStatus();
    } else if (!report.ok()) {
      return report.status();
    }
  }
  return absl::OkStatus();
}

bool IsVendorHid(const UsbDevice& device) {
  return absl::StrContains(device.node, "hidraw") &&
         (device.usage_page == 0 || device.usage_page >= 0xFF00);
}

HidStreamDriver::HidStreamDriver(std::unique_ptr<MeterDecoder> decoder, NowNs now)
    : decoder_(std::move(decoder)), now_(std::move(now)) {}

absl::Status HidStreamDriver::Begin(Link& /*link*/, double /*rate_hz*/) { return absl::OkStatus(); }
absl::Status HidStreamDriver::KeepAlive(Link& /*link*/) { return absl::OkStatus(); }
absl::Status HidStreamDriver::AfterSamples(Link& /*link*/) { return absl::OkStatus(); }

void HidStreamDriver::CountSamples(std::int64_t period_ns, std::size_t per_report) {
  clock_.emplace(period_ns, per_report);
  per_report_ = per_report;
}

absl::StatusOr<MeterIdentity> HidStreamDriver::Start(Link& link, double rate_hz) {
  decoder_->Reset();
  drop_ = false;
  begun_ = false;
  clock_stepped_ = false;
  if (const absl::Status status = DiscardReports(link, now_, now_()); !status.ok()) return status;
  if (const absl::Status status = Begin(link, rate_hz); !status.ok()) return status;
  heard_ns_ = now_();
  sampled_ns_ = heard_ns_;
  return MeterIdentity{};
}

absl::Status HidStreamDriver::Step(Link& link, MeterBatch& batch) {
  std::vector<std::vector<std::uint8_t>> reports;
  // All that is there: only of the last one is it known when it arrived.
  while (reports.size() < kMostReports) {
    auto report = link.Read(kHidReportBytes, reports.empty() ? kWaitMs : 0);
    if (!report.ok()) {
      // What has arrived before the link broke is good; the next step meets the error again.
      if (!absl::IsDeadlineExceeded(report.status()) && reports.empty()) return report.status();
      break;
    }
    batch.arrived_ns = now_();
    reports.push_back(*std::move(report));
  }
  const absl::StatusOr<bool> heard = Take(reports, batch);
  if (!heard.ok()) return heard.status();
  if (*heard) {
    heard_ns_ = batch.arrived_ns;
    if (!batch.samples.empty()) sampled_ns_ = batch.arrived_ns;
    // What has arrived is not given up for a command that failed; the next step meets the error.
    AfterSamples(link).IgnoreError();
  }
  // After reading: a host that stood still would take its own silence for the meter's.
  const absl::Status kept = KeepAlive(link);
  if (!batch.samples.empty()) return absl::OkStatus();
  if (!kept.ok()) return kept;
  const std::int64_t without_ns = now_() - sampled_ns_;
  if (without_ns < kSilenceNs) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("no sample for ", without_ns / 1'000'000, " ms",
                   batch.refusal.empty() ? "" : ", only what was refused: ", batch.refusal));
}

absl::StatusOr<bool> HidStreamDriver::Take(const std::vector<std::vector<std::uint8_t>>& reports,
                                           MeterBatch& batch) {
  // Refused reports stay in the list as what they are for the clock: time that passed.
  std::vector<std::vector<MeterSample>> decoded;
  std::size_t passed = 0;
  bool heard = false;
  for (const std::vector<std::uint8_t>& report : reports) {
    auto samples = decoder_->Decode(report);
    if (absl::IsFailedPrecondition(samples.status())) return samples.status();
    // Empty is no report of samples, and none that is waited for.
    if (samples.ok() && samples->empty()) continue;
    heard = heard || samples.ok();
    if (std::exchange(drop_, false)) {
      // In the middle of a stream its time has passed all the same.
      if (begun_) {
        ++passed;
        decoded.emplace_back();
      }
      continue;
    }
    if (!samples.ok()) {
      ++batch.rejected;
      ++passed;
      batch.refusal = std::string(samples.status().message());
      decoded.emplace_back();
      continue;
    }
    decoded.push_back(*std::move(samples));
  }
  if (clock_) {
    const std::int64_t missing = clock_->Arrived(batch.arrived_ns, decoded.size(), passed);
    clock_stepped_ = clock_stepped_ || missing > 0;
    batch.lost += missing + static_cast<std::int64_t>(passed * per_report_);
  }
  for (std::vector<MeterSample>& samples : decoded) {
    if (clock_ && samples.empty()) clock_->Miss();
    for (MeterSample& sample : samples) {
      if (clock_) sample.t_ns = clock_->Next();
      batch.samples.push_back(std::move(sample));
      begun_ = true;
    }
  }
  // Reports that were all refused give no tick: then it is said with the next samples.
  if (!batch.samples.empty()) batch.clock_stepped = std::exchange(clock_stepped_, false);
  batch.lost += decoder_->TakeLost();
  return heard;
}

void HidStreamDriver::Stop(Link& link) {
  // What is left over would be taken for the next one's first samples.
  DiscardReports(link, now_, now_()).IgnoreError();
}

}  // namespace joulefarm::agent
