// Operators take devices out of service and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controller/core/farm_bench.h"

namespace joulefarm::controller {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class FarmAdminTest : public testing::Test {
 protected:
  void Submit(int cells, int devices) {
    SubmitRequested request = bench_.Request(cells);
    request.device_count = devices;
    ASSERT_TRUE(bench_.Submit(request).ok());
  }
  v1::SetDeviceResponse Set(std::optional<v1::DeviceAdmin> admin,
                            std::optional<v1::DeviceHealth> health, const std::string& reason = "",
                            const std::string& device = "a") {
    for (const Effect& effect : bench_.Do(SetDeviceRequested{7, device, admin, health, reason})) {
      const auto* reply = std::get_if<ReplyToOperator>(&effect);
      if (reply == nullptr) continue;
      status_ = reply->status;
      if (const auto* response = std::get_if<v1::SetDeviceResponse>(&reply->response))
        return *response;
    }
    return {};
  }
  v1::SetDeviceResponse Set(v1::DeviceAdmin admin) { return Set(admin, std::nullopt); }
  v1::SetDeviceResponse Set(v1::DeviceHealth health) { return Set(std::nullopt, health); }
  const Device& Row() const { return bench_.rows().devices().at("a"); }
  std::string LastTold() const { return bench_.rows().events().back().text; }

  FarmBench bench_;
  absl::Status status_;
};

TEST_F(FarmAdminTest, ACordonedDeviceFinishesItsJobAndTakesNoOther) {
  const SessionId a = bench_.Join("a");
  Submit(2, 0);
  bench_.Accept(a, 1);
  const v1::SetDeviceResponse now = Set(v1::DEVICE_ADMIN_MAINTENANCE, std::nullopt, "new battery");
  EXPECT_EQ(now.admin(), v1::DEVICE_ADMIN_MAINTENANCE);
  EXPECT_EQ(now.alloc(), v1::DEVICE_ALLOC_LEASED);
  EXPECT_EQ(now.job(), "job-1");
  EXPECT_EQ(LastTold(), "MAINTENANCE by an operator: new battery");
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(bench_.JobOf("job-1").state, v1::JOB_STATE_SUCCEEDED);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  bench_.Restart();
  bench_.Join("a");
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_EQ(Set(v1::DEVICE_ADMIN_ENABLED).job(), "job-2");
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
}

TEST_F(FarmAdminTest, ADrainingDeviceIsInMaintenanceWhenItIsFree) {
  const SessionId a = bench_.Join("a");
  Submit(2, 0);
  bench_.Accept(a, 1);
  EXPECT_EQ(Set(v1::DEVICE_ADMIN_DRAINING).admin(), v1::DEVICE_ADMIN_DRAINING);
  EXPECT_EQ(Row().admin, v1::DEVICE_ADMIN_DRAINING);
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(Row().admin, v1::DEVICE_ADMIN_MAINTENANCE);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  Set(v1::DEVICE_ADMIN_ENABLED);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  bench_.Accept(a, 2);
  bench_.Finish(2, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(Set(v1::DEVICE_ADMIN_DRAINING).admin(), v1::DEVICE_ADMIN_MAINTENANCE) << "it was idle";
}

TEST_F(FarmAdminTest, ADirtyDeviceIsNotYetEmpty) {
  const SessionId a = bench_.Join("a");
  Submit(1, 0);
  bench_.Accept(a, 1);
  Set(v1::DEVICE_ADMIN_DRAINING);
  bench_.Finish(1, v1::OUTCOME_SUCCEEDED, v1::FAILURE_CLASS_UNSPECIFIED, false);
  EXPECT_EQ(Row().alloc, v1::DEVICE_ALLOC_DIRTY);
  EXPECT_EQ(Row().admin, v1::DEVICE_ADMIN_DRAINING);
  bench_.Join("a");  // and says that it is clean
  EXPECT_EQ(Row().alloc, v1::DEVICE_ALLOC_FREE);
  EXPECT_EQ(Row().admin, v1::DEVICE_ADMIN_MAINTENANCE);
}

TEST_F(FarmAdminTest, WhatMayRunElsewhereLeavesADeviceThatIsDrainedOrInQuarantine) {
  for (const bool drain : {true, false}) {
    bench_ = FarmBench();
    const SessionId a = bench_.Join("a");
    Submit(3, 1);
    bench_.Accept(a, 1);
    bench_.Join("b");
    if (drain) {
      Set(v1::DEVICE_ADMIN_DRAINING);
    } else {
      Set(v1::DEVICE_HEALTH_QUARANTINED);
    }
    ASSERT_THAT(bench_.Grants(), SizeIs(1));
    EXPECT_EQ(bench_.Grants()[0].job_id(), "job-2");
    EXPECT_EQ(bench_.Grants()[0].device_id(), "b");
    EXPECT_EQ(bench_.JobOf("job-1").device_id, "a");
    EXPECT_EQ(bench_.JobOf("job-3").device_id, "b");
    EXPECT_EQ(bench_.rows().jobs().at("job-3").device_id, "b");
  }
}

TEST_F(FarmAdminTest, ACordonMovesNothing) {
  const SessionId a = bench_.Join("a");
  Submit(2, 1);
  bench_.Accept(a, 1);
  bench_.Join("b");
  Set(v1::DEVICE_ADMIN_MAINTENANCE);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_EQ(bench_.JobOf("job-2").device_id, "a");
  bench_.Join("c");
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_EQ(bench_.JobOf("job-2").device_id, "a");
}

TEST_F(FarmAdminTest, AGrantThatIsRefusedByACordonedDeviceWaits) {
  const SessionId a = bench_.Join("a");
  Submit(1, 1);
  bench_.Join("b");
  Set(v1::DEVICE_ADMIN_MAINTENANCE);
  bench_.Refuse(a, 1);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_EQ(bench_.JobOf("job-1").device_id, "a");
}

TEST_F(FarmAdminTest, WhatADrainedDeviceCouldNotGiveAwayGoesWhenItIsDrainedAgain) {
  bench_.Join("a");
  Set(v1::DEVICE_ADMIN_DRAINING);
  ASSERT_EQ(Row().admin, v1::DEVICE_ADMIN_MAINTENANCE);
  Submit(1, 1);
  bench_.Join("b");
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  Set(v1::DEVICE_ADMIN_DRAINING);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "b");
}

TEST_F(FarmAdminTest, WhereThereIsNoOtherDeviceJobsStay) {
  bench_.Join("a");
  Submit(2, 1);
  Set(v1::DEVICE_ADMIN_DRAINING);
  EXPECT_EQ(bench_.JobOf("job-2").device_id, "a");
  EXPECT_EQ(bench_.JobOf("job-2").state, v1::JOB_STATE_QUEUED);
}

TEST_F(FarmAdminTest, WhatTakesNothingIsChosenLast) {
  bench_.Join("a");
  bench_.Join("b");
  for (const bool drain : {true, false}) {
    if (drain) {
      Set(v1::DEVICE_ADMIN_DRAINING);
    } else {
      Set(v1::DEVICE_ADMIN_ENABLED);
      Set(v1::DEVICE_HEALTH_QUARANTINED);
    }
    Submit(1, 1);
    EXPECT_EQ(bench_.rows().jobs().rbegin()->second.device_id, "b");
  }
}

TEST_F(FarmAdminTest, JobsThatWaitAreSharedOut) {
  const SessionId a = bench_.Join("a");
  SubmitRequested request = bench_.Request(7);
  request.device_count = 1;
  ASSERT_TRUE(bench_.Submit(request).ok());
  bench_.Accept(a, 1);
  bench_.Join("b");
  bench_.Join("c");
  Set(v1::DEVICE_ADMIN_DRAINING);
  EXPECT_THAT(bench_.Grants(), SizeIs(2));
  std::map<std::string, int> on;
  for (const auto& [id, job] : bench_.farm().jobs()) ++on[job.device_id];
  EXPECT_EQ(on["a"], 1);
  EXPECT_EQ(on["b"], 3);
  EXPECT_EQ(on["c"], 3);
}

TEST_F(FarmAdminTest, WhatFoundNoPlaceMovesWhenADeviceDialsIn) {
  bench_.Join("a");
  Set(v1::DEVICE_HEALTH_QUARANTINED);
  Submit(1, 1);
  EXPECT_EQ(bench_.JobOf("job-1").device_id, "a");
  bench_.Join("b");
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "b");
}

