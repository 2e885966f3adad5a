// Meters as exclusive resources: who waits for them, who goes without, and what becomes of an
// attempt whose meter hangs on another agent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/core/farm.h"
#include "tests/controller/core/farm_bench.h"

namespace joulefarm::controller {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

constexpr char kMeter[] = "meter:km003c:1";

class FarmGangTest : public testing::Test {
 protected:
  static v1::ResourceAnnouncement Meter(const std::string& serial = "1",
                                        const std::string& obstacle = "", Fence used_by = 0) {
    v1::ResourceAnnouncement meter;
    meter.set_resource_id("meter:km003c:" + serial);
    meter.set_kind(v1::RESOURCE_KIND_METER);
    meter.set_model("km003c");
    meter.set_serial(serial);
    meter.add_channels()->set_name("power");
    meter.mutable_channels(0)->set_nominal_hz(50);
    meter.set_obstacle(obstacle);
    if (used_by > 0) (*meter.mutable_labels())["attempt"] = absl::StrCat(used_by);
    return meter;
  }

  // A device on a meter of agent `host`.
  AgentHello OnMeter(const std::string& device, const std::string& host,
                     const std::string& serial = "") {
    AgentHello hello = bench_.Hello(device);
    auto* binding = hello.hello.mutable_devices(0)->mutable_meter();
    binding->set_agent_id(host == device ? "" : host);
    binding->set_serial(serial);
    return hello;
  }

  // The lab host "b", with a meter and without a device of its own.
  AgentHello Lab(const std::vector<v1::ResourceAnnouncement>& meters = {Meter()},
                 const std::vector<v1::HeldAttempt>& held = {}) {
    AgentHello hello = bench_.Hello("b");
    hello.hello.clear_devices();
    for (const auto& meter : meters) *hello.hello.add_resources() = meter;
    for (const auto& attempt : held) *hello.hello.add_held() = attempt;
    return hello;
  }

  SubmitRequested Wants(v1::PowerRequire power, int cells = 1) {
    SubmitRequested request = bench_.Request(cells);
    for (CellToRun& cell : request.cells) cell.spec.set_power(power);
    return request;
  }

  void Report(SessionId session, const v1::ResourceAnnouncement& meter) {
    ResourceReported reported{session, {}};
    *reported.report.add_resources() = meter;
    bench_.Do(reported);
  }

  // Device "a", measured by agent "b": attempt 1 runs on both.
  void OneMeasured(v1::PowerRequire power = v1::POWER_REQUIRE_REQUIRED) {
    b_ = bench_.Join(Lab());
    a_ = bench_.Join(OnMeter("a", "b"));
    ASSERT_TRUE(bench_.Submit(Wants(power)).ok());
    ASSERT_THAT(bench_.Grants(), SizeIs(1));
    bench_.Accept(b_, 1);
    ASSERT_THAT(bench_.Grants(), SizeIs(1));
    bench_.Accept(a_, 1);
    ASSERT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_ACCEPTED);
  }

  // Held until here, though its helper was closed: its agent is asked, and its word frees it.
  void ExpectMeterIsAskedFor(Fence fence) {
    EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_DIRTY);
    EXPECT_THAT(bench_.Releases(), ElementsAre(Pair(fence, 1)));
    Report(b_, Meter());
    EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_FREE);
  }

  const Job& Job1() { return bench_.JobOf("job-1"); }
  std::string LostReason() const {
    return bench_.rows().reasons().empty() ? "" : bench_.rows().reasons().back().reason.detail();
  }

  FarmBench bench_;
  SessionId a_ = 0;
  SessionId b_ = 0;
};

TEST_F(FarmGangTest, OfTwinsThePortSaysWhich) {
  v1::ResourceAnnouncement one = Meter("3-1");
  v1::ResourceAnnouncement other = Meter("3-2");
  one.set_serial("0001A0");
  one.set_place("USB port 3-1");
  other.set_serial("0001A0");
  other.set_place("USB port 3-2");
  b_ = bench_.Join(Lab({one, other}));
  a_ = bench_.Join(OnMeter("a", "b", "0001A0"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_THAT(Job1().reason, testing::AllOf(HasSubstr("2 meters with serial 0001A0"),
                                            HasSubstr("USB port 3-1"), HasSubstr("USB port 3-2")));
  bench_.Do(AgentGone{a_});
  a_ = bench_.Join(OnMeter("a", "b", "3-2"));
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  ASSERT_EQ(bench_.Grants()[0].resources_size(), 1);
  EXPECT_EQ(bench_.Grants()[0].resources(0).resource_id(), "meter:km003c:3-2");
}

TEST_F(FarmGangTest, WhatWasUnpluggedIsNotTakenForASecondMeter) {
  v1::ResourceAnnouncement gone = Meter("1", "it is not plugged in any more");
  v1::ResourceAnnouncement here = Meter("2");
  here.set_place("USB port 3-1");
  b_ = bench_.Join(Lab({gone, here}));
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].resources(0).resource_id(), "meter:km003c:2");
}

