#include "agent/workload/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

constexpr int kOn = 1;

sockaddr_in LoopbackAddress(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

LoopbackConnection::Result FromWake(Wake wake) {
  switch (wake) {
    case Wake::kReady:
      return LoopbackConnection::Result::kOk;
    case Wake::kDeadline:
      return LoopbackConnection::Result::kDeadline;
    case Wake::kStop:
      return LoopbackConnection::Result::kStop;
  }
  return LoopbackConnection::Result::kStop;
}

}  // namespace

absl::StatusOr<ReservedPort> ReservedPort::Reserve() {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "socket");
  sockaddr_in address = LoopbackAddress(0);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd.get(), generic, length) != 0 || getsockname(fd.get(), generic, &length) != 0) {
    return absl::ErrnoToStatus(errno, "finding a free port on 127.0.0.1");
  }
  // Only now: bound without these, the port was in nobody else's hands.
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &kOn, sizeof kOn);
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &kOn, sizeof kOn);
  return ReservedPort(std::move(fd), ntohs(address.sin_port));
}

LoopbackConnection::Result LoopbackConnection::Fail(const char* what, int error) {
  char text[128];
  error_ = absl::StrCat(what, ": ", strerror_r(error, text, sizeof text));
  return Result::kError;
}

LoopbackConnection::Result LoopbackConnection::Connect(std::uint16_t port, std::int64_t deadline_ns,
                                                       const StopFd& stop) {
  fd_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_.valid()) return Fail("socket", errno);
  setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  const sockaddr_in address = LoopbackAddress(port);
  if (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return Result::kOk;
  if (errno != EINPROGRESS) return Fail("connecting", errno);
  if (const Result waited = FromWake(stop.WaitFor(fd_.get(), POLLOUT, deadline_ns));
      waited != Result::kOk)
    return waited;
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  return error == 0 ? Result::kOk : Fail("connecting", error);
}

LoopbackConnection::Result LoopbackConnection::Write(absl::string_view bytes,
                                                     std::int64_t deadline_ns, const StopFd& stop) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Fail("sending", errno);
    if (const Result waited = FromWake(stop.WaitFor(fd_.get(), POLLOUT, deadline_ns));
        waited != Result::kOk) {
      return waited;
    }
  }
  return Result::kOk;
}

LoopbackConnection::Result LoopbackConnection::Read(std::string& bytes, std::int64_t& t_ns,
                                                    std::optional<std::int64_t> deadline_ns,
                                                    const StopFd& stop) {
  bytes.resize(std::size_t{64} * 1024);
  while (true) {
    if (const Result waited = FromWake(stop.WaitFor(fd_.get(), POLLIN, deadline_ns));
        waited != Result::kOk) {
      bytes.clear();
      return waited;
    }
    const ssize_t n = recv(fd_.get(), bytes.data(), bytes.size(), 0);
    t_ns = BoottimeNs();
    const int error = errno;
    if (n < 0 && (error == EAGAIN || error == EINTR)) continue;
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    if (n > 0) return Result::kOk;
    return n == 0 ? Result::kEnd : Fail("receiving", error);
  }
}

}  // namespace joulefarm::agent
