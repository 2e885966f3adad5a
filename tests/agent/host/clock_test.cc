#include "agent/host/clock.h"

#include <gtest/gtest.h>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

TEST(Clocks, AreReadBetweenTwoReadingsOfBoottime) {
  const std::int64_t before = BoottimeNs();
  const v1::ClockSnapshot snapshot = ReadClocks();
  EXPECT_GE(snapshot.boottime_ns(), before);
  EXPECT_LE(snapshot.boottime_ns(), BoottimeNs());
  EXPECT_GT(snapshot.monotonic_ns(), 0);
  EXPECT_GT(snapshot.monotonic_raw_ns(), 0);
  EXPECT_GT(snapshot.realtime_ns(), snapshot.boottime_ns());
}

TEST(BootId, IsTheKernels) {
  HostTree host;
  EXPECT_FALSE(BootId(host.paths()));
  host.Write("proc/sys/kernel/random/boot_id", "0a1b-2c\n");
  EXPECT_EQ(BootId(host.paths()), "0a1b-2c");
  EXPECT_EQ(BootId(HostPaths())->size(), 36U);
}

}  // namespace
}  // namespace joulefarm::agent
