#include "controller/rpc/farm_service.h"

#include <fstream>
#include <future>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "boost/asio/post.hpp"
#include "common/experiment/block_order.h"
#include "common/experiment/expand.h"
#include "common/time/wall_now.h"
#include "controller/diagnose/diagnose.h"
#include "controller/ingest/recompute_table.h"
#include "controller/rpc/status.h"
#include "controller/rpc/table_stream.h"
#include "controller/store/backup_stream.h"
#include "controller/store/json_text.h"

namespace joulefarm::controller {

namespace {

// A prompt set larger than this does not belong into a job's description.
constexpr std::uintmax_t kLargestTextArtifact = std::uintmax_t{4} * 1024 * 1024;
constexpr std::size_t kLargestFile = std::size_t{4} * 1024 * 1024;

// Artifacts as the store knows them at this moment. Calls wait for the store thread.
class StoreCatalogue : public Catalogue {
 public:
  StoreCatalogue(FarmHost& host, Reader& reader, const ArtifactFiles& files)
      : host_(host), reader_(reader), files_(files) {}

  absl::StatusOr<v1::ModelRef> Model(absl::string_view name) const override {
    const absl::StatusOr<Artifact> artifact = Find(name);
    if (!artifact.ok()) return artifact.status();
    if (artifact->format != "gguf") {
      return absl::InvalidArgumentError(
          absl::StrCat("the artifact \"", name, "\" is not a model (GGUF) file"));
    }
    v1::ModelRef model;
    model.set_name(artifact->name);
    model.set_sha256(artifact->sha256);
    model.set_size_bytes(artifact->size_bytes);
    model.set_quant(artifact->quant.value_or(""));
    return model;
  }

  absl::StatusOr<std::string> Text(absl::string_view name) const override {
    const absl::StatusOr<Artifact> artifact = Find(name);
    if (!artifact.ok()) return artifact.status();
    if (static_cast<std::uintmax_t>(artifact->size_bytes) > kLargestTextArtifact) {
      return absl::ResourceExhaustedError(absl::StrCat("the artifact \"", name, "\" has ",
                                                       artifact->size_bytes,
                                                       " bytes, and a prompt set may have 4 MiB"));
    }
    std::ifstream file(files_.PathOf(artifact->sha256), std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file)
      return absl::UnavailableError(absl::StrCat("the artifact \"", name, "\" cannot be read"));
    return text.str();
  }

  std::vector<std::string> Names() const override {
    std::vector<std::string> names;
    // Only for suggestions: without them the error is still right.
    (void)reader_.Sql("select distinct name from artifact order by name limit 1000",
                      [&names](const v1::TableChunk& chunk) {
                        for (const v1::Row& row : chunk.rows())
                          names.push_back(row.cells(0).text());
                        return true;
                      });
    return names;
  }

 private:
  absl::StatusOr<Artifact> Find(absl::string_view name) const {
    std::promise<absl::StatusOr<Artifact>> found;
    host_.WithStore([&found, name = std::string(name)](Store& store) {
      found.set_value(store.FindArtifact(name));
    });
    return found.get_future().get();
  }

