#include "tests/e2e/stalling_proxy.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "tests/e2e/loopback.h"

namespace joulefarm::e2e {
namespace {

// Small: what is held back is held by the sender, not by the kernel.
constexpr int kBufferBytes = 64 * 1024;

}  // namespace

StallingProxy::StallingProxy(const std::string& target)
    : target_(target), listener_(ListenOnLoopback(address_)) {
  acceptor_ = std::thread([this] { Accept(); });
}

StallingProxy::~StallingProxy() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  Cut();
  for (std::thread& pump : pumps_) pump.join();
  ::close(listener_);
}

void StallingProxy::HoldAfter(Direction direction, std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  Flow& flow = flows_[static_cast<int>(direction)];
  flow.hold_at = flow.passed + bytes;
}

void StallingProxy::LetGo() {
  {
    const std::lock_guard lock(mutex_);
    for (Flow& flow : flows_) flow.hold_at = -1;
  }
  changed_.notify_all();
}

void StallingProxy::Cut() {
  const std::lock_guard lock(mutex_);
  for (const std::weak_ptr<Pair>& weak : pairs_) {
    if (const auto pair = weak.lock()) {
      ::shutdown(pair->client, SHUT_RDWR);
      ::shutdown(pair->server, SHUT_RDWR);
    }
  }
}

void StallingProxy::Accept() {
  for (;;) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    ::setsockopt(client, SOL_SOCKET, SO_RCVBUF, &kBufferBytes, sizeof(kBufferBytes));
    ::setsockopt(client, SOL_SOCKET, SO_SNDBUF, &kBufferBytes, sizeof(kBufferBytes));
    const int server = ConnectOnLoopback(target_, kBufferBytes);
    if (server < 0) {
      ::close(client);
      continue;
    }
    auto pair = std::make_shared<Pair>();
    pair->client = client;
    pair->server = server;
    const std::lock_guard lock(mutex_);
    pairs_.push_back(pair);
    pumps_.emplace_back([this, pair] { Pump(pair, true); });
    pumps_.emplace_back([this, pair] { Pump(pair, false); });
  }
}

std::int64_t StallingProxy::Allowed(Flow& flow) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopping_ || flow.hold_at < 0 || flow.passed < flow.hold_at; });
  if (stopping_) return 0;
  return flow.hold_at < 0 ? 1 << 20 : flow.hold_at - flow.passed;
}

StallingProxy::Pair::~Pair() {
  for (const int socket : {client, server}) {
    const linger abrupt{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &abrupt, sizeof(abrupt));
    ::close(socket);
  }
}

void StallingProxy::Pump(const std::shared_ptr<Pair>& pair, bool to_client) {
  const int from = to_client ? pair->server : pair->client;
  const int to = to_client ? pair->client : pair->server;
  Flow& flow = flows_[to_client ? 0 : 1];
  std::vector<char> buffer(64 * 1024);
  for (;;) {
    const std::int64_t allowed = Allowed(flow);
    const auto most = static_cast<std::size_t>(
        std::min<std::int64_t>(allowed, static_cast<std::int64_t>(buffer.size())));
    const ssize_t n = most == 0 ? 0 : ::recv(from, buffer.data(), most, 0);
    ssize_t sent = 0;
    while (sent < n) {
      const ssize_t m =
          ::send(to, buffer.data() + sent, static_cast<std::size_t>(n - sent), MSG_NOSIGNAL);
      if (m <= 0) break;
      sent += m;
    }
    flow.passed += std::max<ssize_t>(0, sent);
    if (n <= 0 || sent < n) break;
  }
  ::shutdown(from, SHUT_RDWR);
  ::shutdown(to, SHUT_RDWR);
}

}  // namespace joulefarm::e2e
