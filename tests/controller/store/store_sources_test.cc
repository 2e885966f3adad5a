// Several sources of one attempt in the store: what is loaded back, whose frames are taken, when an
// attempt is complete.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "controller/store/sqlite_store.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

enum class Where { kMemory, kDisk };

class StoreSourcesTest : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    store_ = OpenStore(GetParam() == Where::kMemory ? ":memory:" : dir_.File("farm.db"));
    ASSERT_NE(store_, nullptr);
    AddLeasedJob(*store_);
    attempt_ = MakeAttempt(1, MakeJob(1));
    v1::GrantedResource& meter = attempt_.resources.emplace_back();
    meter.set_resource_id("meter:km003c:1");
    meter.set_agent_id("lab");
    meter.set_source(1);
    meter.set_channel("power");
    Helper& helper = attempt_.helpers.emplace_back();
    helper.source = 1;
    helper.agent_id = "lab";
    JF_EXPECT_OK(store_->Commit({attempt_}));
  }
  IngestOutcome Ingest(const std::vector<v1::Frame>& frames) {
    auto outcome = store_->Ingest(frames);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.ok() ? *std::move(outcome) : IngestOutcome();
  }
  FarmSnapshot Load() {
    auto farm = store_->Load();
    EXPECT_TRUE(farm.ok()) << farm.status();
    return farm.ok() ? *std::move(farm) : FarmSnapshot();
  }
  static v1::Frame OfSource(int source, v1::Frame frame) {
    frame.set_source(source);
    return frame;
  }
  static v1::Frame Last(int source, v1::Outcome outcome = v1::OUTCOME_SUCCEEDED) {
    v1::Final final;
    final.set_outcome(outcome);
    final.set_reason(outcome == v1::OUTCOME_SUCCEEDED ? "" : "unplugged");
    final.set_started_ns(10 + source);
    return OfSource(source, MakeFrame(1, v1::STREAM_FINAL, 1, final));
  }

  TempDir dir_;
  std::unique_ptr<SqliteStore> store_;
  Attempt attempt_;
};

INSTANTIATE_TEST_SUITE_P(Stores, StoreSourcesTest, testing::Values(Where::kMemory, Where::kDisk),
                         [](const auto& where) {
                           return where.param == Where::kMemory ? "Memory" : "Disk";
                         });

TEST_P(StoreSourcesTest, ResourcesHelpersAndBindingsComeBack) {
  Resource meter;
  meter.id = "meter:km003c:1";
  meter.agent_id = "lab";
  meter.kind = v1::RESOURCE_KIND_METER;
  meter.link = v1::DEVICE_LINK_ONLINE;
  meter.alloc = v1::DEVICE_ALLOC_LEASED;
  meter.fence = 1;
  meter.labels = {{"rack", "3"}};
  meter.model = "km003c";
  meter.serial = "1";
  meter.place = "3-1.2";
  v1::ChannelInfo& channel = meter.channels.emplace_back();
  channel.set_name("power");
  channel.set_quantity(v1::QUANTITY_POWER_W);
  channel.set_provenance(v1::PROVENANCE_MEASURED);
  channel.set_nominal_hz(50);
  meter.obstacle = "permission denied";
  Device device;
  device.id = "dev-1";
  device.agent_id = "agent-1";
  device.meter.emplace().set_agent_id("lab");
  device.meter->set_serial("1");
  device.port = "port:ykush:Y1:2";
  *device.facts.add_power_channels() = channel;
  Device plain;
  plain.id = "dev-2";
  plain.agent_id = "agent-1";
  attempt_.helpers[0].state = v1::ATTEMPT_STATE_RUNNING;
  attempt_.helpers[0].released = true;
  attempt_.helpers[0].reason = "so";
  JF_EXPECT_OK(store_->Commit({meter, device, plain, attempt_}));

  const FarmSnapshot farm = Load();
  ASSERT_EQ(farm.resources.size(), 1u);
  const Resource& read = farm.resources[0];
  EXPECT_EQ(read.id, meter.id);
  EXPECT_EQ(read.agent_id, "lab");
  EXPECT_EQ(read.kind, v1::RESOURCE_KIND_METER);
  EXPECT_EQ(read.link, v1::DEVICE_LINK_ONLINE);
  EXPECT_EQ(read.alloc, v1::DEVICE_ALLOC_LEASED);
  EXPECT_EQ(read.fence, 1);
  EXPECT_EQ(read.labels, meter.labels);
  EXPECT_EQ(read.model, "km003c");
  EXPECT_EQ(read.serial, "1");
  EXPECT_EQ(read.place, "3-1.2");
  EXPECT_EQ(read.obstacle, "permission denied");
  ASSERT_EQ(read.channels.size(), 1u);
  EXPECT_EQ(read.channels[0].SerializeAsString(), channel.SerializeAsString());
  ASSERT_EQ(farm.devices.size(), 2u);
  ASSERT_TRUE(farm.devices[0].meter.has_value());
  EXPECT_EQ(farm.devices[0].meter->serial(), "1");
  EXPECT_EQ(farm.devices[0].port, "port:ykush:Y1:2");
  EXPECT_EQ(farm.devices[0].facts.SerializeAsString(), device.facts.SerializeAsString());
  EXPECT_FALSE(farm.devices[1].meter.has_value());
  ASSERT_EQ(farm.attempts.size(), 1u);
  ASSERT_EQ(farm.attempts[0].resources.size(), 1u);
  EXPECT_EQ(farm.attempts[0].resources[0].SerializeAsString(),
            attempt_.resources[0].SerializeAsString());
  ASSERT_EQ(farm.attempts[0].helpers.size(), 1u);
  EXPECT_EQ(farm.attempts[0].helpers[0].source, 1);
  EXPECT_EQ(farm.attempts[0].helpers[0].agent_id, "lab");
  EXPECT_EQ(farm.attempts[0].helpers[0].state, v1::ATTEMPT_STATE_RUNNING);
  EXPECT_TRUE(farm.attempts[0].helpers[0].released);
  EXPECT_EQ(farm.attempts[0].helpers[0].reason, "so");
}

