// One completion streamed by any server that speaks OpenAI's API.
//
// Threads: pure of state; StreamOpenAi blocks its caller. Ownership: results own their data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/process/stop_fd.h"
#include "agent/workload/completion.h"
#include "agent/workload/tcp.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm::agent {

enum class OpenAiApi { kCompletions, kChat };

// Where requests of a base address go. A path that ends in /completions or /chat/completions is
// taken as it stands.
struct OpenAiPaths {
  OpenAiApi api = OpenAiApi::kCompletions;
  std::string generate;  // "/v1/completions"
  std::string models;    // "/v1/models"
};
OpenAiPaths OpenAiPathsOf(absl::string_view path);

// `model` empty: left to the server.
std::string OpenAiBody(const v1::GenerateSpec& spec, OpenAiApi api, const std::string& model,
                       const std::string& prompt);

// The ids in the answer to GET …/models; empty when it is something else.
std::vector<std::string> OpenAiModels(absl::string_view body);

struct OpenAiEvent {
  bool has_text = false;  // it carries generated text, not only a role
  std::string stop;       // of the last choice: "limit", "eos"; else empty
  bool finished = false;  // a finish_reason was given
  // Of `usage`.
  std::optional<std::int32_t> n_prompt;
  std::optional<std::int32_t> n_gen;
  std::optional<std::int32_t> n_cached;
};

// INVALID_ARGUMENT: not JSON, or not such an event. FAILED_PRECONDITION: the server reports an
// error, in its words.
absl::StatusOr<OpenAiEvent> ParseOpenAiEvent(absl::string_view data);

// t_1 and t_n are the first and last event that carries text. Counts are those of `usage` or
// absent; events have no token index.
CompletionResult StreamOpenAi(const Endpoint& endpoint, absl::string_view target,
                              absl::string_view body, const CompletionLimits& limits,
                              const StopFd& stop);

}  // namespace joulefarm::agent
