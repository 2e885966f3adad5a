// Meaning of one event of llama-server's POST /completion stream (seen on build 11669; older names
// are understood).
//
// Threads: pure functions. Ownership: results own their data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm::agent {

struct CompletionEvent {
  // `stop` is true: the last event, with the totals.
  bool final = false;
  // The engine's token index after this event (timings.predicted_n), 1-based; events are fewer than
  // tokens because incomplete UTF-8 is held back. Absent: the event says nothing of tokens.
  std::optional<std::int32_t> index;
  // Ids of tokens this event carries; held-back ones are not among them.
  std::vector<std::int32_t> ids;
  bool has_content = false;

  // Tokens of the prompt; of these evaluated now, and taken from the cache; the engine's time for
  // it.
  std::optional<std::int32_t> n_prompt;
  std::optional<std::int32_t> n_evaluated;
  std::optional<std::int32_t> n_cached;
  std::optional<double> prompt_ms;
  std::string stop;  // of the last event: "limit", "eos", "word"; else empty
};

// INVALID_ARGUMENT: not JSON, or not such an event. FAILED_PRECONDITION: the engine reports an
// error, in its words.
absl::StatusOr<CompletionEvent> ParseCompletionEvent(absl::string_view data);

// The message in an error body of the engine; the text itself (shortened) when there is none.
std::string ErrorMessageIn(absl::string_view body);

}  // namespace joulefarm::agent
