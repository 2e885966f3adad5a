#include "agent/workload/event_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"
#include "agent/process/text.h"
#include "agent/workload/completion_event.h"

namespace joulefarm::agent {
namespace {

using Result = TcpConnection::Result;

constexpr std::size_t kLongestErrorBody = std::size_t{64} * 1024;
constexpr std::int64_t kConnectNs = 5'000'000'000;

}  // namespace

CompletionResult EventStream::Run(const Endpoint& endpoint, absl::string_view target,
                                  absl::string_view body) {
  const std::string request = HttpRequest("POST", target, endpoint.host, body);
  const std::int64_t connect_by_ns = BoottimeNs() + kConnectNs;
  Result result = connection_.Connect(endpoint, connect_by_ns, stop_);
  completion().t_req_ns = BoottimeNs();
  token_by_ns_ = completion().t_req_ns + limits_.first_token_ns;
  if (result == Result::kOk) result = connection_.Write(request, WaitUntil(), stop_);
  std::string bytes;
  std::int64_t t_ns = 0;
  while (result == Result::kOk && !finished_) {
    result = connection_.Read(bytes, t_ns, WaitUntil(), stop_);
    if (result != Result::kOk) break;
    if (sample_.size() < kExcerptBytes) sample_.append(bytes, 0, kExcerptBytes);
    Take(bytes, t_ns);
  }
  if (!finished_) FailTransfer(result);
  return std::move(result_);
}

std::int64_t EventStream::WaitUntil() const {
  return limits_.deadline_ns ? std::min(*limits_.deadline_ns, token_by_ns_) : token_by_ns_;
}

void EventStream::End(StreamEnd end, std::string detail) {
  finished_ = true;
  result_.end = end;
  result_.detail = std::move(detail);
}

void EventStream::EndWith(const absl::Status& status) {
  const bool refused = status.code() == absl::StatusCode::kFailedPrecondition;
  End(refused ? StreamEnd::kRefused : StreamEnd::kGarbage, std::string(status.message()));
}

void EventStream::FailTransfer(Result result) {
  switch (result) {
    case Result::kStop:
      End(StreamEnd::kStop, "stopped");
      break;
    case Result::kDeadline:
      if (limits_.deadline_ns && BoottimeNs() >= *limits_.deadline_ns) {
        End(StreamEnd::kDeadline, "deadline");
      } else {
        End(StreamEnd::kStalled,
            completion().arrivals.empty() ? "no first token came" : "no more tokens came");
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
}

void EventStream::EndOfConnection() {
  if (response_.has_header() && response_.status() != 200) {
    Refused();
    return;
  }
  response_.FeedEnd();
  if (response_.done()) {
    StreamEnded();
  } else {
    End(StreamEnd::kLost, "the connection was closed before the last event");
  }
}

void EventStream::StreamEnded() {
  End(StreamEnd::kLost, "the event stream ended before the last event");
}

void EventStream::Refused() {
  End(StreamEnd::kRefused,
      absl::StrCat("HTTP status ", response_.status(), ": ", ErrorMessageIn(error_body_)));
}

void EventStream::Garbage(absl::string_view what) {
  End(StreamEnd::kGarbage,
      absl::StrCat(what, "; it began with: ", Printable(sample_, kExcerptBytes)));
}

void EventStream::Take(const std::string& bytes, std::int64_t t_ns) {
  if (!response_.Feed(bytes))
    return Garbage(absl::StrCat("the answer is not HTTP (", response_.error(), ")"));
  if (response_.has_header()) TakeBody(t_ns);
}

void EventStream::TakeBody(std::int64_t t_ns) {
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
  if (response_.done()) StreamEnded();
}

}  // namespace joulefarm::agent
