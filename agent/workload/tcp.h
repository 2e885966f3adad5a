// TCP for talking to an engine, on this host or another: waits that a stop or a deadline ends, and
// a stamp for every read that is taken before anything else is done with it.
//
// Threads: one per object. Ownership: objects own their sockets.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/process/stop_fd.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {

// Where somebody listens.
struct Endpoint {
  sockaddr_storage address{};
  socklen_t length = 0;
  std::string host;  // as HTTP's header Host names it: "127.0.0.1:8080"
};

// On this host.
Endpoint LoopbackEndpoint(std::uint16_t port);

// Whether its address is a loopback one or one of this host's own.
bool IsOnThisHost(const Endpoint& endpoint);

// Looks the name up; UNAVAILABLE with the system's words when that fails or takes until the
// deadline, CANCELLED on a stop.
absl::StatusOr<Endpoint> Resolve(const std::string& host, std::uint16_t port,
                                 std::int64_t deadline_ns, const StopFd& stop);

// A free port, kept for one engine: other callers of Reserve are not given it, while an engine that
// sets SO_REUSEADDR or SO_REUSEPORT (servers do) can bind it.
class ReservedPort {
 public:
  static absl::StatusOr<ReservedPort> Reserve();
  std::uint16_t port() const { return port_; }

 private:
  ReservedPort(UniqueFd fd, std::uint16_t port) : fd_(std::move(fd)), port_(port) {}
  UniqueFd fd_;
  std::uint16_t port_;
};

class TcpConnection {
 public:
  enum class Result { kOk, kEnd, kError, kDeadline, kStop };

  Result Connect(const Endpoint& endpoint, std::int64_t deadline_ns, const StopFd& stop);
  Result Write(absl::string_view bytes, std::int64_t deadline_ns, const StopFd& stop);
  // Replaces `bytes` by what has arrived, at least one byte; `t_ns` is BOOTTIME when the read
  // returned. kEnd: the peer has closed. No deadline: for ever.
  Result Read(std::string& bytes, std::int64_t& t_ns, std::optional<std::int64_t> deadline_ns,
              const StopFd& stop);
  // What the system said to the last kError.
  const std::string& error() const { return error_; }

 private:
  Result Fail(const char* what, int error);

  UniqueFd fd_;
  std::string error_;
};

}  // namespace joulefarm::agent
