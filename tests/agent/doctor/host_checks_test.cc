#include "agent/doctor/host_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/daemon/state_dir.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// The one finding there has to be.
Finding Only(const Findings& findings) {
  EXPECT_EQ(findings.size(), 1u);
  return findings.empty() ? Finding{} : findings.front();
}

void Write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

v1::Engine MakeEngine(const std::string& version) {
  v1::Engine engine;
  engine.set_name("llama.cpp");
  engine.set_version(version);
  engine.set_path("/opt/llama-server");
  return engine;
}

TEST(CheckEngines, FoundMissingAndUnusable) {
  const Finding found = Only(CheckEngines({{MakeEngine("4589 (abc)")}, {}}, "PATH"));
  EXPECT_EQ(found.level, Level::kOk);
  EXPECT_EQ(found.text, "llama.cpp 4589 (abc) at /opt/llama-server");

  const Finding missing = Only(CheckEngines({}, "/a, $PATH"));
  EXPECT_EQ(missing.level, Level::kWarning);
  EXPECT_THAT(missing.text, HasSubstr("looked in /a, $PATH"));
  EXPECT_THAT(missing.cure, HasSubstr("JOULEFARM_ENGINE_DIR"));

  const Finding unusable = Only(CheckEngines({{}, {"/a/llama-server cannot be executed"}}, "/a"));
  EXPECT_EQ(unusable.level, Level::kBroken);
  EXPECT_EQ(CheckEngines({{MakeEngine("1")}, {"/a/x cannot be executed"}}, "/a").back().level,
            Level::kWarning);
  EXPECT_EQ(CheckEngines({{MakeEngine("")}, {}}, "").back().level, Level::kWarning);
}

TEST(CheckMemory, BelowTheRoot) {
  const TempDir root;
  EXPECT_THAT(CheckMemory(HostPaths(root.path())), IsEmpty());
  Write(root.path() / "proc/meminfo",
        "MemTotal:        8000000 kB\nMemFree: 1 kB\nMemAvailable:    4000000 kB\n");
  const Finding fine = Only(CheckMemory(HostPaths(root.path())));
  EXPECT_EQ(fine.level, Level::kOk);
  EXPECT_EQ(fine.text, "4.10 GB of 8.19 GB memory available");
  Write(root.path() / "proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 100000 kB\n");
  EXPECT_EQ(Only(CheckMemory(HostPaths(root.path()))).level, Level::kWarning);
}

TEST(CheckSensors, ZonesThatCanBeReadCount) {
  const TempDir root;
  const Findings bare = CheckSensors(HostPaths(root.path()));
  ASSERT_EQ(bare.size(), 2u);
  EXPECT_EQ(bare[0].level, Level::kWarning) << "broken only where an agent would run";
  EXPECT_EQ(bare[1].level, Level::kWarning);
  Write(root.path() / "proc/stat", "cpu 1 2 3\n");
  Write(root.path() / "sys/class/thermal/thermal_zone0/temp", "45000\n");
  Write(root.path() / "sys/class/thermal/thermal_zone1/temp", "");
  Write(root.path() / "sys/class/thermal/cooling_device0/temp", "1\n");
  EXPECT_EQ(CheckSensors(HostPaths(root.path())).front().text, "1 thermal zones can be read");
}

TEST(CheckPower, WhatMeasuresAndWhatStandsInTheWay) {
  PowerSelection selection;
  EXPECT_EQ(Only(CheckPower(selection)).level, Level::kWarning);
  selection.ranking = {"package-0", "estimated"};
  selection.totals = {"package-0", "psys"};
  EXPECT_EQ(Only(CheckPower(selection)).text,
            "read from package-0, psys; results come from package-0");
  selection.obstacles = {"RAPL dram: permission denied; run the agent as root"};
  const Findings both = CheckPower(selection);
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[1].level, Level::kWarning);
  EXPECT_EQ(both[1].text, "RAPL dram: permission denied");
  EXPECT_EQ(both[1].cure, "run the agent as root");
}

