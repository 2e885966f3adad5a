// ChargerLAB POWER-Z KM003C and KM002C: vendor bulk endpoints, asked for one conversion at a time.
// The queue that the meter paces itself wants a handshake of its maker's, which is not done here;
// its replies are decoded all the same.
//
// Threads: one per object. Ownership: values.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/power/meter/model.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {

class Km003cDecoder : public MeterDecoder {
 public:
  // One transfer of the IN endpoint. Replies without a measurement give no samples.
  absl::StatusOr<std::vector<MeterSample>> Decode(Bytes bytes) override;
  std::int64_t TakeLost() override;
  void Reset() override;

 private:
  absl::Status DecodeQueue(Bytes payload, std::vector<MeterSample>& samples);

  std::optional<std::int64_t> tick_ms_;  // of the queue's last sample, wraps undone
  bool joined_ = false;                  // the next one has to follow it
  std::int64_t step_ = 0;                // ticks between samples; 0: not known yet
  std::int64_t lost_ = 0;
};

// The transaction a reply belongs to; absent: too short to say.
std::optional<std::uint8_t> Km003cTransaction(Bytes reply);

class Km003cDriver : public MeterDriver {
 public:
  // The clock of stamps, and how to wait for it.
  struct Time {
    std::function<std::int64_t()> now = BoottimeNs;
    std::function<void(std::int64_t until_ns)> sleep_until;
  };
  Km003cDriver();
  explicit Km003cDriver(Time time) : time_(std::move(time)) {}

  absl::StatusOr<MeterIdentity> Start(Link& link, double rate_hz) override;
  absl::Status Step(Link& link, MeterBatch& batch) override;
  void Stop(Link& link) override;

 private:
  // Waits for the next poll's time; polls that were missed are lost.
  void Wait(MeterBatch& batch);
  // The reply to the question just asked, into `batch`.
  absl::Status ReadReply(Link& link, MeterBatch& batch);

  const Time time_;
  Km003cDecoder decoder_;
  std::int64_t period_ns_ = 0;
  std::int64_t next_ns_ = 0;
  std::uint8_t transaction_ = 0;
};

MeterModel Km003cModel();

}  // namespace joulefarm::agent
