#include "agent/power/link/program_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <string>

#include "absl/strings/numbers.h"
#include "agent/process/boottime.h"
#include "agent/process/proc_stat.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int kLongMs = 20'000;

class Journal : public ProcessJournal {
 public:
  absl::Status Started(pid_t pid, std::uint64_t /*start_ticks*/) override {
    started.push_back(pid);
    return absl::OkStatus();
  }
  void Ended(pid_t pid) override { ended.push_back(pid); }

  std::vector<pid_t> started;
  std::vector<pid_t> ended;
};

std::unique_ptr<Link> Shell(const std::string& script, ProcessJournal* journal = nullptr) {
  return MakeProgramLink({"sh", "-c", script}, journal);
}

absl::StatusOr<std::string> Line(Link& link, int timeout_ms = kLongMs) {
  const absl::StatusOr<std::vector<std::uint8_t>> line = link.Read(4096, timeout_ms);
  if (!line.ok()) return line.status();
  return std::string(line->begin(), line->end());
}

bool Alive(pid_t pid) {
  const std::optional<ProcStat> stat = ReadProcStat("/proc", pid);
  return stat && stat->alive();
}

TEST(ProgramLinkTest, LinesWithTheirArrivalThenTheEnd) {
  const auto link = Shell("echo one; echo two; printf three");
  const std::int64_t before_ns = BoottimeNs();
  ASSERT_TRUE(link->Write({}, 0).ok());
  EXPECT_EQ(Line(*link).value_or(""), "one\n");
  const std::int64_t first_ns = link->arrived_ns().value_or(0);
  EXPECT_EQ(Line(*link).value_or(""), "two\n");
  EXPECT_EQ(Line(*link).value_or(""), "three\n");
  EXPECT_GT(first_ns, before_ns);
  EXPECT_GE(link->arrived_ns().value_or(0), first_ns);
  EXPECT_LE(link->arrived_ns().value_or(0), BoottimeNs());
  EXPECT_TRUE(absl::IsOutOfRange(Line(*link).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Line(*link, 1).status())) << "the end is told once";
}

TEST(ProgramLinkTest, ItRunsAgainForEachWrite) {
  const auto link = Shell("echo again");
  for (int run = 0; run < 3; ++run) {
    ASSERT_TRUE(link->Write({}, 0).ok());
    EXPECT_EQ(Line(*link).value_or(""), "again\n");
    EXPECT_TRUE(absl::IsOutOfRange(Line(*link).status()));
  }
}

TEST(ProgramLinkTest, AFailureIsToldWithItsWords) {
  const auto link = Shell("echo value; echo 'device offline' >&2; exit 3");
  ASSERT_TRUE(link->Write({}, 0).ok());
  EXPECT_EQ(Line(*link).value_or(""), "value\n") << "and nothing of stderr";
  const absl::Status ended = Line(*link).status();
  EXPECT_TRUE(absl::IsUnavailable(ended)) << ended;
  EXPECT_THAT(std::string(ended.message()),
              testing::AllOf(HasSubstr("exit code 3"), HasSubstr("device offline")));
}

TEST(ProgramLinkTest, WithoutALineItWaits) {
  const auto link = Shell("echo first; exec sleep 1000");
  EXPECT_TRUE(absl::IsDeadlineExceeded(Line(*link, 1).status())) << "nothing runs yet";
  ASSERT_TRUE(link->Write({}, 0).ok());
  EXPECT_EQ(Line(*link).value_or(""), "first\n");
  EXPECT_TRUE(absl::IsDeadlineExceeded(Line(*link, 1).status()));
}

TEST(ProgramLinkTest, ALongLineComesInPieces) {
  const auto link = Shell("echo 0123456789");
  ASSERT_TRUE(link->Write({}, 0).ok());
  EXPECT_THAT(link->Read(4, kLongMs).value_or(std::vector<std::uint8_t>()),
              ElementsAre('0', '1', '2', '3'));
  EXPECT_EQ(Line(*link).value_or(""), "456789\n");
}

TEST(ProgramLinkTest, AProgramThatIsNotThereSaysWhatToDo) {
  const auto link = MakeProgramLink({"no-such-tegrastats"}, nullptr);
  const absl::Status missing = link->Write({}, 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(missing)) << missing;
  EXPECT_THAT(std::string(missing.message()),
              testing::AllOf(HasSubstr("no-such-tegrastats"), HasSubstr("command")));
  EXPECT_THAT(std::string(CheckProgram("no-such-tegrastats").message()), HasSubstr("command"));
  EXPECT_TRUE(CheckProgram("sh").ok());
}

TEST(ProgramLinkTest, ItTakesNoInput) {
  const auto link = Shell("cat; echo done");
  const std::vector<std::uint8_t> bytes = {1};
  EXPECT_FALSE(link->Write(bytes, 0).ok());
  ASSERT_TRUE(link->Write({}, 0).ok());
  EXPECT_EQ(Line(*link).value_or(""), "done\n") << "its input is empty";
}

TEST(ProgramLinkTest, AFloodIsNoMeter) {
  const auto link = Shell("exec yes");
  ASSERT_TRUE(link->Write({}, 0).ok());
  absl::Status ended;
  while (ended.ok()) ended = link->Read(1, kLongMs).status();
  EXPECT_TRUE(absl::IsUnavailable(ended)) << ended;
  EXPECT_THAT(std::string(ended.message()), HasSubstr("10000 lines"));
}

TEST(ProgramLinkTest, NothingIsLeftOfItAndItsChildrenAndTheJournalKnows) {
  Journal journal;
  auto link = Shell("trap '' TERM; sleep 1000 & echo $!; echo $$; wait", &journal);
  ASSERT_TRUE(link->Write({}, 0).ok());
  pid_t child = 0;
  pid_t leader = 0;
  ASSERT_TRUE(absl::SimpleAtoi(Line(*link).value_or(""), &child));
  ASSERT_TRUE(absl::SimpleAtoi(Line(*link).value_or(""), &leader));
  EXPECT_THAT(journal.started, ElementsAre(leader));
  EXPECT_TRUE(Alive(child));
  link.reset();
  EXPECT_FALSE(Alive(child));
  EXPECT_FALSE(Alive(leader));
  EXPECT_THAT(journal.ended, ElementsAre(leader));
}

TEST(ProgramLinkTest, WhatARunLeavesEndsWithIt) {
  Journal journal;
  const auto link = Shell("sleep 1000 & echo $!", &journal);
  ASSERT_TRUE(link->Write({}, 0).ok());
  pid_t left = 0;
  ASSERT_TRUE(absl::SimpleAtoi(Line(*link).value_or(""), &left));
  EXPECT_TRUE(absl::IsOutOfRange(Line(*link).status()));
  EXPECT_FALSE(Alive(left));
  EXPECT_THAT(journal.ended, SizeIs(1));
}

TEST(ProgramLinkTest, OneThatWasKilledFailed) {
  const auto link = Shell("kill -9 $$");
  ASSERT_TRUE(link->Write({}, 0).ok());
  const absl::Status ended = Line(*link).status();
  EXPECT_TRUE(absl::IsUnavailable(ended)) << ended;
  EXPECT_THAT(std::string(ended.message()), HasSubstr("SIGKILL"));
}

}  // namespace
}  // namespace joulefarm::agent
