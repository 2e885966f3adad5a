#include "cli/client.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "common/table/table_chunk.h"
#include "common/time/wall_now.h"
#include "joulefarm/v1/artifact_service.grpc.pb.h"
#include "joulefarm/v1/farm_service.grpc.pb.h"

namespace joulefarm::cli {
namespace {

constexpr auto kQuickCall = std::chrono::seconds(15);
// A big experiment is expanded and committed before the answer.
constexpr auto kSubmitCall = std::chrono::minutes(5);
constexpr auto kStream = std::chrono::hours(1);
constexpr auto kPush = std::chrono::hours(24);
constexpr auto kInterruptCheck = std::chrono::milliseconds(50);
constexpr auto kWatchTick = std::chrono::milliseconds(100);

// gRPC wraps the reason several times: "failed to connect to all addresses; last error: UNKNOWN:
// ipv4:…: Failed to connect to remote host: Connection refused".
std::string Reason(const std::string& message) {
  static const std::string kInner = "Failed to connect to remote host: ";
  const std::size_t at = message.rfind(kInner);
  return at == std::string::npos ? message : message.substr(at + kInner.size());
}

absl::Status ToAbsl(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  if (code == absl::StatusCode::kUnavailable) return {code, Reason(status.error_message())};
  return {code, status.error_message()};
}

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  // Kept until the process ends: gRPC 1.51's shutdown with its last channel may wait ten seconds
  // for a poller.
  [[maybe_unused]] static const bool kept = (grpc_init(), true);
  grpc::ChannelArguments arguments;
  // A lab's controller is reached directly, whatever http_proxy says.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // After a controller restart the next poll should find it.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // A connection that died without a word is found out in the middle of a transfer, too.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  arguments.SetMaxReceiveMessageSize(64 * 1024 * 1024);
  arguments.SetUserAgentPrefix("joulefarm-cli");
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// One unary call; watches `interrupted` meanwhile.
template <typename Response, typename Start>
absl::StatusOr<Response> Unary(const std::function<bool()>& interrupted,
                               std::chrono::nanoseconds limit, Start start) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::duration_cast<std::chrono::system_clock::duration>(limit));
  Response response;
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  grpc::Status status;
  start(&context, &response, [&](grpc::Status result) {
    const std::lock_guard<std::mutex> lock(mutex);
    status = std::move(result);
    done = true;
    changed.notify_one();
  });
  std::unique_lock<std::mutex> lock(mutex);
  while (!changed.wait_for(lock, kInterruptCheck, [&] { return done; })) {
    if (interrupted()) context.TryCancel();
  }
  if (!status.ok()) return ToAbsl(status);
  return response;
}

// Reads a streamed table into the sink.
absl::Status ReadTable(grpc::ClientContext& context, grpc::ClientReader<v1::TableChunk>& reader,
                       const std::function<bool()>& interrupted, TableSink& sink) {
  v1::TableChunk chunk;
  ChunkFeeder feeder(sink);
  while (reader.Read(&chunk)) {
    const absl::Status fed = feeder.Feed(chunk);
    if (!fed.ok() || !sink.WantsMore() || interrupted()) {
      context.TryCancel();
      reader.Finish().error_code();
      if (fed.ok() && interrupted()) return absl::CancelledError("interrupted");
      return fed;
    }
  }
  absl::Status status = ToAbsl(reader.Finish());
  if (!status.ok()) return status;
  feeder.End();
  return absl::OkStatus();
}

}  // namespace

struct FarmClient::Rpc {
  std::function<bool()> interrupted;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::FarmService::Stub> farm;
  std::unique_ptr<v1::ArtifactService::Stub> artifacts;
};

FarmClient::FarmClient(std::string address, std::function<bool()> interrupted)
    : address_(std::move(address)), rpc_(std::make_unique<Rpc>()) {
  rpc_->interrupted = std::move(interrupted);
  rpc_->channel = Connect(address_);
  rpc_->farm = v1::FarmService::NewStub(rpc_->channel);
  rpc_->artifacts = v1::ArtifactService::NewStub(rpc_->channel);
}

FarmClient::~FarmClient() = default;

absl::StatusOr<v1::SubmitExperimentResponse> FarmClient::Submit(
    const v1::SubmitExperimentRequest& request) {
  return Unary<v1::SubmitExperimentResponse>(
      rpc_->interrupted, kSubmitCall, [&](auto* context, auto* response, auto done) {
        rpc_->farm->async()->SubmitExperiment(context, &request, response, std::move(done));
      });
}

