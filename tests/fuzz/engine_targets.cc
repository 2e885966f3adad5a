// What engines and commands answer and print. Streams begin with two bytes that choose how they
// arrive.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/workload/bench_times.h"
#include "agent/workload/completion_event.h"
#include "agent/workload/http.h"
#include "agent/workload/json_lines.h"
#include "agent/workload/openai_client.h"
#include "agent/workload/sse.h"
#include "tests/agent/workload/recorded.h"
#include "tests/fuzz/target.h"

namespace joulefarm::fuzz {
namespace {

using namespace agent;  // NOLINT: all of this is about its parsers

constexpr std::size_t kHeader = 2;

std::uint16_t HowIn(InputView input) {
  return static_cast<std::uint16_t>(input[0] | input[1] << 8);
}

Input Arriving(std::uint8_t how, absl::string_view stream) {
  Input input = {how, 0};
  input.insert(input.end(), stream.begin(), stream.end());
  return input;
}

void CheckRefusal(const absl::Status& status) {
  Must(absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status),
       "a refusal is garbage or the engine's own:", status.ToString());
}

void CheckCount(const std::optional<std::int32_t>& count, absl::string_view what) {
  Must(count.value_or(0) >= 0, "what is counted is not below 0:", what, " ", count.value_or(0));
}

void RunSse(InputView input) {
  if (input.size() < kHeader) return;
  const auto parse = [&](std::uint16_t how, std::vector<SseEvent>& events, bool& idle) {
    SseParser parser;
    absl::Status status;
    for (const InputView piece : SplitUp(input.subspan(kHeader), how)) {
      if (status = parser.Feed(TextIn(piece), events); !status.ok()) break;
    }
    idle = parser.idle();
    return status;
  };
  std::vector<SseEvent> whole;
  std::vector<SseEvent> split;
  bool whole_idle = false;
  bool split_idle = false;
  const absl::Status status = parse(0, whole, whole_idle);
  const absl::Status other = parse(HowIn(input), split, split_idle);
  Must(status.code() == other.code(), "splits change nothing:", status.ToString(), " and ",
       other.ToString());
  Must(whole.size() == split.size() && whole_idle == split_idle,
       "splits change no events:", whole.size(), " and ", split.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    Must(!whole[i].type.empty() && whole[i].type == split[i].type && whole[i].data == split[i].data,
         "splits change no event:", whole[i].data, " and ", split[i].data);
  }
}

struct Answer {
  bool http = true;
  bool header = false;
  bool done = false;
  unsigned status = 0;
  std::string type;
  std::string body;
};

Answer Answered(InputView bytes, std::uint16_t how) {
  HttpResponse response;
  Answer answer;
  for (const InputView piece : SplitUp(bytes, how)) {
    answer.http = response.Feed(TextIn(piece));
    if (response.has_header()) answer.body += response.TakeBody();
    if (!answer.http) {
      Must(!response.error().empty(), "what is no HTTP is so for a reason");
      return answer;
    }
    if (response.done()) break;
  }
  response.FeedEnd();
  answer.header = response.has_header();
  answer.done = response.done();
  if (answer.header) {
    answer.body += response.TakeBody();
    answer.status = response.status();
    answer.type = response.content_type();
  }
  return answer;
}

void RunHttp(InputView input) {
  if (input.size() < kHeader) return;
  const InputView bytes = input.subspan(kHeader);
  const Answer whole = Answered(bytes, 0);
  const Answer split = Answered(bytes, HowIn(input));
  Must(whole.body.size() <= bytes.size(), "a body is no longer than what came");
  // What is behind the end of an answer is not looked at, so only what is before it counts.
  if (!whole.http || !split.http) return;
  Must(whole.header == split.header && whole.done == split.done && whole.status == split.status &&
           whole.type == split.type && whole.body == split.body,
       "splits change nothing:", whole.body, " and ", split.body);
}

void RunCompletionEvent(InputView input) {
  const auto event = ParseCompletionEvent(TextIn(input));
  Must(ErrorMessageIn(TextIn(input)).size() <= 8'100, "what is shown of an error is short");
  if (!event.ok()) return CheckRefusal(event.status());
  CheckCount(event->index, "index");
  CheckCount(event->n_prompt, "n_prompt");
  CheckCount(event->n_evaluated, "n_evaluated");
  CheckCount(event->n_cached, "n_cached");
  for (const std::int32_t id : event->ids) CheckCount(id, "token");
  Must(!event->prompt_ms || (std::isfinite(*event->prompt_ms) && *event->prompt_ms >= 0),
       "a time is not below 0:", event->prompt_ms.value_or(0));
  Must(event->final || event->stop.empty(), "only the last has a reason to stop");
}

void RunOpenAiEvent(InputView input) {
  const auto event = ParseOpenAiEvent(TextIn(input));
  for (const std::string& id : OpenAiModels(TextIn(input))) {
    Must(id.size() <= input.size(), "a model's name is out of the answer");
  }
  if (!event.ok()) return CheckRefusal(event.status());
  CheckCount(event->n_prompt, "n_prompt");
  CheckCount(event->n_gen, "n_gen");
  CheckCount(event->n_cached, "n_cached");
}

void RunBench(InputView input) {
  if (const auto progress = ParseBenchProgress(TextIn(input))) {
    Must(progress->repetition >= 0, "repetitions are counted from 0");
  }
  const auto result = ParseBenchResult(TextIn(input));
  if (!result.ok()) return CheckRefusal(result.status());
  CheckCount(result->n_prompt, "n_prompt");
  CheckCount(result->n_gen, "n_gen");
  CheckCount(result->n_depth, "n_depth");
  std::vector<RepetitionStamp> stamps;
  for (const std::int64_t duration_ns : result->samples_ns) {
    Must(duration_ns > 0, "a repetition takes time");
    const auto at = static_cast<std::int64_t>(stamps.size()) * 1'000;
    stamps.push_back({.earliest_ns = at, .arrival_ns = at + 500});
  }
  // Only what fits is placed.
  constexpr std::int64_t kSpanNs = 1'000'000'000'000;
  if (!FitIntoSpan(result->samples_ns, kSpanNs)) return;
  std::int64_t last_ns = INT64_MIN;
  for (const RepetitionSpan& span : PlaceRepetitions(stamps, result->samples_ns, kSpanNs)) {
    Must(span.start_ns >= last_ns && span.end_ns > span.start_ns && span.bound_ns >= 0,
         "repetitions do not overlap:", span.start_ns);
    last_ns = span.end_ns;
  }
}

void RunReportLine(InputView input) {
  const auto line = ParseReportLine(TextIn(input));
  if (!line) return;
  if (const auto* metric = std::get_if<MetricLine>(&*line)) {
    Must(!metric->name.empty() && std::isfinite(metric->value),
         "a metric is a number with a name:", metric->value);
  } else if (const auto* token = std::get_if<TokenLine>(&*line)) {
    CheckCount(token->id, "token");
  } else {
    Must(std::get<PhaseLine>(*line).phase != v1::PHASE_UNSPECIFIED, "a phase is one of ours");
  }
}

void RunUrl(InputView input) {
  const auto url = ParseHttpUrl(TextIn(input));
  if (!url.ok()) return CheckRefusal(url.status());
  Must(!url->host.empty() && url->port > 0, "an address has a host and a port");
  const std::string request = HttpRequest("GET", url->path + "/x", url->host, "");
  Must(request.find("\r\n\r\n") == request.size() - 4,
       "an address adds no line to a request:", request);
}

}  // namespace

std::vector<Target> EngineTargets() {
  const std::string chunked =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
      "7\r\ndata: 1\r\n3;x=y\r\n\n\n\r\n\r\n0\r\n\r\n";
  const std::vector<std::string> json = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         ":",
                                         ",",
                                         "\"",
                                         "-1",
                                         "1e308",
                                         "null",
                                         "\\",
                                         "99999999999",
                                         "18446744073709551615",
                                         "\"error\":",
                                         "\"content\":\"\""};
  return {
      {.name = "sse",
       .run = RunSse,
       .seeds = {Arriving(0, kRecordedStream), Arriving(1, kRecordedStream),
                 Arriving(9, "event: x\r\rdata\r\ndata:2\n\nerror: {}\n\n: c\nid: 1\n\n")},
       .words = {"data: ", "data:", "event:", "error:", "id:", "retry:", ":", "\r\n", "\r", "\n\n",
                 "\xEF\xBB\xBF"}},
      {.name = "http",
       .run = RunHttp,
       .seeds = {Arriving(0, chunked), Arriving(1, chunked),
                 Arriving(5, "HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nlater"),
                 Arriving(1, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                 Arriving(5, "HTTP/1.0 200 OK\r\n\r\nuntil the end"),
                 Arriving(0, "HTTP/1.1 200 OK\r\nContent-Length: 999999999999999\r\n\r\nx")},
       .words = {"HTTP/1.1 200 OK\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n",
                 "\r\n", "\r\n\r\n", "0\r\n\r\n", "ffffffffffffffff\r\n", "Connection: close\r\n",
                 "18446744073709551615", ": ", ";"}},
      {.name = "completion-event",
       .run = RunCompletionEvent,
       .seeds = {InputOf(kHeldBackEvent), InputOf(kLastEvent),
                 InputOf(R"({"content":"a","tokens":[1,-1,4294967301],"tokens_predicted":3})"),
                 InputOf(R"({"error":{"code":500,"message":"no room"}})"),
                 InputOf(R"({"content":"","stop":true,"timings":{"prompt_ms":-3.5}})"),
                 InputOf("{\"error\":" + std::string(3'000, '[') + std::string(3'000, ']') + "}")},
       .words = json},
      {.name = "openai-event",
       .run = RunOpenAiEvent,
       .seeds = {InputOf(R"({"choices":[{"text":"a","finish_reason":null}]})"),
                 InputOf(R"({"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]})"),
                 InputOf(R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,)"
                         R"("prompt_tokens_details":{"cached_tokens":2}}})"),
                 InputOf(R"({"data":[{"id":"a"},{"id":"b"},{}]})"),
                 InputOf(R"({"error":{"message":"too long"}})")},
       .words = json},
      {.name = "bench-output",
       .run = RunBench,
       .seeds = {InputOf(R"({"build_commit":"Debian","build_number":11669,"n_prompt":64,)"
                         R"("n_gen":0,"n_depth":8,"samples_ns":[30721185,28616122]})"),
                 InputOf("llama-bench: benchmark 1/2: prompt run 2/3"),
                 InputOf("llama-bench: benchmark 1/2: generation run 1/3"),
                 InputOf("llama-bench: benchmark 2/2: warmup prompt run")},
       .words = json},
      {.name = "report-line",
       .run = RunReportLine,
       .seeds = {InputOf(R"({"phase": "idle_loaded", "event": "end"})"),
                 InputOf(R"({"metric": "otps", "value": 12.5, "unit": "1/s"})"),
                 InputOf(R"({"token": 17})")},
       .words = json},
      {.name = "url",
       .run = RunUrl,
       .seeds = {InputOf("http://host:8080/v1"), InputOf("http://[::1]:80/"), InputOf("http://h")},
       .words = {"http://", "[", "]", ":", "/", "\r\n", "@", "%0d%0a", "0", "65536"}},
  };
}

}  // namespace joulefarm::fuzz
