// Meters in a farm in one process: a device measured by a meter on another agent, what becomes of
// it when that agent is gone, and two devices on one meter.
#include <gmock/gmock.h>

#include <atomic>

#include "agent/process/boottime.h"
#include "tests/integration/in_process_farm.h"

namespace joulefarm {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kWatts = 5;
constexpr std::int64_t kSampleNs = 5'000'000;

// A meter that shows five watts, whatever hangs on it, and knows how often it is open.
class TestMeter {
 public:
  class Source : public agent::PowerSource {
   public:
    explicit Source(TestMeter& meter) : meter_(meter) {
      v1::ChannelInfo& channel = channels_.emplace_back();
      channel.set_name("test");
      channel.set_quantity(v1::QUANTITY_POWER_W);
      channel.set_scale(1e-3);
      channel.set_nominal_hz(1e9 / static_cast<double>(kSampleNs));
      channel.set_scope(v1::SCOPE_DEVICE);
      channel.set_provenance(v1::PROVENANCE_MEASURED);
      channel.set_gain_u(0.001);
      channel.set_offset_u(0.001);
    }
    ~Source() override {
      if (open_) --meter_.open_;
    }
    const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
    bool buffered() const override { return true; }
    absl::Status Start() override {
      open_ = true;
      if (++meter_.open_ > 1) meter_.shared_ = true;
      next_ns_ = agent::BoottimeNs();
      return absl::OkStatus();
    }
    absl::Status Poll(std::vector<agent::PowerReading>& readings, std::int64_t&) override {
      for (const std::int64_t now_ns = agent::BoottimeNs(); next_ns_ <= now_ns;
           next_ns_ += kSampleNs) {
        readings.push_back({.channel = 0, .t_ns = next_ns_, .raw = 5000});
        ++meter_.samples_;
      }
      return absl::OkStatus();
    }

   private:
    TestMeter& meter_;
    std::vector<v1::ChannelInfo> channels_;
    bool open_ = false;
    std::int64_t next_ns_ = 0;
  };

  std::atomic<int> open_{0};
  std::atomic<bool> shared_{false};
  std::atomic<int> samples_{0};
};

class TestShelf : public agent::MeterShelf {
 public:
  TestShelf(TestMeter& meter, std::string serial) : meter_(meter), serial_(std::move(serial)) {}
  std::vector<v1::ResourceAnnouncement> Look() override {
    v1::ResourceAnnouncement said;
    said.set_resource_id("meter:test:" + serial_);
    said.set_kind(v1::RESOURCE_KIND_METER);
    said.set_model("test");
    said.set_serial(serial_);
    const TestMeter::Source source(meter_);
    for (const v1::ChannelInfo& channel : source.channels()) *said.add_channels() = channel;
    return {said};
  }
  absl::StatusOr<std::unique_ptr<agent::PowerSource>> Open(const std::string&) override {
    return std::make_unique<TestMeter::Source>(meter_);
  }

 private:
  TestMeter& meter_;
  const std::string serial_;
};

class MeteredFarm : public InProcessFarm {
 protected:
  // A run lasts as long as the meter takes for so many samples.
  class MeteredRuns : public agent::Workload {
   public:
    explicit MeteredRuns(MeteredFarm& farm) : farm_(farm) {}
    agent::WorkloadOutcome Run(agent::WorkloadContext& context) override {
      if (++farm_.running_ > 1) farm_.together_ = true;
      for (int run = 0; run < context.spec->repetitions(); ++run) {
        const std::int64_t start_ns = agent::BoottimeNs();
        const int before = farm_.meter_.samples_;
        const bool seen = Eventually([&] {
          return farm_.meter_.samples_ >= before + 60 || farm_.meter_gone_ ||
                 context.stop.stop_requested();
        });
        const std::int64_t end_ns = agent::BoottimeNs();
        if (!seen || context.stop.stop_requested()) {
          --farm_.running_;
          return {v1::OUTCOME_CANCELED, v1::FAILURE_CLASS_UNSPECIFIED, "stopped"};
        }
        v1::Event event;
        event.set_t_ns(end_ns);
        event.mutable_run()->set_run(run);
        event.mutable_run()->set_start_ns(start_ns);
        event.mutable_run()->set_end_ns(end_ns);
        context.recorder->Record(std::move(event));
        ++farm_.runs_;
        if (farm_.after_run_) farm_.after_run_(run);
      }
      --farm_.running_;
      return {v1::OUTCOME_SUCCEEDED, v1::FAILURE_CLASS_UNSPECIFIED, ""};
    }

