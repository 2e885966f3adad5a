#include "agent/host/process_tree.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "agent/host/cpu_times.h"
#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

class ProcessTreeTest : public testing::Test {
 protected:
  // Times in ticks, memory in pages.
  void Process(int pid, int parent, int group, int own, int children, int pages, char state = 'S') {
    host_.Write(absl::StrCat("proc/", pid, "/stat"),
                absl::StrCat(pid, " (p) ", std::string(1, state), " ", parent, " ", group,
                             " 1 0 -1 0 0 0 0 0 ", own, " 0 ", children, " 0 20 0 1 0 ", 1000 + pid,
                             " 0 ", pages, " 0"));
  }
  double Seconds(int ticks) const { return ticks / ProcTicksPerSecond(); }

  HostTree host_;
};

TEST_F(ProcessTreeTest, SumsTheFamily) {
  Process(10, 1, 10, 100, 0, 5);
  Process(11, 10, 10, 50, 0, 7);
  Process(12, 11, 12, 25, 0, 1);
  Process(13, 10, 10, 9, 0, 9, 'Z');
  Process(20, 1, 20, 999, 0, 999);
  host_.Write("proc/10/status", "Name:\tp\nVmHWM:\t    2048 kB\n");
  ProcessTree tree(host_.paths(), 10, 0);
  const auto sample = tree.Read();
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->processes, 3);
  EXPECT_DOUBLE_EQ(sample->cpu_s, Seconds(175));
  EXPECT_EQ(sample->rss_bytes, 13 * sysconf(_SC_PAGESIZE));
  EXPECT_EQ(sample->leader_peak_bytes, 2048 * 1024);
}

TEST_F(ProcessTreeTest, TimeOfEndedProcessesIsKept) {
  Process(10, 1, 10, 100, 0, 5);
  Process(11, 10, 10, 50, 0, 7);
  ProcessTree tree(host_.paths(), 10, 0);
  tree.Read();
  host_.Remove("proc/11");
  Process(10, 1, 10, 110, 0, 5);
  EXPECT_DOUBLE_EQ(tree.Read()->cpu_s, Seconds(160));
  // Its parent has waited for it, and for one that was never seen.
  Process(10, 1, 10, 110, 90, 5);
  EXPECT_DOUBLE_EQ(tree.Read()->cpu_s, Seconds(200));
  Process(10, 1, 10, 110, 0, 5);
  EXPECT_DOUBLE_EQ(tree.Read()->cpu_s, Seconds(200)) << "a cumulative time never falls";
}

TEST_F(ProcessTreeTest, NoFamilyIsNone) {
  ProcessTree tree(host_.paths(), 10, 0);
  EXPECT_FALSE(tree.Read());
}

TEST_F(ProcessTreeTest, ANumberThatWasGivenToAnotherIsNotTaken) {
  Process(10, 1, 10, 100, 0, 5);
  ProcessTree tree(host_.paths(), 10);  // looks around once a second
  tree.Read();
  host_.Write("proc/10/stat", "10 (other) S 1 10 1 0 -1 0 0 0 0 0 7 0 0 0 20 0 1 0 5555 0 3 0");
  EXPECT_FALSE(tree.Read());
}

TEST_F(ProcessTreeTest, FilesElsewhereAreReadAnewThoughTheyAreReplaced) {
  Process(10, 1, 10, 100, 0, 5);
  Process(20, 1, 20, 999, 0, 999);
  ProcessTree tree(host_.paths(), 10, 0);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(tree.Read()->processes, 1);
  Process(20, 1, 10, 30, 0, 2);
  EXPECT_EQ(tree.Read()->processes, 2) << "there an inode says nothing of who it is";
}

// Ends with its scope.
class Forked {
 public:
  // `body` runs in a process that leads a group of its own.
  template <typename Body>
  explicit Forked(Body body) : pid_(fork()) {
    if (pid_ == 0) {
      setpgid(0, 0);
      body();
      while (true) pause();
    }
    setpgid(pid_, pid_);
  }
  ~Forked() {
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Forked(const Forked&) = delete;
  Forked& operator=(const Forked&) = delete;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

// Everybody else here has long been a stranger by then.
TEST(ProcessTree, AChildThatComesLateIsFound) {
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  const Forked parent([&] {
    char byte = 0;
    if (read(go[0], &byte, 1) == 1) fork();
  });
  ProcessTree tree(HostPaths(), parent.pid(), 0);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(tree.Read().value().processes, 1);
  ASSERT_EQ(write(go[1], "g", 1), 1);
  while (tree.Read().value().processes < 2) std::this_thread::yield();
  close(go[0]);
  close(go[1]);
}

TEST(ProcessTree, ALiveChild) {
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    while (true) pause();
  }
  setpgid(child, child);
  ProcessTree tree(HostPaths(), child);
  const auto sample = tree.Read();
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->processes, 1);
  EXPECT_GT(sample->rss_bytes, 0);
  EXPECT_GT(sample->leader_peak_bytes.value_or(0), 0);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(tree.Read());
}

}  // namespace
}  // namespace joulefarm::agent
