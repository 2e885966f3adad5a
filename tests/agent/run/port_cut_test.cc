#include "agent/run/port_cut.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;

// What a hub is like, outliving the agents that open it.
struct Hub {
  bool on = true;
  bool here = true;
  int held = 0;  // so many attempts to switch it on find another process there
  int sets = 0;
  bool cannot = false;  // switch a single port
  bool silent = false;  // about its state
  SwitchSettings opened;
};

class FakeSwitch : public PowerSwitch {
 public:
  explicit FakeSwitch(Hub* hub) : hub_(hub) {}
  absl::Status Set(int /*port*/, bool on) override {
    if (!hub_->here) return absl::UnavailableError("it was unplugged");
    if (hub_->cannot) return absl::FailedPreconditionError("it cannot");
    if (on && hub_->held > 0) {
      --hub_->held;
      return absl::ResourceExhaustedError("it is held by another process");
    }
    ++hub_->sets;
    hub_->on = on;
    return absl::OkStatus();
  }
  absl::StatusOr<bool> Get(int /*port*/) override {
    if (!hub_->here) return absl::UnavailableError("it was unplugged");
    if (hub_->cannot) return absl::FailedPreconditionError("it cannot");
    if (hub_->silent) return absl::UnimplementedError("it cannot be asked");
    return hub_->on;
  }
  std::string Doubt(int /*port*/) override { return hub_->silent ? "who knows" : ""; }

 private:
  Hub* const hub_;
};

class PortCutTest : public ::testing::Test {
 protected:
  std::unique_ptr<PortCut> Make() {
    return std::make_unique<PortCut>(
        HostPaths(dir_.path()), journal(), nullptr,
        [this](const HostPaths&, const SwitchSettings& settings,
               ProcessJournal*) -> absl::StatusOr<std::unique_ptr<PowerSwitch>> {
          hub_.opened = settings;
          return std::make_unique<FakeSwitch>(&hub_);
        });
  }
  std::filesystem::path journal() const { return dir_.path() / "port"; }

  const TempDir dir_;
  Hub hub_;
  const SwitchedPort port_{
      {.name = "hub1", .kind = "sysfs", .place = "1-1", .command = {{"a"}, {"b c"}, {}}}, 2};
};

TEST_F(PortCutTest, ASwitchThatAnotherProcessHoldsIsWaitedFor) {
  const auto cut = Make();
  ASSERT_TRUE(cut->Cut(port_, {}).ok());
  hub_.held = 2;
  EXPECT_TRUE(cut->Restore().ok());
  EXPECT_TRUE(hub_.on);
  EXPECT_EQ(hub_.held, 0);
  EXPECT_FALSE(std::filesystem::exists(journal()));
}

TEST_F(PortCutTest, PowerComesBackAndNothingIsLeft) {
  const auto cut = Make();
  ASSERT_TRUE(cut->Cut(port_, {}).ok());
  EXPECT_FALSE(hub_.on);
  EXPECT_TRUE(std::filesystem::exists(journal()));
  ASSERT_TRUE(cut->Restore().ok());
  EXPECT_TRUE(hub_.on);
  EXPECT_FALSE(std::filesystem::exists(journal()));
  ASSERT_TRUE(cut->Restore().ok());
  EXPECT_EQ(hub_.sets, 2);
}

TEST_F(PortCutTest, TheDestructorGivesPowerBack) {
  ASSERT_TRUE(Make()->Cut(port_, {}).ok());
  EXPECT_TRUE(hub_.on);
}

TEST_F(PortCutTest, TheNextProcessGivesBackWhatACrashLeftCut) {
  {
    // What kill -9 leaves: a journal, and no destructor.
    std::string text;
    const auto cut = Make();
    ASSERT_TRUE(cut->Cut(port_, {}).ok());
    std::ifstream in(journal());
    text.assign(std::istreambuf_iterator<char>(in), {});
    ASSERT_TRUE(cut->Restore().ok());
    hub_.on = false;
    std::ofstream(journal()) << text;
  }
  hub_.opened = {};
  const auto note = Make()->RestoreLeft();
  ASSERT_TRUE(note.ok()) << note.status();
  EXPECT_THAT(*note, HasSubstr("hub1"));
  EXPECT_TRUE(hub_.on);
  // By what the journal says, not by a configuration that may have changed.
  EXPECT_EQ(hub_.opened, port_.power_switch);
  EXPECT_FALSE(std::filesystem::exists(journal()));
}