   private:
    MeteredFarm& farm_;
  };

  void Start(const std::string& name, const std::string& meter_of,
             std::shared_ptr<agent::MeterShelf> shelf = nullptr) {
    StartAgent(name, [&](agent::AgentOptions& options) {
      options.meters = std::move(shelf);
      if (options.meters == nullptr) options.root = directory_;  // what this host has is not meant
      options.power.meter.device.agent = meter_of;
      options.make_workload =
          [this](const v1::JobSpec&) -> absl::StatusOr<std::unique_ptr<agent::Workload>> {
        return std::make_unique<MeteredRuns>(*this);
      };
    });
  }
  std::shared_ptr<agent::MeterShelf> Shelf() { return std::make_shared<TestShelf>(meter_, "1"); }

  static std::string Measured(int cells, const std::string& selector, const std::string& power) {
    std::string list;
    for (int i = 0; i < cells; ++i) absl::StrAppend(&list, i == 0 ? "" : ", ", i);
    return absl::StrCat(
        "name: sweep\nworkloads:\n  w: {kind: command, command: [\"true\"]}\nmatrix:\n  n: [", list,
        "]\nrepetitions: 3\nwarmup: 0\npower: {require: ", power,
        "}\nplan: {settle: 0s, idle: 0s}\ndevices: {selector: \"", selector, "\"}\n");
  }

  TestMeter meter_;
  std::atomic<int> running_{0};
  std::atomic<int> runs_{0};
  std::atomic<bool> together_{false};
  std::atomic<bool> meter_gone_{false};
  std::function<void(int run)> after_run_;
};

TEST_F(MeteredFarm, AMeterOnAnotherAgentMeasuresADevice) {
  Start("b", "", Shelf());
  Start("a", "b");
  EXPECT_EQ(Column(v1::LISTING_RESOURCES, "agent_id", "meter:test:1"), "b");
  v1::SubmitExperimentResponse response;
  const grpc::Status submitted = Submit(Measured(2, "id=a", "required"), &response);
  ASSERT_TRUE(submitted.ok()) << submitted.error_message();
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  for (const auto& job : List(v1::LISTING_JOBS))
    EXPECT_EQ(job.at("state"), "SUCCEEDED") << job.at("reason");
  const auto results = List(v1::LISTING_RESULTS);
  ASSERT_EQ(results.size(), 6u);
  for (const auto& row : results) {
    EXPECT_EQ(row.at("device_id"), "a");
    EXPECT_EQ(row.at("energy_channel"), "test") << row.at("quality_reasons");
    EXPECT_EQ(row.at("provenance"), "measured");
    EXPECT_NEAR(std::stod("0" + row.at("mean_w")), kWatts, 0.01) << row.at("quality_reasons");
    EXPECT_THAT(row.at("quality_reasons"), Not(HasSubstr("meter_lost")));
  }
  EXPECT_FALSE(meter_.shared_);
  EXPECT_TRUE(Eventually([&] { return meter_.open_ == 0; }));
  EXPECT_EQ(Column(v1::LISTING_RESOURCES, "alloc", "meter:test:1"), "FREE");
}

TEST_F(MeteredFarm, WhoWatchesADeviceSeesTheMeterOnAnotherAgent) {
  Start("b", "", Shelf());
  Start("a", "b");
  std::atomic<bool> seen{false};
  after_run_ = [&](int) { EXPECT_TRUE(Eventually([&] { return seen.load(); })); };
  grpc::ClientContext context;
  v1::WatchDevicesRequest request;
  request.add_device_ids("a");
  const auto watch = stub_->WatchDevices(&context, request);
  std::thread looking([&] {
    v1::WatchDevicesResponse response;
    while (watch->Read(&response)) {
      const v1::Telemetry& news = response.telemetry();
      EXPECT_EQ(news.device_id(), "a");
      if (news.channel() != "test" || !news.has_power_w()) continue;
      EXPECT_NEAR(news.power_w(), kWatts, 0.01);
      EXPECT_EQ(news.provenance(), v1::PROVENANCE_MEASURED);
      seen = true;
    }
  });
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit(Measured(1, "id=a", "required"), &response).ok());
  EXPECT_TRUE(Eventually([&] { return Done("sweep"); }));
  context.TryCancel();
  looking.join();
  EXPECT_TRUE(seen);
}

