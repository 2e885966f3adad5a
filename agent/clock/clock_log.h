// What this agent knows of its host's clock and its controller's: the newest exchanges, and whoever
// runs an attempt and wants them in its record.
//
// Thread rule: any thread. Ownership: recorders outlive their Follow; the log outlives every
// Follow.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <stop_token>

#include "agent/workload/recorder.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

class ClockLog {
 public:
  // As long as it lives everything new is recorded as events of one attempt; what was known before
  // at once.
  class Follow {
   public:
    // `log` may be null: nothing is followed.
    Follow(ClockLog* log, Recorder* recorder);
    ~Follow();
    Follow(const Follow&) = delete;
    Follow& operator=(const Follow&) = delete;

    // Asks for one more burst and waits until it is over, at most so long; not at all where there
    // is no session.
    void AwaitBurst(std::stop_token stop, std::chrono::milliseconds most);

   private:
    ClockLog* log_;
    Recorder* recorder_;
  };

  // Called, on any thread, where a burst is wanted now. Set before anything else.
  void SetWanted(std::function<void()> wanted) { wanted_ = std::move(wanted); }

  void Add(const v1::ClockSnapshot& snapshot);
  // `t4_ns` is the event's stamp.
  void Add(const v1::ClockExchange& exchange);
  // A burst that was begun is over.
  void BurstDone();
  void SetOnline(bool online);
  bool followed() const;

 private:
  // About three bursts, with their snapshots.
  static constexpr std::size_t kKept = 27;

  void Add(v1::Event event);

  std::function<void()> wanted_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<v1::Event> kept_;  // guarded by mutex_, as is what follows
  std::multiset<Recorder*> followers_;
  std::int64_t bursts_ = 0;  // that are over
  bool online_ = false;
};

}  // namespace joulefarm::agent
