// Watches the time an attempt takes: one limit until its first run, another for the runs.
//
// Thread rule: every method from any thread; `passed` is called once at most, on the watch's own
// thread. Ownership: owns its thread. Time is CLOCK_BOOTTIME, so that a suspended host's time
// counts.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace joulefarm::agent {

class RunLimits {
 public:
  // Limits in nanoseconds; 0 or less: none.
  RunLimits(std::int64_t prepare_ns, std::int64_t run_ns, std::function<void(std::string)> passed);
  ~RunLimits();
  RunLimits(const RunLimits&) = delete;
  RunLimits& operator=(const RunLimits&) = delete;

  // The first run begins: from now on the other limit counts. Again: nothing.
  void RunsBegin();

 private:
  void Loop();

  const std::int64_t prepare_ns_;
  const std::int64_t run_ns_;
  const std::function<void(std::string)> passed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t since_ns_;
  bool running_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace joulefarm::agent
