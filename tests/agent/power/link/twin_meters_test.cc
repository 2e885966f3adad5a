// Two FNIRSI of one serial number, which that maker gives to many, on umockdev's bus: from hidapi
// to what the controller is told and which of them is opened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "agent/power/found_meters.h"
#include "agent/run/host_meters.h"
#include "tests/agent/power/link/hid_testbed.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TwinMetersTest : public testing::Test {
 protected:
  const FakeHid other_{.number = 1, .port = "3-2"};
  HidTestbed bed_;
  const std::string node_ = bed_.Add({});
  const std::string other_node_ = bed_.Add(other_);
};

bool AnythingCame(int fd, int within_ms) {
  pollfd ready{fd, POLLIN, 0};
  return poll(&ready, 1, within_ms) == 1;
}

TEST_F(TwinMetersTest, EachIsOpenedInItsOwnPort) {
  const int peer = bed_.PeerFd(node_);
  const int other_peer = bed_.PeerFd(other_node_);
  const FoundMeters here = FindMeters(MeterConfig());
  ASSERT_EQ(here.meters.size(), 2U);
  EXPECT_EQ(IdOf(here.meters[0]), "meter:fnirsi:3-1");
  EXPECT_EQ(IdOf(here.meters[1]), "meter:fnirsi:3-2");
  const auto link = OpenerOf(here.meters[1])();
  ASSERT_TRUE(link.ok()) << link.status();
  ASSERT_TRUE((*link)->Write(std::vector<std::uint8_t>(64, 0xAA), 1000).ok());
  EXPECT_TRUE(AnythingCame(other_peer, 30'000));
  EXPECT_FALSE(AnythingCame(peer, 0));
  // One process has a meter at a time: the first was not taken.
  const auto first = OpenerOf(here.meters[0])();
  EXPECT_TRUE(first.ok()) << first.status();
  bed_.Release();
}

TEST_F(TwinMetersTest, OneThatIsUnpluggedIsNotStoodInForByTheOther) {
  const FoundMeters here = FindMeters(MeterConfig());
  ASSERT_EQ(here.meters.size(), 2U);
  bed_.Remove(other_);
  EXPECT_TRUE(absl::IsUnavailable(OpenerOf(here.meters[1])().status()));
}

TEST_F(TwinMetersTest, TheControllerIsToldBothPlaces) {
  HostMeters shelf{HostPaths(), MeterConfig()};
  const std::vector<v1::ResourceAnnouncement> said = shelf.Look();
  ASSERT_EQ(said.size(), 2U);
  EXPECT_EQ(said[0].resource_id(), "meter:fnirsi:3-1");
  EXPECT_EQ(said[1].resource_id(), "meter:fnirsi:3-2");
  for (const v1::ResourceAnnouncement& one : said) EXPECT_EQ(one.serial(), "0001A0");
  EXPECT_EQ(said[0].place(), "USB port 3-1");
  EXPECT_EQ(said[1].place(), "USB port 3-2");
  const auto source = shelf.Open("meter:fnirsi:3-2");
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ((*source)->Meter()->place, "USB port 3-2");
  // Beyond this host a place alone says nothing.
  MeterConfig of_lab;
  of_lab.agent_id = "lab";
  HostMeters lab{HostPaths(), of_lab};
  EXPECT_EQ(lab.Look()[1].resource_id(), "meter:fnirsi:lab:3-2");
  EXPECT_EQ((*lab.Open("meter:fnirsi:lab:3-2"))->Meter()->place, "USB port 3-2");
  // As it was granted before the second was plugged in.
  const absl::Status before = shelf.Open("meter:fnirsi:0001A0").status();
  EXPECT_TRUE(absl::IsUnavailable(before));
  EXPECT_THAT(std::string(before.message()),
              AllOf(HasSubstr("USB port 3-1"), HasSubstr("USB port 3-2")));
}

}  // namespace
}  // namespace joulefarm::agent
