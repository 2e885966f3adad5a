// What tests of serial meters share: a driver's conversation with a peer.
//
// Threads: one. Ownership: values.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/power/link/serial_link.h"
#include "agent/power/meter/driver.h"
#include "agent/power/meter/model.h"
#include "tests/agent/power/link/pty_peer.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent {

inline std::vector<MeterSample> DecodeOne(const MeterModel& model,
                                          const std::vector<std::uint8_t>& bytes) {
  const absl::StatusOr<std::vector<MeterSample>> samples = model.make_decoder()->Decode(bytes);
  EXPECT_TRUE(samples.ok()) << samples.status();
  return samples.ok() ? *samples : std::vector<MeterSample>();
}

inline double More(const MeterSample& sample, absl::string_view name) {
  for (const auto& [known, value] : sample.more) {
    if (known == name) return value;
  }
  ADD_FAILURE() << "no " << name;
  return 0;
}

// A driver on an open line to a peer.
class Conversation {
 public:
  Conversation(const MeterModel& model, const PtyPeer& peer)
      : Conversation(model.make_driver(), peer, model.baud) {}
  Conversation(std::unique_ptr<MeterDriver> driver, const PtyPeer& peer, int baud)
      : driver_(std::move(driver)) {
    absl::StatusOr<std::unique_ptr<Link>> link = OpenSerial(peer.path(), baud);
    EXPECT_TRUE(link.ok()) << link.status();
    if (link.ok()) link_ = *std::move(link);
  }

  absl::StatusOr<MeterIdentity> Start(double rate_hz = 0) {
    return driver_->Start(*link_, rate_hz);
  }
  void Stop() { driver_->Stop(*link_); }
  // Steps until `samples` have come or `rejected` were refused; the error that ended it, if one
  // did. What came is added up in `seen`.
  absl::Status StepUntil(std::size_t samples, std::int64_t rejected = 1'000'000) {
    constexpr int kMostSteps = 400;
    for (int i = 0; i < kMostSteps; ++i) {
      if (seen.samples.size() >= samples || seen.rejected >= rejected) return absl::OkStatus();
      MeterBatch batch;
      if (absl::Status step = driver_->Step(*link_, batch); !step.ok()) return step;
      if (batch.asked_ns && !batch.samples.empty()) {
        EXPECT_LE(*batch.asked_ns, batch.arrived_ns);
      }
      seen.samples.insert(seen.samples.end(), batch.samples.begin(), batch.samples.end());
      seen.rejected += batch.rejected;
      seen.lost += batch.lost;
      if (!batch.refusal.empty()) seen.refusal = batch.refusal;
      seen.asked_ns = batch.asked_ns;
      seen.arrived_ns = batch.arrived_ns;
    }
    return absl::DeadlineExceededError("too few samples came");
  }
  absl::Status StepOnce(MeterBatch& batch) { return driver_->Step(*link_, batch); }

  MeterBatch seen;

 private:
  std::unique_ptr<MeterDriver> driver_;
  std::unique_ptr<Link> link_;
};

}  // namespace joulefarm::agent
