// Makes a stop request visible to poll(2), so that one wait can watch sockets, processes and the
// stop together.
//
// Threads: wait on one thread; the stop may be requested from any. Ownership: owns its descriptor.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>

#include "agent/process/unique_fd.h"

namespace joulefarm::agent {

// Why a wait ended.
enum class Wake { kReady, kDeadline, kStop };

class StopFd {
 public:
  // A token that can never be stopped is fine.
  explicit StopFd(std::stop_token token);
  StopFd(const StopFd&) = delete;
  StopFd& operator=(const StopFd&) = delete;

  bool stop_requested() const { return token_.stop_requested(); }
  // Waits until `fd` has one of the poll(2) `events` (kReady), the BOOTTIME deadline passes, or a
  // stop is requested; the stop wins. fd < 0: only the other two. No deadline: for ever.
  Wake WaitFor(int fd, short events, std::optional<std::int64_t> deadline_ns) const;
  // A sleep that a stop ends.
  Wake SleepUntil(std::int64_t deadline_ns) const { return WaitFor(-1, 0, deadline_ns); }

 private:
  struct Notify {
    int fd;
    void operator()() const noexcept;
  };
  UniqueFd event_;
  std::stop_token token_;
  std::optional<std::stop_callback<Notify>> callback_;
};

}  // namespace joulefarm::agent
