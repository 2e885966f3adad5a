// What this host measures just now for devices that other agents drive, for people who watch.
//
// Threads: any. Beginning and ending an offer wait for a reading under way. Ownership: holds `read`
// as long as its offer lasts.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "agent/core/session_types.h"
#include "agent/host/live_reading.h"

namespace joulefarm::agent {

class LiveHelps {
 public:
  struct Now {
    Fence fence = 0;
    std::string device_id;
    LiveReading reading;  // power alone
  };

  // The readings for one attempt, until the offer's scope ends.
  class Offer {
   public:
    // `live` may be null.
    Offer(LiveHelps* live, Fence fence, std::string device_id, std::function<LiveReading()> read)
        : live_(live), fence_(fence) {
      if (live_ == nullptr) return;
      const std::lock_guard lock(live_->mutex_);
      live_->helps_[fence_] = {std::move(device_id), std::move(read)};
    }
    ~Offer() {
      if (live_ == nullptr) return;
      const std::lock_guard lock(live_->mutex_);
      live_->helps_.erase(fence_);
    }
    Offer(const Offer&) = delete;
    Offer& operator=(const Offer&) = delete;

   private:
    LiveHelps* live_;
    const Fence fence_;
  };

  std::vector<Now> Read() {
    std::vector<Now> all;
    const std::lock_guard lock(mutex_);
    for (const auto& [fence, help] : helps_) all.push_back({fence, help.device_id, help.read()});
    return all;
  }

 private:
  struct Help {
    std::string device_id;
    std::function<LiveReading()> read;
  };
  std::mutex mutex_;  // guards helps_
  std::map<Fence, Help> helps_;
};

}  // namespace joulefarm::agent
