// How long ago a line that a child printed can have been written, at the latest reading of its
// output: the stamp of an arrival says when it was read, not when it was written.
//
// Threads: Earliest on the thread that reads, for every line of the one stream. Ownership: none.
#pragma once

#include <cstdint>
#include <optional>

namespace joulefarm::agent {

// Time this thread was awake: it ran, or waited for a processor. It sleeps only while there is
// nothing to read, so what it reads was written after its last sleep ended. nullopt: the kernel
// does not say (no /proc/thread-self/schedstat).
std::optional<std::int64_t> ThreadAwakeNs();

class ArrivalBound {
 public:
  // A lower bound of when the line was written whose read returned at `read_ns` (BOOTTIME): after
  // the read before, and at most as long ago as this thread has been awake since.
  std::int64_t Earliest(std::int64_t read_ns);

 private:
  // Of the last read: when it returned; and, taken a little later, a stamp with the time awake.
  std::int64_t read_ns_ = 0;
  std::int64_t noted_ns_ = 0;
  std::optional<std::int64_t> noted_awake_ns_;
  std::int64_t earliest_ns_ = 0;
};

}  // namespace joulefarm::agent