TEST_F(FarmGangTest, TheHelperIsAskedFirstAndTheDeviceGetsTheWholeList) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  const v1::Grant helper = bench_.Grants()[0];
  EXPECT_EQ(helper.source(), 1);
  EXPECT_EQ(helper.fence(), 1);
  EXPECT_EQ(helper.device_id(), "a");
  ASSERT_EQ(helper.resources_size(), 1);
  EXPECT_EQ(helper.resources(0).resource_id(), kMeter);
  EXPECT_EQ(bench_.DeviceOf("a").alloc, v1::DEVICE_ALLOC_OFFERED);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_OFFERED);
  EXPECT_EQ(bench_.ResourceOf(kMeter).fence, 1);

  bench_.Accept(b_, 1);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_LEASED);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  const v1::Grant device = bench_.Grants()[0];
  EXPECT_EQ(device.source(), 0);
  EXPECT_EQ(device.fence(), 1);
  ASSERT_EQ(device.resources_size(), 1);
  EXPECT_EQ(device.resources(0).agent_id(), "b");
  EXPECT_EQ(device.resources(0).source(), 1);
  bench_.Accept(a_, 1);

  bench_.Stored(1, 0);
  EXPECT_THAT(bench_.Releases(), ElementsAre(Pair(1, 1)));
  EXPECT_THAT(bench_.Computes(), IsEmpty());
  bench_.Stored(1, 1);
  EXPECT_THAT(bench_.Computes(), ElementsAre(1));
  bench_.Computed(1);
  EXPECT_EQ(Job1().state, v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_FREE);
  EXPECT_EQ(bench_.ResourceOf(kMeter).fence, std::nullopt);
  EXPECT_EQ(bench_.DeviceOf("a").alloc, v1::DEVICE_ALLOC_FREE);
  EXPECT_THAT(bench_.farm().attempts(), IsEmpty());
  EXPECT_THAT(bench_.rows().reasons(), IsEmpty());
}

TEST_F(FarmGangTest, AMeterOnTheDevicesOwnHostNeedsNoHelper) {
  AgentHello hello = OnMeter("a", "a");
  *hello.hello.add_resources() = Meter();
  a_ = bench_.Join(hello);
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].source(), 0);
  ASSERT_EQ(bench_.Grants()[0].resources_size(), 1);
  EXPECT_EQ(bench_.Grants()[0].resources(0).source(), 0);
  bench_.Accept(a_, 1);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_LEASED);
  bench_.Stored(1, 0);
  EXPECT_THAT(bench_.Computes(), ElementsAre(1));
  bench_.Computed(1);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_FREE);
}

// What stands in the way of the meter, and what jobs make of it.
struct Obstruction {
  const char* name;
  bool known;  // the lab was there once
  bool gone;   // and its lease has lapsed
  const char* obstacle;
  const char* why;
};

class FarmGangWithoutMeter : public FarmGangTest, public testing::WithParamInterface<Obstruction> {
 protected:
  void Obstruct() {
    const Obstruction& it = GetParam();
    if (it.known) b_ = bench_.Join(Lab({Meter("1", it.obstacle)}));
    if (it.gone) {
      bench_.Do(AgentGone{b_});
      bench_.Pass(41 * kSecond);
    }
    a_ = bench_.Join(OnMeter("a", "b", "1"));
  }
};

INSTANTIATE_TEST_SUITE_P(
    All, FarmGangWithoutMeter,
    testing::Values(Obstruction{"never_seen", false, false, "", "announced no meter with serial 1"},
                    Obstruction{"offline", true, true, "", "out of reach"},
                    Obstruction{"obstructed", true, false, "permission denied: udev rule",
                                "permission denied: udev rule"}),
    [](const auto& of) { return std::string(of.param.name); });

TEST_P(FarmGangWithoutMeter, RequiredWaitsAndSaysWhy) {
  Obstruct();
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_EQ(Job1().state, v1::JOB_STATE_QUEUED);
  EXPECT_THAT(Job1().reason, HasSubstr(GetParam().why));
  EXPECT_THAT(bench_.DeviceOf("a").gate_reason, HasSubstr(GetParam().why));
  // It comes: the job goes, and nothing of the reason stays.
  b_ = bench_.Join(Lab());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.DeviceOf("a").gate_reason, "");
  EXPECT_EQ(Job1().reason, "");
}

TEST_P(FarmGangWithoutMeter, OptionalGoesWithoutAndItsResultSaysSo) {
  Obstruct();
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_OPTIONAL)).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].resources_size(), 0);
  ASSERT_THAT(bench_.rows().reasons(), SizeIs(1));
  const AttemptReason& said = bench_.rows().reasons()[0];
  EXPECT_EQ(said.fence, 1);
  EXPECT_EQ(said.reason.code(), "meter_left_out");
  EXPECT_EQ(said.reason.quality(), v1::QUALITY_SUSPECT);
  EXPECT_THAT(said.reason.detail(), HasSubstr(GetParam().why));
}

TEST_P(FarmGangWithoutMeter, NoneDoesNotCare) {
  Obstruct();
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_NONE)).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_THAT(bench_.rows().reasons(), IsEmpty());
}

TEST_F(FarmGangTest, OneWhoIsOnlyOutOfSightIsWaitedFor) {
  b_ = bench_.Join(Lab());
  bench_.Do(AgentGone{b_});
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_OPTIONAL)).ok());
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_THAT(bench_.DeviceOf("a").gate_reason, HasSubstr("just out of sight"));
  for (int i = 0; i < 9; ++i) {
    bench_.Do(AgentAlive{a_, std::nullopt});
    bench_.Pass(5 * kSecond);
  }
  // Its lease has lapsed: now it is left out.
  EXPECT_EQ(Job1().state, v1::JOB_STATE_ACTIVE);
  EXPECT_EQ(bench_.rows().reasons().at(0).reason.code(), "meter_left_out");
}

TEST_F(FarmGangTest, ABlockedJobDoesNotHoldUpOneThatNeedsNoMeter) {
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_NONE)).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].job_id(), "job-2");
  EXPECT_EQ(Job1().state, v1::JOB_STATE_QUEUED);
}

