// Switchable ports as exclusive resources: who may cut them, and who waits meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/core/farm.h"
#include "tests/controller/core/farm_bench.h"

namespace joulefarm::controller {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Two devices on one port: a job that cuts it, and any other.
class FarmPortTest : public testing::Test {
 protected:
  static v1::ResourceAnnouncement Port(const std::string& id, const std::string& place = "") {
    v1::ResourceAnnouncement port;
    port.set_resource_id(id);
    port.set_kind(v1::RESOURCE_KIND_PORT);
    port.set_place(place);
    return port;
  }
  // A device that hangs on it, of an agent that announces it.
  SessionId Join(const std::string& device, const v1::ResourceAnnouncement& port,
                 const std::string& boot_id = "boot") {
    AgentHello hello = bench_.Hello(device);
    hello.hello.set_boot_id(boot_id);
    hello.hello.mutable_devices(0)->set_port(port.resource_id());
    *hello.hello.add_resources() = port;
    return bench_.Join(hello);
  }
  // Agents of one host that name one port each in its own way.
  void ShareAPort() {
    a_ = Join("a", Port("port:sysfs:a:hub:2", "USB port 1-1.2"));
    b_ = Join("b", Port("port:sysfs:b:other:2", "USB port 1-1.2"));
  }
  void Submit(const std::string& device, bool cut) {
    SubmitRequested request = bench_.Request();
    request.cells[0].spec.set_power(v1::POWER_REQUIRE_NONE);
    request.cells[0].spec.set_cut_usb(cut);
    request.selector = "id=" + device;
    ASSERT_TRUE(bench_.Submit(request).ok());
  }
  // And who is granted something thereupon.
  std::vector<std::string> Finish(Fence fence) {
    std::vector<std::string> devices;
    const auto add = [&] {
      for (const v1::Grant& grant : bench_.Grants()) devices.push_back(grant.device_id());
    };
    bench_.Stored(fence, 0);
    add();
    bench_.Computed(fence);
    add();
    return devices;
  }

  FarmBench bench_;
  SessionId a_ = 0;
  SessionId b_ = 0;
};

TEST_F(FarmPortTest, WhileOneDevicesPortIsCutNoOtherOnItWorks) {
  ShareAPort();
  Submit("a", true);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.ResourceOf("port:sysfs:a:hub:2").alloc, v1::DEVICE_ALLOC_OFFERED);
  bench_.Accept(a_, 1);
  Submit("b", false);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_THAT(bench_.DeviceOf("b").gate_reason,
              HasSubstr("its port port:sysfs:a:hub:2 is cut for device a (attempt 1)"));
  EXPECT_THAT(Finish(1), ElementsAre("b"));
}

TEST_F(FarmPortTest, APortThatMayStillBeCutIsWaitedForAlsoAfterARestart) {
  ShareAPort();
  Submit("a", true);
  bench_.Accept(a_, 1);
  bench_.Do(AgentGone{a_});
  for (int i = 0; i < 200; ++i) {
    bench_.Do(AgentAlive{b_, std::nullopt});
    bench_.Pass(5 * kSecond);
  }
  ASSERT_EQ(bench_.ResourceOf("port:sysfs:a:hub:2").alloc, v1::DEVICE_ALLOC_DIRTY);
  Submit("b", false);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_THAT(bench_.DeviceOf("b").gate_reason, HasSubstr("may still be cut: agent a"));
  bench_.Restart();
  b_ = Join("b", Port("port:sysfs:b:other:2", "USB port 1-1.2"));
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  a_ = Join("a", Port("port:sysfs:a:hub:2", "USB port 1-1.2"));
  std::vector<std::string> granted;
  for (const v1::Grant& grant : bench_.Grants()) granted.push_back(grant.device_id());
  EXPECT_THAT(granted, SizeIs(1)) << "one of them, and the other afterwards";
}

TEST_F(FarmPortTest, WhileAnotherDeviceWorksItsPortIsNotCut) {
  ShareAPort();
  Submit("b", false);
  bench_.Accept(b_, 1);
  Submit("a", true);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_THAT(bench_.DeviceOf("a").gate_reason, HasSubstr("also carries device b"));
  EXPECT_THAT(Finish(1), ElementsAre("a"));
}

