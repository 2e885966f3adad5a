#include "agent/process/proc_stat.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace joulefarm::agent {
namespace {

TEST(ProcStat, NamesMayContainAnything) {
  const auto stat = ParseProcStat(
      "77 (a) R (b)) S 5 76 70 0 -1 4194304 1 2 3 4 100 23 7 8 20 0 9 0 4242 1000000 512 "
      "18446744073709551615 1 1\n");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->pid, 77);
  EXPECT_EQ(stat->parent, 5);
  EXPECT_EQ(stat->group, 76);
  EXPECT_EQ(stat->session, 70);
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->cpu_ticks, 123U);
  EXPECT_EQ(stat->children_ticks, 15U);
  EXPECT_EQ(stat->start_ticks, 4242U);
  EXPECT_EQ(stat->rss_pages, 512);
}

TEST(ProcStat, GarbageIsNone) {
  for (const char* line : {"", "x", "1 (a", "1 (a)", "1 (a) S 1 2 3", ")1(",
                           "q (a) S 5 76 70 0 -1 0 1 2 3 4 1 2 7 8 20 0 9 0 1 1 5"}) {
    EXPECT_FALSE(ParseProcStat(line)) << line;
  }
}

TEST(ProcStat, FindsItselfAlive) {
  const auto stat = ReadProcStat("/proc", getpid());
  ASSERT_TRUE(stat);
  EXPECT_TRUE(stat->alive());
  EXPECT_EQ(stat->parent, getppid());
  EXPECT_GT(stat->rss_pages, 0);
  EXPECT_FALSE(ReadProcStat("/proc", 4'000'000));
}

TEST(ProcStat, AFamilyIsGroupSessionAndDescendants) {
  const auto process = [](pid_t pid, pid_t parent, pid_t group) {
    ProcStat stat;
    stat.pid = pid;
    stat.parent = parent;
    stat.group = group;
    return stat;
  };
  // 13 is listed before its parent 12, which left the group; 14 is in the group of the dead
  // leader's.
  const auto family = FamilyOf({process(13, 12, 12), process(10, 1, 10), process(12, 10, 12),
                                process(14, 1, 10), process(20, 1, 20)},
                               10);
  std::vector<pid_t> pids;
  for (const ProcStat& member : family) pids.push_back(member.pid);
  EXPECT_EQ(pids, (std::vector<pid_t>{13, 10, 12, 14}));
}

}  // namespace
}  // namespace joulefarm::agent
