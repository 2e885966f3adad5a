#include "agent/power/switch/sysfs_switch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/power/switch/switches.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Read(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string text;
  std::getline(in, text);
  return text;
}

class SysfsSwitchTest : public ::testing::Test {
 protected:
  // A port's folder with its attribute.
  std::filesystem::path Port(const std::string& folder) {
    const std::filesystem::path path = devices() / folder;
    std::filesystem::create_directories(path);
    std::ofstream(path / "disable") << "0\n";
    return path;
  }
  std::filesystem::path devices() const { return dir_.path() / "sys/bus/usb/devices"; }

  const TempDir dir_;
  const HostPaths paths_{dir_.path()};
};

TEST_F(SysfsSwitchTest, SwitchesBothHalvesOfAPort) {
  std::filesystem::create_directories(devices() / "1-1");
  const auto usb2 = Port("1-1:1.0/1-1-port2");
  const auto usb3 = Port("2-1:1.0/2-1-port2");
  std::filesystem::create_directory_symlink(usb3, usb2 / "peer");
  auto hub = MakeSysfsSwitch(paths_, "1-1");
  ASSERT_TRUE(hub.ok()) << hub.status();
  EXPECT_TRUE(*(*hub)->Get(2));
  ASSERT_TRUE((*hub)->Set(2, false).ok());
  EXPECT_EQ(Read(usb2 / "disable").front(), '1');
  EXPECT_EQ(Read(usb3 / "disable").front(), '1');
  EXPECT_FALSE(*(*hub)->Get(2));
  ASSERT_TRUE((*hub)->Set(2, true).ok());
  EXPECT_EQ(Read(usb3 / "disable").front(), '0');
}

TEST_F(SysfsSwitchTest, ARootHubsPortIsFound) {
  std::filesystem::create_directories(devices() / "usb3");
  const auto port = Port("3-0:1.0/usb3-port1");
  auto hub = MakeSysfsSwitch(paths_, "usb3");
  ASSERT_TRUE(hub.ok()) << hub.status();
  ASSERT_TRUE((*hub)->Set(1, false).ok());
  EXPECT_EQ(Read(port / "disable").front(), '1');
}

TEST_F(SysfsSwitchTest, SaysWhatIsMissing) {
  EXPECT_THAT(std::string(MakeSysfsSwitch(paths_, "1-1").status().message()),
              HasSubstr("lsusb -t"));
  std::filesystem::create_directories(devices() / "1-1");
  auto hub = MakeSysfsSwitch(paths_, "1-1");
  ASSERT_TRUE(hub.ok());
  EXPECT_TRUE(absl::IsInvalidArgument((*hub)->Set(7, false)));
  std::filesystem::create_directories(devices() / "1-1:1.0/1-1-port3");
  EXPECT_THAT(std::string((*hub)->Get(3).status().message()), HasSubstr("older than 6.0"));
  std::filesystem::remove_all(devices() / "1-1");
  EXPECT_TRUE(absl::IsUnavailable((*hub)->Set(2, false)));
}

TEST(SwitchesTest, APortIsNamedBySwitchAndNumber) {
  const std::vector<SwitchSettings> switches{{.name = "hub1", .kind = "sysfs", .place = "1-1"}};
  const auto port = FindPort("hub1:2", switches);
  ASSERT_TRUE(port.ok()) << port.status();
  EXPECT_EQ(PortResourceId(*port, "lab"), "port:sysfs:lab:hub1:2");
  EXPECT_EQ(PortResourceId({{.name = "y", .kind = "ykush", .serial = "Y1"}, 2}, "lab"),
            "port:ykush:Y1:2")
      << "the same on whatever host it is";
  EXPECT_THAT(std::string(FindPort("hub2:2", switches).status().message()), HasSubstr("hub1"));
  for (const char* wrong : {"hub1", "hub1:", "hub1:0", "hub1:x", "hub1:2:3"})
    EXPECT_TRUE(absl::IsInvalidArgument(FindPort(wrong, switches).status())) << wrong;
}

TEST(SwitchesTest, WhatHangsBelowAPortIsKnownByItsPlace) {
  EXPECT_TRUE(IsBelow("1-1.2", {"1-1.2"}));
  EXPECT_TRUE(IsBelow("1-1.2.4", {"1-1.2"}));
  EXPECT_TRUE(IsBelow("2-1.2", {"1-1.2", "2-1.2"}));
  EXPECT_FALSE(IsBelow("1-1.20", {"1-1.2"}));
  EXPECT_FALSE(IsBelow("1-1", {"1-1.2"}));
  EXPECT_FALSE(IsBelow("1-1", {}));
}

TEST_F(SysfsSwitchTest, APortOfAUsb3HubIsInTwoPlaces) {
  const auto usb2 = Port("1-1:1.0/1-1-port2");
  const auto usb3 = Port("2-1:1.0/2-1-port2");
  const auto places = [&](const std::string& place, const std::string& kind = "sysfs") {
    return PlacesOfPort(paths_, {{.name = "h", .kind = kind, .place = place}, 2});
  };
  EXPECT_THAT(places("1-1").value(), ElementsAre("1-1.2")) << "the kernel names no other half";
  std::filesystem::create_directory_symlink(usb3, usb2 / "peer");
  std::filesystem::create_directory_symlink(usb2, usb3 / "peer");
  EXPECT_THAT(places("1-1").value(), ElementsAre("1-1.2", "2-1.2"));
  EXPECT_THAT(places("2-1", "hub").value(), ElementsAre("2-1.2", "1-1.2"));
  EXPECT_THAT(places("1-1", "command").value(), IsEmpty());
  const auto root2 = Port("3-0:1.0/usb3-port2");
  std::filesystem::create_directory_symlink("../../4-0:1.0/usb4-port1", root2 / "peer");
  EXPECT_THAT(places("usb3").value(), ElementsAre("3-2", "4-1"));
}

TEST_F(SysfsSwitchTest, APeerThatIsNoPortIsNotTakenForNone) {
  std::filesystem::create_directory_symlink("nonsense", Port("1-1:1.0/1-1-port2") / "peer");
  EXPECT_THAT(std::string(PlacesOfPort(paths_, {{.name = "h", .kind = "sysfs", .place = "1-1"}, 2})
                              .status()
                              .message()),
              HasSubstr("the other half of port 2 of hub 1-1 is not known"));
}

TEST_F(SysfsSwitchTest, HalfOfAUsb3HubWithoutItsPeerLeavesADoubt) {
  const auto usb2 = Port("1-1:1.0/1-1-port2");
  std::filesystem::create_directories(devices() / "1-1");
  const auto hub = MakeSysfsSwitch(paths_, "1-1");
  ASSERT_TRUE(hub.ok()) << hub.status();
  std::ofstream(devices() / "1-1/version") << " 2.00\n";
  EXPECT_EQ((*hub)->Doubt(2), "");
  std::ofstream(devices() / "1-1/version") << " 2.10\n";
  EXPECT_THAT((*hub)->Doubt(2), HasSubstr("does not name the other half of port 2"));
  std::filesystem::create_directory_symlink(Port("2-1:1.0/2-1-port2"), usb2 / "peer");
  EXPECT_EQ((*hub)->Doubt(2), "");
}

TEST(SwitchesTest, AKindThatIsNoneIsRefused) {
  EXPECT_THAT(
      std::string(OpenSwitch(HostPaths("/"), {.name = "x", .kind = "magic"}).status().message()),
      HasSubstr("none of ykush"));
}

}  // namespace
}  // namespace joulefarm::agent