TEST_F(FarmPortTest, NeighboursThatAreNeverIdleAtOnceGiveWayToAnOlderJob) {
  ShareAPort();
  const SessionId c = Join("c", Port("port:sysfs:c:other:2", "USB port 1-1.2"));
  Submit("b", false);
  bench_.Accept(b_, 1);
  Submit("c", false);
  bench_.Accept(c, 2);
  Submit("b", false);  // older than the one that cuts
  Submit("a", true);
  Submit("b", false);
  Submit("c", false);
  EXPECT_THAT(Finish(2), IsEmpty());
  EXPECT_THAT(bench_.DeviceOf("c").gate_reason,
              HasSubstr("job-4 of device a comes before it, and not both can work on one port"));
  EXPECT_THAT(Finish(1), ElementsAre("b"));
  EXPECT_EQ(bench_.JobOf("job-3").state, v1::JOB_STATE_ACTIVE);
  bench_.Accept(b_, 3);
  EXPECT_THAT(Finish(3), ElementsAre("a"));
  bench_.Accept(a_, 4);
  EXPECT_THAT(Finish(4), testing::UnorderedElementsAre("b", "c"));
}

TEST_F(FarmPortTest, NobodyGivesWayForLongToAJobWhoseTurnCannotCome) {
  // Its device is out of reach, or the one that works beside it is.
  for (const bool own : {true, false}) {
    bench_ = FarmBench();
    ShareAPort();
    const SessionId c = Join("c", Port("port:sysfs:c:other:2", "USB port 1-1.2"));
    Submit("b", false);
    bench_.Accept(b_, 1);
    Submit("a", true);
    Submit("c", false);
    ASSERT_THAT(bench_.DeviceOf("c").gate_reason, HasSubstr("job-2"));
    bench_.Do(AgentGone{own ? a_ : b_});
    int waited = 0;
    for (; bench_.Grants().empty() && waited < 20; ++waited) {
      for (const SessionId session : {own ? b_ : a_, c})
        bench_.Do(AgentAlive{session, std::nullopt});
      bench_.Pass(5 * kSecond);
    }
    EXPECT_LE(waited, 7);
    EXPECT_EQ(bench_.JobOf("job-3").state, v1::JOB_STATE_ACTIVE);
  }
}

TEST_F(FarmPortTest, AnOldJobThatCannotBeginGivesNoYoungerOneItsPlace) {
  a_ = Join("a", Port("port:sysfs:a:hub:2", "USB port 1-1.2"));
  AgentHello hello = bench_.Hello("b");
  hello.hello.set_boot_id("boot");
  hello.hello.mutable_devices(0)->set_port("port:sysfs:b:other:2");
  hello.hello.mutable_devices(0)->mutable_meter()->set_serial("unplugged");
  *hello.hello.add_resources() = Port("port:sysfs:b:other:2", "USB port 1-1.2");
  b_ = bench_.Join(hello);
  Submit("b", false);
  bench_.Accept(b_, 1);
  SubmitRequested measured = bench_.Request();
  measured.cells[0].spec.set_power(v1::POWER_REQUIRE_REQUIRED);
  measured.selector = "id=b";
  ASSERT_TRUE(bench_.Submit(measured).ok());
  Submit("a", true);
  Submit("b", false);
  EXPECT_THAT(Finish(1), ElementsAre("a"));
  EXPECT_EQ(bench_.JobOf("job-3").state, v1::JOB_STATE_ACTIVE);
}

TEST_F(FarmPortTest, YoungerJobsOfItsOwnDeviceGiveWayToo) {
  ShareAPort();
  Submit("b", false);
  bench_.Accept(b_, 1);
  Submit("a", true);
  Submit("a", false);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_THAT(bench_.DeviceOf("a").gate_reason, HasSubstr("also carries device b"));
  EXPECT_THAT(Finish(1), ElementsAre("a"));
  EXPECT_EQ(bench_.JobOf("job-2").state, v1::JOB_STATE_ACTIVE);
}

