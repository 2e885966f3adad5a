// A link to a device that a test plays, on a clock that only waiting moves.
//
// Threads: one. Ownership: values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "agent/power/link/link.h"
#include "agent/power/link/usb_device.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent {

class ScriptedLink : public Link {
 public:
  using Report = std::vector<std::uint8_t>;
  struct Written {
    std::int64_t at_ns;
    Report bytes;
  };

  static constexpr std::int64_t kMs = 1'000'000;

  std::function<std::int64_t()> Clock() {
    return [this] { return now_ns_; };
  }
  std::int64_t now_ns() const { return now_ns_; }
  void Pass(std::int64_t ns) { now_ns_ += ns; }

  void Arrive(std::int64_t at_ns, Report report) { coming_.emplace(at_ns, std::move(report)); }
  // From then on reading and writing give this.
  void Break(std::int64_t at_ns, absl::Status status) {
    broken_ns_ = at_ns;
    broken_ = std::move(status);
  }
  // Called after each write.
  std::function<void(const Report&)> on_write;
  const std::vector<Written>& written() const { return written_; }
  std::size_t waiting() const { return coming_.size(); }
  std::int64_t longest_wait_ns() const { return longest_wait_ns_; }

  absl::Status Write(absl::Span<const std::uint8_t> bytes, int /*timeout_ms*/) override {
    if (now_ns_ >= broken_ns_) return broken_;
    written_.push_back({now_ns_, Report(bytes.begin(), bytes.end())});
    if (on_write) on_write(written_.back().bytes);
    return absl::OkStatus();
  }

  absl::StatusOr<Report> Read(std::size_t most, int timeout_ms) override {
    const std::int64_t until_ns = now_ns_ + timeout_ms * kMs;
    if (coming_.empty() || coming_.begin()->first > until_ns) {
      const std::int64_t end_ns = std::max(now_ns_, std::min(until_ns, broken_ns_));
      longest_wait_ns_ = std::max(longest_wait_ns_, end_ns - now_ns_);
      now_ns_ = end_ns;
      if (now_ns_ >= broken_ns_) return broken_;
      return absl::DeadlineExceededError("nothing");
    }
    const auto first = coming_.begin();
    longest_wait_ns_ = std::max(longest_wait_ns_, first->first - now_ns_);
    now_ns_ = std::max(now_ns_, first->first);
    Report report = std::move(first->second);
    coming_.erase(first);
    report.resize(std::min(report.size(), most));
    return report;
  }

 private:
  std::int64_t now_ns_ = 1'000'000'000;
  std::multimap<std::int64_t, Report> coming_;
  std::vector<Written> written_;
  std::int64_t broken_ns_ = INT64_MAX;
  absl::Status broken_ = absl::UnavailableError("gone");
  std::int64_t longest_wait_ns_ = 0;
};

inline UsbDevice HidDevice(std::uint16_t vendor, std::uint16_t product) {
  UsbDevice device;
  device.vendor = vendor;
  device.product = product;
  device.node = "/dev/hidraw0";
  return device;
}

}  // namespace joulefarm::agent