TEST_F(FarmGangTest, AHealthCheckWithoutItsMeterKeepsNobodyWaiting) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  SubmitRequested request = Wants(v1::POWER_REQUIRE_REQUIRED, 3);
  request.retries = 0;
  request.cells[2].spec.set_power(v1::POWER_REQUIRE_NONE);
  ASSERT_TRUE(bench_.Submit(request).ok());
  for (const Fence fence : {1, 2}) {
    bench_.Accept(b_, fence);
    bench_.Accept(a_, fence);
    bench_.Stored(fence, 0, v1::OUTCOME_FAILED, "no power");
    bench_.Stored(fence, 1, v1::OUTCOME_CANCELED);
    if (fence == 2) Report(b_, Meter("1", "unplugged"));
    AttemptFinalised finalised;
    finalised.final.set_outcome(v1::OUTCOME_FAILED);
    finalised.final.set_failure_class(v1::FAILURE_CLASS_DEVICE);
    finalised.final.set_reason("no power");
    finalised.final.set_clean(true);
    finalised.results.fence = fence;
    bench_.Do(finalised);
  }
  ASSERT_EQ(bench_.DeviceOf("a").health_check, "job-4");
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].job_id(), "job-3");
  // It is plugged in again: the check is next.
  bench_.Accept(a_, 3);
  bench_.Finish(3, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(bench_.DeviceOf("a").health, v1::DEVICE_HEALTH_SUSPECT);
  EXPECT_EQ(bench_.DeviceOf("a").failed_job, "job-2") << "the check decides, not this";
  Report(b_, Meter());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].job_id(), "job-4");
}

TEST_F(FarmGangTest, TwoDevicesOnOneMeterNeverRunAtOnce) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  const SessionId c = bench_.Join(OnMeter("c", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED, 2)).ok());
  // Jobs 1 and 3 are of a, 2 and 4 of c; they take turns by age.
  std::vector<std::string> order;
  for (Fence fence = 1; fence <= 4; ++fence) {
    ASSERT_THAT(bench_.Grants(), SizeIs(1)) << fence;
    bench_.Accept(b_, fence);
    ASSERT_THAT(bench_.Grants(), SizeIs(1)) << fence;
    const std::string device = bench_.Grants()[0].device_id();
    order.push_back(bench_.Grants()[0].job_id());
    const std::string other = device == "a" ? "c" : "a";
    EXPECT_EQ(bench_.DeviceOf(other).alloc, v1::DEVICE_ALLOC_FREE);
    bench_.Accept(device == "a" ? a_ : c, fence);
    bench_.Stored(fence, 0);
    EXPECT_THAT(bench_.Grants(), IsEmpty());
    bench_.Stored(fence, 1);
    EXPECT_THAT(bench_.Grants(), IsEmpty());
    bench_.Computed(fence);
  }
  EXPECT_THAT(order, ElementsAre("job-1", "job-2", "job-3", "job-4"));
}

TEST_F(FarmGangTest, WorkWithoutPowerOnASharedMeterWaitsForAMeasurementAndTheOtherWayRound) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  const SessionId c = bench_.Join(OnMeter("c", "b"));
  SubmitRequested measured = Wants(v1::POWER_REQUIRE_REQUIRED);
  measured.selector = "id=a";
  ASSERT_TRUE(bench_.Submit(measured).ok());
  SubmitRequested plain = Wants(v1::POWER_REQUIRE_NONE, 2);
  plain.selector = "id=c";
  ASSERT_TRUE(bench_.Submit(plain).ok());
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_THAT(bench_.DeviceOf("c").gate_reason, HasSubstr("measures another device"));
  bench_.Accept(b_, 1);
  bench_.Accept(a_, 1);
  ASSERT_TRUE(bench_.Submit(measured).ok());
  bench_.Stored(1, 0);
  bench_.Stored(1, 1);
  bench_.Computed(1);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "c");
  bench_.Accept(c, 2);
  EXPECT_THAT(bench_.DeviceOf("a").gate_reason, HasSubstr("carries device c, which is at work"));
  bench_.Finish(2, v1::OUTCOME_SUCCEEDED);
  // The oldest job of both goes first.
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].job_id(), "job-3");
}

