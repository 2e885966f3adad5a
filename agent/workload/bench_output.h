// Follows what one llama-bench prints: the stamps of its repetitions and its results.
//
// Threads: Take from the output reader's thread, the rest from any; what TakeResults gives is
// complete once the output has ended. Ownership: the attempt and the log outlive it.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/process/output_reader.h"
#include "agent/workload/arrival_bound.h"
#include "agent/workload/attempt.h"
#include "agent/workload/bench_times.h"
#include "agent/workload/engine_log.h"

namespace joulefarm::agent {

// One repetition's line, with the peak of memory while it was the last one.
struct Repetition {
  BenchTest test = BenchTest::kPrompt;
  int run = 0;
  RepetitionStamp stamp;
  std::optional<std::int64_t> peak_rss_bytes;
};

class BenchOutput {
 public:
  BenchOutput(Attempt& attempt, EngineLog& log) : attempt_(attempt), log_(log) {}

  void Take(const OutputLine& line);

  struct Progress {
    std::int64_t last_sign_ns = 0;          // of the last line of --progress
    std::optional<std::int64_t> loaded_ns;  // the first line that needs a loaded model
    std::optional<std::int64_t> first_repetition_ns;
    std::string during;  // "in run 2 of 4, prompt test"
  };
  Progress progress() const;

  // What was collected; call after the output has ended.
  const std::vector<Repetition>& repetitions() const { return repetitions_; }
  const std::vector<BenchResult>& results() const { return results_; }
  // Why stdout was not what it should be; empty: it was.
  const std::string& garbage() const { return garbage_; }
  // When the last result arrived.
  std::int64_t done_ns() const { return done_ns_; }

 private:
  void TakeProgress(const BenchProgress& progress, const OutputLine& line);
  void TakeStdout(const OutputLine& line);
  void ClosePeak();

  Attempt& attempt_;
  EngineLog& log_;
  // The reader's thread only, until the output has ended.
  ArrivalBound bound_;
  std::vector<Repetition> repetitions_;
  std::vector<BenchResult> results_;
  std::string pending_;
  std::string garbage_;
  std::int64_t done_ns_ = 0;
  mutable std::mutex mutex_;
  Progress progress_;  // guarded by mutex_
};

}  // namespace joulefarm::agent