TEST_F(FarmAdminTest, AGrantThatIsRefusedByADrainedDeviceGoesElsewhere) {
  const SessionId a = bench_.Join("a");
  Submit(1, 1);
  bench_.Join("b");
  Set(v1::DEVICE_ADMIN_DRAINING);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  bench_.Refuse(a, 1);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].device_id(), "b");
}

TEST_F(FarmAdminTest, QuarantineAndItsEnd) {
  bench_.Join("a");
  EXPECT_EQ(Set(std::nullopt, v1::DEVICE_HEALTH_QUARANTINED, "screen broken").health(),
            v1::DEVICE_HEALTH_QUARANTINED);
  EXPECT_EQ(Row().health_reason, "by an operator: screen broken");
  Submit(1, 0);
  EXPECT_THAT(bench_.Grants(), IsEmpty());
  EXPECT_EQ(Set(v1::DEVICE_HEALTH_GOOD).job(), "job-1");
  EXPECT_EQ(Row().health_reason, "");
}

TEST_F(FarmAdminTest, AnOperatorsWordEndsTheHealthCheck) {
  const SessionId a = bench_.Join("a");
  SubmitRequested request = bench_.Request(3);
  request.retries = 0;
  ASSERT_TRUE(bench_.Submit(request).ok());
  for (const Fence fence : {1, 2}) {
    bench_.Accept(a, fence);
    bench_.Finish(fence, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_DEVICE);
  }
  ASSERT_EQ(Row().health_check, "job-4");
  bench_.Accept(a, 3);
  Set(v1::DEVICE_HEALTH_GOOD);
  EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_GOOD);
  EXPECT_EQ(Row().health_check, "");
  EXPECT_THAT(bench_.Cancels(), testing::ElementsAre(3));
  // What it still says decides nothing.
  bench_.Finish(3, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_DEVICE);
  EXPECT_EQ(bench_.JobOf("job-4").state, v1::JOB_STATE_CANCELED);
  EXPECT_EQ(Row().health, v1::DEVICE_HEALTH_GOOD);
  ASSERT_THAT(bench_.Grants(), SizeIs(1));
  EXPECT_EQ(bench_.Grants()[0].job_id(), "job-3");
}

TEST_F(FarmAdminTest, ADeviceNobodyKnows) {
  Set(v1::DEVICE_ADMIN_MAINTENANCE, std::nullopt, "", "b");
  EXPECT_EQ(status_.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status_.message()), HasSubstr("there is no device \"b\""));
}

}  // namespace
}  // namespace joulefarm::controller
