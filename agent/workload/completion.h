// What a streamed completion gives, whoever the engine is.
//
// Threads: plain values. Ownership: values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace joulefarm::agent {

// A token-carrying event as it arrived.
struct Arrival {
  // The engine's token index after it, 1-based; absent: the engine does not say.
  std::optional<std::int32_t> index;
  std::int64_t t_ns = 0;  // BOOTTIME
};

struct Completion {
  std::int64_t t_req_ns = 0;  // connection open, before the first request byte
  std::vector<Arrival> arrivals;
  std::vector<std::int32_t> ids;  // in order; held-back tokens are missing
  std::optional<std::int32_t> n_prompt;
  std::optional<std::int32_t> n_evaluated;
  std::optional<std::int32_t> n_cached;
  std::optional<std::int32_t> n_gen;
  std::optional<double> prompt_ms;
  std::string stop;
};

enum class StreamEnd {
  kDone,
  kStop,      // a stop was requested
  kDeadline,  // the deadline passed
  kStalled,   // no token for too long
  kLost,      // the connection failed or ended early
  kRefused,   // the engine answered with an error
  kGarbage,   // what came is not a completion stream
};

struct CompletionResult {
  StreamEnd end = StreamEnd::kDone;
  std::string detail;     // for people; empty for kDone
  Completion completion;  // what came until the end
};

struct CompletionLimits {
  std::optional<std::int64_t> deadline_ns;  // BOOTTIME
  std::int64_t first_token_ns = 0;          // longest wait from the request to the first token
  std::int64_t stall_ns = 0;                // longest wait between tokens
  // More token-carrying events than this are no completion; absent: the engine's index bounds them.
  std::optional<std::int64_t> max_arrivals = std::nullopt;
  // Told the decode speed so far, tokens per second, a few times a second; may be empty.
  std::function<void(double)> on_speed;
};

}  // namespace joulefarm::agent
