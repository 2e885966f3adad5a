// What the drivers of meters have in common that send HID reports by themselves.
//
// Threads: one. Ownership: owns its decoder; links are lent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "agent/power/link/usb_device.h"
#include "agent/power/meter/count_clock.h"
#include "agent/power/meter/driver.h"

namespace joulefarm::agent {

inline constexpr std::size_t kHidReportBytes = 64;

// BOOTTIME, ns; tests have their own.
using NowNs = std::function<std::int64_t()>;

// A command in a report of 64 bytes, the rest 0.
std::vector<std::uint8_t> HidReport(Bytes command);

// Throws away what arrives until `until_ns`, but at least what has arrived.
absl::Status DiscardReports(Link& link, const NowNs& now, std::int64_t until_ns);

// True for the device file of a HID interface; one of vendor page, where the page is known.
bool IsVendorHid(const UsbDevice& device);

class HidStreamDriver : public MeterDriver {
 public:
  absl::StatusOr<MeterIdentity> Start(Link& link, double rate_hz) final;
  absl::Status Step(Link& link, MeterBatch& batch) final;
  void Stop(Link& link) override;

 protected:
  HidStreamDriver(std::unique_ptr<MeterDecoder> decoder, NowNs now);

  // The commands that start the stream, and the clock of a meter that has none.
  virtual absl::Status Begin(Link& link, double rate_hz);
  // After each wait for reports, whether there were any or not.
  virtual absl::Status KeepAlive(Link& link);
  // After reports with samples, those that are dropped included.
  virtual absl::Status AfterSamples(Link& link);

  std::int64_t Now() const { return now_(); }
  const NowNs& now() const { return now_; }
  // Since the last report with samples, or the start.
  std::int64_t SilentNs() const { return now_() - heard_ns_; }
  // The samples of the next such report are of before.
  void DropNextReport() { drop_ = true; }
  // `per_report` samples, `period_ns` apart.
  void CountSamples(std::int64_t period_ns, std::size_t per_report);

 private:
  // True: there were reports with samples.
  absl::StatusOr<bool> Take(const std::vector<std::vector<std::uint8_t>>& reports,
                            MeterBatch& batch);

  const std::unique_ptr<MeterDecoder> decoder_;
  const NowNs now_;
  std::optional<CountClock> clock_;
  std::size_t per_report_ = 1;
  std::int64_t heard_ns_ = 0;
  std::int64_t sampled_ns_ = 0;  // the same, but not of those that were dropped
  bool drop_ = false;
  bool begun_ = false;          // samples were given out
  bool clock_stepped_ = false;  // since the last sample
};

}  // namespace joulefarm::agent
