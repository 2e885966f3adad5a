// The libusb link on umockdev's bus: with packets that were captured from a real meter, and with a
// meter that answers by itself.
#include "agent/power/link/usb_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/power/link/usb_bus.h"
#include "deploy/fake_meter/fake_km003c.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr UsbLinkOptions kOptions = {.usb_interface = 0, .endpoint_out = 0x01, .endpoint_in = 0x81};
constexpr std::size_t kMost = 4096;
constexpr int kShortMs = 50;
constexpr int kLongMs = 5000;

class UsbLinkTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(FakeUsbBus::Works()) << "run me under umockdev-wrapper";
    bus_ = std::make_unique<FakeUsbBus>();
  }
  UsbDevice Device() {
    const absl::StatusOr<std::vector<UsbDevice>> devices = ListUsbDevices();
    EXPECT_TRUE(devices.ok()) << devices.status();
    EXPECT_EQ(devices->size(), 1U);
    return devices->empty() ? UsbDevice() : devices->front();
  }
  std::unique_ptr<Link> Open() {
    absl::StatusOr<std::unique_ptr<Link>> link = OpenUsbLink(Device(), kOptions);
    EXPECT_TRUE(link.ok()) << link.status();
    return link.ok() ? *std::move(link) : nullptr;
  }
  static std::vector<std::uint8_t> Question(std::uint8_t transaction) {
    return {0x0C, transaction, 0x02, 0x00};
  }

  FakeKm003c meter_{"A1", [](std::int64_t) { return FakeKm003c::Flow{5, 1}; }};
  std::unique_ptr<FakeUsbBus> bus_;
};

TEST_F(UsbLinkTest, WhatHangsOnTheBus) {
  const absl::StatusOr<std::vector<UsbDevice>> nothing = ListUsbDevices();
  ASSERT_TRUE(nothing.ok());
  EXPECT_TRUE(nothing->empty());
  bus_->Plug(meter_);
  const UsbDevice device = Device();
  EXPECT_EQ(device.vendor, 0x5FC9);
  EXPECT_EQ(device.product, 0x0063);
  EXPECT_EQ(device.manufacturer, "ChargerLAB");
  EXPECT_EQ(device.product_name, "POWER-Z KM003C");
  EXPECT_EQ(device.serial, "A1");
  EXPECT_EQ(device.path, "3-1");
  EXPECT_EQ(device.node, "/dev/bus/usb/003/002");
  bus_->Unplug();
  EXPECT_TRUE(ListUsbDevices()->empty());
}

TEST_F(UsbLinkTest, WritesAndReads) {
  bus_->Plug(meter_);
  const std::unique_ptr<Link> link = Open();
  ASSERT_TRUE(link->Write(Question(7), kLongMs).ok());
  const absl::StatusOr<std::vector<std::uint8_t>> reply = link->Read(kMost, kLongMs);
  ASSERT_TRUE(reply.ok()) << reply.status();
  ASSERT_EQ(reply->size(), 52U);
  EXPECT_EQ((*reply)[0], 0x41);
  EXPECT_EQ((*reply)[1], 7);
}

TEST_F(UsbLinkTest, NothingToReadIsATimeOutAndTheLinkGoesOn) {
  bus_->Plug(meter_);
  const std::unique_ptr<Link> link = Open();
  EXPECT_TRUE(absl::IsDeadlineExceeded(link->Read(kMost, kShortMs).status()));
  ASSERT_TRUE(link->Write(Question(1), kLongMs).ok());
  EXPECT_TRUE(link->Read(kMost, kLongMs).ok());
}

