#include "agent/workload/completion_event.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "agent/process/text.h"
#include "agent/workload/json_member.h"

namespace joulefarm::agent {
namespace {

using Json = nlohmann::json;

bool Flag(const Json& object, const char* name) {
  const Json* value = Member(object, name);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

std::string StopReason(const Json& event) {
  const Json* type = Member(event, "stop_type");
  if (type != nullptr && type->is_string()) {
    const auto text = type->get<std::string>();
    return text == "limit" || text == "eos" || text == "word" ? text : "";
  }
  if (Flag(event, "stopped_limit")) return "limit";
  if (Flag(event, "stopped_eos")) return "eos";
  return Flag(event, "stopped_word") ? "word" : "";
}

// The message of {"error": {"message": …}} or {"error": "…"}.
std::optional<std::string> ErrorMessage(const Json& event) {
  const Json* error = Member(event, "error");
  if (error == nullptr) return std::nullopt;
  const Json* message = error->is_string() ? error : Member(*error, "message");
  if (message != nullptr && message->is_string())
    return Printable(message->get<std::string>(), 2000);
  return Printable(error->dump(-1, ' ', false, Json::error_handler_t::replace), 2000);
}

}  // namespace

absl::StatusOr<CompletionEvent> ParseCompletionEvent(absl::string_view data) {
  const Json json = ParseJson(data);
  if (json.is_discarded() || !json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a JSON object: ", Printable(data, kExcerptBytes)));
  }
  if (const std::optional<std::string> error = ErrorMessage(json))
    return absl::FailedPreconditionError(*error);
  const Json* content = Member(json, "content");
  if (content == nullptr || !content->is_string()) {
    return absl::InvalidArgumentError(
        absl::StrCat("no completion event: ", Printable(data, kExcerptBytes)));
  }
  CompletionEvent event;
  event.final = Flag(json, "stop");
  event.has_content = !content->get_ref<const std::string&>().empty();
  if (event.final) event.stop = StopReason(json);
  if (const Json* tokens = Member(json, "tokens"); tokens != nullptr && tokens->is_array()) {
    for (const Json& id : *tokens) {
      if (const std::optional<std::int32_t> whole = CountOf(id)) event.ids.push_back(*whole);
    }
  }
  event.index = Count(json, "tokens_predicted");
  event.n_prompt = Count(json, "tokens_evaluated");
  if (const Json* timings = Member(json, "timings")) {
    if (const auto predicted = Count(*timings, "predicted_n")) event.index = predicted;
    event.n_evaluated = Count(*timings, "prompt_n");
    event.n_cached = Count(*timings, "cache_n");
    const Json* prompt_ms = Member(*timings, "prompt_ms");
    if (prompt_ms != nullptr && prompt_ms->is_number() && prompt_ms->get<double>() >= 0)
      event.prompt_ms = prompt_ms->get<double>();
  }
  return event;
}

std::string ErrorMessageIn(absl::string_view body) {
  const Json json = ParseJson(body);
  if (!json.is_discarded()) {
    if (std::optional<std::string> message = ErrorMessage(json)) return *message;
  }
  return Printable(body, kExcerptBytes);
}

}  // namespace joulefarm::agent
