#include "deploy/benchmarks/bench_farm.h"

#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "common/crc32c/crc32c.h"
#include "deploy/benchmarks/signal.h"
#include "joulefarm/v1/farm_service.grpc.pb.h"

namespace joulefarm::bench {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(20);

}  // namespace

std::unique_ptr<BenchFarm> BenchFarm::Start(const std::filesystem::path& folder) {
  controller::ControllerOptions options;
  options.listen.port = 0;
  options.http.port = 0;
  options.state = folder / "controller";
  options.version = "bench";
  auto controller = controller::Controller::Start(options);
  if (!controller.ok()) {
    std::fprintf(stderr, "joulefarm-bench: %s\n",
                 std::string(controller.status().message()).c_str());
    return nullptr;
  }
  std::unique_ptr<BenchFarm> farm(new BenchFarm);
  farm->controller_ = *std::move(controller);
  farm->channel_ = grpc::CreateChannel(farm->controller_->grpc_address().ToString(),
                                       grpc::InsecureChannelCredentials());
  farm->agent_ = std::make_unique<FakeAgent>(farm->channel_, "bench");
  v1::SubmitExperimentRequest request;
  request.set_text("name: bench\nworkloads: {w: {kind: command, command: [\"true\"]}}\n");
  v1::SubmitExperimentResponse response;
  grpc::ClientContext context;
  const grpc::Status submitted =
      v1::FarmService::NewStub(farm->channel_)->SubmitExperiment(&context, request, &response);
  if (!submitted.ok()) {
    std::fprintf(stderr, "joulefarm-bench: %s\n", submitted.error_message().c_str());
    return nullptr;
  }
  farm->experiment_ = response.experiment();
  farm->fence_ = farm->agent_->AwaitGrant();
  return farm;
}

void BenchFarm::Upload(v1::Stream stream, std::string payload) {
  v1::Frame frame;
  frame.set_fence(fence_);
  frame.set_stream(stream);
  frame.set_seq(++seq_[stream]);
  frame.set_crc32c(Crc32c(payload));
  frame.set_payload(std::move(payload));
  agent_->Upload(std::move(frame));
}

void BenchFarm::DeclareChannel(const std::string& clock) {
  v1::EventBatch events;
  v1::Event& event = *events.add_events();
  event.set_t_ns(1);
  v1::ChannelInfo& channel = *event.mutable_channel();
  channel.set_name("bench");
  channel.set_quantity(v1::QUANTITY_POWER_W);
  channel.set_scale(kSignalScale);
  channel.set_nominal_hz(kSignalHz);
  channel.set_scope(v1::SCOPE_DEVICE);
  channel.set_provenance(v1::PROVENANCE_SIMULATED);
  channel.set_gain_u(0.01);
  channel.set_offset_u(0);
  channel.set_primary(true);
  channel.set_clock(clock);
  Upload(v1::STREAM_EVENT, events.SerializeAsString());
  AwaitAcknowledged();
}

void BenchFarm::End(std::int64_t started_ns, std::int64_t ended_ns) {
  v1::Final final;
  final.set_outcome(v1::OUTCOME_SUCCEEDED);
  final.set_clean(true);
  final.set_started_ns(started_ns);
  final.set_ended_ns(ended_ns);
  for (const auto& [stream, last_seq] : seq_) {
    v1::StreamCursor& cursor = *final.add_last();
    cursor.set_fence(fence_);
    cursor.set_stream(stream);
    cursor.set_last_seq(last_seq);
  }
  Upload(v1::STREAM_FINAL, final.SerializeAsString());
  AwaitAcknowledged();
  const auto stub = v1::FarmService::NewStub(channel_);
  v1::GetProgressRequest which;
  which.set_experiment(experiment_);
  v1::GetProgressResponse progress;
  while (!progress.done()) {
    std::this_thread::sleep_for(kPoll);
    grpc::ClientContext context;
    if (!stub->GetProgress(&context, which, &progress).ok()) return;
  }
}

}  // namespace joulefarm::bench