TEST_F(FarmPortTest, WhyADeviceIsIdleIsTheWorkItWaitsForAndNotAnOlderJobsCable) {
  AgentHello hello = bench_.Hello("a");
  hello.hello.set_boot_id("boot");
  hello.hello.mutable_devices(0)->set_port("port:sysfs:a:hub:2");
  hello.hello.mutable_devices(0)->mutable_meter()->set_serial("unplugged");
  *hello.hello.add_resources() = Port("port:sysfs:a:hub:2", "USB port 1-1.2");
  a_ = bench_.Join(hello);
  b_ = Join("b", Port("port:sysfs:b:other:2", "USB port 1-1.2"));
  Submit("b", false);
  bench_.Accept(b_, 1);
  SubmitRequested measured = bench_.Request();
  measured.cells[0].spec.set_power(v1::POWER_REQUIRE_REQUIRED);
  measured.selector = "id=a";
  ASSERT_TRUE(bench_.Submit(measured).ok());
  Submit("a", true);
  Submit("a", false);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_THAT(bench_.DeviceOf("a").gate_reason, HasSubstr("also carries device b"));
}

TEST_F(FarmPortTest, ANeighbourHearsThatThePortHasPowerAgain) {
  ShareAPort();
  SubmitRequested cuts = bench_.Request();
  cuts.cells[0].spec.set_power(v1::POWER_REQUIRE_NONE);
  cuts.cells[0].spec.set_cut_usb(true);
  cuts.selector = "id=a";
  cuts.retries = 0;
  ASSERT_TRUE(bench_.Submit(cuts).ok());
  bench_.Accept(a_, 1);
  bench_.Report(a_, 1, v1::ATTEMPT_STATE_CANCELED, "given up");
  ASSERT_EQ(bench_.ResourceOf("port:sysfs:a:hub:2").alloc, v1::DEVICE_ALLOC_DIRTY);
  Submit("b", false);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  DeviceReported device{a_, {}};
  device.report.set_device_id("a");
  device.report.set_clean(true);
  bench_.Do(device);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  ResourceReported port{a_, {}};
  *port.report.add_resources() = Port("port:sysfs:a:hub:2", "USB port 1-1.2");
  bench_.Do(port);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "b");
}

TEST_F(FarmPortTest, WhoWaitsForANeighbourThatMovesAwayIsAsked) {
  ShareAPort();
  Submit("b", false);
  bench_.Accept(b_, 1);
  Submit("a", true);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  AgentHello hello = bench_.Hello("b");
  hello.hello.set_boot_id("boot");
  hello.hello.mutable_devices(0)->set_port("port:sysfs:b:other:3");
  *hello.hello.add_resources() = Port("port:sysfs:b:other:3", "USB port 1-1.3");
  *hello.hello.add_held() = FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING);
  bench_.Join(hello);
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_RUNNING);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "a");
}

TEST_F(FarmPortTest, APortThatIsFoundElsewhereIsNoLongerShared) {
  ShareAPort();
  Submit("b", false);
  bench_.Accept(b_, 1);
  Submit("a", true);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  // Its host was started anew, with the hub in another place.
  a_ = Join("a", Port("port:sysfs:a:hub:2", "USB port 1-2.2"));
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "a");
}

TEST_F(FarmPortTest, OnPortsOfTwoHostsOrTwoPlacesBothWork) {
  a_ = Join("a", Port("port:sysfs:a:hub:2", "USB port 1-1.2"));
  b_ = Join("b", Port("port:sysfs:b:hub:2", "USB port 1-1.2"), "another boot");
  Join("c", Port("port:sysfs:c:hub:3", "USB port 1-1.3"));
  for (const char* device : {"a", "b", "c"}) {
    Submit(device, true);
    EXPECT_THAT(bench_.Grants(), SizeIs(1)) << device;
  }
}

TEST_F(FarmPortTest, APortThatAnotherAgentHasIsNotGranted) {
  a_ = Join("a", Port("port:ykush:Y1:2"));
  b_ = Join("b", Port("port:ykush:Y1:2"));
  Submit("b", true);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_THAT(bench_.DeviceOf("b").gate_reason, HasSubstr("is agent a's"));
  Submit("a", true);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "a");
}

}  // namespace
}  // namespace joulefarm::controller
