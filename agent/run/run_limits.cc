#include "agent/run/run_limits.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"
#include "common/text/number.h"
#include "common/units/units.h"

namespace joulefarm::agent {
namespace {

// The wait itself does not count time spent suspended, so look at the clock that does now and then.
constexpr std::int64_t kLongestWaitNs = 1'000'000'000;

}  // namespace

RunLimits::RunLimits(std::int64_t prepare_ns, std::int64_t run_ns,
                     std::function<void(std::string)> passed)
    : prepare_ns_(prepare_ns),
      run_ns_(run_ns),
      passed_(std::move(passed)),
      since_ns_(BoottimeNs()) {
  thread_ = std::thread([this] { Loop(); });
}

RunLimits::~RunLimits() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void RunLimits::RunsBegin() {
  {
    const std::lock_guard lock(mutex_);
    if (running_) return;
    running_ = true;
    since_ns_ = BoottimeNs();
  }
  changed_.notify_all();
}

void RunLimits::Loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const std::int64_t limit = running_ ? run_ns_ : prepare_ns_;
    const std::int64_t left = since_ns_ + limit - BoottimeNs();
    if (limit > 0 && left <= 0) {
      std::string text =
          absl::StrCat(running_ ? "the runs took" : "preparing took", " longer than the limit ",
                       running_ ? "run" : "prepare", " of ",
                       SecondsText(static_cast<double>(limit) * kSecondsPerNs));
      lock.unlock();
      passed_(std::move(text));
      return;
    }
    const std::int64_t wait = limit > 0 ? std::min(left, kLongestWaitNs) : kLongestWaitNs;
    changed_.wait_for(lock, std::chrono::nanoseconds(wait));
  }
}

}  // namespace joulefarm::agent
