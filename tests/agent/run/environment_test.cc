#include "agent/run/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/agent/host/host_tree.h"
#include "tests/agent/run/fake_nvpmodel.h"
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
  const FakeNvpmodel nvpmodel(tree_);
  {
    Environment environment(tree_.paths(), journal());
    ASSERT_TRUE(environment.Apply({.governor = "performance", .power_mode = 1}).ok());
    EXPECT_EQ(nvpmodel.mode(), "1");
    EXPECT_EQ(Governor(kCpu0), "performance");
    EXPECT_THAT(Text(journal()), HasSubstr("power_mode 2\n"));
  }
  EXPECT_EQ(nvpmodel.mode(), "2");
  EXPECT_EQ(Governor(kCpu0), "schedutil");
}

TEST_F(EnvironmentTest, AModeThatDoesNotTakeIsAnError) {
  const FakeNvpmodel nvpmodel(tree_);
  Environment environment(tree_.paths(), journal());
  const absl::Status status = environment.Apply({.governor = "performance", .power_mode = 7});
  EXPECT_THAT(std::string(status.message()), HasSubstr("left the board in mode 2 (20W)"));
  EXPECT_EQ(Governor(kCpu0), "schedutil\n");
  EXPECT_FALSE(std::filesystem::exists(journal()));
}

// The journal has cores that the mode brought up and that go with it.
TEST_F(EnvironmentTest, AGovernorIsPutBackBeforeTheModeTakesItsCoreAway) {
  FakeNvpmodel nvpmodel(tree_);
  nvpmodel.TakeAway(2, 1);
  nvpmodel.Set(2);
  Environment environment(tree_.paths(), journal());
  ASSERT_TRUE(environment.Apply({.governor = "performance", .power_mode = 1}).ok());
  EXPECT_EQ(Governor(kCpu1), "performance");
  const absl::Status status = environment.Restore();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(nvpmodel.mode(), "2");
  EXPECT_EQ(Governor(kCpu0), "schedutil");
  EXPECT_FALSE(std::filesystem::exists(journal()));
  nvpmodel.Set(1);
  EXPECT_EQ(Governor(kCpu1), "powersave");
}

TEST_F(EnvironmentTest, AGovernorIsPutBackAfterTheModeHasBroughtItsCoreUp) {
  FakeNvpmodel nvpmodel(tree_);
  nvpmodel.TakeAway(3, 1);
  SetAndDie({.governor = "performance", .power_mode = 1});
  nvpmodel.Set(3);
  Environment next(tree_.paths(), journal());
  ASSERT_TRUE(next.RestoreLeft().ok());
  EXPECT_EQ(nvpmodel.mode(), "2");
  EXPECT_EQ(Governor(kCpu1), "powersave");
}

TEST_F(EnvironmentTest, ACoreThatStaysAwayNeedsNoGovernor) {
  FakeNvpmodel nvpmodel(tree_);
  nvpmodel.TakeAway(3, 1);
  SetAndDie({.governor = "performance"});
  nvpmodel.Set(3);
  Environment next(tree_.paths(), journal());
  const auto notes = next.RestoreLeft();
  EXPECT_TRUE(notes.ok()) << notes.status();
  EXPECT_EQ(Governor(kCpu0), "schedutil");
  EXPECT_FALSE(std::filesystem::exists(journal()));
}

TEST_F(EnvironmentTest, TheGovernorIsSetWhereACoreIsAway) {
  FakeNvpmodel nvpmodel(tree_);
  nvpmodel.TakeAway(1, 1);
  Environment environment(tree_.paths(), journal());
  const absl::Status status = environment.Apply({.governor = "performance", .power_mode = 1});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Governor(kCpu0), "performance");
  EXPECT_TRUE(environment.Restore().ok());
  EXPECT_EQ(Governor(kCpu0), "schedutil");
  EXPECT_EQ(Governor(kCpu1), "powersave\n");
}

// The governor of cores that share one is theirs for as long as one of them is there.
TEST_F(EnvironmentTest, AGovernorThatIsSharedIsSetForTheCoreThatIsThere) {
  const std::string policy = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor";
  tree_.Write(policy, "schedutil\n");
  for (const char* cpu : {"cpu0", "cpu1"}) {
    const std::string cpufreq = absl::StrCat("sys/devices/system/cpu/", cpu, "/cpufreq");
    tree_.Remove(cpufreq);
    std::filesystem::create_symlink("../cpufreq/policy0", tree_.root() / cpufreq);
  }
  tree_.Write("sys/devices/system/cpu/cpu0/online", "0\n");
  Environment environment(tree_.paths(), journal());
  ASSERT_TRUE(environment.Apply({.governor = "performance"}).ok());
  EXPECT_EQ(Text(journal()), absl::StrCat("file schedutil ", kCpu1, "\n"));
  // The other way round it is still written through the core that went.
  tree_.Write("sys/devices/system/cpu/cpu1/online", "0\n");
  tree_.Write("sys/devices/system/cpu/cpu0/online", "1\n");
  EXPECT_TRUE(environment.Restore().ok());
  EXPECT_EQ(Governor(policy.c_str()), "schedutil");
}

TEST_F(EnvironmentTest, WhatACrashLeftIsPutBackByTheNext) {
  const FakeNvpmodel nvpmodel(tree_);
  SetAndDie({.governor = "performance", .power_mode = 1});
  EXPECT_EQ(Governor(kCpu0), "performance");
  EXPECT_EQ(nvpmodel.mode(), "1");
  Environment next(tree_.paths(), journal());
  const auto notes = next.RestoreLeft();
  ASSERT_TRUE(notes.ok()) << notes.status();
  EXPECT_THAT(*notes,
              ElementsAre(HasSubstr("power mode to 2"), HasSubstr(kCpu0), HasSubstr(kCpu1)));
  EXPECT_EQ(Governor(kCpu0), "schedutil");
  EXPECT_EQ(Governor(kCpu1), "powersave");
  EXPECT_EQ(nvpmodel.mode(), "2");
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