TEST_F(FarmGangTest, WorkWithoutPowerDoesNotKeepAnOlderMeasurementWaitingForEver) {
  bench_.Join(Lab());
  std::map<std::string, SessionId> sessions;
  for (const char* device : {"a", "c", "d"}) sessions[device] = bench_.Join(OnMeter(device, "b"));
  const auto submit = [&](const std::string& device, v1::PowerRequire power) {
    SubmitRequested request = Wants(power);
    request.selector = "id=" + device;
    ASSERT_TRUE(bench_.Submit(request).ok());
  };
  submit("c", v1::POWER_REQUIRE_NONE);
  bench_.Accept(sessions["c"], 1);
  submit("d", v1::POWER_REQUIRE_NONE);
  bench_.Accept(sessions["d"], 2);
  submit("a", v1::POWER_REQUIRE_REQUIRED);
  submit("c", v1::POWER_REQUIRE_NONE);
  submit("d", v1::POWER_REQUIRE_NONE);
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  EXPECT_THAT(bench_.DeviceOf("c").gate_reason,
              HasSubstr("job-3 of device a comes before it, and not both can work on one meter"));
  EXPECT_EQ(bench_.JobOf("job-4").state, v1::JOB_STATE_QUEUED);
  bench_.Finish(2, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(bench_.JobOf("job-3").state, v1::JOB_STATE_ACTIVE);
  EXPECT_EQ(bench_.JobOf("job-5").state, v1::JOB_STATE_QUEUED);
}

TEST_F(FarmGangTest, AnOlderMeasurementThatCannotBeginHoldsNobodyUp) {
  const SessionId b = bench_.Join(Lab());
  bench_.Join(OnMeter("a", "b"));
  const SessionId c = bench_.Join(OnMeter("c", "b"));
  SubmitRequested measured = Wants(v1::POWER_REQUIRE_REQUIRED);
  measured.selector = "id=a";
  Report(b, Meter("1", "it does not answer"));
  ASSERT_TRUE(bench_.Submit(measured).ok());
  SubmitRequested plain = Wants(v1::POWER_REQUIRE_NONE, 2);
  plain.selector = "id=c";
  ASSERT_TRUE(bench_.Submit(plain).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  bench_.Accept(c, 1);
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(bench_.JobOf("job-3").state, v1::JOB_STATE_ACTIVE);
}

TEST_F(FarmGangTest, ADeviceThatMayStillRunKeepsOthersFromItsMeter) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  const SessionId c = bench_.Join(OnMeter("c", "b"));
  SubmitRequested of_a = Wants(v1::POWER_REQUIRE_NONE);
  of_a.selector = "id=a";
  ASSERT_TRUE(bench_.Submit(of_a).ok());
  bench_.Accept(a_, 1);
  SubmitRequested of_c = Wants(v1::POWER_REQUIRE_REQUIRED);
  of_c.selector = "id=c";
  ASSERT_TRUE(bench_.Submit(of_c).ok());
  bench_.Do(AgentGone{a_});
  for (int i = 0; i < 150; ++i) {
    bench_.Do(AgentAlive{b_, std::nullopt});
    bench_.Do(AgentAlive{c, std::nullopt});
    bench_.Pass(5 * kSecond);
  }
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_LOST);
  EXPECT_THAT(bench_.DeviceOf("c").gate_reason, HasSubstr("may still be at work"));
  // Without its meter it may go.
  SubmitRequested optional = Wants(v1::POWER_REQUIRE_OPTIONAL);
  optional.selector = "id=c";
  ASSERT_TRUE(bench_.Submit(optional).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  bench_.Accept(c, 2);
  bench_.Finish(2, v1::OUTCOME_SUCCEEDED);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  // The agent is back and holds nothing: the word that was waited for. Its own job is older, and is
  // tried first.
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "a");
}

TEST_F(FarmGangTest, AMeterBoundToAnotherDeviceDoesNotMeasureItsHost) {
  AgentHello lab = OnMeter("b", "b");  // bound only because it is plugged in there
  *lab.hello.add_resources() = Meter();
  b_ = bench_.Join(lab);
  a_ = bench_.Join(OnMeter("a", "b", "1"));
  SubmitRequested of_b = Wants(v1::POWER_REQUIRE_OPTIONAL);
  of_b.selector = "id=b";
  ASSERT_TRUE(bench_.Submit(of_b).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].resources_size(), 0);
  EXPECT_THAT(bench_.rows().reasons(), IsEmpty());
}

TEST_F(FarmGangTest, WhoNamesNoMeterHasOneWhereThereIsJustOne) {
  // Nothing is plugged in: its own sensors do, and that a job needs more is said at once.
  AgentHello hello = OnMeter("a", "a");
  hello.hello.mutable_devices(0)->mutable_facts()->add_power_channels()->set_provenance(
      v1::PROVENANCE_ESTIMATED);
  a_ = bench_.Join(hello);
  EXPECT_TRUE(absl::IsFailedPrecondition(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED))));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_OPTIONAL, 3)).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].resources_size(), 0);
  bench_.Accept(a_, 1);
  // Plugged in while it runs: the next one is measured.
  Report(a_, Meter());
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].resources_size(), 1);
  bench_.Accept(a_, 2);
  // A second one: which of them it is, nobody says.
  Report(a_, Meter("2"));
  bench_.Finish(2, v1::OUTCOME_SUCCEEDED);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].resources_size(), 0);
  EXPECT_THAT(bench_.rows().reasons(), IsEmpty());
}

TEST_F(FarmGangTest, AReaderOfABoardsSensorsIsNoSecondMeterBesideOneInTheSupply) {
  v1::ResourceAnnouncement rails = Meter("rails");
  rails.mutable_channels(0)->set_scope(v1::SCOPE_BOARD_RAIL);
  AgentHello hello = OnMeter("a", "a");
  *hello.hello.add_resources() = rails;
  a_ = bench_.Join(hello);
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_OPTIONAL, 3)).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].resources(0).resource_id(), "meter:km003c:rails") << "it is alone";
  bench_.Accept(a_, 1);
  Report(a_, Meter("1"));
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].resources(0).resource_id(), kMeter);
  bench_.Accept(a_, 2);
  // One that cannot be used now may be in the supply, too: nobody says which it is.
  v1::ResourceAnnouncement shut = Meter("2", "no permission");
  shut.clear_channels();
  shut.set_place("USB port 3-1");
  Report(a_, shut);
  bench_.Finish(2, v1::OUTCOME_SUCCEEDED);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].resources_size(), 0);
}

TEST_F(FarmGangTest, SeveralMetersNeedAName) {
  b_ = bench_.Join(Lab({Meter("1"), Meter("2")}));
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  EXPECT_THAT(bench_.DeviceOf("a").gate_reason, HasSubstr("2 meters"));
  a_ = bench_.Join(OnMeter("a", "b", "2"));
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].resources(0).resource_id(), "meter:km003c:2");
}