absl::StatusOr<v1::CancelExperimentResponse> FarmClient::CancelExperiment(
    const std::string& experiment) {
  v1::CancelExperimentRequest request;
  request.set_experiment(experiment);
  return Unary<v1::CancelExperimentResponse>(
      rpc_->interrupted, kSubmitCall, [&](auto* context, auto* response, auto done) {
        rpc_->farm->async()->CancelExperiment(context, &request, response, std::move(done));
      });
}

absl::StatusOr<v1::CancelJobResponse> FarmClient::CancelJob(const std::string& job) {
  v1::CancelJobRequest request;
  request.set_job(job);
  return Unary<v1::CancelJobResponse>(
      rpc_->interrupted, kQuickCall, [&](auto* context, auto* response, auto done) {
        rpc_->farm->async()->CancelJob(context, &request, response, std::move(done));
      });
}

absl::StatusOr<v1::SetDeviceResponse> FarmClient::SetDevice(const v1::SetDeviceRequest& request) {
  return Unary<v1::SetDeviceResponse>(
      rpc_->interrupted, kQuickCall, [&](auto* context, auto* response, auto done) {
        rpc_->farm->async()->SetDevice(context, &request, response, std::move(done));
      });
}

absl::StatusOr<v1::GetProgressResponse> FarmClient::GetProgress(
    const v1::GetProgressRequest& request) {
  return Unary<v1::GetProgressResponse>(
      rpc_->interrupted, kQuickCall, [&](auto* context, auto* response, auto done) {
        rpc_->farm->async()->GetProgress(context, &request, response, std::move(done));
      });
}

absl::StatusOr<v1::GetVersionResponse> FarmClient::GetVersion() {
  v1::GetVersionRequest request;
  return Unary<v1::GetVersionResponse>(
      rpc_->interrupted, kQuickCall, [&](auto* context, auto* response, auto done) {
        rpc_->farm->async()->GetVersion(context, &request, response, std::move(done));
      });
}

absl::StatusOr<FarmClient::Diagnosed> FarmClient::Diagnose(bool thorough) {
  v1::DiagnoseRequest request;
  request.set_thorough(thorough);
  Diagnosed diagnosed;
  std::int64_t received_ns = 0;
  auto response = Unary<v1::DiagnoseResponse>(
      rpc_->interrupted, thorough ? kStream : kSubmitCall,
      [&](auto* context, auto* answer, std::function<void(grpc::Status)> done) {
        rpc_->farm->async()->Diagnose(context, &request, answer,
                                      [&, done = std::move(done)](grpc::Status status) {
                                        received_ns = WallNowNs();
                                        done(std::move(status));
                                      });
      });
  if (!response.ok()) return response.status();
  diagnosed.response = *std::move(response);
  const std::int64_t wall_ns = diagnosed.response.wall_ns();
  if (wall_ns == 0) return diagnosed;
  // The stamp is made as the last thing; how long the way back took is told by a quick call.
  const std::int64_t asked_ns = WallNowNs();
  if (const auto version = GetVersion(); !version.ok()) return diagnosed;
  diagnosed.clock_bound_ns = WallNowNs() - asked_ns;
  diagnosed.clock_ahead_ns = wall_ns - received_ns;
  return diagnosed;
}

absl::Status FarmClient::List(const v1::ListRequest& request, TableSink& sink) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kStream);
  const auto reader = rpc_->farm->List(&context, request);
  return ReadTable(context, *reader, rpc_->interrupted, sink);
}

absl::Status FarmClient::Sql(const std::string& query, TableSink& sink) {
  v1::SqlRequest request;
  request.set_query(query);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kStream);
  const auto reader = rpc_->farm->Sql(&context, request);
  return ReadTable(context, *reader, rpc_->interrupted, sink);
}

absl::Status FarmClient::Trace(const v1::GetTraceRequest& request, TableSink& sink) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kStream);
  const auto reader = rpc_->farm->GetTrace(&context, request);
  return ReadTable(context, *reader, rpc_->interrupted, sink);
}

absl::Status FarmClient::Recompute(const v1::RecomputeRequest& request, TableSink& sink) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kStream);
  const auto reader = rpc_->farm->Recompute(&context, request);
  return ReadTable(context, *reader, rpc_->interrupted, sink);
}