TEST(CheckTime, SaysHowRightTheClockIs) {
  EXPECT_THAT(CheckTime(std::nullopt), IsEmpty());
  const Finding fine = Only(CheckTime(TimeSync{true, 0.004, "chrony"}));
  EXPECT_EQ(fine.level, Level::kOk);
  EXPECT_EQ(fine.text, "the clock is synchronised by chrony, within 4 ms");
  EXPECT_EQ(Only(CheckTime(TimeSync{true, 2.0, ""})).level, Level::kWarning);
  const Finding off = Only(CheckTime(TimeSync{false, std::nullopt, ""}));
  EXPECT_EQ(off.level, Level::kWarning);
  EXPECT_THAT(off.cure, HasSubstr("timedatectl set-ntp true"));
}

TEST(CheckStateDir, MissingFreeAndInUse) {
  const TempDir dir;
  const std::filesystem::path state = dir.path() / "state";
  EXPECT_THAT(Only(CheckStateDir(state)).text, HasSubstr("is not there yet"));
  EXPECT_FALSE(std::filesystem::exists(state)) << "a look must not make it";
  {
    const auto lock = StateDir::Lock(state);
    ASSERT_TRUE(lock.ok());
    const Finding used = Only(CheckStateDir(state));
    EXPECT_EQ(used.level, Level::kOk);
    EXPECT_THAT(used.text, HasSubstr(std::to_string(::getpid())));
  }
  EXPECT_THAT(Only(CheckStateDir(state)).text, HasSubstr("no agent runs with it now"));
}

TEST(CheckStateDir, ForbiddenIsBroken) {
  if (::geteuid() == 0) GTEST_SKIP() << "nothing is forbidden to root";
  const TempDir dir;
  const std::filesystem::path state = dir.path() / "state";
  std::filesystem::create_directory(state);
  std::filesystem::permissions(state, std::filesystem::perms::none);
  EXPECT_EQ(Only(CheckStateDir(state)).level, Level::kBroken);
  std::filesystem::permissions(state, std::filesystem::perms::owner_all);
}

TEST(CheckDisk, LittleRoomIsAWarningAndHardlyAnyIsBroken) {
  const auto level = [](std::int64_t bytes) {
    return Only(CheckDisk("/state", DiskSpace{bytes, 100'000'000'000})).level;
  };
  EXPECT_EQ(level(50'000'000'000), Level::kOk);
  EXPECT_EQ(level(1'000'000'000), Level::kWarning);
  EXPECT_EQ(level(100'000'000), Level::kBroken);
  EXPECT_EQ(Only(CheckDisk("/state", absl::UnavailableError("gone"))).level, Level::kBroken);
}

TEST(CheckController, NamesThatCannotBeAndPlaintextThatIsNotAllowed) {
  EXPECT_EQ(Only(CheckController("nonsense", false)).level, Level::kBroken);
  const Finding plain = Only(CheckController("192.0.2.1:7070", false));
  EXPECT_EQ(plain.level, Level::kBroken);
  EXPECT_THAT(plain.cure, HasSubstr("--allow-plaintext"));
  // .invalid never resolves (RFC 2606).
  const Finding unknown = Only(CheckController("lab.invalid:7070", true));
  EXPECT_EQ(unknown.level, Level::kBroken);
  EXPECT_THAT(unknown.text, HasSubstr("cannot be resolved"));
}

TEST(CheckController, SomebodyHasToListen) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(fd, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string place = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  // Bound, so that nobody else has the port, but not listening.
  const Finding refused = Only(CheckController(place, false));
  EXPECT_EQ(refused.level, Level::kWarning);
  EXPECT_THAT(refused.text, HasSubstr("nothing answers there"));
  EXPECT_THAT(refused.cure, HasSubstr("joulefarm-controller"));
  ASSERT_EQ(::listen(fd, 1), 0);
  EXPECT_EQ(Only(CheckController(place, false)).level, Level::kOk);
  ::close(fd);
}

TEST(Examine, SomebodyElsesTreeIsAskedOnlyWhatItCanTell) {
  const TempDir root;
  Write(root.path() / "proc/stat", "cpu 1 2 3\n");
  DoctorOptions options;
  options.root = root.path();
  options.controller = "nonsense";
  options.state_dir = root.path() / "state";
  for (const Finding& finding : Examine(options)) {
    EXPECT_THAT(finding.area, Not(testing::AnyOf("engine", "disk", "time", "state", "controller")));
  }
}

}  // namespace
}  // namespace joulefarm::agent