TEST_F(FarmGangTest, AChannelOfTheDeviceNeedsNoMeterAndOneOfTheMeterDoes) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  SubmitRequested own = Wants(v1::POWER_REQUIRE_OPTIONAL);
  own.cells[0].spec.set_power_channel("rapl.package-0");
  ASSERT_TRUE(bench_.Submit(own).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].resources_size(), 0);
  bench_.Accept(a_, 1);
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  own.cells[0].spec.set_power_channel("power");
  own.experiment.name = "other";
  ASSERT_TRUE(bench_.Submit(own).ok());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  ASSERT_EQ(bench_.Grants()[0].resources_size(), 1);
  EXPECT_EQ(bench_.Grants()[0].resources(0).channel(), "power");
}

TEST_F(FarmGangTest, AMeterThatIsTooSlowIsNotTaken) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  SubmitRequested fast = Wants(v1::POWER_REQUIRE_REQUIRED);
  fast.cells[0].spec.set_min_rate_hz(1000);
  ASSERT_TRUE(bench_.Submit(fast).ok());
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_THAT(Job1().reason, HasSubstr("at most 50 samples per second"));
}

TEST_F(FarmGangTest, TheSecondAgentWithTheSameMeterIsRefusedUntilTheFirstNoLongerHasIt) {
  b_ = bench_.Join(Lab());
  AgentHello copy = bench_.Hello("c");
  *copy.hello.add_resources() = Meter();
  bench_.Do(copy);
  ASSERT_NE(bench_.TheWelcome(), nullptr);
  EXPECT_THAT(bench_.TheWelcome()->refused_resources().at(kMeter),
              HasSubstr("already belongs to agent \"b\""));
  EXPECT_EQ(bench_.ResourceOf(kMeter).agent_id, "b");
  // It was moved: b has seen it go.
  Report(b_, Meter("1", "unplugged"));
  ResourceReported plugged{copy.session, {}};
  *plugged.report.add_resources() = Meter();
  bench_.Do(plugged);
  EXPECT_EQ(bench_.ResourceOf(kMeter).agent_id, "c");
  EXPECT_EQ(bench_.ResourceOf(kMeter).obstacle, "");
  // b does not get it back by saying again that it is unplugged.
  Report(b_, Meter("1", "unplugged"));
  EXPECT_EQ(bench_.ResourceOf(kMeter).agent_id, "c");
  // An agent that comes without it has it no more.
  bench_.Join("c");
  EXPECT_EQ(bench_.ResourceOf(kMeter).link, v1::DEVICE_LINK_OFFLINE);
}

TEST_F(FarmGangTest, AHelperThatRefusesSendsTheJobBackUntried) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  bench_.Refuse(b_, 1);
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_REJECTED);
  EXPECT_EQ(Job1().state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(Job1().attempts, 0);
  EXPECT_THAT(Job1().reason, HasSubstr("busy"));
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_FREE);
  EXPECT_EQ(bench_.DeviceOf("a").alloc, v1::DEVICE_ALLOC_FREE);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  bench_.Pass(2 * kSecond);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].fence(), 2);
}

TEST_F(FarmGangTest, ADeviceThatRefusesLetsItsHelperGo) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  bench_.Accept(b_, 1);
  bench_.Refuse(a_, 1);
  EXPECT_THAT(bench_.Releases(), ElementsAre(Pair(1, 1)));
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_DIRTY);
  bench_.Pass(2 * kSecond);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  Report(b_, Meter());
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_OFFERED);
  EXPECT_THAT(bench_.Grants(), SizeIs(1));
}

TEST_F(FarmGangTest, AHelperThatIsGoneBeforeItAnswersSendsTheJobBack) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  bench_.Do(AgentGone{b_});
  for (int i = 0; i < 9; ++i) {
    bench_.Do(AgentAlive{a_, std::nullopt});
    bench_.Pass(5 * kSecond);
  }
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_REJECTED);
  EXPECT_EQ(Job1().state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_DIRTY);
  b_ = bench_.Join(Lab());
  EXPECT_EQ(Job1().live_fence, 2);
}

TEST_F(FarmGangTest, AGrantThatWasNotAnsweredIsSentAgainAfterAReconnect) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  b_ = bench_.Join(Lab());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].source(), 1);
  EXPECT_EQ(bench_.Grants()[0].fence(), 1);
  // The device is not asked before.
  a_ = bench_.Join(OnMeter("a", "b"));
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  // Its answer was lost, what it holds is not.
  b_ = bench_.Join(Lab({Meter("1", "", 1)}, {FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING, 1)}));
  EXPECT_EQ(bench_.TheWelcome()->verdicts(0).verdict(), v1::VERDICT_KIND_CONTINUE);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].source(), 0);
}

TEST_F(FarmGangTest, AnUnansweredGrantToAHelperEndsItsSession) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  bench_.Do(AgentAlive{a_, std::nullopt});
  bench_.Do(AgentAlive{b_, std::nullopt});
  bench_.Pass(30 * kSecond);
  ASSERT_THAT(bench_.Closed(), SizeIs(1));
  EXPECT_EQ(bench_.Closed()[0].session, b_);
}

TEST_F(FarmGangTest, AHelperThatComesBackInTimeGoesOn) {
  OneMeasured();
  bench_.Do(AgentGone{b_});
  for (int i = 0; i < 20; ++i) {
    bench_.Do(AgentAlive{a_, std::nullopt});
    bench_.Pass(5 * kSecond);
  }
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_ACCEPTED);
  b_ = bench_.Join(Lab({Meter("1", "", 1)}, {FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING, 1)}));
  EXPECT_EQ(bench_.TheWelcome()->verdicts(0).verdict(), v1::VERDICT_KIND_CONTINUE);
  EXPECT_THAT(bench_.GoingOn(), ElementsAre(Pair(b_, "a")));
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_LEASED);
  bench_.Stored(1, 0);
  EXPECT_THAT(bench_.Releases(), ElementsAre(Pair(1, 1)));
  bench_.Do(AgentGone{b_});
  b_ = bench_.Join(Lab({Meter("1", "", 1)}, {FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING, 1)}));
  EXPECT_THAT(bench_.GoingOn(), IsEmpty()) << "it is to end";
  bench_.Stored(1, 1);
  EXPECT_THAT(bench_.Computes(), ElementsAre(1));
  EXPECT_THAT(bench_.rows().reasons(), IsEmpty());
}

