// Why nothing happens, where people look for it: in the listings of jobs and devices.
#include <gmock/gmock.h>

#include "tests/agent/host/host_tree.h"
#include "tests/integration/in_process_farm.h"

namespace joulefarm {
namespace {

using testing::HasSubstr;

constexpr char kTemp[] = "sys/class/thermal/thermal_zone0/temp";
constexpr char kHot[] = "waiting for gate max_temp_c: cpu-thermal has 61.2 °C > 45 °C";

class WaitingFarm : public InProcessFarm {
 protected:
  // Agent "a" on a host of files, which is too hot for the jobs that are submitted.
  void WaitAtTheGate(int cells) {
    tree_.Write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    tree_.Write(kTemp, "61200\n");
    tree_.Write("proc/stat", "cpu  100 0 0 900 0 0 0 0 0 0\n");
    tree_.Write("proc/meminfo", "MemTotal: 4096 kB\nMemAvailable: 4096 kB\n");
    StartAgent("a", [this](agent::AgentOptions& options) { options.root = tree_.root(); });
    v1::SubmitExperimentResponse response;
    const grpc::Status submitted =
        Submit(absl::StrCat(Yaml(cells), "gates: {max_temp_c: 45}\n"), &response);
    ASSERT_TRUE(submitted.ok()) << submitted.error_message();
    ASSERT_TRUE(Eventually([&] { return Reason("job-1") == kHot; })) << Reason("job-1");
  }
  std::string Reason(const std::string& job) { return Column(v1::LISTING_JOBS, "reason", job); }
  std::string Gate() { return Column(v1::LISTING_DEVICES, "gate_reason", "a"); }

  agent::HostTree tree_;
};

TEST_F(WaitingFarm, AGateIsSeenWhileItIsClosedAndAfterARestartAndNotAfterwards) {
  WaitAtTheGate(2);
  EXPECT_EQ(Column(v1::LISTING_JOBS, "state", "job-1"), "ACTIVE");
  EXPECT_EQ(Gate(), kHot);
  EXPECT_EQ(Reason("job-2"), absl::StrCat("device a is at work on job-1, ", kHot));
  controller_.reset();
  StartController();
  EXPECT_EQ(Reason("job-1"), kHot);
  EXPECT_EQ(Gate(), kHot);
  ASSERT_TRUE(Eventually([&] { return Column(v1::LISTING_DEVICES, "link", "a") == "ONLINE"; }));
  // At once: a temperature that cannot be read would fail the job.
  tree_.Write("cool", "44000\n");
  std::filesystem::rename(tree_.root() / "cool", tree_.root() / kTemp);
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  for (const auto& job : List(v1::LISTING_JOBS)) {
    EXPECT_EQ(job.at("state"), "SUCCEEDED");
    EXPECT_EQ(job.at("reason"), "");
  }
  EXPECT_EQ(Gate(), "");
}

TEST_F(WaitingFarm, JobsOfADeviceThatIsAwaySaySo) {
  StartAgent("a");
  Stop(*agents_["a"]);
  agents_.erase("a");
  ASSERT_TRUE(Eventually([&] { return Column(v1::LISTING_DEVICES, "link", "a") != "ONLINE"; }));
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit(Yaml(2), &response).ok());
  for (const std::string job : {"job-1", "job-2"}) {
    EXPECT_EQ(Column(v1::LISTING_JOBS, "state", job), "QUEUED");
    EXPECT_THAT(Reason(job), HasSubstr("device a is "));
    EXPECT_THAT(Reason(job), HasSubstr("its agent a"));
  }
  StartAgent("a");
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  EXPECT_EQ(Reason("job-2"), "");
}

}  // namespace
}  // namespace joulefarm
