#include "agent/process/child_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"
#include "agent/process/leftover.h"
#include "agent/process/proc_stat.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t kSecond = 1'000'000'000;

class RecordingJournal : public ProcessJournal {
 public:
  absl::Status Started(pid_t pid, std::uint64_t start_ticks) override {
    // The child must not have become the program yet.
    at_start = ReadSmallFile(absl::StrCat("/proc/", pid, "/cmdline")).value_or("");
    ticks = start_ticks;
    started.push_back(pid);
    return refuse ? absl::ResourceExhaustedError("journal full") : absl::OkStatus();
  }
  void Ended(pid_t pid) override { ended.push_back(pid); }

  bool refuse = false;
  std::string at_start;
  std::uint64_t ticks = 0;
  std::vector<pid_t> started;
  std::vector<pid_t> ended;
};

// Lines as they come, with a wait for one.
class Lines {
 public:
  std::function<void(const OutputLine&)> sink() {
    return [this](const OutputLine& line) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(line.text);
      changed_.notify_all();
    };
  }
  std::string WaitFor(std::size_t index) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return lines_.size() > index; });
    return lines_.size() > index ? lines_[index] : "(never came)";
  }
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

std::unique_ptr<ChildProcess> Shell(const std::string& script, Lines* lines = nullptr,
                                    ProcessJournal* journal = nullptr) {
  ProcessOptions options;
  options.argv = {"sh", "-c", script};
  if (lines != nullptr) options.on_line = lines->sink();
  auto child = ChildProcess::Start(std::move(options), journal);
  EXPECT_TRUE(child.ok()) << child.status();
  return child.ok() ? std::move(*child) : nullptr;
}

ExitStatus WaitForExit(ChildProcess& child) {
  const StopFd never{std::stop_token{}};
  EXPECT_EQ(child.Wait(never, BoottimeNs() + 20 * kSecond), Wake::kReady);
  return child.exit_status().value_or(ExitStatus{});
}

bool Alive(pid_t pid) {
  const std::optional<ProcStat> stat = ReadProcStat("/proc", pid);
  return stat && stat->alive();
}

TEST(ChildProcess, TellsExitCodeNineFromSigkill) {
  auto code = Shell("exit 9");
  EXPECT_EQ(WaitForExit(*code).ToString(), "exit code 9");
  auto killed = Shell("kill -9 $$");
  const ExitStatus status = WaitForExit(*killed);
  EXPECT_EQ(status.ToString(), "killed by signal 9 (SIGKILL)");
  EXPECT_FALSE(status.by_agent);
}

TEST(ChildProcess, JournalsBeforeTheProgramRunsAndAfterItIsGone) {
  RecordingJournal journal;
  auto child = Shell("exit 0", nullptr, &journal);
  EXPECT_THAT(journal.started, ElementsAre(child->pid()));
  EXPECT_EQ(journal.ticks, child->start_ticks());
  EXPECT_FALSE(absl::StrContains(journal.at_start, "exit 0"))
      << "the program ran before it was journalled";
  WaitForExit(*child);
  EXPECT_TRUE(journal.ended.empty());
  const pid_t pid = child->pid();
  child.reset();
  EXPECT_THAT(journal.ended, ElementsAre(pid));
}

