#include "agent/power/switch/command_switch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;

// A relay whose state is a file.
CommandSwitchSettings Relay(const std::filesystem::path& dir) {
  const std::string file = (dir / "relay").string();
  return {.on = {"sh", "-c", "echo on > " + file + ".{port}"},
          .off = {"sh", "-c", "echo off > " + file + ".{port}"},
          .status = {"sh", "-c", "echo relay {port}; cat " + file + ".{port}"}};
}

class CountingJournal : public ProcessJournal {
 public:
  absl::Status Started(pid_t /*pid*/, std::uint64_t /*start_ticks*/) override {
    ++started;
    return answer;
  }
  void Ended(pid_t /*pid*/) override { ++ended; }

  absl::Status answer;
  int started = 0;
  int ended = 0;
};

TEST(CommandSwitchTest, RunsTheOperatorsPrograms) {
  const TempDir dir;
  const auto relay = MakeCommandSwitch(Relay(dir.path()));
  ASSERT_TRUE(relay.ok()) << relay.status();
  ASSERT_TRUE((*relay)->Set(3, false).ok());
  EXPECT_TRUE(std::filesystem::exists(dir.path() / "relay.3"));
  EXPECT_FALSE(*(*relay)->Get(3));
  ASSERT_TRUE((*relay)->Set(3, true).ok());
  EXPECT_TRUE(*(*relay)->Get(3));
}

TEST(CommandSwitchTest, WithoutAStatusOnlyWhatWasSetIsKnown) {
  const auto plug = MakeCommandSwitch({.on = {"true"}, .off = {"true"}});
  ASSERT_TRUE(plug.ok());
  EXPECT_TRUE(absl::IsUnimplemented((*plug)->Get(1).status()));
  ASSERT_TRUE((*plug)->Set(1, false).ok());
  EXPECT_FALSE(*(*plug)->Get(1));
}

TEST(CommandSwitchTest, WhatCutsIsRememberedAndPowerComesBackAlsoWhereNothingCanBe) {
  const TempDir dir;
  CountingJournal journal;
  const auto relay = MakeCommandSwitch(Relay(dir.path()), &journal);
  ASSERT_TRUE(relay.ok()) << relay.status();
  ASSERT_TRUE((*relay)->Set(1, false).ok());
  EXPECT_EQ(journal.started, 1);
  EXPECT_EQ(journal.ended, 1);
  journal.answer = absl::ResourceExhaustedError("the disk is full");
  EXPECT_TRUE((*relay)->Set(1, true).ok());
  EXPECT_TRUE(*(*relay)->Get(1));
  EXPECT_TRUE(absl::IsResourceExhausted((*relay)->Set(1, false)));
  EXPECT_TRUE(*(*relay)->Get(1)) << "what nobody could undo after a crash is not done";
}

TEST(CommandSwitchTest, AFailureSaysWhatTheProgramSaid) {
  const auto plug =
      MakeCommandSwitch({.on = {"true"}, .off = {"sh", "-c", "echo no plug; exit 3"}});
  ASSERT_TRUE(plug.ok());
  EXPECT_THAT(std::string((*plug)->Set(1, false).message()), HasSubstr("no plug"));
  const auto stuck = MakeCommandSwitch({.on = {"true"}, .off = {"true"}, .status = {"echo", "on"}});
  ASSERT_TRUE(stuck.ok());
  EXPECT_THAT(std::string((*stuck)->Set(1, false).message()), HasSubstr("still on"));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeCommandSwitch({.on = {"true"}}).status()));
}

}  // namespace
}  // namespace joulefarm::agent
