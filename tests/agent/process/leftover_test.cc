#include "agent/process/leftover.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <string>

#include "agent/process/child_process.h"

namespace joulefarm::agent {
namespace {

bool Alive(pid_t pid) {
  const std::optional<ProcStat> stat = ReadProcStat("/proc", pid);
  return stat && stat->alive();
}

struct Left {
  pid_t leader = 0;
  std::uint64_t start_ticks = 0;
  pid_t other = 0;
};

// An agent that starts `script` and is killed; the script prints the pid of another process it
// started.
Left LeaveBehind(const std::string& script) {
  int fds[2];
  if (pipe(fds) != 0) return {};
  const pid_t agent = fork();
  if (agent == 0) {
    std::promise<pid_t> other;
    ProcessOptions options;
    options.argv = {"sh", "-c", script};
    options.on_line = [&](const OutputLine& line) {
      other.set_value(std::stoi(std::string(line.text)));
    };
    auto child = ChildProcess::Start(options, nullptr);
    const Left left{(*child)->pid(), (*child)->start_ticks(), other.get_future().get()};
    [[maybe_unused]] const ssize_t n = write(fds[1], &left, sizeof left);
    kill(getpid(), SIGKILL);
  }
  Left left;
  EXPECT_EQ(read(fds[0], &left, sizeof left), static_cast<ssize_t>(sizeof left));
  waitpid(agent, nullptr, 0);
  close(fds[0]);
  close(fds[1]);
  return left;
}

TEST(KillLeftover, KillsMembersWhoseLeaderDiedWithTheAgent) {
  const Left left = LeaveBehind("sleep 1000 & echo $!; wait");
  ASSERT_TRUE(Alive(left.other));
  EXPECT_TRUE(KillLeftover(left.leader, left.start_ticks).ok());
  EXPECT_FALSE(Alive(left.other));
}

TEST(KillLeftover, KillsDaemonsThatLeftTheGroup) {
  const Left left = LeaveBehind("setsid sh -c 'echo $$; exec sleep 1000' & wait");
  ASSERT_TRUE(Alive(left.other));
  EXPECT_TRUE(KillLeftover(left.leader, left.start_ticks).ok());
  EXPECT_FALSE(Alive(left.other));
}

TEST(KillLeftover, AnotherProcessWithTheSameNumberIsLeftAlone) {
  const pid_t stranger = fork();
  if (stranger == 0) {
    setpgid(0, 0);
    pause();
    _exit(0);
  }
  const std::uint64_t ticks = ReadProcStat("/proc", stranger)->start_ticks;
  ASSERT_GT(ticks, 0U);
  EXPECT_TRUE(KillLeftover(stranger, ticks - 1).ok());
  EXPECT_TRUE(KillLeftover(stranger, ticks + 1).ok());
  EXPECT_TRUE(Alive(stranger));
  kill(stranger, SIGKILL);
  waitpid(stranger, nullptr, 0);
}

TEST(KillLeftover, NothingLeftIsFine) { EXPECT_TRUE(KillLeftover(4'000'000, 12345).ok()); }

}  // namespace
}  // namespace joulefarm::agent