TEST_F(UsbLinkTest, AnUnpluggedDeviceIsUnavailable) {
  bus_->Plug(meter_);
  const UsbDevice before = Device();
  const std::unique_ptr<Link> link = Open();
  bus_->Unplug();
  EXPECT_TRUE(absl::IsUnavailable(link->Read(kMost, kLongMs).status()));
  const absl::Status written = link->Write(Question(1), kLongMs);
  EXPECT_TRUE(absl::IsUnavailable(written)) << written;
  EXPECT_THAT(std::string(written.message()), HasSubstr("unplugged"));
  EXPECT_TRUE(absl::IsUnavailable(OpenUsbLink(before, kOptions).status()));
  // In again, with another address.
  bus_->Plug(meter_);
  EXPECT_EQ(Device().node, "/dev/bus/usb/003/003");
  EXPECT_NE(Open(), nullptr);
}

TEST_F(UsbLinkTest, AStallIsAnError) {
  bus_->Plug(meter_);
  const std::unique_ptr<Link> link = Open();
  meter_.SetMood(FakeKm003c::Mood::kStalled);
  const absl::Status stalled = link->Write(Question(1), kLongMs);
  EXPECT_TRUE(absl::IsInternal(stalled)) << stalled;
  EXPECT_THAT(std::string(stalled.message()), HasSubstr("stall"));
  meter_.SetMood(FakeKm003c::Mood::kFine);
  EXPECT_TRUE(link->Write(Question(2), kLongMs).ok());
}

TEST_F(UsbLinkTest, WhatAnotherHoldsIsSaidToBeHeld) {
  bus_->Plug(meter_);
  std::unique_ptr<Link> first = Open();
  const absl::Status second = OpenUsbLink(Device(), kOptions).status();
  EXPECT_TRUE(absl::IsResourceExhausted(second)) << second;
  EXPECT_THAT(std::string(second.message()), AllOf(HasSubstr("is held by another program"),
                                                   HasSubstr("fuser -v /dev/bus/usb/003")));
  first.reset();
  EXPECT_NE(Open(), nullptr);
}

TEST_F(UsbLinkTest, TheKernelsDriverLetsGoAndGetsItBack) {
  bus_->Plug(meter_, 1, "powerz");
  UsbLinkOptions polite = kOptions;
  polite.take_from_kernel = false;
  const absl::Status refused = OpenUsbLink(Device(), polite).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("powerz"));
  EXPECT_EQ(bus_->driver(), "powerz");
  std::unique_ptr<Link> link = Open();
  EXPECT_EQ(bus_->driver(), "");
  ASSERT_TRUE(link->Write(Question(1), kLongMs).ok());
  link.reset();
  EXPECT_EQ(bus_->driver(), "powerz");
}

// A device of control transfers: echoes what was written to it.
class EchoDevice : public FakeUsbDevice {
 public:
  explicit EchoDevice(Facts facts) : facts_(std::move(facts)) {}
  Facts facts() const override { return facts_; }
  bool Out(std::uint8_t, const Data&) override { return false; }
  std::optional<Data> In(std::uint8_t, std::size_t) override { return std::nullopt; }
  bool Control(const Data& setup, Data& data) override {
    if (setup[1] != 0x42) return false;
    if ((setup[0] & 0x80) != 0) {
      data = written_;
    } else {
      written_ = data;
    }
    return true;
  }

 private:
  Facts facts_;
  Data written_;
};

TEST_F(UsbLinkTest, ControlTransfersGoBothWays) {
  EchoDevice echo(meter_.facts());
  bus_->Plug(echo);
  const std::unique_ptr<Link> link = Open();
  std::vector<std::uint8_t> out = {1, 2, 3};
  ASSERT_TRUE(link->Control({.request_type = 0x40, .request = 0x42}, out, kLongMs).ok());
  std::vector<std::uint8_t> in(64);
  const absl::Status read = link->Control({.request_type = 0xC0, .request = 0x42}, in, kLongMs);
  ASSERT_TRUE(read.ok()) << read;
  EXPECT_THAT(in, ElementsAre(1, 2, 3));
  const absl::Status refused = link->Control({.request_type = 0xC0, .request = 0x43}, in, kLongMs);
  EXPECT_TRUE(absl::IsInternal(refused)) << refused;
}

}  // namespace
}  // namespace joulefarm::agent
