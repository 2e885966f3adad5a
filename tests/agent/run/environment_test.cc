#include "agent/run/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/agent/host/host_tree.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kCpu0[] = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
constexpr char kCpu1[] = "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor";

class EnvironmentTest : public testing::Test {
 protected:
  void SetUp() override {
    tree_.Write(kCpu0, "schedutil\n");
    tree_.Write(kCpu1, "powersave\n");
  }
  std::string Text(const std::filesystem::path& file) const {
    std::ifstream in(file);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  std::string Governor(const char* file) const { return Text(tree_.root() / file); }
  std::filesystem::path journal() const { return dir_.path() / "environment"; }

  // A tool as a Jetson has it, whose mode is in a file beside it; mode 7 does not take.
  void AddPowerModes() {
    tree_.Write("usr/sbin/mode", "2");
    tree_.Write(
        "usr/sbin/nvpmodel",
        "#!/bin/sh\n"
        "here=$(dirname \"$0\")\n"
        "if [ \"$1\" = -m ]; then [ \"$2\" = 7 ] || printf %s \"$2\" > \"$here/mode\"; exit 0; fi\n"
        "echo \"NV Power Mode: MODE_$(cat \"$here/mode\")0W\"\n"
        "cat \"$here/mode\"\n");
    std::filesystem::permissions(tree_.root() / "usr/sbin/nvpmodel",
                                 std::filesystem::perms::owner_all);
  }
  std::string Mode() const { return Text(tree_.root() / "usr/sbin/mode"); }

  // Sets it in a process that dies without a chance to put anything back.
  void SetAndDie(const EnvironmentSettings& settings) {
    const pid_t child = fork();
    if (child == 0) {
      Environment environment(tree_.paths(), journal());
      _exit(environment.Apply(settings).ok() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
  }

  HostTree tree_;
  const TempDir dir_;
};

TEST_F(EnvironmentTest, TheGovernorIsSetEverywhereAndEachIsPutBackAsItWas) {
  {
    Environment environment(tree_.paths(), journal());
    ASSERT_TRUE(environment.Apply({.governor = "performance"}).ok());
    EXPECT_EQ(Governor(kCpu0), "performance");
    EXPECT_EQ(Governor(kCpu1), "performance");
    EXPECT_EQ(Text(journal()),
              absl::StrCat("file schedutil ", kCpu0, "\nfile powersave ", kCpu1, "\n"));
    EXPECT_TRUE(environment.Restore().ok());
    EXPECT_EQ(Governor(kCpu0), "schedutil");
    EXPECT_EQ(Governor(kCpu1), "powersave");
    EXPECT_FALSE(std::filesystem::exists(journal()));
    tree_.Write(kCpu0, "ondemand");
  }
  // It does so once: what others set afterwards stays.
  EXPECT_EQ(Governor(kCpu0), "ondemand");
}

TEST_F(EnvironmentTest, TheDestructorPutsBack) {
  {
    Environment environment(tree_.paths(), journal());
    ASSERT_TRUE(environment.Apply({.governor = "performance"}).ok());
  }
  EXPECT_EQ(Governor(kCpu0), "schedutil");
  EXPECT_FALSE(std::filesystem::exists(journal()));
}

TEST_F(EnvironmentTest, WhatIsAlreadySoIsNotTouched) {
  Environment environment(tree_.paths(), journal());
  ASSERT_TRUE(environment.Apply({}).ok());
  tree_.Write(kCpu1, "schedutil\n");
  ASSERT_TRUE(environment.Apply({.governor = "schedutil"}).ok());
  EXPECT_FALSE(std::filesystem::exists(journal()));
  EXPECT_EQ(Governor(kCpu0), "schedutil\n");
}

TEST_F(EnvironmentTest, OneFileUnderTwoNamesIsOne) {
  std::filesystem::remove_all(tree_.root() / "sys/devices/system/cpu/cpu1");
  tree_.Write("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "schedutil\n");
  std::filesystem::remove_all(tree_.root() / "sys/devices/system/cpu/cpu0/cpufreq");
  std::filesystem::create_symlink("../cpufreq/policy0",
                                  tree_.root() / "sys/devices/system/cpu/cpu0/cpufreq");
  Environment environment(tree_.paths(), journal());
  ASSERT_TRUE(environment.Apply({.governor = "performance"}).ok());
  EXPECT_EQ(Text(journal()), absl::StrCat("file schedutil ", kCpu0, "\n"));
}

TEST_F(EnvironmentTest, WhatCannotBeSetLeavesEverythingAsItWas) {
  // A file that can be read and, whoever asks, not be written.
  std::filesystem::remove(tree_.root() / kCpu1);
  std::filesystem::create_symlink("/proc/version", tree_.root() / kCpu1);
  tree_.Write("sys/devices/system/cpu/cpu1/cpufreq/scaling_available_governors",
              "schedutil powersave\n");
  Environment environment(tree_.paths(), journal());
  const absl::Status status = environment.Apply({.governor = "performance"});
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot set governor performance"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("there are: schedutil powersave"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(kCpu1));
  EXPECT_EQ(Governor(kCpu0), "schedutil");
  EXPECT_FALSE(std::filesystem::exists(journal()));
}

TEST_F(EnvironmentTest, AHostWithoutGovernorsOrModesSaysSo) {
  const HostTree empty;
  std::filesystem::remove_all(tree_.root() / "sys");
  Environment environment(tree_.paths(), journal());
  EXPECT_THAT(std::string(environment.Apply({.governor = "performance"}).message()),
              HasSubstr("have no governor"));
  EXPECT_THAT(std::string(environment.Apply({.power_mode = 1}).message()),
              HasSubstr("has no nvpmodel"));
}

TEST_F(EnvironmentTest, NothingIsChangedThatCouldNotBeRemembered) {
  Environment environment(tree_.paths(), dir_.path() / "no" / "environment");
  EXPECT_FALSE(environment.Apply({.governor = "performance"}).ok());
  EXPECT_EQ(Governor(kCpu0), "schedutil\n");
}

TEST_F(EnvironmentTest, ThePowerModeIsSetAndPutBack) {
  AddPowerModes();
  {
    Environment environment(tree_.paths(), journal());
    ASSERT_TRUE(environment.Apply({.governor = "performance", .power_mode = 1}).ok());
    EXPECT_EQ(Mode(), "1");
    EXPECT_EQ(Governor(kCpu0), "performance");
    EXPECT_THAT(Text(journal()), HasSubstr("power_mode 2\n"));
  }
  EXPECT_EQ(Mode(), "2");
  EXPECT_EQ(Governor(kCpu0), "schedutil");
}

TEST_F(EnvironmentTest, AModeThatDoesNotTakeIsAnError) {
  AddPowerModes();
  Environment environment(tree_.paths(), journal());
  const absl::Status status = environment.Apply({.governor = "performance", .power_mode = 7});
  EXPECT_THAT(std::string(status.message()), HasSubstr("left the board in mode 2 (20W)"));
  EXPECT_EQ(Governor(kCpu0), "schedutil\n");
  EXPECT_FALSE(std::filesystem::exists(journal()));
}

TEST_F(EnvironmentTest, WhatACrashLeftIsPutBackByTheNext) {
  AddPowerModes();
  SetAndDie({.governor = "performance", .power_mode = 1});
  EXPECT_EQ(Governor(kCpu0), "performance");
  EXPECT_EQ(Mode(), "1");
  Environment next(tree_.paths(), journal());
  const auto notes = next.RestoreLeft();
  ASSERT_TRUE(notes.ok()) << notes.status();
  EXPECT_THAT(*notes,
              ElementsAre(HasSubstr("power mode to 2"), HasSubstr(kCpu0), HasSubstr(kCpu1)));
  EXPECT_EQ(Governor(kCpu0), "schedutil");
  EXPECT_EQ(Governor(kCpu1), "powersave");
  EXPECT_EQ(Mode(), "2");
  EXPECT_FALSE(std::filesystem::exists(journal()));
  EXPECT_THAT(*next.RestoreLeft(), IsEmpty());
}

TEST_F(EnvironmentTest, WhatCannotBePutBackStaysInTheJournal) {
  SetAndDie({.governor = "performance"});
  std::filesystem::remove_all(tree_.root() / "sys/devices/system/cpu/cpu1");
  {
    Environment next(tree_.paths(), journal());
    const absl::Status status = next.RestoreLeft().status();
    EXPECT_THAT(std::string(status.message()), HasSubstr("not put back as it was"));
    EXPECT_EQ(Governor(kCpu0), "schedutil");
    EXPECT_EQ(Text(journal()), absl::StrCat("file powersave ", kCpu1, "\n"));
    // And nothing more is set meanwhile.
    EXPECT_FALSE(next.Apply({.governor = "performance"}).ok());
    EXPECT_EQ(Governor(kCpu0), "schedutil");
  }
  tree_.Write(kCpu1, "performance\n");
  Environment later(tree_.paths(), journal());
  ASSERT_TRUE(later.RestoreLeft().ok());
  EXPECT_EQ(Governor(kCpu1), "powersave");
}

TEST_F(EnvironmentTest, AJournalThatCannotBeReadIsReported) {
  for (const char* text : {"nonsense\n", "file x /etc/passwd\n", "power_mode\n"}) {
    std::ofstream(journal()) << text;
    Environment environment(tree_.paths(), journal());
    EXPECT_THAT(std::string(environment.RestoreLeft().status().message()),
                HasSubstr("put them back by hand"))
        << text;
    EXPECT_TRUE(std::filesystem::exists(journal()));
  }
}

}  // namespace
}  // namespace joulefarm::agent
