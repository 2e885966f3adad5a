// When llama-bench's repetitions were, from what it prints while it runs and what it says about
// durations afterwards.
//
// Threads: pure functions. Ownership: values. Stamps are BOOTTIME, ns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm::agent {

enum class BenchTest { kPrompt, kGeneration };

// A line of --progress: "llama-bench: benchmark 1/2: prompt run 2/3".
struct BenchProgress {
  enum class What { kStarting, kWarmup, kDepth, kRepetition };
  What what = What::kStarting;
  BenchTest test = BenchTest::kPrompt;  // of kRepetition
  int repetition = 0;                   // of kRepetition, 0-based
};

// nullopt: the line is log.
std::optional<BenchProgress> ParseBenchProgress(absl::string_view line);

// One object of `-o jsonl`: what one test measured.
struct BenchResult {
  int n_prompt = 0;
  int n_gen = 0;
  int n_depth = 0;
  std::vector<std::int64_t> samples_ns;  // one per repetition
  std::string build;                     // "11669 (Debian)"; empty: not said
};

// INVALID_ARGUMENT: not such an object.
absl::StatusOr<BenchResult> ParseBenchResult(absl::string_view line);

// A repetition's line as it arrived: llama-bench reads its clock, prints the line, and works.
struct RepetitionStamp {
  std::int64_t earliest_ns = 0;  // it was not written before this
  std::int64_t arrival_ns = 0;   // it was read then
};

// [start_ns, start_ns + duration): the latest place in time that fits, which is at most bound_ns
// after the true one.
struct RepetitionSpan {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::int64_t bound_ns = 0;
  bool fits = true;  // false: the durations are too long for the time between the lines
};

// Whether the durations of one process's repetitions together fit into `span_ns`, the time it ran.
bool FitIntoSpan(const std::vector<std::int64_t>& durations_ns, std::int64_t span_ns);

// Places all repetitions of one process in order. A repetition starts not after its line arrived,
// not before the line's earliest, and not before the one before has ended; the last ends not after
// `done_ns`. From these the latest and the earliest possible start follow, backward and forward:
//   latest_i = min(arrival_i, latest_{i+1} − duration_i), earliest_i = max(earliest_i,
//   earliest_{i−1} + duration_{i−1}), bound_i = |latest_i − earliest_i|.
// Spans never overlap. Both vectors have one element per repetition; the durations fit
// into the process's span.
std::vector<RepetitionSpan> PlaceRepetitions(const std::vector<RepetitionStamp>& stamps,
                                             const std::vector<std::int64_t>& durations_ns,
                                             std::int64_t done_ns);

}  // namespace joulefarm::agent