  FarmHost& host_;
  Reader& reader_;
  const ArtifactFiles& files_;
};

SubmitRequested ToInput(const v1::SubmitExperimentRequest& request, Expansion expansion) {
  SubmitRequested input;
  input.experiment.name = expansion.name;
  input.experiment.tenant = expansion.tenant;
  input.experiment.request_id = request.request_id();
  input.experiment.sha256 = expansion.sha256;
  input.experiment.text = request.text();
  if (request.set_size() > 0) input.experiment.overrides = JsonArray(request.set());
  input.experiment.seed = expansion.seed;
  for (int block = 0; block < expansion.blocks; ++block) {
    input.block_orders.push_back(
        BlockOrder(expansion.seed, block, static_cast<int>(expansion.cells.size())));
  }
  for (Cell& cell : expansion.cells) input.cells.push_back({std::move(cell.spec)});
  input.selector = expansion.selector_text;
  input.device_count = expansion.count.value_or(0);
  input.priority = expansion.priority;
  input.retries = expansion.retries;
  input.lost_after_ns = expansion.lost_after_ns;
  input.dry_run = request.dry_run();
  return input;
}

absl::StatusOr<SetDeviceRequested> ToInput(const v1::SetDeviceRequest& request) {
  SetDeviceRequested input;
  input.device = request.device_id();
  input.reason = request.reason();
  switch (request.admin()) {
    case v1::DEVICE_ADMIN_UNSPECIFIED:
      break;
    case v1::DEVICE_ADMIN_ENABLED:
    case v1::DEVICE_ADMIN_DRAINING:
    case v1::DEVICE_ADMIN_MAINTENANCE:
      input.admin = request.admin();
      break;
    default:
      return absl::InvalidArgumentError(
          "a device can be made ENABLED, DRAINING or MAINTENANCE, nothing else");
  }
  switch (request.health()) {
    case v1::DEVICE_HEALTH_UNSPECIFIED:
      break;
    case v1::DEVICE_HEALTH_GOOD:
    case v1::DEVICE_HEALTH_QUARANTINED:
      input.health = request.health();
      break;
    default:
      return absl::InvalidArgumentError(
          "a device can be called GOOD or QUARANTINED, nothing else: SUSPECT follows from its "
          "jobs");
  }
  return input;
}

// Copies the reply of the farm into the RPC's response and ends it.
template <typename Response>
FarmHost::Reply FinishWith(grpc::ServerUnaryReactor* reactor, Response* response) {
  return [reactor, response](ReplyToOperator reply) {
    if (auto* value = std::get_if<Response>(&reply.response)) *response = std::move(*value);
    reactor->Finish(ToGrpc(reply.status));
  };
}

}  // namespace

FarmServer::FarmServer(FarmHost& host, Reader& reader, ArtifactFiles& files,
                       TelemetryHub& telemetry, FarmServerInfo info)
    : host_(host),
      reader_(reader),
      files_(files),
      telemetry_(telemetry),
      info_(std::move(info)),
      watchers_(reader, telemetry, pool_) {}

FarmServer::~FarmServer() {
  watchers_.CloseAll(absl::UnavailableError("the controller stops"));
  pool_.join();
}

grpc::ServerUnaryReactor* FarmServer::SubmitExperiment(grpc::CallbackServerContext* context,
                                                       const v1::SubmitExperimentRequest* request,
                                                       v1::SubmitExperimentResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (request->text().size() > kLargestFile) {
    reactor->Finish({grpc::StatusCode::INVALID_ARGUMENT, "an experiment file may have 4 MiB"});
    return reactor;
  }
  boost::asio::post(pool_, [this, reactor, request, response] {
    const StoreCatalogue catalogue(host_, reader_, files_);
    const std::vector<std::string> set(request->set().begin(), request->set().end());
    const std::string file = request->file_name().empty() ? "experiment" : request->file_name();
    absl::StatusOr<Expansion> expansion = ExpandYaml(request->text(), file, set, catalogue);
    if (!expansion.ok()) {
      reactor->Finish(ToGrpc(expansion.status()));
      return;
    }
    std::vector<std::string> warnings = expansion->warnings;
    SubmitRequested input = ToInput(*request, *std::move(expansion));
    host_.Ask(
        [input = std::move(input)](RequestToken token) mutable {
          input.token = token;
          return FarmInput(std::move(input));
        },
        [reactor, response, warnings = std::move(warnings)](ReplyToOperator reply) {
          if (auto* value = std::get_if<v1::SubmitExperimentResponse>(&reply.response))
            *response = std::move(*value);
          for (const std::string& warning : warnings) response->add_warnings(warning);
          reactor->Finish(ToGrpc(reply.status));
        });
  });
  return reactor;
}

grpc::ServerUnaryReactor* FarmServer::CancelExperiment(grpc::CallbackServerContext* context,
                                                       const v1::CancelExperimentRequest* request,
                                                       v1::CancelExperimentResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  host_.Ask(
      [id = request->experiment()](RequestToken token) {
        return CancelExperimentRequested{token, id};
      },
      FinishWith(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* FarmServer::CancelJob(grpc::CallbackServerContext* context,
                                                const v1::CancelJobRequest* request,
                                                v1::CancelJobResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  host_.Ask(
      [id = request->job()](RequestToken token) {
        return CancelJobRequested{token, id};
      },
      FinishWith(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* FarmServer::SetDevice(grpc::CallbackServerContext* context,
                                                const v1::SetDeviceRequest* request,
                                                v1::SetDeviceResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::StatusOr<SetDeviceRequested> input = ToInput(*request);
  if (!input.ok()) {
    reactor->Finish(ToGrpc(input.status()));
    return reactor;
  }
  host_.Ask(
      [input = *std::move(input)](RequestToken token) mutable {
        input.token = token;
        return FarmInput(std::move(input));
      },
      FinishWith(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* FarmServer::GetProgress(grpc::CallbackServerContext* context,
                                                  const v1::GetProgressRequest* request,
                                                  v1::GetProgressResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  host_.Ask(
      [id = request->experiment(), job = request->job()](RequestToken token) {
        return ProgressRequested{token, id, job};
      },
      [this, reactor, response, watch = request->watch()](ReplyToOperator reply) {
        if (auto* value = std::get_if<v1::GetProgressResponse>(&reply.response))
          *response = std::move(*value);
        for (v1::ActiveJob& job : *response->mutable_active_jobs()) {
          if (!watch) break;
          // A device's newest may still be of the attempt before.
          auto telemetry = telemetry_.Look(job.device_id());
          if (telemetry && telemetry->fence() == job.fence())
            *job.mutable_telemetry() = *std::move(telemetry);
        }
        reactor->Finish(ToGrpc(reply.status));
      });
  return reactor;
}

grpc::ServerWriteReactor<v1::TableChunk>* FarmServer::List(grpc::CallbackServerContext*,
                                                           const v1::ListRequest* request) {
  auto* stream = new TableStream;
  boost::asio::post(pool_, [this, stream, request = *request] {
    stream->End(reader_.List(
        request, [stream](v1::TableChunk chunk) { return stream->Offer(std::move(chunk)); }));
  });
  return stream;
}

grpc::ServerWriteReactor<v1::TableChunk>* FarmServer::Sql(grpc::CallbackServerContext*,
                                                          const v1::SqlRequest* request) {
  auto* stream = new TableStream;
  boost::asio::post(pool_, [this, stream, query = request->query()] {
    stream->End(reader_.Sql(
        query, [stream](v1::TableChunk chunk) { return stream->Offer(std::move(chunk)); }));
  });
  return stream;
}

grpc::ServerWriteReactor<v1::TableChunk>* FarmServer::GetTrace(grpc::CallbackServerContext*,
                                                               const v1::GetTraceRequest* request) {
  auto* stream = new TableStream;
  boost::asio::post(pool_, [this, stream, request = *request] {
    stream->End(reader_.Trace(
        request, [stream](v1::TableChunk chunk) { return stream->Offer(std::move(chunk)); }));
  });
  return stream;
}

grpc::ServerWriteReactor<v1::WatchDevicesResponse>* FarmServer::WatchDevices(
    grpc::CallbackServerContext*, const v1::WatchDevicesRequest* request) {
  return watchers_.Begin(*request);
}

grpc::ServerWriteReactor<v1::BackupResponse>* FarmServer::Backup(grpc::CallbackServerContext*,
                                                                 const v1::BackupRequest*) {
  auto* stream = new PartStream<v1::BackupResponse>;
  boost::asio::post(pool_, [this, stream] {
    if (copying_.exchange(true)) {
      stream->End(
          absl::UnavailableError("another backup is under way, and each needs room for a copy: try "
                                 "again when it is done"));
      return;
    }
    const absl::Status status = SendBackup(
        info_.database, [stream] { return stream->gone(); },
        [stream](v1::BackupResponse part) { return stream->Offer(std::move(part)); });
    copying_ = false;
    stream->End(status);
  });
  return stream;
}

grpc::ServerWriteReactor<v1::TableChunk>* FarmServer::Recompute(
    grpc::CallbackServerContext*, const v1::RecomputeRequest* request) {
  auto* stream = new TableStream;
  boost::asio::post(pool_, [this, stream, request = *request] {
    stream->End(SendRecomputed(info_.database, request, [stream](v1::TableChunk chunk) {
      return stream->Offer(std::move(chunk));
    }));
  });
  return stream;
}

grpc::ServerUnaryReactor* FarmServer::Diagnose(grpc::CallbackServerContext* context,
                                               const v1::DiagnoseRequest* request,
                                               v1::DiagnoseResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  boost::asio::post(pool_, [this, reactor, request, response] {
    *response = controller::Diagnose({.version = info_.version,
                                      .database = info_.database,
                                      .read_only_reason = host_.ReadOnlyReason(),
                                      .thorough = request->thorough()},
                                     reader_, files_);
    // The last thing: the caller compares clocks.
    response->set_wall_ns(WallNowNs());
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* FarmServer::GetVersion(grpc::CallbackServerContext* context,
                                                 const v1::GetVersionRequest*,
                                                 v1::GetVersionResponse* response) {
  response->set_version(info_.version);
  response->set_schema_version(info_.schema_version);
  response->set_database(info_.database);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace joulefarm::controller