TEST_F(FarmGangTest, AHelperThatIsGoneForGoodIsClosedAndTheResultSaysSo) {
  OneMeasured();
  bench_.Do(AgentGone{b_});
  bench_.Stored(1, 0);
  EXPECT_THAT(bench_.Computes(), IsEmpty());
  bench_.Do(AgentAlive{a_, std::nullopt});
  bench_.Pass(41 * kSecond);
  EXPECT_THAT(bench_.Computes(), ElementsAre(1));
  EXPECT_EQ(bench_.AttemptOf(1).helpers.at(0).state, v1::ATTEMPT_STATE_LOST);
  EXPECT_EQ(bench_.rows().reasons().at(0).reason.code(), "meter_lost");
  EXPECT_THAT(LostReason(), HasSubstr("meter:km003c:1: its agent is out of reach"));
  bench_.Computed(1);
  EXPECT_EQ(Job1().state, v1::JOB_STATE_SUCCEEDED);
  // Until its agent's word it may still be open there.
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_DIRTY);
  b_ = bench_.Join(Lab({Meter("1", "", 1)}, {FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING, 1)}));
  EXPECT_EQ(bench_.TheWelcome()->verdicts(0).verdict(), v1::VERDICT_KIND_ABORT);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_DIRTY);
  Report(b_, Meter());
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_FREE);
}

TEST_F(FarmGangTest, AHelperOutOfReachIsNotWaitedForOnceTheDeviceIsDone) {
  OneMeasured();
  bench_.Do(AgentGone{b_});
  for (int i = 0; i < 9; ++i) {
    bench_.Do(AgentAlive{a_, std::nullopt});
    bench_.Pass(5 * kSecond);
  }
  bench_.Stored(1, 0);
  EXPECT_THAT(bench_.Computes(), ElementsAre(1));
  EXPECT_THAT(LostReason(), HasSubstr("out of reach"));
}

TEST_F(FarmGangTest, AHelperThatIsKilledIsGradedByItsOwnLastWord) {
  OneMeasured();
  // Started anew, with what it had.
  b_ = bench_.Join(Lab({Meter()}, {FarmBench::Held(1, v1::ATTEMPT_STATE_INTERRUPTED, 1)}));
  EXPECT_EQ(bench_.TheWelcome()->verdicts(0).verdict(), v1::VERDICT_KIND_UPLOAD_ONLY);
  bench_.Stored(1, 1, v1::OUTCOME_INTERRUPTED, "the agent was restarted");
  EXPECT_THAT(LostReason(), HasSubstr("the agent was restarted"));
  EXPECT_THAT(bench_.Computes(), IsEmpty());
  // The device still draws through it: nobody else gets the meter.
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_LEASED);
  bench_.Stored(1, 0);
  EXPECT_THAT(bench_.Releases(), IsEmpty());
  EXPECT_THAT(bench_.Computes(), ElementsAre(1));
  bench_.Computed(1);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_FREE);
}

TEST_F(FarmGangTest, AHelperThatForgotTheAttemptIsClosedAndTheRunGoesOn) {
  OneMeasured();
  b_ = bench_.Join(Lab());
  EXPECT_EQ(bench_.AttemptOf(1).helpers.at(0).state, v1::ATTEMPT_STATE_LOST);
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_ACCEPTED);
  EXPECT_THAT(LostReason(), HasSubstr("no longer knows it"));
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_LEASED);
  bench_.Stored(1, 0);
  EXPECT_THAT(bench_.Computes(), ElementsAre(1));
  bench_.Computed(1);
  ExpectMeterIsAskedFor(1);
}

TEST_F(FarmGangTest, AHelperThatDoesNotEndIsNotWaitedForForEver) {
  OneMeasured();
  bench_.Stored(1, 0);
  for (int i = 0; i < 121 && Job1().state == v1::JOB_STATE_ACTIVE; ++i) {
    bench_.Do(AgentAlive{a_, std::nullopt});
    bench_.Do(AgentAlive{b_, std::nullopt});
    bench_.Pass(5 * kSecond);
    if (!bench_.Computes().empty()) bench_.Computed(1);
  }
  EXPECT_EQ(Job1().state, v1::JOB_STATE_SUCCEEDED);
  EXPECT_THAT(LostReason(), HasSubstr("did not end it in time"));
  ExpectMeterIsAskedFor(1);
}

TEST_F(FarmGangTest, CancelWhileTheHelperIsAskedEndsAtOnce) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  bench_.Do(CancelJobRequested{9, "job-1"});
  EXPECT_EQ(Job1().state, v1::JOB_STATE_CANCELED);
  EXPECT_THAT(bench_.Releases(), ElementsAre(Pair(1, 1)));
  EXPECT_EQ(bench_.DeviceOf("a").alloc, v1::DEVICE_ALLOC_FREE);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_DIRTY);
  // Its late yes changes nothing.
  bench_.Accept(b_, 1);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_DIRTY);
  Report(b_, Meter());
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_FREE);
}

