#include "agent/workload/completion_client.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"
#include "agent/process/text.h"
#include "agent/workload/completion_event.h"
#include "agent/workload/loopback.h"
#include "agent/workload/sse.h"

namespace joulefarm::agent {
namespace {

namespace http = boost::beast::http;
using Result = LoopbackConnection::Result;

constexpr std::size_t kSample = 300;
constexpr std::size_t kLongestErrorBody = std::size_t{64} * 1024;
constexpr std::int64_t kConnectNs = 5'000'000'000;
constexpr std::int64_t kSpeedPeriodNs = 250'000'000;

std::string Request(absl::string_view method, absl::string_view target, std::uint16_t port,
                    absl::string_view body) {
  std::string request = absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: 127.0.0.1:", port,
                                     "\r\nConnection: close\r\n");
  if (!body.empty()) {
    absl::StrAppend(&request, "Content-Type: application/json\r\nContent-Length: ", body.size(),
                    "\r\n");
  }
  absl::StrAppend(&request, "\r\n", body);
  return request;
}

// An HTTP response that arrives in any pieces.
class ResponseReader {
 public:
  ResponseReader() {
    parser_.eager(true);
    parser_.body_limit(boost::none);
  }

  // False: this is not HTTP.
  bool Feed(absl::string_view bytes) {
    pending_.append(bytes.data(), bytes.size());
    while (!pending_.empty() && !parser_.is_done()) {
      boost::beast::error_code error;
      const std::size_t used = parser_.put(boost::asio::buffer(pending_), error);
      pending_.erase(0, used);
      if (error == http::error::need_more) break;
      if (error) {
        error_ = error.message();
        return false;
      }
    }
    return true;
  }
  bool has_header() const { return parser_.is_header_done(); }
  bool done() const { return parser_.is_done(); }
  unsigned status() const { return parser_.get().result_int(); }
  std::string content_type() const { return std::string(parser_.get()[http::field::content_type]); }
  // The part of the body that came since the last call.
  std::string TakeBody() { return std::exchange(parser_.get().body(), {}); }
  const std::string& error() const { return error_; }

 private:
  http::response_parser<http::string_body> parser_;
  std::string pending_;
  std::string error_;
};

// One streamed completion in progress.
class CompletionStream {
 public:
  CompletionStream(const CompletionLimits& limits, const StopFd& stop)
      : limits_(limits), stop_(stop) {}

  CompletionResult Run(std::uint16_t port, absl::string_view body) {
    const std::string request = Request("POST", "/completion", port, body);
    const std::int64_t connect_by_ns = BoottimeNs() + kConnectNs;
    Result result = connection_.Connect(port, connect_by_ns, stop_);
    Completion& completion = result_.completion;
    completion.t_req_ns = BoottimeNs();
    token_by_ns_ = completion.t_req_ns + limits_.first_token_ns;
    if (result == Result::kOk) result = connection_.Write(request, WaitUntil(), stop_);
    if (result != Result::kOk) return FailedTransfer(result);
    std::string bytes;
    std::int64_t t_ns = 0;
    while (!finished_) {
      result = connection_.Read(bytes, t_ns, WaitUntil(), stop_);
      if (result != Result::kOk) return FailedTransfer(result);
      if (sample_.size() < kSample) sample_.append(bytes, 0, kSample);
      Take(bytes, t_ns);
    }
    return std::move(result_);
  }

 private:
  std::int64_t WaitUntil() const {
    return limits_.deadline_ns ? std::min(*limits_.deadline_ns, token_by_ns_) : token_by_ns_;
  }

  void End(StreamEnd end, std::string detail) {
    finished_ = true;
    result_.end = end;
    result_.detail = std::move(detail);
  }

  CompletionResult FailedTransfer(Result result) {
    switch (result) {
      case Result::kStop:
        End(StreamEnd::kStop, "stopped");
        break;
      case Result::kDeadline:
        if (limits_.deadline_ns && BoottimeNs() >= *limits_.deadline_ns) {
          End(StreamEnd::kDeadline, "deadline");
        } else {
          End(StreamEnd::kStalled,
              result_.completion.arrivals.empty() ? "no first token came" : "no more tokens came");
        }
        break;
      case Result::kError:
        End(StreamEnd::kLost, connection_.error());
        break;
      case Result::kEnd:
      case Result::kOk:
        EndOfConnection();
        break;
    }
    return std::move(result_);
  }

  void EndOfConnection() {
    if (response_.has_header() && response_.status() != 200) {
      Refused();
    } else {
      End(StreamEnd::kLost, "the connection was closed before the last event");
    }
  }

  void Refused() {
    End(StreamEnd::kRefused,
        absl::StrCat("HTTP status ", response_.status(), ": ", ErrorMessageIn(error_body_)));
  }

  void Garbage(absl::string_view what) {
    End(StreamEnd::kGarbage, absl::StrCat(what, "; it began with: ", Printable(sample_, kSample)));
  }

