#include "agent/power/switch/ykush.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/agent/power/meter/scripted_link.h"

namespace joulefarm::agent {
namespace {

using testing::HasSubstr;
using Report = ScriptedLink::Report;

Report Padded(Report report, std::size_t size = 64) {
  report.resize(size);
  return report;
}

// meters.md, section 12.
TEST(YkushCodecTest, Commands) {
  for (const YkushModel model : {YkushModel::kYkush, YkushModel::kYkush3}) {
    for (int port = 1; port <= 3; ++port) {
      const auto number = static_cast<std::uint8_t>(port);
      EXPECT_EQ(*YkushSet(model, port, true), Padded({static_cast<std::uint8_t>(0x10 + number)}));
      EXPECT_EQ(*YkushSet(model, port, false), Padded({number}));
      EXPECT_EQ(*YkushAsk(model, port), Padded({static_cast<std::uint8_t>(0x20 + number)}));
    }
  }
  EXPECT_EQ(*YkushSet(YkushModel::kYkush3, 4, true), Padded({0x14}));
  EXPECT_EQ(*YkushSet(YkushModel::kYkush3, 4, false), Padded({0x04}));
  EXPECT_EQ(*YkushAsk(YkushModel::kYkush3, 4), Padded({0x24}));
  EXPECT_EQ(*YkushSet(YkushModel::kYkushXs, 1, true), Padded({0x11}));
  EXPECT_EQ(*YkushAsk(YkushModel::kYkushLegacy, 2), Padded({0x22}, 6));
}

TEST(YkushCodecTest, PortsThatAreNot) {
  for (const int port : {0, -1, 4, 10, 1000}) {
    EXPECT_TRUE(absl::IsInvalidArgument(YkushSet(YkushModel::kYkush, port, true).status()));
    EXPECT_TRUE(absl::IsInvalidArgument(YkushAsk(YkushModel::kYkush, port).status()));
  }
  EXPECT_FALSE(YkushSet(YkushModel::kYkushXs, 2, false).ok());
  EXPECT_FALSE(YkushSet(YkushModel::kYkush3, 5, false).ok());
}

TEST(YkushCodecTest, EveryReplyIsTheStateOrRefused) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const Report reply =
          Padded({static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(second)});
      const auto on = YkushIsOn(2, reply);
      const bool legal = first == 1 && (second == 0x12 || second == 0x02);
      ASSERT_EQ(on.ok(), legal) << first << " " << second;
      if (legal) {
        EXPECT_EQ(*on, second == 0x12);
      } else {
        EXPECT_TRUE(absl::IsDataLoss(on.status()));
      }
      EXPECT_EQ(YkushTaken(reply).ok(), first == 1);
    }
  }
  EXPECT_TRUE(absl::IsDataLoss(YkushIsOn(2, {}).status()));
  EXPECT_TRUE(absl::IsDataLoss(YkushIsOn(2, Report{1}).status()));
  EXPECT_TRUE(absl::IsDataLoss(YkushTaken({})));
}

TEST(YkushTest, ProductsAreTold) {
  EXPECT_EQ(FindYkush(HidDevice(0x04D8, 0xF2F7)), YkushModel::kYkush);
  EXPECT_EQ(FindYkush(HidDevice(0x04D8, 0xF11B)), YkushModel::kYkush3);
  EXPECT_EQ(FindYkush(HidDevice(0x04D8, 0xF0CD)), YkushModel::kYkushXs);
  UsbDevice example = HidDevice(0x04D8, 0x0042);
  EXPECT_EQ(FindYkush(example), std::nullopt);
  example.product_name = "YKUSH";
  EXPECT_EQ(FindYkush(example), YkushModel::kYkushLegacy);
  EXPECT_EQ(FindYkush(HidDevice(0x04D8, 0x0043)), std::nullopt);
  EXPECT_EQ(FindYkush(HidDevice(0x2E3C, 0xF2F7)), std::nullopt);
}

