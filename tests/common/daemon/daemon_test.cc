#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/daemon/address.h"
#include "common/daemon/host_health.h"
#include "common/daemon/notify.h"
#include "common/daemon/state_dir.h"

namespace joulefarm {
namespace {

using testing::HasSubstr;

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "jf-daemon-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(HostPort, ParsesWhatPeopleWrite) {
  const auto v4 = ParseHostPort("127.0.0.1:7070");
  ASSERT_TRUE(v4.ok());
  EXPECT_EQ(v4->host, "127.0.0.1");
  EXPECT_EQ(v4->port, 7070);
  const auto v6 = ParseHostPort("[::1]:0");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->ToString(), "[::1]:0");
  EXPECT_EQ(ParseHostPort("lab.example:65535")->ToString(), "lab.example:65535");
}

TEST(HostPort, SaysWhatIsWrong) {
  for (const auto& [text, why] : std::vector<std::pair<const char*, const char*>>{
           {"localhost", "no ':'"},
           {"localhost:", "number from 0 to 65535"},
           {"localhost:65536", "number from 0 to 65535"},
           {"localhost:-1", "number from 0 to 65535"},
           {":80", "host is empty"},
           {"::1:80", "brackets"},
           {"", "no ':'"}}) {
    const auto parsed = ParseHostPort(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(why)) << text;
  }
}

TEST(HostPort, PlaintextStaysOnThisMachineUnlessAllowed) {
  EXPECT_TRUE(CheckPlaintext({"127.0.0.1", 1}, false).ok());
  EXPECT_TRUE(CheckPlaintext({"127.9.9.9", 1}, false).ok());
  EXPECT_TRUE(CheckPlaintext({"::1", 1}, false).ok());
  EXPECT_TRUE(CheckPlaintext({"localhost", 1}, false).ok());
  EXPECT_TRUE(CheckPlaintext({"10.0.0.1", 1}, true).ok());
  const absl::Status refused = CheckPlaintext({"0.0.0.0", 1}, false);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--allow-plaintext"));
}

TEST(StateDir, IsMadeAndBelongsToOneUserAtATime) {
  const TempDir temp;
  const auto path = temp.path() / "a" / "b";
  auto first = StateDir::Lock(path);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = StateDir::Lock(path);
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(std::to_string(::getpid())));
  first->reset();
  EXPECT_TRUE(StateDir::Lock(path).ok());
}

TEST(StateDir, CanBeLookedAtWithoutChangingIt) {
  using Kind = StateDirLook::Kind;
  const TempDir dir;
  EXPECT_EQ(LookAtStateDir(dir.path() / "none").kind, Kind::kMissing);
  EXPECT_EQ(LookAtStateDir(dir.path()).kind, Kind::kFree);
  auto lock = StateDir::Lock(dir.path() / "state");
  ASSERT_TRUE(lock.ok());
  const StateDirLook used = LookAtStateDir(dir.path() / "state");
  EXPECT_EQ(used.kind, Kind::kInUse);
  EXPECT_EQ(used.pid, std::to_string(::getpid()));
  lock->reset();
  EXPECT_EQ(LookAtStateDir(dir.path() / "state").kind, Kind::kFree);
  EXPECT_TRUE(StateDir::Lock(dir.path() / "state").ok());
}

TEST(HostHealth, RoomOfADirectoryThatIsNotThereYetIsItsParents) {
  const TempDir dir;
  const auto here = SpaceAt(dir.path());
  const auto later = SpaceAt(dir.path() / "not" / "yet");
  ASSERT_TRUE(here.ok() && later.ok());
  EXPECT_GT(here->total_bytes, 0);
  EXPECT_LE(here->available_bytes, here->total_bytes);
  EXPECT_EQ(here->total_bytes, later->total_bytes);
}

TEST(HostHealth, ASynchronisedClockHasABoundAndOtherClocksHaveNone) {
  const auto time = ReadTimeSync();
  if (!time) GTEST_SKIP() << "this kernel does not tell";
  EXPECT_EQ(time->synchronised, time->max_error_s.has_value());
}

TEST(StateDir, AFileInTheWayIsAnError) {
  const TempDir temp;
  std::ofstream(temp.path() / "file") << "x";
  const auto locked = StateDir::Lock(temp.path() / "file" / "state");
  ASSERT_FALSE(locked.ok());
  EXPECT_THAT(std::string(locked.status().message()), HasSubstr("--state"));
}

TEST(ReplaceFile, LeavesTheNewTextAndNothingElse) {
  const TempDir temp;
  ASSERT_TRUE(ReplaceFile(temp.path() / "address", "one\n").ok());
  ASSERT_TRUE(ReplaceFile(temp.path() / "address", "two\n").ok());
  std::ifstream file(temp.path() / "address");
  std::string text;
  std::getline(file, text);
  EXPECT_EQ(text, "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(temp.path()), {}), 1);
  EXPECT_FALSE(ReplaceFile(temp.path() / "none" / "address", "x").ok());
}

TEST(Notify, SendsADatagramToTheServiceManager) {
  const TempDir temp;
  const std::string path = (temp.path() / "notify").string();
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  NotifyServiceManager("READY=1");
  ::unsetenv("NOTIFY_SOCKET");
  NotifyServiceManager("READY=1");  // nobody listens: nothing happens
  char buffer[64] = {};
  const ssize_t n = ::recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
  EXPECT_EQ(std::string(buffer, n > 0 ? n : 0), "READY=1");
  EXPECT_LT(::recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT), 0);
  ::close(fd);
}

}  // namespace
}  // namespace joulefarm