  void Take(const std::string& bytes, std::int64_t t_ns) {
    if (!response_.Feed(bytes))
      return Garbage(absl::StrCat("the answer is not HTTP (", response_.error(), ")"));
    if (!response_.has_header()) return;
    const std::string body = response_.TakeBody();
    if (response_.status() != 200) {
      if (error_body_.size() < kLongestErrorBody) error_body_ += body;
      if (response_.done()) Refused();
      return;
    }
    if (!absl::StartsWith(response_.content_type(), "text/event-stream")) {
      return Garbage(absl::StrCat("the answer is '", Printable(response_.content_type(), 100),
                                  "', not an event stream"));
    }
    std::vector<SseEvent> events;
    const absl::Status parsed = sse_.Feed(body, events);
    for (const SseEvent& event : events) {
      TakeEvent(event, t_ns);
      if (finished_) return;
    }
    if (!parsed.ok()) return Garbage(parsed.message());
    if (response_.done()) End(StreamEnd::kLost, "the event stream ended before the last event");
  }

  void TakeEvent(const SseEvent& sse, std::int64_t t_ns) {
    if (sse.data == "[DONE]") return;
    const absl::StatusOr<CompletionEvent> event = ParseCompletionEvent(sse.data);
    if (!event.ok()) {
      const std::string message(event.status().message());
      if (event.status().code() == absl::StatusCode::kFailedPrecondition)
        return End(StreamEnd::kRefused, message);
      return End(StreamEnd::kGarbage, message);
    }
    Completion& completion = result_.completion;
    const bool carries_token = !event->ids.empty() || event->has_content;
    if (carries_token && !TakeToken(*event, t_ns)) return;
    if (event->n_prompt) completion.n_prompt = event->n_prompt;
    if (event->n_evaluated) completion.n_evaluated = event->n_evaluated;
    if (event->n_cached) completion.n_cached = event->n_cached;
    if (event->prompt_ms) completion.prompt_ms = event->prompt_ms;
    if (!event->final) return;
    completion.n_gen = event->index;
    completion.stop = event->stop;
    if (event->index && *event->index < last_index_) {
      return End(StreamEnd::kGarbage,
                 absl::StrCat("the token count fell from ", last_index_, " to ", *event->index));
    }
    // A model may end at once; an engine that stops at the limit without a token is broken.
    if (completion.arrivals.empty() && completion.stop != "eos" && completion.stop != "word") {
      return End(StreamEnd::kGarbage, "the stream ended without a single token");
    }
    TellSpeed();  // a short request is told of here
    End(StreamEnd::kDone, "");
  }

  bool TakeToken(const CompletionEvent& event, std::int64_t t_ns) {
    if (!event.index) {
      End(StreamEnd::kGarbage,
          "events carry no token index (timings_per_token); this llama-server is too old");
      return false;
    }
    if (*event.index < last_index_ || (*event.index == last_index_ && !event.final)) {
      End(StreamEnd::kGarbage,
          absl::StrCat("the token index went from ", last_index_, " to ", *event.index));
      return false;
    }
    Completion& completion = result_.completion;
    completion.ids.insert(completion.ids.end(), event.ids.begin(), event.ids.end());
    if (*event.index == last_index_) return true;
    last_index_ = *event.index;
    completion.arrivals.push_back(Arrival{last_index_, t_ns});
    token_by_ns_ = t_ns + limits_.stall_ns;
    if (t_ns >= speed_told_ns_ + kSpeedPeriodNs) TellSpeed();
    return true;
  }

  // Between a stamp and the next read, which waits anyway.
  void TellSpeed() {
    if (!limits_.on_speed || result_.completion.arrivals.empty()) return;
    const Arrival& first = result_.completion.arrivals.front();
    const Arrival& last = result_.completion.arrivals.back();
    speed_told_ns_ = last.t_ns;
    if (last.t_ns > first.t_ns) {
      limits_.on_speed((last.index - first.index) * 1e9 /
                       static_cast<double>(last.t_ns - first.t_ns));
    }
  }

  const CompletionLimits& limits_;
  const StopFd& stop_;
  LoopbackConnection connection_;
  ResponseReader response_;
  SseParser sse_;
  CompletionResult result_;
  bool finished_ = false;
  std::int32_t last_index_ = 0;
  std::int64_t token_by_ns_ = 0;
  std::int64_t speed_told_ns_ = 0;
  std::string sample_;
  std::string error_body_;
};

}  // namespace

HealthResult AskHealth(std::uint16_t port, std::int64_t deadline_ns, const StopFd& stop) {
  LoopbackConnection connection;
  ResponseReader response;
  Result result = connection.Connect(port, deadline_ns, stop);
  if (result == Result::kOk)
    result = connection.Write(Request("GET", "/health", port, ""), deadline_ns, stop);
  std::string bytes;
  std::int64_t t_ns = 0;
  while (result == Result::kOk && !response.has_header()) {
    result = connection.Read(bytes, t_ns, deadline_ns, stop);
    if (result != Result::kOk || response.Feed(bytes)) continue;
    return HealthResult{Health::kGarbage,
                        absl::StrCat("the answer to GET /health is not HTTP (", response.error(),
                                     "); it began with: ", Printable(bytes, kSample))};
  }
  if (result == Result::kStop) return HealthResult{Health::kStop, ""};
  const bool ok = response.has_header() && response.status() == 200;
  return HealthResult{ok ? Health::kOk : Health::kNotYet, ""};
}

CompletionResult StreamCompletion(std::uint16_t port, absl::string_view body,
                                  const CompletionLimits& limits, const StopFd& stop) {
  return CompletionStream(limits, stop).Run(port, body);
}

}  // namespace joulefarm::agent
