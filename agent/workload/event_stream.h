// One POST that an engine answers with server-sent events, with the limits a completion has. What
// the events mean is the derived class's.
//
// Threads: one. Ownership: the limits and the stop outlive it.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "agent/process/stop_fd.h"
#include "agent/workload/completion.h"
#include "agent/workload/http.h"
#include "agent/workload/sse.h"
#include "agent/workload/tcp.h"

namespace joulefarm::agent {

class EventStream {
 public:
  EventStream(const CompletionLimits& limits, const StopFd& stop) : limits_(limits), stop_(stop) {}
  virtual ~EventStream() = default;
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  // On a connection of its own; once.
  CompletionResult Run(const Endpoint& endpoint, absl::string_view target, absl::string_view body);

 protected:
  virtual void TakeEvent(const SseEvent& event, std::int64_t t_ns) = 0;
  // The answer ended, and TakeEvent has not called End.
  virtual void StreamEnded();

  void End(StreamEnd end, std::string detail);
  // With the status of a parser: FAILED_PRECONDITION is the engine's own error.
  void EndWith(const absl::Status& status);
  bool finished() const { return finished_; }
  Completion& completion() { return result_.completion; }
  const CompletionLimits& limits() const { return limits_; }
  // A token came: the wait for the next one begins.
  void Alive(std::int64_t t_ns) { token_by_ns_ = t_ns + limits_.stall_ns; }

 private:
  std::int64_t WaitUntil() const;
  void FailTransfer(TcpConnection::Result result);
  void EndOfConnection();
  void Refused();
  void Garbage(absl::string_view what);
  void Take(const std::string& bytes, std::int64_t t_ns);
  void TakeBody(std::int64_t t_ns);

  const CompletionLimits& limits_;
  const StopFd& stop_;
  TcpConnection connection_;
  HttpResponse response_;
  SseParser sse_;
  CompletionResult result_;
  bool finished_ = false;
  std::int64_t token_by_ns_ = 0;
  std::string sample_;
  std::string error_body_;
};

}  // namespace joulefarm::agent