TEST_F(PortCutTest, WhatCannotBeGivenBackStaysInTheJournal) {
  const auto cut = Make();
  ASSERT_TRUE(cut->Cut(port_, {}).ok());
  hub_.here = false;
  EXPECT_THAT(std::string(cut->Restore().message()), HasSubstr("still without power"));
  EXPECT_TRUE(std::filesystem::exists(journal()));
  EXPECT_TRUE(absl::IsFailedPrecondition(cut->Cut(port_, {})));
  hub_.here = true;
  ASSERT_TRUE(cut->Restore().ok());
  EXPECT_TRUE(hub_.on);
}

TEST_F(PortCutTest, ThePortOfTheMeterIsNeverCut) {
  for (const char* meter : {"1-1.2", "1-1.2.1"}) {
    const absl::Status status = Make()->Cut(port_, {meter});
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << meter;
    EXPECT_THAT(std::string(status.message()), HasSubstr(meter));
  }
  EXPECT_EQ(hub_.sets, 0);
  EXPECT_TRUE(Make()->Cut(port_, {"1-1.3", "1-2"}).ok());
}

TEST_F(PortCutTest, NeitherIsTheOtherHalfOfThePortOfTheMeter) {
  const std::filesystem::path hubs = dir_.path() / "sys/bus/usb/devices";
  std::filesystem::create_directories(hubs / "1-1:1.0/1-1-port2");
  std::filesystem::create_directory_symlink("../../2-1:1.0/2-1-port3",
                                            hubs / "1-1:1.0/1-1-port2/peer");
  for (const char* meter : {"1-1.2", "2-1.3", "2-1.3.1"})
    EXPECT_TRUE(absl::IsFailedPrecondition(Make()->Cut(port_, {meter}))) << meter;
  EXPECT_EQ(hub_.sets, 0);
  EXPECT_TRUE(Make()->Cut(port_, {"2-1.2"}).ok());
}

TEST_F(PortCutTest, WhatCannotBeSwitchedIsNotTakenToBeCut) {
  hub_.cannot = true;
  const auto cut = Make();
  EXPECT_TRUE(absl::IsFailedPrecondition(cut->Cut(port_, {})));
  EXPECT_FALSE(cut->cut());
  EXPECT_FALSE(std::filesystem::exists(journal()));
  EXPECT_TRUE(cut->Restore().ok());
}

TEST_F(PortCutTest, ASwitchThatCannotBeAskedIsTakenToBeOn) {
  hub_.silent = true;
  const auto cut = Make();
  ASSERT_TRUE(cut->Cut(port_, {}).ok());
  EXPECT_FALSE(hub_.on);
  EXPECT_EQ(cut->doubt(), "who knows");
}

TEST_F(PortCutTest, APortThatWasOffStaysOff) {
  hub_.on = false;
  const auto cut = Make();
  ASSERT_TRUE(cut->Cut(port_, {}).ok());
  EXPECT_FALSE(cut->cut());
  ASSERT_TRUE(cut->Restore().ok());
  EXPECT_FALSE(hub_.on);
}

TEST_F(PortCutTest, AJournalThatCannotBeReadIsSaid) {
  std::ofstream(journal()) << "{";
  EXPECT_THAT(std::string(Make()->RestoreLeft().status().message()), HasSubstr("by hand"));
  EXPECT_EQ(*PortCut(HostPaths(dir_.path()), dir_.path() / "none", nullptr).RestoreLeft(), "");
}

}  // namespace
}  // namespace joulefarm::agent
