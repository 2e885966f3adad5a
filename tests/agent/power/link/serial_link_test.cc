#include "agent/power/link/serial_link.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "tests/agent/power/link/pty_peer.h"
#include "tests/agent/power/unprivileged.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;

constexpr int kBaud = 115200;
// Long beside what a loaded machine needs; never waited for in full where all is well.
constexpr int kLongMs = 20'000;

PeerReply Echo(const std::vector<std::uint8_t>& asked) { return {asked}; }
PeerReply Silent(const std::vector<std::uint8_t>& /*asked*/) { return {}; }

std::vector<std::uint8_t> EveryByte() {
  std::vector<std::uint8_t> bytes(256);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

std::vector<std::uint8_t> ReadAll(Link& link, std::size_t size) {
  std::vector<std::uint8_t> all;
  while (all.size() < size) {
    const absl::StatusOr<std::vector<std::uint8_t>> bytes = link.Read(size - all.size(), kLongMs);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    if (!bytes.ok()) break;
    all.insert(all.end(), bytes->begin(), bytes->end());
  }
  return all;
}

TEST(SerialLinkTest, EveryByteAsItIs) {
  PtyPeer peer(Echo);
  const auto link = OpenSerial(peer.path(), kBaud);
  ASSERT_TRUE(link.ok()) << link.status();
  ASSERT_TRUE((*link)->Write(EveryByte(), kLongMs).ok());
  EXPECT_EQ(ReadAll(**link, 256), EveryByte());
  EXPECT_TRUE(absl::IsDeadlineExceeded((*link)->Read(1, 1).status())) << "nothing was added";
}

TEST(SerialLinkTest, AskedForFewGivesFew) {
  PtyPeer peer(Echo);
  const auto link = OpenSerial(peer.path(), kBaud);
  ASSERT_TRUE(link.ok()) << link.status();
  ASSERT_TRUE((*link)->Write(EveryByte(), kLongMs).ok());
  const auto few = (*link)->Read(3, kLongMs);
  ASSERT_TRUE(few.ok());
  EXPECT_LE(few->size(), 3U);
  EXPECT_EQ((*few)[0], 0);
}

// More than one read() gives: a meter at 400 kB/s is read 50 times a second.
TEST(SerialLinkTest, AllThatWaitsAtOnce) {
  int master = -1;
  int slave = -1;
  std::array<char, 64> name{};
  ASSERT_EQ(openpty(&master, &slave, name.data(), nullptr, nullptr), 0);
  {
    const auto link = OpenSerial(name.data(), kBaud);
    ASSERT_TRUE(link.ok()) << link.status();
    ASSERT_EQ(fcntl(master, F_SETFL, O_NONBLOCK), 0);
    constexpr std::size_t kOneRead = 4095;
    const std::vector<std::uint8_t> piece = EveryByte();
    std::vector<std::uint8_t> sent;
    while (sent.size() <= 2 * kOneRead) {
      const ssize_t taken = write(master, piece.data(), piece.size());
      ASSERT_GT(taken, 0) << "after " << sent.size();
      sent.insert(sent.end(), piece.begin(), piece.begin() + taken);
    }
    const auto all = (*link)->Read(std::size_t{1} << 16, kLongMs);
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_EQ(all->size(), sent.size());
    EXPECT_EQ(*all, sent);
    EXPECT_TRUE(absl::IsDeadlineExceeded((*link)->Read(1, 0).status()));
  }
  close(master);
  close(slave);
}

TEST(SerialLinkTest, SettingsOfTheLine) {
  PtyPeer peer(Silent);
  const auto link = OpenSerial(peer.path(), 9600);
  ASSERT_TRUE(link.ok()) << link.status();
  const int fd = open(peer.path().c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) GTEST_SKIP() << "only root looks at a reserved line";
  termios line{};
  ASSERT_EQ(tcgetattr(fd, &line), 0);
  close(fd);
  EXPECT_EQ(cfgetispeed(&line), static_cast<speed_t>(B9600));
  EXPECT_EQ(cfgetospeed(&line), static_cast<speed_t>(B9600));
  EXPECT_EQ(line.c_cflag & CSIZE, static_cast<tcflag_t>(CS8));
  EXPECT_EQ(line.c_cflag & (PARENB | CSTOPB | CRTSCTS), 0U);
  EXPECT_EQ(line.c_lflag & (ICANON | ECHO | ISIG), 0U);
  EXPECT_EQ(line.c_iflag & (IXON | IXOFF | ICRNL | INLCR | ISTRIP), 0U);
}

TEST(SerialLinkTest, NothingWithinTheTime) {
  PtyPeer peer(Silent);
  const auto link = OpenSerial(peer.path(), kBaud);
  ASSERT_TRUE(link.ok()) << link.status();
  EXPECT_TRUE(absl::IsDeadlineExceeded((*link)->Read(16, 1).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded((*link)->Read(16, 0).status()));
}

TEST(SerialLinkTest, AnEndThatTakesNothing) {
  // No thread reads here.
  int master = -1;
  int slave = -1;
  std::array<char, 64> name{};
  ASSERT_EQ(openpty(&master, &slave, name.data(), nullptr, nullptr), 0);
  {
    const auto link = OpenSerial(name.data(), kBaud);
    ASSERT_TRUE(link.ok()) << link.status();
    const absl::Status full = (*link)->Write(std::vector<std::uint8_t>(std::size_t{1} << 20), 50);
    EXPECT_TRUE(absl::IsDeadlineExceeded(full)) << full;
    EXPECT_THAT(std::string(full.message()), HasSubstr("takes nothing"));
  }
  close(master);
  close(slave);
}

TEST(SerialLinkTest, AHangUpIsUnavailable) {
  PtyPeer peer([](const std::vector<std::uint8_t>&) { return PeerReply{{}, true}; });
  const auto link = OpenSerial(peer.path(), kBaud);
  ASSERT_TRUE(link.ok()) << link.status();
  ASSERT_TRUE((*link)->Write(std::vector<std::uint8_t>{1}, kLongMs).ok());
  const absl::Status gone = (*link)->Read(16, kLongMs).status();
  EXPECT_TRUE(absl::IsUnavailable(gone)) << gone;
  EXPECT_THAT(std::string(gone.message()), HasSubstr(peer.path()));
  EXPECT_TRUE(absl::IsUnavailable((*link)->Read(16, kLongMs).status())) << "and stays so";
  EXPECT_TRUE(absl::IsUnavailable((*link)->Write(std::vector<std::uint8_t>{1}, kLongMs)));
}

TEST(SerialLinkTest, ASecondOpeningIsRefused) {
  PtyPeer peer(Silent);
  auto first = OpenSerial(peer.path(), kBaud);
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status second = OpenSerial(peer.path(), kBaud).status();
  EXPECT_TRUE(absl::IsUnavailable(second)) << second;
  EXPECT_THAT(std::string(second.message()), HasSubstr("is held by another process"));
  first->reset();
  EXPECT_TRUE(OpenSerial(peer.path(), kBaud).ok()) << "free again";
}

// A process that has it open, though it reserved nothing.
TEST(SerialLinkTest, AnotherProcessIsNamed) {
  PtyPeer peer(Silent);
  std::array<int, 2> opened{};
  ASSERT_EQ(pipe(opened.data()), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const int fd = open(peer.path().c_str(), O_RDWR | O_NOCTTY);
    std::ignore = write(opened[1], fd >= 0 ? "y" : "n", 1);
    while (true) pause();
  }
  char answer = 0;
  ASSERT_EQ(read(opened[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  const absl::Status held = OpenSerial(peer.path(), kBaud).status();
  EXPECT_TRUE(absl::IsUnavailable(held)) << held;
  EXPECT_THAT(std::string(held.message()), HasSubstr(absl::StrCat("(pid ", child, ")")));
  kill(child, SIGKILL);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  close(opened[0]);
  close(opened[1]);
  EXPECT_TRUE(OpenSerial(peer.path(), kBaud).ok()) << "free again";
}

TEST(SerialLinkTest, ReservedAgainstOthersThanRoot) {
  PtyPeer peer(Silent);
  ASSERT_EQ(chmod(peer.path().c_str(), 0666), 0);
  const auto link = OpenSerial(peer.path(), kBaud);
  ASSERT_TRUE(link.ok()) << link.status();
  const Unprivileged unprivileged;
  if (!unprivileged.works()) GTEST_SKIP() << "this user cannot give up its rights";
  const int fd = open(peer.path().c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK);
  EXPECT_LT(fd, 0);
  EXPECT_EQ(errno, EBUSY);
  const absl::Status held = OpenSerial(peer.path(), kBaud).status();
  EXPECT_TRUE(absl::IsUnavailable(held)) << held;
}

TEST(SerialLinkTest, NoPermissionSaysTheCure) {
  PtyPeer peer(Silent);
  ASSERT_EQ(chmod(peer.path().c_str(), 0600), 0);
  const Unprivileged unprivileged;
  if (!unprivileged.works()) GTEST_SKIP() << "this user cannot give up its rights";
  if (geteuid() == getuid()) GTEST_SKIP() << "the line belongs to this user";
  const absl::Status denied = OpenSerial(peer.path(), kBaud).status();
  EXPECT_TRUE(absl::IsPermissionDenied(denied)) << denied;
  EXPECT_THAT(std::string(denied.message()), HasSubstr("deploy/udev"));
  EXPECT_THAT(std::string(denied.message()), HasSubstr("dialout"));
}

TEST(SerialLinkTest, WhatIsNoLine) {
  EXPECT_TRUE(absl::IsUnavailable(OpenSerial("/dev/ttyNOTHERE7", kBaud).status()));
  const absl::Status device = OpenSerial("/dev/null", kBaud).status();
  EXPECT_TRUE(absl::IsInternal(device)) << device;
  EXPECT_THAT(std::string(device.message()), HasSubstr("not a serial line"));
  PtyPeer peer(Silent);
  EXPECT_TRUE(absl::IsInvalidArgument(OpenSerial(peer.path(), 12345).status()));
}

}  // namespace
}  // namespace joulefarm::agent
