#include "tests/e2e/stalling_proxy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace joulefarm::e2e {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

StallingProxy::StallingProxy(const std::string& target) : target_(target) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(listener_, 16), 0);
  EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
  address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
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
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(target_.substr(target_.rfind(':') + 1), &port));
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(port);
    // Small buffers: what is held back is held by the sender, not by the kernel.
    const int buffer = 64 * 1024;
    for (const int socket : {client, server}) {
      ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
      ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    }
    if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      ::close(server);
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
