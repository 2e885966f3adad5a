// A hub that answers the class's requests, with what may be wrong with hubs.
#include "agent/power/switch/hub_switch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

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
