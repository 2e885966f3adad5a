#include "agent/host/cpu_times.h"

#include <gtest/gtest.h>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

TEST(CpuTimes, BusyIsWhatTheProcessorsWorked) {
  // user nice system idle iowait irq softirq steal guest guest_nice
  const auto times =
      ParseCpuTimes("cpu  100 10 50 800 40 5 5 30 90 9\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nintr 5\n", 100);
  ASSERT_TRUE(times);
  EXPECT_DOUBLE_EQ(times->busy_s, 1.7);
  EXPECT_DOUBLE_EQ(times->total_s, 10.4);
  EXPECT_EQ(times->cores, 2);
}

TEST(CpuTimes, GarbageIsNone) {
  for (const char* text : {"", "intr 1\n", "cpu  1 2\n", "cpu  a b c d\ncpu0 1\n", "cpu0 1 2 3 4\n",
                           "cpu  1 2 3 4\n"}) {
    EXPECT_FALSE(ParseCpuTimes(text, 100)) << text;
  }
}

TEST(CpuTimes, SharesAreBetweenReadings) {
  EXPECT_DOUBLE_EQ(*BusyShare({1, 10, 2}, {2, 14, 2}), 0.25);
  EXPECT_FALSE(BusyShare({1, 10, 2}, {1, 10, 2}));
  EXPECT_DOUBLE_EQ(*BusyShare({2, 10, 2}, {1, 11, 2}), 0) << "the kernel's counters may step back";
}

TEST(CpuTimes, OlderKernelsTellLess) {
  const auto times = ParseCpuTimes("cpu  100 10 50 800\ncpu0 1 2 3 4\n", 100);
  ASSERT_TRUE(times);
  EXPECT_DOUBLE_EQ(times->busy_s, 1.6);
  EXPECT_DOUBLE_EQ(times->total_s, 9.6);
}

TEST(CpuTimes, AReaderSeesWhatIsThereNow) {
  HostTree host;
  CpuTimesReader reader(host.paths());
  EXPECT_FALSE(reader.Read());
  host.Write("proc/stat", "cpu  100 0 0 0\ncpu0 1 2 3 4\n");
  ASSERT_TRUE(reader.Read());
  host.Write("proc/stat", "cpu  300 0 0 0\ncpu0 1 2 3 4\n");
  EXPECT_DOUBLE_EQ(reader.Read()->busy_s, 300 / ProcTicksPerSecond());
}

TEST(CpuTimes, ThisHost) {
  const auto times = ReadCpuTimes(HostPaths());
  ASSERT_TRUE(times);
  EXPECT_GT(times->total_s, times->busy_s);
  EXPECT_GE(times->cores, 1);
}

}  // namespace
}  // namespace joulefarm::agent
