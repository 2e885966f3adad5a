#include "agent/workload/arrival_bound.h"

#include <time.h>

#include <algorithm>
#include <fstream>

#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

// Between the engine's reading of its clock and the write of the line, and between our read and the
// stamp after it.
constexpr std::int64_t kResolutionNs = 100'000;

}  // namespace

std::optional<std::int64_t> ThreadAwakeNs() {
  std::ifstream file("/proc/thread-self/schedstat");
  std::int64_t ran_ns = 0;
  std::int64_t waited_ns = 0;
  std::int64_t slices = 0;
  if (!(file >> ran_ns >> waited_ns >> slices) || slices == 0) return std::nullopt;
  // The file's own running time lags behind by up to a tick.
  timespec cpu{};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu) != 0) return std::nullopt;
  return waited_ns + std::int64_t{cpu.tv_sec} * 1'000'000'000 + cpu.tv_nsec;
}

std::int64_t ArrivalBound::Earliest(std::int64_t read_ns) {
  if (read_ns == read_ns_) return earliest_ns_;
  const std::optional<std::int64_t> awake_ns = ThreadAwakeNs();
  const std::int64_t now_ns = BoottimeNs();
  std::int64_t earliest_ns = read_ns_;
  if (awake_ns && noted_awake_ns_) {
    const std::int64_t since_read_ns = *awake_ns - *noted_awake_ns_ + (noted_ns_ - read_ns_);
    earliest_ns = std::max(earliest_ns, now_ns - since_read_ns);
  }
  earliest_ns_ = std::min(earliest_ns, read_ns) - kResolutionNs;
  read_ns_ = read_ns;
  noted_ns_ = now_ns;
  noted_awake_ns_ = awake_ns;
  return earliest_ns_;
}

}  // namespace joulefarm::agent