TEST_F(FarmGangTest, CancelWhileItRunsWaitsForBothLastWords) {
  OneMeasured();
  bench_.Do(CancelJobRequested{9, "job-1"});
  EXPECT_THAT(bench_.Cancels(), ElementsAre(1));
  EXPECT_EQ(Job1().state, v1::JOB_STATE_CANCELING);
  bench_.Stored(1, 0, v1::OUTCOME_CANCELED);
  EXPECT_THAT(bench_.Releases(), ElementsAre(Pair(1, 1)));
  bench_.Stored(1, 1);
  bench_.Computed(1, v1::OUTCOME_CANCELED);
  EXPECT_EQ(Job1().state, v1::JOB_STATE_CANCELED);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_FREE);
}

TEST_F(FarmGangTest, ALostAttemptLetsItsHelperGoAndMayStillComeBack) {
  OneMeasured();
  bench_.Do(AgentGone{a_});
  bool released = false;
  for (int i = 0; i < 130; ++i) {
    bench_.Do(AgentAlive{b_, std::nullopt});
    bench_.Pass(5 * kSecond);
    released = released || !bench_.Releases().empty();
  }
  ASSERT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_LOST);
  EXPECT_TRUE(released);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_DIRTY);
  bench_.Stored(1, 1);
  AgentHello back = OnMeter("a", "b");
  *back.hello.add_held() = FarmBench::Held(1, v1::ATTEMPT_STATE_RUNNING);
  a_ = bench_.Join(back);
  EXPECT_EQ(Job1().state, v1::JOB_STATE_ACTIVE);
  EXPECT_THAT(LostReason(), HasSubstr("let go while the agent of the device was out of reach"));
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_LEASED);
  bench_.Stored(1, 0);
  EXPECT_THAT(bench_.Computes(), ElementsAre(1));
  bench_.Computed(1);
  EXPECT_EQ(Job1().state, v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_FREE);
}

TEST_F(FarmGangTest, AHelperThatGivesUpIsClosed) {
  OneMeasured();
  AttemptReported report{b_, {}};
  report.report.set_fence(1);
  report.report.set_state(v1::ATTEMPT_STATE_CANCELED);
  report.report.set_detail("does not hold it");
  bench_.Do(report);
  EXPECT_EQ(bench_.AttemptOf(1).helpers.at(0).state, v1::ATTEMPT_STATE_LOST);
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_ACCEPTED);
  EXPECT_THAT(LostReason(), HasSubstr("gave it up"));
  Report(b_, Meter());
  // The device still draws through it.
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_LEASED);
  bench_.Stored(1, 0);
  bench_.Computed(1);
  ExpectMeterIsAskedFor(1);
}

TEST_F(FarmGangTest, AHelperThatIsBackBeforeTheResultsAreComputedIsAskedForItsMeter) {
  OneMeasured();
  bench_.Do(AgentGone{b_});
  bench_.Stored(1, 0);
  bench_.Do(AgentAlive{a_, std::nullopt});
  bench_.Pass(41 * kSecond);
  ASSERT_EQ(bench_.AttemptOf(1).helpers.at(0).state, v1::ATTEMPT_STATE_LOST);
  b_ = bench_.Join(Lab());
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_LEASED);
  bench_.Computed(1);
  ExpectMeterIsAskedFor(1);
}

TEST_F(FarmGangTest, AnAttemptLostWhileItsHelperUploadsAsksForTheMeter) {
  OneMeasured();
  AttemptReported report{b_, {}};
  report.report.set_fence(1);
  report.report.set_state(v1::ATTEMPT_STATE_UPLOADING);
  bench_.Do(report);
  Report(b_, Meter());
  a_ = bench_.Join(OnMeter("a", "b"));
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_LOST);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_DIRTY);
  EXPECT_THAT(bench_.Releases(), ElementsAre(Pair(1, 1)));
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  // It is tried again with the meter.
  Report(b_, Meter());
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].source(), 1);
}

TEST_F(FarmGangTest, AHelperThatEndsBeforeItsReplyIsHereSendsTheJobBack) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  bench_.Stored(1, 1, v1::OUTCOME_FAILED, "the meter does not answer");
  EXPECT_EQ(bench_.AttemptOf(1).state, v1::ATTEMPT_STATE_REJECTED);
  EXPECT_EQ(Job1().state, v1::JOB_STATE_QUEUED);
  EXPECT_THAT(Job1().reason, HasSubstr("the meter does not answer"));
  EXPECT_EQ(bench_.DeviceOf("a").alloc, v1::DEVICE_ALLOC_FREE);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_FREE);
  bench_.Accept(b_, 1);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  bench_.Pass(2 * kSecond);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].fence(), 2);
}

TEST_F(FarmGangTest, ARestartAtEveryStepChangesNothing) {
  b_ = bench_.Join(Lab());
  a_ = bench_.Join(OnMeter("a", "b"));
  ASSERT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
  const auto back = [&](v1::AttemptState helper, v1::AttemptState device) {
    bench_.Restart();
    b_ = bench_.Join(Lab(
        {Meter("1", "", helper == 0 ? 0 : 1)},
        helper == 0 ? std::vector<v1::HeldAttempt>{} : std::vector{FarmBench::Held(1, helper, 1)}));
    const auto of_helper = bench_.Grants();
    AgentHello hello = OnMeter("a", "b");
    if (device != 0) *hello.hello.add_held() = FarmBench::Held(1, device);
    a_ = bench_.Join(hello);
    return of_helper.size() + bench_.Grants().size();
  };
  const auto none = v1::ATTEMPT_STATE_UNSPECIFIED;
  EXPECT_EQ(back(none, none), 1u);  // the helper's, again
  bench_.Accept(b_, 1);
  EXPECT_EQ(back(v1::ATTEMPT_STATE_ACCEPTED, none), 1u);  // the device's, again
  bench_.Accept(a_, 1);
  EXPECT_EQ(back(v1::ATTEMPT_STATE_RUNNING, v1::ATTEMPT_STATE_RUNNING), 0u);
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_LEASED);
  bench_.Stored(1, 0);
  bench_.Stored(1, 1);
  bench_.Computed(1);
  EXPECT_EQ(Job1().state, v1::JOB_STATE_SUCCEEDED);
  bench_.Restart();
  EXPECT_EQ(bench_.ResourceOf(kMeter).alloc, v1::DEVICE_ALLOC_FREE);
}

