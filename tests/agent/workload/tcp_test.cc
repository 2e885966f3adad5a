#include "agent/workload/tcp.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

using Result = TcpConnection::Result;
constexpr std::int64_t kSecond = 1'000'000'000;

int ListenLikeAnEngine(std::uint16_t port, int reuse_option) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, reuse_option, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(fd, 4) == 0)
    return fd;
  close(fd);
  return -1;
}

TEST(ReservedPort, IsNotGivenTwiceButAnEngineCanBindIt) {
  std::vector<ReservedPort> ports;
  std::set<std::uint16_t> numbers;
  for (int i = 0; i < 200; ++i) {
    auto port = ReservedPort::Reserve();
    ASSERT_TRUE(port.ok()) << port.status();
    numbers.insert(port->port());
    ports.push_back(std::move(*port));
  }
  EXPECT_EQ(numbers.size(), 200U);
  for (const int option : {SO_REUSEADDR, SO_REUSEPORT}) {
    const int engine = ListenLikeAnEngine(ports[0].port(), option);
    EXPECT_GE(engine, 0);
    close(engine);
  }
}

TEST(IsOnThisHost, KnowsLoopbackAndItsOwnAddresses) {
  const auto here = [](const std::string& address) {
    const auto endpoint = Resolve(address, 80, BoottimeNs() + 10'000'000'000, StopFd({}));
    EXPECT_TRUE(endpoint.ok()) << endpoint.status();
    return endpoint.ok() && IsOnThisHost(*endpoint);
  };
  for (const char* address : {"127.0.0.1", "127.8.9.1", "0.0.0.0", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(here(address)) << address;
  for (const char* address : {"192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"})
    EXPECT_FALSE(here(address)) << address;
  ifaddrs* all = nullptr;
  ASSERT_EQ(getifaddrs(&all), 0);
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    Endpoint endpoint;
    std::memcpy(&endpoint.address, one->ifa_addr, sizeof(sockaddr_in));
    endpoint.length = sizeof(sockaddr_in);
    EXPECT_TRUE(IsOnThisHost(endpoint)) << one->ifa_name;
  }
  freeifaddrs(all);
}

TEST(TcpConnection, NobodyListeningIsAnError) {
  const auto port = ReservedPort::Reserve();
  const StopFd never{std::stop_token{}};
  TcpConnection connection;
  EXPECT_EQ(connection.Connect(LoopbackEndpoint(port->port()), BoottimeNs() + kSecond, never),
            Result::kError);
  EXPECT_EQ(connection.error(), "connecting: Connection refused");
}

TEST(TcpConnection, WaitsEndAtTheDeadlineAndOnStop) {
  const auto port = ReservedPort::Reserve();
  const int engine = ListenLikeAnEngine(port->port(), SO_REUSEADDR);
  std::stop_source source;
  const StopFd stop(source.get_token());
  TcpConnection connection;
  ASSERT_EQ(connection.Connect(LoopbackEndpoint(port->port()), BoottimeNs() + 20 * kSecond, stop),
            Result::kOk);
  std::string bytes;
  std::int64_t t_ns = 0;
  EXPECT_EQ(connection.Read(bytes, t_ns, BoottimeNs() + 1'000'000, stop), Result::kDeadline);
  std::thread stopper([&] { source.request_stop(); });
  EXPECT_EQ(connection.Read(bytes, t_ns, std::nullopt, stop), Result::kStop);
  stopper.join();
  close(engine);
}

TEST(TcpConnection, SendsMoreThanTheSocketTakesAtOnceAndSeesTheEnd) {
  const auto port = ReservedPort::Reserve();
  const int engine = ListenLikeAnEngine(port->port(), SO_REUSEADDR);
  const std::string sent(8'000'000, 'x');
  std::size_t received = 0;
  std::thread server([&] {
    const int fd = accept(engine, nullptr, nullptr);
    char buffer[65536];
    while (received < sent.size()) {
      const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) break;
      received += static_cast<std::size_t>(n);
    }
    send(fd, "ok", 2, MSG_NOSIGNAL);
    close(fd);
  });
  const StopFd never{std::stop_token{}};
  TcpConnection connection;
  ASSERT_EQ(connection.Connect(LoopbackEndpoint(port->port()), BoottimeNs() + 20 * kSecond, never),
            Result::kOk);
  EXPECT_EQ(connection.Write(sent, BoottimeNs() + 20 * kSecond, never), Result::kOk);
  std::string bytes;
  std::int64_t t_ns = 0;
  const std::int64_t before = BoottimeNs();
  EXPECT_EQ(connection.Read(bytes, t_ns, BoottimeNs() + 20 * kSecond, never), Result::kOk);
  EXPECT_EQ(bytes, "ok");
  EXPECT_GE(t_ns, before);
  EXPECT_EQ(connection.Read(bytes, t_ns, BoottimeNs() + 20 * kSecond, never), Result::kEnd);
  server.join();
  EXPECT_EQ(received, sent.size());
  close(engine);
}

}  // namespace
}  // namespace joulefarm::agent
