// A device that fails jobs is looked at by a job of the farm's own, which a real agent runs.
#include <gmock/gmock.h>

#include "tests/agent/host/host_tree.h"
#include "tests/integration/in_process_farm.h"

namespace joulefarm {
namespace {

using testing::HasSubstr;

class HealthCheck : public InProcessFarm {
 protected:
  // An agent with real workloads on a host of files.
  void StartOnTree() {
    tree_.Write("proc/stat", "cpu  100 0 0 900 0 0 0 0 0 0\n");
    tree_.Write("proc/meminfo", "MemTotal: 4096 kB\nMemAvailable: 4096 kB\n");
    StartAgent("a", [this](agent::AgentOptions& options) {
      options.root = tree_.root();
      options.make_workload = {};
    });
  }
  void SubmitWith(const std::string& name, const std::string& gates, int cells) {
    v1::SubmitExperimentResponse response;
    const grpc::Status submitted = Submit(
        absl::StrCat("name: ", name, "\nworkloads: {w: {kind: command, command: [\"true\"]}}\n",
                     "matrix: {n: [", cells == 1 ? "0" : "0, 1",
                     "]}\nrepetitions: 1\nwarmup: 0\nretries: 0\n",
                     "power: {require: none}\nplan: {settle: 0s, idle: 0s, pause: 0s, tail: 0s}\n",
                     gates),
        &response);
    ASSERT_TRUE(submitted.ok()) << submitted.error_message();
  }
  std::string Health() { return Column(v1::LISTING_DEVICES, "health", "a"); }
  std::string Waits() { return Column(v1::LISTING_DEVICES, "gate_reason", "a"); }

  agent::HostTree tree_;
};

TEST_F(HealthCheck, ADeviceThatCanRunNothingIsQuarantinedUntilSomebodyTrustsIt) {
  tree_.Write("sys/class/power_supply/BAT0/type", "Battery\n");  // whose charge cannot be read
  StartOnTree();
  SubmitWith("broken", "gates: {min_battery_pct: 50}\n", 2);
  ASSERT_TRUE(Eventually([&] { return Health() == "QUARANTINED"; })) << Health() << Waits();
  EXPECT_THAT(Waits(), HasSubstr("joulefarm device unquarantine a: its health check job-3 failed: "
                                 "gate min_battery_pct"));
  EXPECT_EQ(Column(v1::LISTING_JOBS, "failure_class", "job-3"), "DEVICE");
  SubmitWith("waiting", "", 1);
  EXPECT_EQ(Column(v1::LISTING_JOBS, "state", "job-4"), "QUEUED");
  EXPECT_THAT(
      Column(v1::LISTING_JOBS, "reason", "job-4"),
      HasSubstr("device a takes no jobs: it is QUARANTINED, its health check job-3 failed"));
  grpc::ClientContext context;
  v1::SetDeviceRequest request;
  request.set_device_id("a");
  request.set_health(v1::DEVICE_HEALTH_GOOD);
  v1::SetDeviceResponse response;
  ASSERT_TRUE(stub_->SetDevice(&context, request, &response).ok());
  EXPECT_EQ(response.health(), v1::DEVICE_HEALTH_GOOD);
  ASSERT_TRUE(Eventually([&] { return Done("waiting"); }));
  EXPECT_EQ(Column(v1::LISTING_JOBS, "state", "job-4"), "SUCCEEDED");
}

TEST_F(HealthCheck, ExperimentsThatAskForASensorThatIsNotThereCostNoDevice) {
  StartOnTree();
  SubmitWith("wrong", "gates: {max_temp_c: 45}\n", 2);
  ASSERT_TRUE(Eventually([&] { return Done("wrong"); }));
  EXPECT_EQ(Column(v1::LISTING_JOBS, "failure_class", "job-2"), "DEVICE");
  ASSERT_TRUE(Eventually([&] { return Done("health-check"); }));
  EXPECT_EQ(Column(v1::LISTING_JOBS, "state", "job-3"), "SUCCEEDED")
      << Column(v1::LISTING_JOBS, "reason", "job-3");
  EXPECT_EQ(Health(), "GOOD");
  // Nothing of it is a measurement: there is its warm-up, and no run.
  const auto results = List(v1::LISTING_RESULTS);
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].at("warmup"), "true");
}

TEST_F(HealthCheck, WhatIsNoOperatorsToSetIsRefused) {
  StartOnTree();
  for (const bool admin : {true, false}) {
    grpc::ClientContext context;
    v1::SetDeviceRequest request;
    request.set_device_id("a");
    if (admin) {
      request.set_admin(v1::DEVICE_ADMIN_RETIRED);
    } else {
      request.set_health(v1::DEVICE_HEALTH_SUSPECT);
    }
    v1::SetDeviceResponse response;
    EXPECT_EQ(stub_->SetDevice(&context, request, &response).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
  }
  EXPECT_EQ(Health(), "GOOD");
}

}  // namespace
}  // namespace joulefarm
