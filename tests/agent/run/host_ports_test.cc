#include "agent/run/host_ports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;

class HostPortsTest : public testing::Test {
 protected:
  // A USB 3 hub in two trees, whose ports 2 are one.
  void SetUp() override {
    Half("1-1", "2-1");
    Half("2-1", "1-1");
  }
  void Half(const std::string& hub, const std::string& peer) const {
    std::filesystem::create_directories(hubs() / hub);
    const std::filesystem::path port = hubs() / (hub + ":1.0") / (hub + "-port2");
    std::filesystem::create_directories(port);
    std::ofstream(port / "disable") << "0\n";
    std::filesystem::create_directory_symlink("../../" + peer + ":1.0/" + peer + "-port2",
                                              port / "peer");
  }
  std::filesystem::path hubs() const { return dir_.path() / "sys/bus/usb/devices"; }
  v1::ResourceAnnouncement Announce(const SwitchSettings& of,
                                    const std::string& meter_place = "") const {
    std::vector<v1::ResourceAnnouncement> meters;
    if (!meter_place.empty()) meters.emplace_back().set_place(meter_place);
    return AnnouncePort(HostPaths(dir_.path()), {of, 2}, "lab", meters);
  }

  const SwitchSettings hub_ = {.name = "hub1", .kind = "sysfs", .place = "1-1"};
  const TempDir dir_;
};

TEST_F(HostPortsTest, APortIsAnnouncedAsWhatItIs) {
  const v1::ResourceAnnouncement said = Announce(hub_);
  EXPECT_EQ(said.resource_id(), "port:sysfs:lab:hub1:2");
  EXPECT_EQ(said.kind(), v1::RESOURCE_KIND_PORT);
  EXPECT_EQ(said.model(), "sysfs");
  EXPECT_EQ(said.place(), "USB port 1-1.2");
  EXPECT_EQ(said.obstacle(), "");
  EXPECT_FALSE(said.has_serial());
}

TEST_F(HostPortsTest, BothHalvesOfAPortAreInOnePlace) {
  SwitchSettings other = hub_;
  other.place = "2-1";
  EXPECT_EQ(Announce(other).place(), "USB port 1-1.2");
}

TEST_F(HostPortsTest, ThePortOfAMeterCannotBeUsed) {
  for (const char* place : {"USB port 1-1.2", "USB port 2-1.2.4"})
    EXPECT_THAT(Announce(hub_, place).obstacle(), HasSubstr("carries the meter at")) << place;
  EXPECT_EQ(Announce(hub_, "USB port 1-1.3").obstacle(), "");
  EXPECT_EQ(Announce(hub_, "192.0.2.7:8888").obstacle(), "");
  EXPECT_THAT(Announce(hub_, "/dev/ttyUSB7").obstacle(), HasSubstr("/dev/ttyUSB7"))
      << "nobody knows where it is";
}

TEST_F(HostPortsTest, WhatStandsInTheWayOfItsSwitchIsSaid) {
  std::filesystem::remove_all(hubs());
  EXPECT_THAT(Announce(hub_).obstacle(), HasSubstr("switch hub1: there is no USB hub"));
}

TEST_F(HostPortsTest, OfARelayOnlyTheNameIsKnown) {
  const v1::ResourceAnnouncement said =
      Announce({.name = "plug", .kind = "command", .command = {{"on"}, {"off"}, {}}});
  EXPECT_EQ(said.resource_id(), "port:command:lab:plug:2");
  EXPECT_EQ(said.place(), "");
  EXPECT_EQ(said.obstacle(), "");
}

}  // namespace
}  // namespace joulefarm::agent
