#include "agent/power/link/tcp_link.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace joulefarm::agent {
namespace {

using Clock = std::chrono::steady_clock;

std::string ErrnoText(int error) { return std::strerror(error); }  // NOLINT(concurrency-mt-unsafe)

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// OK: `events` or an error is there.
absl::Status Wait(int fd, int16_t events, Clock::time_point deadline, const std::string& name) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd ready{fd, events, 0};
    const int n = poll(&ready, 1, static_cast<int>(std::max<std::int64_t>(0, left)));
    if (n > 0) return absl::OkStatus();
    if (n == 0) return absl::DeadlineExceededError(absl::StrCat(name, ": nothing in time"));
    if (errno != EINTR) return absl::InternalError(absl::StrCat(name, ": ", ErrnoText(errno)));
  }
}

class TcpLink : public Link {
 public:
  TcpLink(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  absl::Status Write(absl::Span<const std::uint8_t> bytes, int timeout_ms) override {
    const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
    while (!bytes.empty()) {
      const ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno == EAGAIN) {
        const absl::Status waited = Wait(fd_.get(), POLLOUT, deadline, name_);
        if (!waited.ok()) return waited;
      } else if (errno != EINTR) {
        return Gone(errno);
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t most, int timeout_ms) override {
    const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
    std::vector<std::uint8_t> bytes(most);
    while (true) {
      const ssize_t n = recv(fd_.get(), bytes.data(), bytes.size(), 0);
      if (n > 0) {
        bytes.resize(static_cast<std::size_t>(n));
        return bytes;
      }
      if (n == 0) return absl::UnavailableError(absl::StrCat(name_, " closed the connection"));
      if (errno == EAGAIN) {
        const absl::Status waited = Wait(fd_.get(), POLLIN, deadline, name_);
        if (!waited.ok()) return waited;
      } else if (errno != EINTR) {
        return Gone(errno);
      }
    }
  }

 private:
  absl::Status Gone(int error) const {
    return absl::UnavailableError(absl::StrCat(name_, ": ", ErrnoText(error)));
  }

  const Fd fd_;
  const std::string name_;
};

struct Place {
  std::string host;
  std::string port;
};

absl::StatusOr<Place> PlaceOf(const std::string& address, int default_port) {
  absl::string_view host = address;
  absl::string_view port;
  const bool bracketed = !host.empty() && host[0] == '[';
  const std::size_t host_end = bracketed ? host.find(']') : std::min(host.find(':'), host.size());
  const auto invalid = [&] {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", address, "\" is no HOST:PORT of a meter's server, such as \"analyser:8888\""));
  };
  if (host_end == absl::string_view::npos) return invalid();
  absl::string_view rest = host.substr(bracketed ? host_end + 1 : host_end);
  host = bracketed ? host.substr(1, host_end - 1) : host.substr(0, host_end);
  if (host.empty()) return invalid();
  int number = default_port;
  if (!rest.empty()) {
    if (rest[0] != ':') return invalid();
    port = rest.substr(1);
    if (!absl::SimpleAtoi(port, &number)) return invalid();
  }
  if (number <= 0 || number > 65535) return invalid();
  return Place{std::string(host), absl::StrCat(number)};
}

// A connected socket.
absl::StatusOr<int> ConnectOne(const addrinfo& to, Clock::time_point deadline,
                               const std::string& name) {
  Fd fd(socket(to.ai_family, to.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, to.ai_protocol));
  if (fd.get() < 0) return absl::InternalError(absl::StrCat(name, ": ", ErrnoText(errno)));
  if (connect(fd.get(), to.ai_addr, to.ai_addrlen) != 0) {
    if (errno != EINPROGRESS)
      return absl::UnavailableError(absl::StrCat(name, ": ", ErrnoText(errno)));
    const absl::Status waited = Wait(fd.get(), POLLOUT, deadline, name);
    if (!waited.ok()) return waited;
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) return absl::UnavailableError(absl::StrCat(name, ": ", ErrnoText(error)));
  }
  const int on = 1;
  // A question is small and waits for its answer.
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd.Release();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Link>> ConnectTcp(const std::string& address, int default_port,
                                                 int timeout_ms) {
  const absl::StatusOr<Place> place = PlaceOf(address, default_port);
  if (!place.ok()) return place.status();
  const std::string name = absl::StrCat(place->host, ":", place->port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(place->host.c_str(), place->port.c_str(), &hints, &found);
  if (error != 0) return absl::UnavailableError(absl::StrCat(name, ": ", gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  absl::Status last = absl::UnavailableError(absl::StrCat(name, " has no address"));
  for (const addrinfo* to = addresses.get(); to != nullptr; to = to->ai_next) {
    const absl::StatusOr<int> fd = ConnectOne(*to, deadline, name);
    if (fd.ok()) return std::make_unique<TcpLink>(*fd, name);
    last = fd.status();
  }
  return last;
}

}  // namespace joulefarm::agent
