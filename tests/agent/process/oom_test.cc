#include "agent/process/oom.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace joulefarm::agent {
namespace {

class OomWatchTest : public testing::Test {
 protected:
  OomWatchTest() : proc_(testing::TempDir() + absl::StrCat("/jf_oom_", getpid())) {
    std::filesystem::create_directories(proc_);
    SetKills(3);
  }
  ~OomWatchTest() override { std::filesystem::remove_all(proc_); }
  void SetKills(int kills) {
    std::ofstream(proc_ / "vmstat") << "nr_free 1\noom_kill " << kills << "\nx 2\n";
  }

  static ExitStatus Code(int code) { return ExitStatus{code, std::nullopt, false}; }
  static ExitStatus Signal(int signal) { return ExitStatus{std::nullopt, signal, false}; }

  std::filesystem::path proc_;
};

TEST_F(OomWatchTest, SigkillAloneIsNoEvidence) {
  const OomWatch watch(proc_);
  EXPECT_FALSE(watch.Evidence(Signal(9), "all well"));
}

TEST_F(OomWatchTest, SigkillWhileTheKernelKilledIs) {
  const OomWatch watch(proc_);
  SetKills(4);
  EXPECT_TRUE(watch.Evidence(Signal(9), ""));
  EXPECT_FALSE(watch.Evidence(Signal(11), ""));
  EXPECT_FALSE(watch.Evidence(ExitStatus{std::nullopt, 9, true}, "")) << "we killed it ourselves";
}

TEST_F(OomWatchTest, AFailedAllocationInTheOutputIs) {
  const OomWatch watch(proc_);
  const auto evidence =
      watch.Evidence(Code(1), "loading\nggml: Failed to allocate buffer of size 99\nbye\n");
  ASSERT_TRUE(evidence);
  EXPECT_EQ(*evidence, "its output says: ggml: Failed to allocate buffer of size 99");
  EXPECT_TRUE(watch.Evidence(Signal(6),
                             "terminate called after throwing an instance of 'std::bad_alloc'\n"));
  EXPECT_FALSE(watch.Evidence(Code(0), "failed to allocate\n")) << "it ended well";
  EXPECT_FALSE(watch.Evidence(Code(1), "bad argument\n"));
}

TEST_F(OomWatchTest, NoVmstatIsNoEvidence) {
  const OomWatch watch(proc_ / "nowhere");
  EXPECT_FALSE(watch.Evidence(Signal(9), ""));
}

}  // namespace
}  // namespace joulefarm::agent
