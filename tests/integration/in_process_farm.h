// A farm in one process: a real controller and real agents over real gRPC and real SQLite; only the
// workloads are scripted.
//
// Thread rule: the test's thread, and those of what it starts. Ownership: a fresh directory, gone
// with the fixture.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/agent.h"
#include "agent/workload/workload.h"
#include "common/trace/chunk_writer.h"
#include "controller/controller.h"
#include "joulefarm/v1/farm_service.grpc.pb.h"

namespace joulefarm {

inline constexpr auto kPatience = std::chrono::seconds(60);

// What workloads do in a test: wait at a gate, then record runs and end as told.
class Script {
 public:
  void Hold() {
    const std::lock_guard<std::mutex> lock(mutex_);
    held_ = true;
  }
  void Release() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      held_ = false;
    }
    changed_.notify_all();
  }
  bool WaitStarted(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return started_ >= count; });
  }
  int started() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return started_;
  }

  agent::WorkloadOutcome Run(agent::WorkloadContext& context) {
    const std::stop_callback wake(context.stop, [this] { changed_.notify_all(); });
    {
      std::unique_lock<std::mutex> lock(mutex_);
      ++started_;
      if (context.on_speed) context.on_speed(123);
      changed_.notify_all();
      changed_.wait(lock, [&] { return !held_ || context.stop.stop_requested(); });
    }
    if (context.stop.stop_requested())
      return {v1::OUTCOME_CANCELED, v1::FAILURE_CLASS_UNSPECIFIED, "stopped"};
    if (context.spec->cell() == "ending=fail")
      return {v1::OUTCOME_FAILED, v1::FAILURE_CLASS_USER, "it fails"};
    if (context.spec->cell() == "ending=measured") RecordPower(*context.recorder);
    for (int run = 0; run < context.spec->repetitions(); ++run) {
      v1::Event event;
      event.set_t_ns(1000 + run);
      event.mutable_run()->set_run(run);
      event.mutable_run()->set_start_ns(1000 + run);
      event.mutable_run()->set_end_ns(1001 + run);
      context.recorder->Record(std::move(event));
    }
    return {v1::OUTCOME_SUCCEEDED, v1::FAILURE_CLASS_UNSPECIFIED, ""};
  }

  // 2 s at 5 kHz of a meter with steps and noise, beside its voltage and a counter; a run with two
  // phases; and idling before it.
  static void RecordPower(agent::Recorder& recorder) {
    for (const auto& [name, quantity] : {std::pair{"meter", v1::QUANTITY_POWER_W},
                                         std::pair{"meter.voltage", v1::QUANTITY_VOLTAGE_V},
                                         std::pair{"package", v1::QUANTITY_ENERGY_COUNTER_J}}) {
      v1::Event event;
      event.set_t_ns(1);
      v1::ChannelInfo& channel = *event.mutable_channel();
      channel.set_name(name);
      channel.set_quantity(quantity);
      channel.set_scale(1e-6);
      channel.set_nominal_hz(5000);
      channel.set_scope(v1::SCOPE_DEVICE);
      channel.set_provenance(v1::PROVENANCE_MEASURED);
      channel.set_gain_u(0.01);
      channel.set_offset_u(0);
      recorder.Record(std::move(event));
      std::mt19937_64 random(7);
      TraceEncoder encoder;
      ChunkWriter writer(name, &encoder);
      std::int64_t counted = 0;
      for (std::int64_t i = 0; i < 10'000; ++i) {
        const auto value = static_cast<std::int64_t>((i / 700 % 2 == 0 ? 4'000'000 : 9'000'000) +
                                                     random() % 90'000);
        counted += value / 5000;
        const auto chunk =
            writer.Add(i * 200'000, quantity == v1::QUANTITY_ENERGY_COUNTER_J ? counted : value);
        if (chunk) recorder.Record(v1::STREAM_POWER, *chunk);
      }
      recorder.Record(v1::STREAM_POWER, *writer.Flush());
    }
    for (const auto& [phase, run, start_ms, end_ms] :
         {std::tuple{v1::PHASE_IDLE_UNLOADED, -1, 3, 603},
          std::tuple{v1::PHASE_PREFILL, 0, 700, 1001},
          std::tuple{v1::PHASE_DECODE, 0, 1001, 1800}}) {
      v1::Event event;
      event.set_t_ns(1);
      event.mutable_phase()->set_phase(phase);
      if (run >= 0) event.mutable_phase()->set_run(run);
      event.mutable_phase()->set_start_ns(start_ms * 1'000'000 + 77);
      event.mutable_phase()->set_end_ns(end_ms * 1'000'000 + 77);
      recorder.Record(std::move(event));
    }
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  int started_ = 0;
};

class ScriptedWorkload : public agent::Workload {
 public:
  explicit ScriptedWorkload(Script& script) : script_(script) {}
  agent::WorkloadOutcome Run(agent::WorkloadContext& context) override {
    return script_.Run(context);
  }

 private:
  Script& script_;
};

class InProcessFarm : public testing::Test {
 protected:
  InProcessFarm() {
    std::string pattern = (std::filesystem::temp_directory_path() / "jf-farm-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    StartController();
  }
  ~InProcessFarm() override {
    script_.Release();
    for (auto& [name, agent] : agents_) Stop(*agent);
    agents_.clear();
    stub_.reset();
    controller_.reset();
    std::filesystem::remove_all(directory_);
  }

  void StartController() {
    controller::ControllerOptions options;
    options.listen.port = port_;
    options.http.port = 0;
    options.state = directory_ / "controller";
    options.version = "test";
    auto started = controller::Controller::Start(options);
    ASSERT_TRUE(started.ok()) << started.status();
    controller_ = *std::move(started);
    port_ = controller_->grpc_address().port;
    stub_ = v1::FarmService::NewStub(grpc::CreateChannel(controller_->grpc_address().ToString(),
                                                         grpc::InsecureChannelCredentials()));
  }

  void StartAgent(const std::string& name,
                  const std::function<void(agent::AgentOptions&)>& change = {}) {
    agent::AgentOptions options;
    options.controller = controller_->grpc_address().ToString();
    options.id = name;
    options.state_dir = directory_ / name;
    options.version = "test";
    options.clock_period_ns = 20'000'000;
    options.make_workload =
        [this](const v1::JobSpec&) -> absl::StatusOr<std::unique_ptr<agent::Workload>> {
      return std::make_unique<ScriptedWorkload>(script_);
    };
    if (change) change(options);
    auto created = agent::Agent::Create(options);
    ASSERT_TRUE(created.ok()) << created.status();
    agents_[name] = *std::move(created);
    agents_[name]->Start();
    ASSERT_TRUE(Eventually([&] { return Column(v1::LISTING_DEVICES, "link", name) == "ONLINE"; }));
  }

  static void Stop(agent::Agent& agent) {
    agent.RequestStop();
    EXPECT_EQ(agent.Wait(), 0);
  }

  grpc::Status Submit(const std::string& yaml, v1::SubmitExperimentResponse* response,
                      const std::string& request_id = "") {
    grpc::ClientContext context;
    v1::SubmitExperimentRequest request;
    request.set_text(yaml);
    request.set_file_name("exp.yaml");
    request.set_request_id(request_id);
    return stub_->SubmitExperiment(&context, request, response);
  }

  std::vector<std::map<std::string, std::string>> List(v1::Listing listing,
                                                       const std::string& id = "") {
    grpc::ClientContext context;
    v1::ListRequest request;
    request.set_listing(listing);
    if (!id.empty()) request.set_id(id);
    const auto reader = stub_->List(&context, request);
    std::vector<std::string> names;
    std::vector<std::map<std::string, std::string>> rows;
    v1::TableChunk chunk;
    while (reader->Read(&chunk)) {
      if (names.empty()) {
        for (const v1::Column& column : chunk.columns()) names.push_back(column.name());
      }
      for (const v1::Row& row : chunk.rows()) {
        auto& cells = rows.emplace_back();
        for (int i = 0; i < row.cells_size(); ++i) {
          const v1::Cell& cell = row.cells(i);
          cells[names[i]] = cell.has_integer()   ? absl::StrCat(cell.integer())
                            : cell.has_real()    ? absl::StrCat(cell.real())
                            : cell.has_boolean() ? (cell.boolean() ? "true" : "false")
                                                 : cell.text();
        }
      }
    }
    reader->Finish();
    return rows;
  }

  std::string Column(v1::Listing listing, const std::string& column, const std::string& id) {
    const auto rows = List(listing, id);
    return rows.empty() ? "" : rows[0].at(column);
  }

  // Asks again until it is so; the only clock is patience.
  static bool Eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < end) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  bool Done(const std::string& experiment) {
    grpc::ClientContext context;
    v1::GetProgressRequest request;
    request.set_experiment(experiment);
    v1::GetProgressResponse response;
    return stub_->GetProgress(&context, request, &response).ok() && response.done();
  }

  static std::string Yaml(int cells) {
    std::string list;
    for (int i = 0; i < cells; ++i) absl::StrAppend(&list, i == 0 ? "" : ", ", i);
    return absl::StrCat(
        "name: sweep\nworkloads:\n  w: {kind: command, command: [\"true\"]}\nmatrix:\n  n: [", list,
        "]\nrepetitions: 2\npower: {require: none}\n");
  }

  std::filesystem::path directory_;
  int port_ = 0;
  Script script_;
  std::unique_ptr<controller::Controller> controller_;
  std::unique_ptr<v1::FarmService::Stub> stub_;
  std::map<std::string, std::unique_ptr<agent::Agent>> agents_;
};

}  // namespace joulefarm
