#include "agent/power/meter/monsoon_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace joulefarm::agent {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using Packet = std::vector<std::uint8_t>;

Packet PacketOf(const std::string& hex) {
  const std::string bytes = absl::HexStringToBytes(hex);
  Packet packet(bytes.begin(), bytes.end());
  packet.resize(64);
  return packet;
}
Packet operator+(Packet a, const Packet& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
const Packet kZero = PacketOf("0000200101f403e801fe03f2000a001441a09c400010");
const Packet kReference = PacketOf("000020014e20c3504e2ac35a0bb80fa041a09c400030");
const Packet kMeasurement = PacketOf("020021010384753001f403e8000a001441a09c400000");

// A monitor's memory and its control transfers, as documented.
class FakeMonsoon : public Link {
 public:
  FakeMonsoon() {
    values_ = {{0x45, 2},      {0xC0, 32},    {0xC4, 0},      {0x42, 20'441}, {0x10, 1},
               {0x1A, 36'500}, {0x1B, 6'400}, {0x1C, 36'500}, {0x1D, 6'400},  {0x25, 15},
               {0x26, 15},     {0x27, 15},    {0x28, 15},     {0x88, 0xE000}, {0x89, 0xC800}};
  }
  absl::Status Write(absl::Span<const std::uint8_t> /*bytes*/, int /*timeout_ms*/) override {
    return absl::InternalError("nothing is written to the endpoint");
  }
  absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t most, int /*timeout_ms*/) override {
    if (gone_) return absl::UnavailableError("gone");
    if (transfers_.empty()) return absl::DeadlineExceededError("nothing");
    std::vector<std::uint8_t> transfer = transfers_.front();
    if (!endless_) transfers_.pop_front();
    EXPECT_LE(transfer.size(), most);
    return transfer;
  }
  absl::Status Control(const ControlRequest& request, std::vector<std::uint8_t>& data,
                       int /*timeout_ms*/) override {
    if (gone_) return absl::UnavailableError("gone");
    if (request.request_type == 0xC0) {
      EXPECT_EQ(request.request, 1);
      const std::uint32_t value = values_[request.index];
      data = {static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8),
              static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 24)};
      if (short_) data.pop_back();
      return absl::OkStatus();
    }
    EXPECT_EQ(request.request_type, 0x40);
    sent_.push_back(absl::StrCat(absl::Hex(request.request), " ", absl::Hex(request.value), " ",
                                 absl::Hex(request.index), " ",
                                 absl::BytesToHexString(absl::string_view(
                                     reinterpret_cast<const char*>(data.data()), data.size()))));
    return absl::OkStatus();
  }

  std::map<std::uint16_t, std::uint32_t> values_;
  std::vector<std::string> sent_;
  std::deque<std::vector<std::uint8_t>> transfers_;
  bool endless_ = false;
  bool gone_ = false;
  bool short_ = false;
};

constexpr char kStop[] = "3 0 0 ";
constexpr char kStart[] = "2 4e2 0 ffffffff";

std::string Refusal(FakeMonsoon& link, const MonsoonOptions& options = {}) {
  MonsoonDriver driver(options);
  const absl::Status started = driver.Start(link, 0).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(started)) << started;
  EXPECT_THAT(link.sent_, Not(Contains(kStart)));
  return std::string(started.message());
}

TEST(MonsoonDriverTest, StopsReadsAndStarts) {
  FakeMonsoon link;
  link.transfers_ = {Packet(64), Packet(64)};  // left of before
  MonsoonDriver driver({});
  const absl::StatusOr<MeterIdentity> identity = driver.Start(link, 100);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->serial, "20441");
  EXPECT_EQ(identity->firmware, "32");
  EXPECT_THAT(link.sent_, ElementsAre(kStop, kStart)) << "and nothing is set";
  EXPECT_THAT(link.transfers_, IsEmpty());
}

