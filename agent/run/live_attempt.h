// What runs on this host just now, for people who watch: an attempt offers its sampler's readings
// while it samples.
//
// Threads: any. Beginning and ending an offer wait for a reading under way; Speed never waits.
// Ownership: holds `read` as long as its offer lasts.
#pragma once

#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

#include "agent/core/session_types.h"
#include "agent/host/live_reading.h"

namespace joulefarm::agent {

class LiveAttempt {
 public:
  struct Now {
    Fence fence = 0;
    LiveReading reading;
    // Of the request that runs, or of the last one.
    std::optional<double> tokens_per_s;
  };

  // The readings of one attempt, until the offer's scope ends. One attempt runs at a time: the
  // device is leased to it.
  class Offer {
   public:
    // `live` may be null.
    Offer(LiveAttempt* live, Fence fence, std::function<LiveReading()> read) : live_(live) {
      if (live_ != nullptr) live_->Set(fence, std::move(read));
    }
    ~Offer() {
      if (live_ != nullptr) live_->Set(0, nullptr);
    }
    Offer(const Offer&) = delete;
    Offer& operator=(const Offer&) = delete;

   private:
    LiveAttempt* live_;
  };

  void Speed(double tokens_per_s) { tokens_per_s_ = tokens_per_s; }

  // nullopt: nothing runs.
  std::optional<Now> Read() {
    const std::lock_guard lock(mutex_);
    if (!read_) return std::nullopt;
    Now now{fence_, read_(), std::nullopt};
    if (const double speed = tokens_per_s_; !std::isnan(speed)) now.tokens_per_s = speed;
    return now;
  }

 private:
  void Set(Fence fence, std::function<LiveReading()> read) {
    const std::lock_guard lock(mutex_);
    fence_ = fence;
    read_ = std::move(read);
    tokens_per_s_ = kUnknown;
  }

  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

  std::mutex mutex_;  // guards fence_ and read_
  Fence fence_ = 0;
  std::function<LiveReading()> read_;
  std::atomic<double> tokens_per_s_{kUnknown};
};

}  // namespace joulefarm::agent
