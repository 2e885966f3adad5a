#include "agent/power/link/tcp_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "tests/agent/power/link/tcp_peer.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;

constexpr int kLongMs = 20'000;
constexpr int kShortMs = 20;

absl::Span<const std::uint8_t> BytesOf(const std::string& text) {
  return absl::MakeConstSpan(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}
std::string TextOf(const std::vector<std::uint8_t>& bytes) {
  return std::string(bytes.begin(), bytes.end());
}

TEST(TcpLinkTest, AsksAndIsAnswered) {
  TcpPeer peer([](TcpPeer::Connection& connection) {
    connection.Send(connection.ReadLine().value_or("gone") + ", indeed\r\n");
    connection.ReadLine();
  });
  const absl::StatusOr<std::unique_ptr<Link>> link = ConnectTcp(peer.address(), 1, kLongMs);
  ASSERT_TRUE(link.ok()) << link.status();
  ASSERT_TRUE((*link)->Write(BytesOf("Hello\r\n"), kLongMs).ok());
  std::string text;
  while (text.size() < 15) {
    const absl::StatusOr<std::vector<std::uint8_t>> bytes = (*link)->Read(4, kLongMs);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_LE(bytes->size(), 4U);
    text += TextOf(*bytes);
  }
  EXPECT_EQ(text, "Hello, indeed\r\n");
  EXPECT_TRUE(absl::IsDeadlineExceeded((*link)->Read(4, kShortMs).status())) << "nothing more";
  std::vector<std::uint8_t> data;
  EXPECT_TRUE(absl::IsUnimplemented((*link)->Control({}, data, kShortMs)));
}

TEST(TcpLinkTest, TheDefaultPort) {
  TcpPeer peer([](TcpPeer::Connection& connection) { connection.Send("x"); });
  const absl::StatusOr<std::unique_ptr<Link>> link = ConnectTcp("127.0.0.1", peer.port(), kLongMs);
  ASSERT_TRUE(link.ok()) << link.status();
  EXPECT_EQ(TextOf(*(*link)->Read(10, kLongMs)), "x");
}

TEST(TcpLinkTest, AnEndIsUnavailable) {
  TcpPeer peer([](TcpPeer::Connection& connection) { connection.Send("last"); });
  const absl::StatusOr<std::unique_ptr<Link>> link = ConnectTcp(peer.address(), 1, kLongMs);
  ASSERT_TRUE(link.ok()) << link.status();
  EXPECT_EQ(TextOf(*(*link)->Read(10, kLongMs)), "last");
  const absl::Status end = (*link)->Read(10, kLongMs).status();
  EXPECT_TRUE(absl::IsUnavailable(end)) << end;
  EXPECT_THAT(std::string(end.message()), HasSubstr(peer.address()));
}

TEST(TcpLinkTest, APeerThatDoesNotReadEndsAWrite) {
  std::promise<void> done;
  TcpPeer peer([&](TcpPeer::Connection&) { done.get_future().wait(); });
  const absl::StatusOr<std::unique_ptr<Link>> link = ConnectTcp(peer.address(), 1, kLongMs);
  ASSERT_TRUE(link.ok()) << link.status();
  const std::string much(64 << 20, 'x');
  EXPECT_TRUE(absl::IsDeadlineExceeded((*link)->Write(BytesOf(much), kShortMs)));
  done.set_value();
}

TEST(TcpLinkTest, NobodyThere) {
  std::string address;
  {
    TcpPeer peer([](TcpPeer::Connection&) {});
    address = peer.address();
  }
  const absl::Status refused = ConnectTcp(address, 1, kLongMs).status();
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("Connection refused"));
}

TEST(TcpLinkTest, WhatIsNoAddressIsRefused) {
  for (const char* address :
       {"", ":8888", "host:", "host:x", "host:0", "host:65536", "[::1", "[::1]8888", "[]:8888"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ConnectTcp(address, 8888, kShortMs).status())) << address;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(ConnectTcp("host", 0, kShortMs).status()));
}

}  // namespace
}  // namespace joulefarm::agent
