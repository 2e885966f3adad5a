#include "agent/workload/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
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

// Without port and scope; of an IPv4 address written as IPv6, the IPv4 one. nullopt: another
// family.
std::optional<std::string> AddressBytes(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return std::string(reinterpret_cast<const char*>(&v4.sin_addr), sizeof v4.sin_addr);
  }
  if (address.ss_family != AF_INET6) return std::nullopt;
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  const std::string bytes(reinterpret_cast<const char*>(&v6.sin6_addr), sizeof v6.sin6_addr);
  return IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? bytes.substr(12) : bytes;
}

TcpConnection::Result FromWake(Wake wake) {
  switch (wake) {
    case Wake::kReady:
      return TcpConnection::Result::kOk;
    case Wake::kDeadline:
      return TcpConnection::Result::kDeadline;
    case Wake::kStop:
      return TcpConnection::Result::kStop;
  }
  return TcpConnection::Result::kStop;
}

}  // namespace

Endpoint LoopbackEndpoint(std::uint16_t port) {
  Endpoint endpoint;
  const sockaddr_in address = LoopbackAddress(port);
  std::memcpy(&endpoint.address, &address, sizeof address);
  endpoint.length = sizeof address;
  endpoint.host = absl::StrCat("127.0.0.1:", port);
  return endpoint;
}

bool IsOnThisHost(const Endpoint& endpoint) {
  const auto address = AddressBytes(endpoint.address);
  if (!address) return false;
  const bool loopback = address->size() == 4 ? address->front() == '\x7f'
                                             : *address == std::string(15, '\0') + '\x01';
  // To connect to no address is to connect to oneself.
  if (loopback || address->find_first_not_of('\0') == std::string::npos) return true;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return false;
  bool own = false;
  for (const ifaddrs* one = all; one != nullptr && !own; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    const int family = one->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    sockaddr_storage other{};
    std::memcpy(&other, one->ifa_addr,
                family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    own = AddressBytes(other) == address;
  }
  freeifaddrs(all);
  return own;
}

absl::StatusOr<Endpoint> Resolve(const std::string& host, std::uint16_t port,
                                 std::int64_t deadline_ns, const StopFd& stop) {
  // The system's resolver cannot be interrupted: it gets a thread that may outlive this call.
  struct Lookup {
    explicit Lookup(int fd) : done(fd) {}
    UniqueFd done;
    int error = 0;
    Endpoint endpoint;
  };
  auto lookup = std::make_shared<Lookup>(eventfd(0, EFD_CLOEXEC));
  if (!lookup->done.valid()) return absl::ErrnoToStatus(errno, "eventfd");
  std::thread([lookup, host, port] {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    lookup->error = getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &found);
    if (lookup->error == 0) {
      // "localhost" is both, and servers listen on IPv4 rather than on IPv6 alone.
      const addrinfo* chosen = found;
      for (const addrinfo* other = found; other != nullptr; other = other->ai_next) {
        if (chosen->ai_family != AF_INET && other->ai_family == AF_INET) chosen = other;
      }
      lookup->endpoint.length = chosen->ai_addrlen;
      std::memcpy(&lookup->endpoint.address, chosen->ai_addr, chosen->ai_addrlen);
      freeaddrinfo(found);
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(lookup->done.get(), &one, sizeof one);
  }).detach();
  switch (stop.WaitFor(lookup->done.get(), POLLIN, deadline_ns)) {
    case Wake::kStop:
      return absl::CancelledError("stopped");
    case Wake::kDeadline:
      return absl::UnavailableError(absl::StrCat("looking up ", host, " took too long"));
    case Wake::kReady:
      break;
  }
  if (lookup->error != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot find ", host, ": ", gai_strerror(lookup->error)));
  }
  Endpoint endpoint = lookup->endpoint;
  endpoint.host =
      absl::StrCat(absl::StrContains(host, ":") ? absl::StrCat("[", host, "]") : host, ":", port);
  return endpoint;
}

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

TcpConnection::Result TcpConnection::Fail(const char* what, int error) {
  char text[128];
  error_ = absl::StrCat(what, ": ", strerror_r(error, text, sizeof text));
  return Result::kError;
}

TcpConnection::Result TcpConnection::Connect(const Endpoint& endpoint, std::int64_t deadline_ns,
                                             const StopFd& stop) {
  fd_ = UniqueFd(socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_.valid()) return Fail("socket", errno);
  setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  const auto* const address = reinterpret_cast<const sockaddr*>(&endpoint.address);
  if (connect(fd_.get(), address, endpoint.length) == 0) return Result::kOk;
  if (errno != EINPROGRESS) return Fail("connecting", errno);
  if (const Result waited = FromWake(stop.WaitFor(fd_.get(), POLLOUT, deadline_ns));
      waited != Result::kOk)
    return waited;
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  return error == 0 ? Result::kOk : Fail("connecting", error);
}

TcpConnection::Result TcpConnection::Write(absl::string_view bytes, std::int64_t deadline_ns,
                                           const StopFd& stop) {
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

TcpConnection::Result TcpConnection::Read(std::string& bytes, std::int64_t& t_ns,
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