TEST_P(StoreSourcesTest, GrantedSourcesHaveStreamsOfTheirOwn) {
  const IngestOutcome outcome =
      Ingest({MakeFrame(1, v1::STREAM_LOG, 1, LogOf({"device"})),
              OfSource(1, MakeFrame(1, v1::STREAM_LOG, 1, LogOf({"meter"}))),
              OfSource(2, MakeFrame(1, v1::STREAM_LOG, 1, LogOf({"stranger"})))});
  EXPECT_EQ(Text(outcome.response.acks()), "1/0/log=1 1/1/log=1");
  EXPECT_EQ(Text(outcome.response.rejected()), "log:1 CONFLICT");
}

TEST_P(StoreSourcesTest, EverySourceHasItsLastWordAndOnlyTheDevicesIsTheAttempts) {
  const IngestOutcome meter = Ingest({Last(1, v1::OUTCOME_INTERRUPTED)});
  EXPECT_THAT(meter.finals, ElementsAre(SourceFinal{1, 1, v1::OUTCOME_INTERRUPTED, "unplugged"}));
  EXPECT_THAT(*store_->Unfinalised(), IsEmpty());
  EXPECT_FALSE(store_->ReadAttempt(1).ok());
  const IngestOutcome device = Ingest({Last(0)});
  EXPECT_THAT(device.finals, ElementsAre(SourceFinal{1, 0, v1::OUTCOME_SUCCEEDED, ""}));
  EXPECT_THAT(*store_->Unfinalised(), ElementsAre(1));
  EXPECT_EQ(store_->ReadAttempt(1)->final.outcome(), v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(store_->ReadAttempt(1)->final.started_ns(), 10);
  EXPECT_THAT(Load().finals, ElementsAre(device.finals[0], meter.finals[0]));
}

TEST_P(StoreSourcesTest, AClosedSourceIsNotWaitedForAndComesLate) {
  Ingest({Last(0)});
  EXPECT_THAT(*store_->Unfinalised(), IsEmpty());
  attempt_.helpers[0].state = v1::ATTEMPT_STATE_LOST;
  JF_EXPECT_OK(store_->Commit({attempt_}));
  EXPECT_THAT(*store_->Unfinalised(), ElementsAre(1));
  const IngestOutcome late =
      Ingest({OfSource(1, MakeFrame(1, v1::STREAM_LOG, 1, LogOf({"late"}))), Last(1)});
  EXPECT_EQ(Text(late.response.rejected()), "log:1 STALE_FENCE final:1 STALE_FENCE");
  EXPECT_THAT(late.finals, IsEmpty());
  if (GetParam() == Where::kDisk) {
    EXPECT_EQ(Query(dir_.File("farm.db"), "SELECT count(*) FROM late_frame WHERE source = 1"), "2");
  }
}

TEST_P(StoreSourcesTest, WhatOnlyTheControllerKnowsOfAnAttemptIsToldOnce) {
  v1::Reason lost;
  lost.set_domain(v1::DOMAIN_ENERGY);
  lost.set_quality(v1::QUALITY_SUSPECT);
  lost.set_code("meter_lost");
  lost.set_detail("first");
  v1::Reason left_out = lost;
  left_out.set_code("meter_left_out");
  JF_EXPECT_OK(store_->Commit({AttemptReason{1, 1, lost}, AttemptReason{1, 0, left_out}}));
  lost.set_detail("second");
  JF_EXPECT_OK(store_->Commit({AttemptReason{1, 1, lost}}));
  Ingest({Last(0)});
  const auto data = store_->ReadAttempt(1);
  ASSERT_TRUE(data.ok());
  std::vector<std::string> reasons;
  const auto take = [&](const std::vector<v1::Event>& events) {
    for (const v1::Event& event : events)
      reasons.push_back(event.reason().code() + " " + event.reason().detail());
  };
  take(data->events);
  for (const auto& [source, events] : data->helpers) take(events);
  EXPECT_THAT(reasons, ElementsAre("meter_left_out first", "meter_lost second"));
}

}  // namespace
}  // namespace joulefarm::controller
