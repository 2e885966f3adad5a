#include "agent/run/core_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include "agent/process/child_process.h"

namespace joulefarm::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(CoreListTest, NumbersAndRanges) {
  EXPECT_THAT(*ParseCoreList("2"), ElementsAre(2));
  EXPECT_THAT(*ParseCoreList("0-3"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(*ParseCoreList("6,0-2,1"), ElementsAre(0, 1, 2, 6));
}

TEST(CoreListTest, AnythingElseIsRefused) {
  for (const char* text : {"", ",", "a", "1,", "3-1", "1-2-3", "-1", "0-99999", "1.5", "0x1"}) {
    EXPECT_EQ(ParseCoreList(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_THAT(std::string(ParseCoreList("3-1").status().message()), HasSubstr("\"3-1\""));
}

TEST(CoreListTest, TextIsTheShortestList) {
  EXPECT_EQ(CoreListText({0, 1, 2, 6}), "0-2,6");
  EXPECT_EQ(CoreListText({4}), "4");
  EXPECT_EQ(CoreListText({4, 5}), "4-5");
  EXPECT_EQ(CoreListText({}), "");
}

std::vector<int> Allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  std::vector<int> cores;
  for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(static_cast<int>(core));
  }
  return cores;
}

TEST(CoreListTest, ProcessorsThatMayNotBeUsedAreNamed) {
  const std::vector<int> allowed = Allowed();
  EXPECT_TRUE(CheckCores(allowed).ok());
  const int missing = allowed.back() + 1;
  const absl::Status status = CheckCores({missing});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("processor ", missing)));
  EXPECT_THAT(std::string(status.message()), HasSubstr(CoreListText(allowed)));
}

class CountingJournal : public ProcessJournal {
 public:
  absl::Status Started(pid_t pid, std::uint64_t) override {
    started.push_back(pid);
    return absl::OkStatus();
  }
  void Ended(pid_t pid) override { ended.push_back(pid); }
  std::vector<pid_t> started;
  std::vector<pid_t> ended;
};

TEST(CorePinningTest, TheChildRunsWhereItWasPinnedAndTheAgentStaysWhereItWas) {
  const std::vector<int> allowed = Allowed();
  CountingJournal inner;
  CorePinning pinning({allowed.back()}, &inner);
  ProcessOptions options;
  options.argv = {"grep", "Cpus_allowed_list", "/proc/self/status"};
  auto child = ChildProcess::Start(std::move(options), &pinning);
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ((*child)->Wait(StopFd(std::stop_token()), std::nullopt), Wake::kReady);
  const pid_t pid = (*child)->pid();
  (*child)->Terminate(0);
  EXPECT_THAT((*child)->OutputTail(), HasSubstr(absl::StrCat("\t", allowed.back(), "\n")));
  EXPECT_THAT(inner.started, ElementsAre(pid));
  EXPECT_THAT(inner.ended, ElementsAre(pid));
  EXPECT_EQ(Allowed(), allowed);
}

TEST(CorePinningTest, WhatCannotBePinnedIsNotStarted) {
  CountingJournal inner;
  CorePinning pinning({Allowed().back() + 1}, &inner);
  ProcessOptions options;
  options.argv = {"true"};
  const auto child = ChildProcess::Start(std::move(options), &pinning);
  EXPECT_THAT(std::string(child.status().message()), HasSubstr("cannot keep it on processors"));
  EXPECT_TRUE(inner.started.empty());
}

}  // namespace
}  // namespace joulefarm::agent