TEST(MonsoonDriverTest, SamplesOfAWholeTransfer) {
  FakeMonsoon link;
  MonsoonDriver driver({});
  ASSERT_TRUE(driver.Start(link, 0).ok());
  Packet damaged = kMeasurement;
  damaged[3] = 9;
  Packet last = kMeasurement;
  last.resize(22);
  link.transfers_ = {kZero + kReference + kMeasurement + damaged + kMeasurement + last};
  MeterBatch batch;
  ASSERT_TRUE(driver.Step(link, batch).ok());
  ASSERT_THAT(batch.samples, SizeIs(3)) << "the last packet is short";
  EXPECT_NEAR(batch.samples[0].current_a.value_or(0), 21.597479e-3, 5e-10);
  EXPECT_EQ(batch.lost, 2 + 3) << "dropped by the monitor, and those of the damaged packet";
  EXPECT_EQ(batch.samples[1].t_ns.value_or(0) - batch.samples[0].t_ns.value_or(0), 4 * 200'000);
  EXPECT_EQ(batch.rejected, 1);
  EXPECT_THAT(batch.refusal, HasSubstr("9 observations"));
  EXPECT_GT(batch.arrived_ns, 0);
  MeterBatch nothing;
  EXPECT_TRUE(driver.Step(link, nothing).ok());
  EXPECT_THAT(nothing.samples, IsEmpty());
  link.gone_ = true;
  EXPECT_TRUE(absl::IsUnavailable(driver.Step(link, nothing)));
}

TEST(MonsoonDriverTest, AnOutputThatIsOffIsSaidAndCounted) {
  FakeMonsoon link;
  MonsoonDriver driver({});
  ASSERT_TRUE(driver.Start(link, 0).ok());
  Packet off = kMeasurement;
  off[2] = 0x01;
  link.transfers_ = {kZero + kReference + off + off};
  MeterBatch batch;
  ASSERT_TRUE(driver.Step(link, batch).ok());
  EXPECT_THAT(batch.samples, IsEmpty());
  EXPECT_EQ(batch.rejected, 2);
  EXPECT_EQ(batch.lost, 2 + 2) << "two dropped before";
  EXPECT_THAT(batch.refusal, HasSubstr("its output is off"));
}

TEST(MonsoonDriverTest, TheDevicesOwnCalibrationCounts) {
  FakeMonsoon link;
  link.values_[0x1A] = 73'000;
  MonsoonDriver driver({});
  ASSERT_TRUE(driver.Start(link, 0).ok());
  link.transfers_ = {kZero + kReference + kMeasurement};
  MeterBatch batch;
  ASSERT_TRUE(driver.Step(link, batch).ok());
  ASSERT_THAT(batch.samples, SizeIs(1));
  EXPECT_NEAR(batch.samples[0].current_a.value_or(0), 2 * 21.597479e-3, 1e-9);
}

TEST(MonsoonDriverTest, ALowVoltageModelHasResistors) {
  FakeMonsoon link;
  link.values_[0x45] = 1;
  link.values_[0x02] = 0xF6;  // -10: 0.049 Ω
  MonsoonDriver driver({});
  ASSERT_TRUE(driver.Start(link, 0).ok());
  link.transfers_ = {PacketOf("000020010032003200320032000a001441a09c400010") +
                     PacketOf("000020014e2075304e20753000640fa041a09c400030") +
                     PacketOf("0000200100643a983200ff9c000a001441a09c400000")};
  MeterBatch batch;
  ASSERT_TRUE(driver.Step(link, batch).ok());
  ASSERT_THAT(batch.samples, SizeIs(1));
  EXPECT_NEAR(batch.samples[0].current_a.value_or(0),
              (15'000 - 50.0) / (30'000 - 50.0) * 35'946 * 0.05 / 0.049 * 1e-6, 1e-12);
  EXPECT_EQ(batch.samples[0].voltage_v, 2.1);
}

TEST(MonsoonDriverTest, VoltageAndPassThroughBeforeItSamples) {
  FakeMonsoon link;
  MonsoonDriver driver({.voltage_v = 4.2, .pass_through = UsbPassThrough::kAuto});
  ASSERT_TRUE(driver.Start(link, 0).ok());
  EXPECT_THAT(link.sent_, ElementsAre(kStop, "1 2 10 02000000", "1 3333 4341 33334300", kStart));
  link.sent_.clear();
  driver.Stop(link);
  EXPECT_THAT(link.sent_, ElementsAre(kStop, "1 1 10 01000000"))
      << "as it was; the voltage stays, the device lives on it";
  link.sent_.clear();
  driver.Stop(link);
  EXPECT_THAT(link.sent_, ElementsAre(kStop)) << "put back once";
}

TEST(MonsoonDriverTest, PassThroughIsPutBackWhereItDoesNotStart) {
  FakeMonsoon link;
  MonsoonDriver driver({.voltage_v = 99, .pass_through = UsbPassThrough::kAuto});
  EXPECT_FALSE(driver.Start(link, 0).ok());
  EXPECT_THAT(link.sent_, ElementsAre(kStop, "1 2 10 02000000", "1 1 10 01000000"));
}

TEST(MonsoonDriverTest, AVoltageThatIsNotSafeIsNotSet) {
  FakeMonsoon link;
  EXPECT_THAT(Refusal(link, {.voltage_v = 13.6}), HasSubstr("0.8 to 13.5 V"));
  EXPECT_THAT(Refusal(link, {.voltage_v = 0.1}), HasSubstr("0.8 to 13.5 V"));
  link.values_[0x89] = 0xD001;
  EXPECT_THAT(Refusal(link, {.voltage_v = 4}), HasSubstr("not calibrated"));
  link.values_[0x89] = 0xC800;
  link.values_[0x88] = 0xFFFF;
  EXPECT_THAT(Refusal(link, {.voltage_v = 4}), HasSubstr("not calibrated"));
  link.values_[0x45] = 1;
  EXPECT_THAT(Refusal(link, {.voltage_v = 5}), HasSubstr("2.01 to 4.55 V"));
  for (const std::string& sent : link.sent_) EXPECT_THAT(sent, Not(HasSubstr("41 "))) << sent;
  MonsoonDriver off({.voltage_v = 0});
  EXPECT_TRUE(off.Start(link, 0).ok()) << "off is safe";
}

TEST(MonsoonDriverTest, AnUnknownModelOrOneNeverCalibratedIsLeftAlone) {
  FakeMonsoon link;
  link.values_[0x45] = 0;
  EXPECT_THAT(Refusal(link), HasSubstr("model 0"));
  link.values_[0x45] = 2;
  link.values_[0x1B] = 0;
  EXPECT_THAT(Refusal(link), HasSubstr("never calibrated"));
}

TEST(MonsoonDriverTest, OneThatDoesNotStopIsUnavailable) {
  FakeMonsoon link;
  link.values_[0xC4] = 0x80;
  MonsoonDriver driver({});
  EXPECT_TRUE(absl::IsUnavailable(driver.Start(link, 0).status()));
  link.values_[0xC0] = 20;  // firmware that has no such status
  EXPECT_TRUE(driver.Start(link, 0).ok());
  link.transfers_ = {kZero};
  link.endless_ = true;
  EXPECT_TRUE(absl::IsUnavailable(driver.Start(link, 0).status()));
}

TEST(MonsoonDriverTest, AValueThatIsTooShortIsAnError) {
  FakeMonsoon link;
  link.short_ = true;
  MonsoonDriver driver({});
  EXPECT_TRUE(absl::IsInternal(driver.Start(link, 0).status()));
  MeterBatch batch;
  EXPECT_TRUE(absl::IsFailedPrecondition(driver.Step(link, batch))) << "it was not started";
}

TEST(MonsoonDriverTest, WhatIsStatedIsSetAndOneThatTrippedIsNotSwitchedOnAgain) {
  MeterSettings settings;
  settings.supply_v = 4.2;
  settings.usb_pass_through = "off";
  const MeterModel model = MonsoonModel();
  FakeMonsoon link;
  const auto first = model.make_stated_driver(settings, /*again=*/false);
  ASSERT_TRUE(first->Start(link, 0).ok());
  EXPECT_THAT(link.sent_, ElementsAre(kStop, "1 0 10 00000000", "1 3333 4341 33334300", kStart));
  Packet tripped = kMeasurement;
  tripped[2] |= 0x10;
  link.transfers_ = {kZero + kReference + tripped};
  MeterBatch batch;
  ASSERT_TRUE(first->Step(link, batch).ok());
  EXPECT_THAT(batch.samples, IsEmpty());
  EXPECT_THAT(batch.refusal, HasSubstr("the next run switches it on again"));
  first->Stop(link);
  EXPECT_EQ(link.sent_.back(), "1 1 10 01000000") << "USB as it was";
  link.sent_.clear();
  const auto again = model.make_stated_driver(settings, /*again=*/true);
  ASSERT_TRUE(again->Start(link, 0).ok());
  EXPECT_THAT(link.sent_, ElementsAre(kStop, "1 0 10 00000000", kStart)) << "no voltage";
}

TEST(MonsoonDriverTest, UsbPassThroughByName) {
  EXPECT_EQ(PassThroughOf("off"), UsbPassThrough::kOff);
  EXPECT_EQ(PassThroughOf("on"), UsbPassThrough::kOn);
  EXPECT_EQ(PassThroughOf("auto"), UsbPassThrough::kAuto);
  EXPECT_EQ(PassThroughOf(""), std::nullopt);
}

}  // namespace
}  // namespace joulefarm::agent
