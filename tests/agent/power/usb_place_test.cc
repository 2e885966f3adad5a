#include "agent/power/usb_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;

class UsbPlaceTest : public testing::Test {
 protected:
  void Line(const std::string& name, const std::string& hardware) {
    std::filesystem::create_directories(dir_.path() / "dev");
    std::ofstream(dir_.path() / "dev" / name) << "";
    std::filesystem::create_directories(dir_.path() / "sys/class/tty" / name);
    std::filesystem::create_directories(dir_.path() / "sys/devices" / hardware);
    std::filesystem::create_directory_symlink(dir_.path() / "sys/devices" / hardware,
                                              dir_.path() / "sys/class/tty" / name / "device");
  }
  absl::StatusOr<std::optional<std::string>> PlaceOf(const std::string& node) const {
    UsbDevice device;
    device.node = node;
    return UsbPlaceOf(HostPaths(dir_.path()), device);
  }

  const TempDir dir_;
};

TEST_F(UsbPlaceTest, AConfiguredLineOnUsbIsWhereSysfsSays) {
  Line("ttyUSB0", "pci0000:00/usb3/3-1/3-1.2/3-1.2:1.0/ttyUSB0");
  EXPECT_EQ(PlaceOf("/dev/ttyUSB0").value(), "3-1.2");
}

TEST_F(UsbPlaceTest, ALinkIsFollowed) {
  Line("ttyACM1", "pci0000:00/usb1/1-4/1-4:1.0");
  std::filesystem::create_directories(dir_.path() / "dev/serial/by-id");
  std::filesystem::create_symlink("../../ttyACM1", dir_.path() / "dev/serial/by-id/usb-meter");
  EXPECT_EQ(PlaceOf("/dev/serial/by-id/usb-meter").value(), "1-4");
}

TEST_F(UsbPlaceTest, WhatIsNotOnUsbHasNone) {
  Line("ttyS0", "pnp0/00:01");
  EXPECT_EQ(PlaceOf("/dev/ttyS0").value(), std::nullopt);
  EXPECT_EQ(PlaceOf("/dev/rfcomm0").value(), std::nullopt);
  EXPECT_EQ(PlaceOf("192.0.2.7").value(), std::nullopt);
}

TEST_F(UsbPlaceTest, ALineNobodyKnowsIsNotTakenToBeElsewhere) {
  for (const char* node : {"/dev/ttyUSB7", "/dev/serial/by-id/usb-meter"}) {
    const absl::Status status = PlaceOf(node).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(node));
  }
}

}  // namespace
}  // namespace joulefarm::agent