TEST_F(FarmGangTest, FinalsThatWereStoredBeforeARestartCount) {
  OneMeasured();
  FarmSnapshot snapshot = bench_.rows().Snapshot();
  snapshot.finals = {{1, 0, v1::OUTCOME_SUCCEEDED, ""}};
  {
    Farm farm(FarmConfig{}, snapshot, Instant{.boot_ns = 1, .wall_ns = 1});
    for (const Effect& effect : farm.TakeRecoveryPlan().effects)
      EXPECT_FALSE(std::holds_alternative<ComputeResults>(effect));
    EXPECT_TRUE(farm.attempts().at(1).helpers.at(0).released);
  }
  snapshot.finals.push_back({1, 1, v1::OUTCOME_SUCCEEDED, ""});
  Farm farm(FarmConfig{}, snapshot, Instant{.boot_ns = 1, .wall_ns = 1});
  const Plan plan = farm.TakeRecoveryPlan();
  ASSERT_THAT(plan.effects, SizeIs(1));
  EXPECT_EQ(std::get<ComputeResults>(plan.effects[0]).fence, 1);
  EXPECT_FALSE(farm.attempts().at(1).helpers.at(0).released);
}

TEST_F(FarmGangTest, ADeviceWithAMeterMayBeAskedToMeasureThoughItHasNoSensors) {
  AgentHello hello = OnMeter("a", "b");
  hello.hello.mutable_devices(0)->mutable_facts()->add_power_channels()->set_provenance(
      v1::PROVENANCE_ESTIMATED);
  bench_.Join(hello);
  EXPECT_TRUE(bench_.Submit(Wants(v1::POWER_REQUIRE_REQUIRED)).ok());
}

TEST_F(FarmGangTest, APortIsLeasedWithTheMeterWhereTheJobCutsIt) {
  v1::ResourceAnnouncement port;
  port.set_resource_id("port:ykush:Y1:2");
  port.set_kind(v1::RESOURCE_KIND_PORT);
  b_ = bench_.Join(Lab());
  AgentHello hello = OnMeter("a", "b");
  hello.hello.mutable_devices(0)->set_port(port.resource_id());
  a_ = bench_.Join(hello);
  SubmitRequested request = Wants(v1::POWER_REQUIRE_REQUIRED);
  request.cells[0].spec.set_cut_usb(true);
  ASSERT_TRUE(bench_.Submit(request).ok());
  EXPECT_THAT(bench_.DeviceOf("a").gate_reason, HasSubstr("nobody has announced port:ykush:Y1:2"));
  Report(a_, port);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  bench_.Accept(b_, 1);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  ASSERT_EQ(bench_.Grants()[0].resources_size(), 2);
  EXPECT_EQ(bench_.Grants()[0].resources(1).source(), 0);
  EXPECT_EQ(bench_.ResourceOf(port.resource_id()).alloc, v1::DEVICE_ALLOC_OFFERED);
  bench_.Accept(a_, 1);
  EXPECT_EQ(bench_.ResourceOf(port.resource_id()).alloc, v1::DEVICE_ALLOC_LEASED);
}

// What an announcement does to a resource in every state of its allocation.
TEST_F(FarmGangTest, AnAgentsWordInEveryState) {
  struct Case {
    v1::DeviceAlloc before;
    bool used;  // the announcement says that another attempt uses it
    v1::DeviceAlloc after;
  };
  for (const Case& of : {Case{v1::DEVICE_ALLOC_FREE, false, v1::DEVICE_ALLOC_FREE},
                         Case{v1::DEVICE_ALLOC_FREE, true, v1::DEVICE_ALLOC_DIRTY},
                         Case{v1::DEVICE_ALLOC_OFFERED, false, v1::DEVICE_ALLOC_OFFERED},
                         Case{v1::DEVICE_ALLOC_OFFERED, true, v1::DEVICE_ALLOC_OFFERED},
                         Case{v1::DEVICE_ALLOC_LEASED, false, v1::DEVICE_ALLOC_LEASED},
                         Case{v1::DEVICE_ALLOC_LEASED, true, v1::DEVICE_ALLOC_LEASED},
                         Case{v1::DEVICE_ALLOC_DIRTY, false, v1::DEVICE_ALLOC_FREE},
                         Case{v1::DEVICE_ALLOC_DIRTY, true, v1::DEVICE_ALLOC_DIRTY}}) {
    FarmSnapshot snapshot;
    Resource& meter = snapshot.resources.emplace_back();
    meter.id = kMeter;
    meter.agent_id = "b";
    meter.alloc = of.before;
    meter.kind = v1::RESOURCE_KIND_METER;
    Farm farm(FarmConfig{}, snapshot, Instant{.boot_ns = 1, .wall_ns = 1});
    farm.Handle(Lab({Meter("1", "", of.used ? 77 : 0)}), Instant{.boot_ns = 2, .wall_ns = 2});
    EXPECT_EQ(farm.resources().at(kMeter).alloc, of.after)
        << v1::DeviceAlloc_Name(of.before) << " " << of.used;
  }
}

}  // namespace
}  // namespace joulefarm::controller