absl::Status FarmClient::WatchDevices(const std::vector<std::string>& devices,
                                      const std::function<bool(const v1::Telemetry*)>& take) {
  v1::WatchDevicesRequest request;
  request.mutable_device_ids()->Assign(devices.begin(), devices.end());
  grpc::ClientContext context;
  const auto reader = rpc_->farm->WatchDevices(&context, request);
  std::mutex mutex;  // guards news and over
  std::condition_variable changed;
  std::deque<v1::Telemetry> news;
  bool over = false;
  std::thread reading([&] {
    v1::WatchDevicesResponse response;
    bool more = true;
    while (more) {
      more = reader->Read(&response);
      const std::lock_guard<std::mutex> lock(mutex);
      if (more) news.push_back(std::move(*response.mutable_telemetry()));
      over = !more;
      changed.notify_one();
    }
  });
  bool wanted = true;
  while (wanted && !rpc_->interrupted()) {
    std::optional<v1::Telemetry> next;
    {
      std::unique_lock<std::mutex> lock(mutex);
      changed.wait_for(lock, kWatchTick, [&] { return over || !news.empty(); });
      if (news.empty() && over) break;
      if (!news.empty()) {
        next = std::move(news.front());
        news.pop_front();
      }
    }
    wanted = take(next ? &*next : nullptr);
  }
  const bool interrupted = rpc_->interrupted();
  if (!wanted || interrupted) context.TryCancel();
  reading.join();
  const grpc::Status status = reader->Finish();
  if (!wanted) return absl::OkStatus();
  if (interrupted) return absl::CancelledError("interrupted");
  return status.ok() ? absl::UnavailableError("the controller ended the stream") : ToAbsl(status);
}

absl::Status FarmClient::Backup(const std::function<absl::Status(const std::string& piece)>& take) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPush);
  const auto reader = rpc_->farm->Backup(&context, v1::BackupRequest());
  v1::BackupResponse response;
  while (reader->Read(&response)) {
    absl::Status taken =
        rpc_->interrupted() ? absl::CancelledError("interrupted") : take(response.data());
    if (taken.ok()) continue;
    context.TryCancel();
    reader->Finish().error_code();
    return taken;
  }
  return ToAbsl(reader->Finish());
}

absl::StatusOr<v1::StatArtifactResponse> FarmClient::StatArtifact(
    const v1::StatArtifactRequest& request) {
  return Unary<v1::StatArtifactResponse>(
      rpc_->interrupted, kQuickCall, [&](auto* context, auto* response, auto done) {
        rpc_->artifacts->async()->StatArtifact(context, &request, response, std::move(done));
      });
}

absl::StatusOr<v1::PushArtifactResponse> FarmClient::PushArtifact(
    const v1::PushArtifactHeader& header, const ReadPiece& read) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPush);
  v1::PushArtifactResponse response;
  const auto writer = rpc_->artifacts->PushArtifact(&context, &response);
  v1::PushArtifactRequest request;
  *request.mutable_header() = header;
  absl::Status local;
  bool taking = writer->Write(request);
  while (taking) {
    absl::StatusOr<std::string> piece = read();
    if (!piece.ok()) {
      local = piece.status();
    } else if (rpc_->interrupted()) {
      local = absl::CancelledError("interrupted");
    }
    if (!local.ok()) {
      context.TryCancel();
      break;
    }
    if (piece->empty()) break;
    request.set_data(*std::move(piece));
    taking = writer->Write(request);
  }
  if (taking && local.ok()) writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!local.ok()) return local;
  if (!status.ok()) return ToAbsl(status);
  return response;
}

absl::Status FarmClient::FetchArtifact(const std::string& sha256, const TakePiece& take) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPush);
  v1::FetchArtifactRequest request;
  request.set_sha256(sha256);
  const auto reader = rpc_->artifacts->FetchArtifact(&context, request);
  v1::FetchArtifactResponse response;
  absl::Status local;
  while (local.ok() && reader->Read(&response)) {
    local = rpc_->interrupted() ? absl::CancelledError("interrupted") : take(response.data());
  }
  if (!local.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  return local.ok() ? ToAbsl(status) : local;
}

absl::StatusOr<v1::CollectArtifactsResponse> FarmClient::CollectArtifacts(
    const v1::CollectArtifactsRequest& request) {
  return Unary<v1::CollectArtifactsResponse>(
      rpc_->interrupted, kSubmitCall, [&](auto* context, auto* response, auto done) {
        rpc_->artifacts->async()->CollectArtifacts(context, &request, response, std::move(done));
      });
}

}  // namespace joulefarm::cli