TEST_F(MeteredFarm, AMeterOfTheDevicesOwnHostIsLeasedToo) {
  Start("a", "", Shelf());
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit(Measured(1, "id=a", "required"), &response).ok());
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  const auto results = List(v1::LISTING_RESULTS);
  ASSERT_EQ(results.size(), 3u);
  for (const auto& row : results) {
    EXPECT_EQ(row.at("energy_channel"), "test");
    EXPECT_NEAR(std::stod("0" + row.at("mean_w")), kWatts, 0.01) << row.at("quality_reasons");
  }
}

TEST_F(MeteredFarm, AMeterThatIsLostInTheMiddleGradesTheResultAndTheNextJobWorks) {
  Start("b", "", Shelf());
  Start("a", "b");
  std::atomic<bool> first{true};
  after_run_ = [&](int run) {
    if (run != 0 || !first.exchange(false)) return;
    // Its agent ends; nobody comes back before the device is done.
    Stop(*agents_["b"]);
    agents_.erase("b");
    meter_gone_ = true;
  };
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit(Measured(1, "id=a", "required"), &response).ok());
  ASSERT_TRUE(Eventually([&] { return runs_ == 3; }));
  meter_gone_ = false;
  Start("b", "", Shelf());
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  EXPECT_EQ(Column(v1::LISTING_JOBS, "state", "job-1"), "SUCCEEDED");
  const auto results = List(v1::LISTING_RESULTS, "job-1");
  ASSERT_EQ(results.size(), 3u);
  for (const auto& row : results) {
    EXPECT_THAT(row.at("quality_reasons"), HasSubstr("meter_lost"));
    EXPECT_NE(row.at("energy_quality"), "VALID");
    // What was measured stands; nothing is made up for the rest.
    if (row.at("run") != "0") {
      EXPECT_EQ(row.at("mean_w"), "") << row.at("run");
    }
  }
  ASSERT_TRUE(Submit(Measured(1, "id=a", "required"), &response).ok());
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  const auto next = List(v1::LISTING_RESULTS, "job-2");
  ASSERT_EQ(next.size(), 3u);
  for (const auto& row : next) {
    EXPECT_NEAR(std::stod("0" + row.at("mean_w")), kWatts, 0.01) << row.at("quality_reasons");
    EXPECT_THAT(row.at("quality_reasons"), Not(HasSubstr("meter_lost")));
  }
}

TEST_F(MeteredFarm, TwoDevicesOnOneMeterTakeTurns) {
  Start("b", "", Shelf());
  Start("a", "b");
  Start("c", "b");
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit(Measured(3, "id!=b", "required"), &response).ok());
  EXPECT_EQ(response.jobs(), 6);
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  for (const auto& job : List(v1::LISTING_JOBS))
    EXPECT_EQ(job.at("state"), "SUCCEEDED") << job.at("reason");
  EXPECT_FALSE(together_);
  EXPECT_FALSE(meter_.shared_);
  EXPECT_EQ(runs_, 18);
}

TEST_F(MeteredFarm, AJobWaitsForItsMeterAndSaysSo) {
  Start("a", "b");
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit(Measured(1, "id=a", "required"), &response).ok());
  EXPECT_EQ(Column(v1::LISTING_JOBS, "state", "job-1"), "QUEUED");
  EXPECT_THAT(Column(v1::LISTING_DEVICES, "gate_reason", "a"), HasSubstr("waits for its meter"));
  Start("b", "", Shelf());
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  EXPECT_EQ(Column(v1::LISTING_JOBS, "state", "job-1"), "SUCCEEDED");
}

}  // namespace
}  // namespace joulefarm