TEST(ChildProcess, AJournalThatRefusesLeavesNothing) {
  const std::filesystem::path file = testing::TempDir() + absl::StrCat("/jf_refused_", getpid());
  RecordingJournal journal;
  journal.refuse = true;
  ProcessOptions options;
  options.argv = {"touch", file.string()};
  EXPECT_EQ(ChildProcess::Start(std::move(options), &journal).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(Alive(journal.started.at(0)));
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST(ChildProcess, MissingProgramsAreNamed) {
  ProcessOptions options;
  options.argv = {"no-such-program-here"};
  const absl::Status by_name = ChildProcess::Start(options, nullptr).status();
  EXPECT_EQ(by_name.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(by_name.message()), HasSubstr("'no-such-program-here' is not in PATH ("));
  options.argv = {"/etc/passwd"};
  EXPECT_THAT(std::string(ChildProcess::Start(options, nullptr).status().message()),
              HasSubstr("/etc/passwd is not"));
}

TEST(ChildProcess, HandsOutLinesOfBothStreamsAndTheUnendedLast) {
  Lines lines;
  auto child = Shell("echo one; echo two >&2; printf 'three\\r\\n'; printf last", &lines);
  WaitForExit(*child);
  child->Terminate(0);
  EXPECT_THAT(lines.all(), testing::UnorderedElementsAre("one", "two", "three", "last"));
  EXPECT_THAT(child->OutputTail(), HasSubstr("two\n"));
}

TEST(ChildProcess, AFloodOfBinaryGarbageIsBounded) {
  Lines lines;
  auto child = Shell("head -c 20000000 /dev/urandom; echo; echo the end", &lines);
  WaitForExit(*child);
  child->Terminate(0);
  EXPECT_EQ(child->OutputTail().size(), OutputReader::kTailBytes);
  EXPECT_TRUE(absl::EndsWith(child->OutputTail(), "the end\n"));
  for (const std::string& line : lines.all()) EXPECT_LE(line.size(), OutputReader::kLongestLine);
}

TEST(ChildProcess, AnEndlessFloodCanBeStopped) {
  auto child = Shell("yes");
  child->Terminate(0);
  EXPECT_TRUE(child->all_gone());
  EXPECT_EQ(child->exit_status()->signal, SIGKILL);
  EXPECT_TRUE(child->exit_status()->by_agent);
}

TEST(ChildProcess, LongLinesComeInPieces) {
  Lines lines;
  auto child = Shell("head -c 150000 /dev/zero | tr '\\0' x", &lines);
  WaitForExit(*child);
  child->Terminate(0);
  std::size_t total = 0;
  for (const std::string& line : lines.all()) total += line.size();
  EXPECT_EQ(total, 150000U);
  EXPECT_EQ(lines.all().size(), 3U);
}

TEST(ChildProcess, WaitEndsAtTheDeadlineAndOnStop) {
  auto child = Shell("sleep 1000");
  std::stop_source source;
  const StopFd stop(source.get_token());
  EXPECT_EQ(child->Wait(stop, BoottimeNs() + 1'000'000), Wake::kDeadline);
  std::thread stopper([&] { source.request_stop(); });
  EXPECT_EQ(child->Wait(stop, std::nullopt), Wake::kStop);
  stopper.join();
}

TEST(ChildProcess, TerminatesThoseThatIgnoreSigterm) {
  Lines lines;
  auto child = Shell("trap '' TERM; echo ready; while :; do sleep 1000; done", &lines);
  EXPECT_EQ(lines.WaitFor(0), "ready");
  child->Terminate(50'000'000);
  EXPECT_TRUE(child->all_gone());
  EXPECT_EQ(child->exit_status()->ToString(), "killed by signal 9 (SIGKILL)");
}

TEST(ChildProcess, AGracefulEndIsLeftToTheProgram) {
  Lines lines;
  auto child =
      Shell("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done", &lines);
  EXPECT_EQ(lines.WaitFor(0), "ready");
  child->Terminate(20 * kSecond);
  EXPECT_EQ(child->exit_status()->code, 5);
  // The shell may also say that its sleep was terminated.
  EXPECT_THAT(lines.all(), testing::Contains("bye"));
}

pid_t PidIn(const std::string& line) {
  pid_t pid = 0;
  EXPECT_TRUE(absl::SimpleAtoi(line, &pid)) << line;
  return pid;
}

TEST(ChildProcess, KillsGrandchildrenOfALeaderThatIsGone) {
  Lines lines;
  auto child = Shell("(sleep 1000 & echo $!) ; exit 0", &lines);
  const pid_t grandchild = PidIn(lines.WaitFor(0));
  EXPECT_TRUE(WaitForExit(*child).success());
  EXPECT_TRUE(Alive(grandchild));
  child->Terminate(0);
  EXPECT_FALSE(Alive(grandchild));
  EXPECT_TRUE(child->all_gone());
}

TEST(ChildProcess, KillsWhatMovedToASessionOfItsOwn) {
  Lines lines;
  auto child = Shell("setsid sh -c 'echo $$; exec sleep 1000' & wait", &lines);
  const pid_t escaped = PidIn(lines.WaitFor(0));
  child->Terminate(0);
  EXPECT_FALSE(Alive(escaped));
}

TEST(ChildProcess, KillsADaemonWhoseParentsAreGone) {
  Lines lines;
  auto child = Shell("(setsid sh -c 'echo $$; exec sleep 1000' &) ; exit 0", &lines);
  const pid_t escaped = PidIn(lines.WaitFor(0));
  WaitForExit(*child);
  child->Terminate(0);
  EXPECT_FALSE(Alive(escaped));
}

TEST(ChildProcess, OrphansThatWereAdoptedAreReaped) {
  // In a process of its own: adoption is for life.
  EXPECT_EXIT(
      {
        AdoptOrphans();
        Lines lines;
        auto child = Shell("(sleep 1000 & echo $!) ; (setsid sleep 1000 &) ; exit 0", &lines);
        lines.WaitFor(0);
        WaitForExit(*child);
        child->Terminate(0);
        errno = 0;
        const bool none = waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD;
        _exit(none && child->all_gone() ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(ChildProcess, EnvironmentCanBeSetAndRemoved) {
  setenv("JF_TEST_KEEP", "k", 1);
  setenv("JF_TEST_DROP", "d", 1);
  setenv("JF_PREFIX_ONE", "1", 1);
  Lines lines;
  ProcessOptions options;
  options.argv = {"sh", "-c",
                  "echo $JF_TEST_KEEP,$JF_TEST_DROP,$JF_PREFIX_ONE,$JF_TEST_NEW,$JOULEFARM_CHILD"};
  options.environment = {
      {"JF_TEST_DROP", std::nullopt}, {"JF_PREFIX_*", std::nullopt}, {"JF_TEST_NEW", "n"}};
  options.on_line = lines.sink();
  auto child = ChildProcess::Start(std::move(options), nullptr);
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(lines.WaitFor(0),
            absl::StrCat("k,,,n,", ChildMarker((*child)->pid(), (*child)->start_ticks())));
}

TEST(ChildProcess, NoDescriptorOfTheAgentIsInherited) {
  const int leaked = open("/dev/null", O_RDONLY);  // without O_CLOEXEC, on purpose
  Lines lines;
  auto child = Shell("ls /proc/self/fd | tr '\\n' ' '", &lines);
  // The fourth is ls's own, of the directory.
  EXPECT_EQ(lines.WaitFor(0), "0 1 2 3 ");
  close(leaked);
}

TEST(ChildProcess, IsKilledWhenTheAgentIsKilled) {
  struct Identity {
    pid_t pid = 0;
    std::uint64_t start_ticks = 0;
  };
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const pid_t agent = fork();
  if (agent == 0) {
    auto child = Shell("sleep 1000");
    const Identity identity{child->pid(), child->start_ticks()};
    [[maybe_unused]] const ssize_t n = write(fds[1], &identity, sizeof identity);
    kill(getpid(), SIGKILL);
  }
  Identity left;
  ASSERT_EQ(read(fds[0], &left, sizeof left), static_cast<ssize_t>(sizeof left));
  waitpid(agent, nullptr, 0);
  const std::int64_t deadline = BoottimeNs() + 20 * kSecond;
  while (Alive(left.pid) && BoottimeNs() < deadline) usleep(1000);
  EXPECT_FALSE(Alive(left.pid));
  // The kernel's signal goes to the leader alone; what that had started is the next agent's to end.
  EXPECT_TRUE(KillLeftover(left.pid, left.start_ticks).ok());
  for (const ProcStat& member : MembersOf("/proc", left.pid, left.start_ticks)) {
    EXPECT_FALSE(member.alive()) << member.pid;
  }
  close(fds[0]);
  close(fds[1]);
}

}  // namespace
}  // namespace joulefarm::agent
