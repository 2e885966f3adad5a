// A hub that answers the class's requests, with what may be wrong with hubs.
#include "agent/power/switch/hub_switch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "agent/power/switch/both_halves.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct FakeHub {
  int ports = 4;
  int characteristics = 0x09;  // per-port switching
  bool cuts = true;
  HubKind kind = HubKind::kUsb2;
  std::uint32_t powered = 0b11110;
};

class HubLink : public Link {
 public:
  explicit HubLink(FakeHub* hub) : hub_(hub) {}
  absl::Status Write(absl::Span<const std::uint8_t>, int) override {
    return absl::InternalError("a hub is not written to");
  }
  absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t, int) override {
    return absl::InternalError("a hub is not read");
  }
  absl::Status Control(const ControlRequest& request, std::vector<std::uint8_t>& data,
                       int) override {
    if (request.request_type == 0xA0 && request.request == 6) {
      const std::uint16_t type = hub_->kind == HubKind::kUsb2 ? 0x2900 : 0x2A00;
      if (request.value != type) return absl::InternalError("stall");
      data = {9, static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(hub_->ports),
              static_cast<std::uint8_t>(hub_->characteristics), 0};
      return absl::OkStatus();
    }
    if (request.request_type == 0xA3 && request.request == 0) {
      const bool on = (hub_->powered >> request.index & 1) != 0;
      const int bit = hub_->kind == HubKind::kUsb2 ? 0 : 1;
      data = {1, static_cast<std::uint8_t>(on ? 1 << bit : 0), 0, 0};
      return absl::OkStatus();
    }
    if (request.request_type == 0x23 && request.value == 8) {
      if (!hub_->cuts) return absl::OkStatus();
      const std::uint32_t bit = 1U << request.index;
      hub_->powered = request.request == 3 ? hub_->powered | bit : hub_->powered & ~bit;
      return absl::OkStatus();
    }
    return absl::InternalError("stall");
  }

 private:
  FakeHub* const hub_;
};

std::unique_ptr<PowerSwitch> SwitchOf(FakeHub& hub) {
  return MakeHubSwitch(hub.kind, "hub 1-1", [&hub]() -> absl::StatusOr<std::unique_ptr<Link>> {
    return std::make_unique<HubLink>(&hub);
  });
}

TEST(HubSwitchTest, CutsAndGivesBackOnePort) {
  for (const HubKind kind : {HubKind::kUsb2, HubKind::kUsb3}) {
    FakeHub hub{.kind = kind};
    const auto power = SwitchOf(hub);
    ASSERT_TRUE(power->Set(2, false).ok());
    EXPECT_EQ(hub.powered, 0b11010U);
    EXPECT_FALSE(*power->Get(2));
    EXPECT_TRUE(*power->Get(3));
    ASSERT_TRUE(power->Set(2, true).ok());
    EXPECT_EQ(hub.powered, 0b11110U);
  }
}

// The two hubs that a USB 3 hub is, wired as such: a port has power while either has.
struct Halves {
  FakeHub usb2;
  FakeHub usb3 = {.kind = HubKind::kUsb3};
  bool known = true;  // the kernel says that they belong together
  bool here = true;   // the other half can be talked to

  std::unique_ptr<PowerSwitch> Switch() {
    HalfFinder finder;
    finder.other = [this](int port) -> absl::StatusOr<std::optional<OtherHalf>> {
      if (!known) return std::nullopt;
      if (!here) return absl::UnavailableError("it was unplugged");
      return OtherHalf{SwitchOf(usb3), port, absl::StrCat("port ", port, " of hub 2-1")};
    };
    finder.unknown = [](int) { return "nobody knows"; };
    return MakeBothHalves(SwitchOf(usb2), std::move(finder));
  }
  bool Powered(int port) const { return ((usb2.powered | usb3.powered) >> port & 1) != 0; }
};

TEST(BothHalvesTest, BothAreCutAndGivenBack) {
  Halves hub;
  const auto power = hub.Switch();
  ASSERT_TRUE(power->Set(2, false).ok());
  EXPECT_FALSE(hub.Powered(2));
  EXPECT_TRUE(hub.Powered(1));
  EXPECT_FALSE(*power->Get(2));
  EXPECT_EQ(power->Doubt(2), "");
  ASSERT_TRUE(power->Set(2, true).ok());
  EXPECT_EQ(hub.usb2.powered, 0b11110U);
  EXPECT_EQ(hub.usb3.powered, 0b11110U);
  hub.usb2.powered = 0b11010;
  EXPECT_TRUE(*power->Get(2)) << "while either half has power";
}

TEST(BothHalvesTest, AnOtherHalfThatCannotBeSwitchedIsADoubt) {
  Halves hub;
  hub.usb3.characteristics = 0;
  const auto power = hub.Switch();
  ASSERT_TRUE(power->Set(2, false).ok());
  EXPECT_FALSE(*power->Get(2));
  EXPECT_TRUE(hub.Powered(2));
  EXPECT_THAT(power->Doubt(2), AllOf(HasSubstr("port 2 of hub 2-1"), HasSubstr("single ports")));
  ASSERT_TRUE(power->Set(2, true).ok());
  EXPECT_EQ(hub.usb2.powered, 0b11110U);
}

TEST(BothHalvesTest, WhereTheKernelNamesNoOtherHalfThereMayBeOne) {
  Halves hub;
  hub.known = false;
  const auto power = hub.Switch();
  ASSERT_TRUE(power->Set(2, false).ok());
  EXPECT_EQ(power->Doubt(2), "nobody knows");
}

TEST(BothHalvesTest, NeitherIsCutWhereTheOtherFailsAndBothComeBackAsFarAsTheyCan) {
  Halves hub;
  hub.here = false;
  const auto power = hub.Switch();
  EXPECT_TRUE(absl::IsUnavailable(power->Set(2, false)));
  EXPECT_EQ(hub.usb2.powered, 0b11110U);
  hub.here = true;
  ASSERT_TRUE(power->Set(2, false).ok());
  hub.here = false;
  EXPECT_TRUE(absl::IsUnavailable(power->Set(2, true)));
  EXPECT_EQ(hub.usb2.powered, 0b11110U);
  hub.here = true;
  EXPECT_TRUE(power->Set(2, true).ok());
  EXPECT_EQ(hub.usb3.powered, 0b11110U);
}

TEST(HubSwitchTest, AHubThatOnlyAcknowledgesIsFoundOut) {
  FakeHub hub{.cuts = false};
  EXPECT_THAT(std::string(SwitchOf(hub)->Set(1, false).message()), HasSubstr("still on"));
}

TEST(HubSwitchTest, AHubThatSwitchesAllPortsTogetherIsRefused) {
  for (const int characteristics : {0x00, 0x02, 0x03}) {
    FakeHub hub{.characteristics = characteristics};
    EXPECT_TRUE(absl::IsFailedPrecondition(SwitchOf(hub)->Set(1, false))) << characteristics;
    EXPECT_EQ(hub.powered, 0b11110U);
  }
}

TEST(HubSwitchTest, APortThatIsNotThereIsRefused) {
  FakeHub hub;
  EXPECT_TRUE(absl::IsInvalidArgument(SwitchOf(hub)->Set(5, false)));
  EXPECT_TRUE(absl::IsInvalidArgument(SwitchOf(hub)->Get(0).status()));
}

}  // namespace
}  // namespace joulefarm::agent