// A hub that obeys, or only says that it does.
struct Hub {
  bool on[5] = {true, true, true, true, true};
  bool obeys = true;
  int answers_wrong_port = 0;
  bool silent = false;
  int opened = 0;
  std::vector<Report> written;
};

class HubLink : public Link {
 public:
  explicit HubLink(Hub& hub) : hub_(hub) {
    // Of a program that used it before.
    script_.Arrive(0, Padded({0x01, 0x11}));
    script_.on_write = [this](const Report& command) { Take(command); };
  }
  absl::Status Write(absl::Span<const std::uint8_t> bytes, int timeout_ms) override {
    return script_.Write(bytes, timeout_ms);
  }
  absl::StatusOr<Report> Read(std::size_t most, int timeout_ms) override {
    return script_.Read(most, timeout_ms);
  }

 private:
  void Take(const Report& command) {
    hub_.written.push_back(command);
    if (hub_.silent) return;
    const int port = command[0] & 0x0F;
    if (command[0] < 0x20) {
      if (hub_.obeys) hub_.on[port] = command[0] >= 0x10;
      script_.Arrive(script_.now_ns() + 1, Padded({0x01, command[0]}));
      return;
    }
    const int said = port + hub_.answers_wrong_port;
    script_.Arrive(script_.now_ns() + 1,
                   Padded({0x01, static_cast<std::uint8_t>((hub_.on[port] ? 0x10 : 0) | said)}));
  }

  Hub& hub_;
  ScriptedLink script_;
};

std::unique_ptr<PowerSwitch> Switch(YkushModel model, Hub& hub) {
  return MakeYkush(model, [&hub]() -> absl::StatusOr<std::unique_ptr<Link>> {
    ++hub.opened;
    return std::make_unique<HubLink>(hub);
  });
}

TEST(YkushTest, SetsAndVerifies) {
  Hub hub;
  const auto ykush = Switch(YkushModel::kYkush, hub);
  EXPECT_TRUE(ykush->Set(2, false).ok());
  EXPECT_FALSE(hub.on[2]);
  EXPECT_TRUE(hub.on[1]);
  EXPECT_TRUE(hub.on[3]);
  EXPECT_FALSE(*ykush->Get(2));
  EXPECT_TRUE(*ykush->Get(1));
  EXPECT_TRUE(ykush->Set(2, true).ok());
  EXPECT_TRUE(hub.on[2]);
  EXPECT_EQ(hub.written[0][0], 0x02);
  EXPECT_EQ(hub.written[1][0], 0x22);
  EXPECT_EQ(hub.opened, 6);  // once per command
}

TEST(YkushTest, AHubThatOnlyAcknowledges) {
  Hub hub;
  hub.obeys = false;
  const absl::Status status = Switch(YkushModel::kYkush, hub)->Set(1, false);
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("says that it is on"));
}

TEST(YkushTest, AnAnswerForAnotherPortIsNone) {
  Hub hub;
  hub.answers_wrong_port = 1;
  EXPECT_TRUE(absl::IsDataLoss(Switch(YkushModel::kYkush, hub)->Get(1).status()));
  EXPECT_TRUE(absl::IsDataLoss(Switch(YkushModel::kYkush, hub)->Set(1, true)));
}

TEST(YkushTest, SilenceAndAbsence) {
  Hub hub;
  hub.silent = true;
  const absl::Status status = Switch(YkushModel::kYkush, hub)->Set(1, true);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("did not answer"));
  const auto gone = MakeYkush(YkushModel::kYkush, []() -> absl::StatusOr<std::unique_ptr<Link>> {
    return absl::NotFoundError("no such node");
  });
  EXPECT_TRUE(absl::IsNotFound(gone->Set(1, true)));
  EXPECT_TRUE(absl::IsNotFound(gone->Get(1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(gone->Set(9, true)));
}

}  // namespace
}  // namespace joulefarm::agent
