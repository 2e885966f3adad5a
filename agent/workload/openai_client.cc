#include "agent/workload/openai_client.h"

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/process/text.h"
#include "agent/workload/completion_event.h"
#include "agent/workload/event_stream.h"
#include "agent/workload/json_member.h"

namespace joulefarm::agent {
namespace {

using Json = nlohmann::json;

bool HasText(const Json& object, const char* name) {
  const Json* value = Member(object, name);
  return value != nullptr && value->is_string() && !value->get_ref<const std::string&>().empty();
}

void TakeChoice(const Json& choice, OpenAiEvent& event) {
  if (HasText(choice, "text")) event.has_text = true;
  if (const Json* delta = Member(choice, "delta")) {
    // What a model thinks before it answers is generated as well.
    for (const char* name : {"content", "reasoning_content", "reasoning"})
      event.has_text = event.has_text || HasText(*delta, name);
  }
  const Json* finish = Member(choice, "finish_reason");
  if (finish == nullptr || !finish->is_string()) return;
  event.finished = true;
  const auto reason = finish->get<std::string>();
  if (reason == "length") event.stop = "limit";
  if (reason == "stop") event.stop = "eos";
}

class OpenAiStream : public EventStream {
 public:
  using EventStream::EventStream;

 private:
  void TakeEvent(const SseEvent& sse, std::int64_t t_ns) override {
    if (sse.data == "[DONE]") return Finish();
    const absl::StatusOr<OpenAiEvent> event = ParseOpenAiEvent(sse.data);
    if (!event.ok()) return EndWith(event.status());
    Completion& completion = this->completion();
    if (event->has_text) {
      completion.arrivals.push_back(Arrival{std::nullopt, t_ns});
      const std::int64_t most = limits().max_arrivals.value_or(INT64_MAX);
      if (static_cast<std::int64_t>(completion.arrivals.size()) > most) {
        return End(
            StreamEnd::kGarbage,
            absl::StrCat("more than ", most, " events carry text; does it keep max_tokens?"));
      }
      Alive(t_ns);
    }
    if (event->finished) {
      finish_reason_ = true;
      completion.stop = event->stop;
    }
    if (event->n_prompt) completion.n_prompt = event->n_prompt;
    if (event->n_gen) completion.n_gen = event->n_gen;
    if (event->n_cached) {
      completion.n_cached = event->n_cached;
      if (event->n_prompt && *event->n_cached <= *event->n_prompt)
        completion.n_evaluated = *event->n_prompt - *event->n_cached;
    }
  }

  // Some servers leave out the last line.
  void StreamEnded() override {
    if (finish_reason_) return Finish();
    EventStream::StreamEnded();
  }

  void Finish() {
    if (completion().arrivals.empty() && completion().stop != "eos") {
      return End(StreamEnd::kGarbage, "the stream ended without any text");
    }
    End(StreamEnd::kDone, "");
  }

  bool finish_reason_ = false;
};

}  // namespace

OpenAiPaths OpenAiPathsOf(absl::string_view path) {
  OpenAiPaths paths;
  if (absl::ConsumeSuffix(&path, "/chat/completions")) {
    paths.api = OpenAiApi::kChat;
  } else {
    absl::ConsumeSuffix(&path, "/completions");
  }
  paths.generate =
      absl::StrCat(path, paths.api == OpenAiApi::kChat ? "/chat/completions" : "/completions");
  paths.models = absl::StrCat(path, "/models");
  return paths;
}

std::string OpenAiBody(const v1::GenerateSpec& spec, OpenAiApi api, const std::string& model,
                       const std::string& prompt) {
  nlohmann::ordered_json body;
  if (!model.empty()) body["model"] = model;
  if (api == OpenAiApi::kChat) {
    body["messages"] = {{{"role", "user"}, {"content", prompt}}};
  } else {
    body["prompt"] = prompt;
  }
  body["max_tokens"] = spec.max_tokens();
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  if (spec.has_temperature()) body["temperature"] = spec.temperature();
  if (spec.has_top_p()) body["top_p"] = spec.top_p();
  if (spec.has_seed()) body["seed"] = spec.seed();
  if (spec.has_top_k()) body["top_k"] = spec.top_k();
  if (spec.has_ignore_eos()) body["ignore_eos"] = spec.ignore_eos();
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::vector<std::string> OpenAiModels(absl::string_view body) {
  const Json json = ParseJson(body);
  std::vector<std::string> ids;
  const Json* data = json.is_discarded() ? nullptr : Member(json, "data");
  if (data == nullptr || !data->is_array()) return ids;
  for (const Json& model : *data) {
    const Json* id = Member(model, "id");
    if (id != nullptr && id->is_string()) ids.push_back(id->get<std::string>());
  }
  return ids;
}

absl::StatusOr<OpenAiEvent> ParseOpenAiEvent(absl::string_view data) {
  const Json json = ParseJson(data);
  if (json.is_discarded() || !json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a JSON object: ", Printable(data, kExcerptBytes)));
  }
  if (const Json* error = Member(json, "error"); error != nullptr && !error->is_null())
    return absl::FailedPreconditionError(ErrorMessageIn(data));
  const Json* choices = Member(json, "choices");
  const Json* usage = Member(json, "usage");
  const bool has_usage = usage != nullptr && usage->is_object();
  if ((choices == nullptr || !choices->is_array()) && !has_usage) {
    return absl::InvalidArgumentError(
        absl::StrCat("no completion event: ", Printable(data, kExcerptBytes)));
  }
  OpenAiEvent event;
  if (choices != nullptr && choices->is_array()) {
    for (const Json& choice : *choices) TakeChoice(choice, event);
  }
  if (!has_usage) return event;
  event.n_prompt = Count(*usage, "prompt_tokens");
  event.n_gen = Count(*usage, "completion_tokens");
  if (const Json* details = Member(*usage, "prompt_tokens_details"))
    event.n_cached = Count(*details, "cached_tokens");
  return event;
}

CompletionResult StreamOpenAi(const Endpoint& endpoint, absl::string_view target,
                              absl::string_view body, const CompletionLimits& limits,
                              const StopFd& stop) {
  return OpenAiStream(limits, stop).Run(endpoint, target, body);
}

}  // namespace joulefarm::agent
