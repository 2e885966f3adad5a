#include "tests/e2e/delaying_proxy.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "tests/e2e/loopback.h"

namespace joulefarm::e2e {
namespace {

using Clock = std::chrono::steady_clock;

bool SendAll(int to, const std::vector<char>& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = send(to, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

// Small messages are not to wait for each other's acknowledgement.
void NoDelay(int fd) {
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

}  // namespace

// One direction of one connection.
struct DelayingProxy::Way {
  struct Piece {
    Clock::time_point due;
    std::vector<char> bytes;
  };
  int from;
  int to;
  std::chrono::nanoseconds delay;
  bool open = true;
  std::deque<Piece> pieces;

  // What is due; the end of it, too. Returns when the next one is.
  std::optional<Clock::time_point> Send() {
    while (!pieces.empty() && pieces.front().due <= Clock::now()) {
      if (!SendAll(to, pieces.front().bytes)) {
        open = false;
        pieces.clear();
        break;
      }
      pieces.pop_front();
    }
    if (!pieces.empty()) return pieces.front().due;
    if (!open) shutdown(to, SHUT_WR);
    return std::nullopt;
  }
  void Receive() {
    std::vector<char> bytes(64 * 1024);
    const ssize_t n = recv(from, bytes.data(), bytes.size(), 0);
    open = n > 0;
    if (!open) return;
    bytes.resize(static_cast<std::size_t>(n));
    pieces.push_back({Clock::now() + delay, std::move(bytes)});
  }
};

DelayingProxy::DelayingProxy(std::string target, const Delays& delays)
    : target_(std::move(target)), delays_(delays), listener_(ListenOnLoopback(address_)) {
  acceptor_ = std::thread([this] { Accept(); });
}

DelayingProxy::~DelayingProxy() {
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& [client, server] : sockets_) {
      shutdown(client, SHUT_RDWR);
      shutdown(server, SHUT_RDWR);
    }
  }
  for (std::thread& carrier : carriers_) carrier.join();
  for (const auto& [client, server] : sockets_) {
    close(client);
    close(server);
  }
  close(listener_);
}

void DelayingProxy::Accept() {
  for (;;) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = ConnectOnLoopback(target_);
    if (server < 0) {
      close(client);
      continue;
    }
    NoDelay(client);
    NoDelay(server);
    const std::lock_guard lock(mutex_);
    sockets_.emplace_back(client, server);
    carriers_.emplace_back([this, client, server] { Carry(client, server); });
  }
}

void DelayingProxy::Carry(int client, int server) {
  Way ways[2] = {{.from = server, .to = client, .delay = delays_.to_client, .pieces = {}},
                 {.from = client, .to = server, .delay = delays_.to_server, .pieces = {}}};
  for (;;) {
    std::optional<Clock::time_point> next;
    for (Way& way : ways) {
      if (const auto due = way.Send()) next = std::min(next.value_or(*due), *due);
    }
    if (!ways[0].open && !ways[1].open && !next) return;
    pollfd polled[2] = {};
    for (int i = 0; i < 2; ++i)
      polled[i] = {.fd = ways[i].open ? ways[i].from : -1, .events = POLLIN, .revents = 0};
    timespec wait{};
    if (next) {
      const auto left = std::max<std::chrono::nanoseconds>(*next - Clock::now(), {});
      wait = {.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
    }
    ppoll(polled, 2, next ? &wait : nullptr, nullptr);
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    for (int i = 0; i < 2; ++i) {
      if (polled[i].revents != 0) ways[i].Receive();
    }
  }
}

}  // namespace joulefarm::e2e
