// Turns what an engine prints into log lines, without letting a flood drown the farm.
//
// Threads: Take from one thread at a time. Ownership: the recorder outlives it.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "agent/workload/recorder.h"

namespace joulefarm::agent {

class EngineLog {
 public:
  // Per attempt; what comes later is only kept as the last output, and one line says so.
  static constexpr std::int64_t kMostLines = 20'000;
  static constexpr std::int64_t kMostBytes = std::int64_t{4} * 1024 * 1024;
  static constexpr std::size_t kLongestLine = 4096;

  explicit EngineLog(Recorder* recorder) : recorder_(recorder) {}
  void Take(absl::string_view line);

 private:
  Recorder* recorder_;
  std::int64_t lines_ = 0;
  std::int64_t bytes_ = 0;
};

}  // namespace joulefarm::agent
