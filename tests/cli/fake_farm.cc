#include "tests/cli/fake_farm.h"

#include <grpcpp/grpcpp.h>

#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "joulefarm/v1/artifact_service.grpc.pb.h"
#include "joulefarm/v1/farm_service.grpc.pb.h"

namespace joulefarm::cli {
namespace {

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

template <typename T>
grpc::Status Answer(const absl::StatusOr<T>& answer, T* response) {
  if (!answer.ok()) return ToGrpc(answer.status());
  *response = *answer;
  return grpc::Status::OK;
}

v1::ColumnKind KindOf(ColumnKind kind) {
  switch (kind) {
    case ColumnKind::kText:
      return v1::COLUMN_KIND_TEXT;
    case ColumnKind::kNumber:
      return v1::COLUMN_KIND_NUMBER;
    case ColumnKind::kBoolean:
      return v1::COLUMN_KIND_BOOLEAN;
    case ColumnKind::kJson:
      return v1::COLUMN_KIND_JSON;
    case ColumnKind::kTime:
      return v1::COLUMN_KIND_TIME;
  }
  return v1::COLUMN_KIND_UNSPECIFIED;
}

void SetCell(const Value& value, v1::Cell* cell) {
  if (const auto* text = std::get_if<std::string>(&value)) cell->set_text(*text);
  if (const auto* number = std::get_if<std::int64_t>(&value)) cell->set_integer(*number);
  if (const auto* real = std::get_if<double>(&value)) cell->set_real(*real);
  if (const auto* truth = std::get_if<bool>(&value)) cell->set_boolean(*truth);
  if (const auto* blob = std::get_if<Blob>(&value)) cell->set_blob(blob->bytes);
}

// Columns in the first chunk, then one chunk per row: what the client must cope with.
void WriteTable(const Table& table, grpc::ServerWriter<v1::TableChunk>* writer) {
  v1::TableChunk chunk;
  for (const Column& column : table.columns) {
    v1::Column* out = chunk.add_columns();
    out->set_name(column.name);
    out->set_kind(KindOf(column.kind));
  }
  writer->Write(chunk);
  for (const RowValues& row : table.rows) {
    v1::TableChunk piece;
    v1::Row* out = piece.add_rows();
    for (const Value& value : row) SetCell(value, out->add_cells());
    if (!writer->Write(piece)) return;
  }
}

}  // namespace

struct FakeFarm::Services : public v1::FarmService::Service, public v1::ArtifactService::Service {
  mutable std::mutex mutex;
  Submit submit;
  Progress progress;
  Listing list;
  FakeFarm::Sql sql;
  FakeFarm::Trace trace;
  FakeFarm::Recompute recompute;
  FakeFarm::Watch watch;
  FakeFarm::Backup backup;
  FakeFarm::CancelJob cancel_job;
  FakeFarm::CancelExperiment cancel_experiment;
  FakeFarm::SetDevice set_device;
  FakeFarm::Diagnose diagnose;
  std::chrono::nanoseconds ahead{0};
  absl::Status push_failure;
  int break_pushes = 0;
  std::map<std::string, std::string> partial;  // by hash
  std::vector<std::int64_t> offsets;
  v1::CollectArtifactsRequest collected;
  v1::CollectArtifactsResponse collectable;
  std::vector<v1::ListRequest> lists;
  std::vector<v1::SubmitExperimentRequest> submissions;
  std::map<std::string, Pushed> pushed;
  std::unique_ptr<grpc::Server> server;
  int port = 0;

  template <typename Function>
  Function Copy(Function Services::*member) {
    const std::lock_guard<std::mutex> lock(mutex);
    return this->*member;
  }

  grpc::Status SubmitExperiment(grpc::ServerContext* /*context*/,
                                const v1::SubmitExperimentRequest* request,
                                v1::SubmitExperimentResponse* response) override {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      submissions.push_back(*request);
    }
    const Submit call = Copy(&Services::submit);
    if (!call) return {grpc::StatusCode::UNIMPLEMENTED, "not set"};
    return Answer(call(*request), response);
  }

  grpc::Status CancelExperiment(grpc::ServerContext* /*context*/,
                                const v1::CancelExperimentRequest* request,
                                v1::CancelExperimentResponse* response) override {
    const auto answer = Copy(&Services::cancel_experiment)(request->experiment());
    if (!answer.ok()) return ToGrpc(answer.status());
    response->set_experiment(request->experiment());
    response->set_jobs(*answer);
    return grpc::Status::OK;
  }

  grpc::Status CancelJob(grpc::ServerContext* /*context*/, const v1::CancelJobRequest* request,
                         v1::CancelJobResponse* response) override {
    const auto answer = Copy(&Services::cancel_job)(request->job());
    if (!answer.ok()) return ToGrpc(answer.status());
    response->set_state(*answer);
    return grpc::Status::OK;
  }

  grpc::Status SetDevice(grpc::ServerContext* /*context*/, const v1::SetDeviceRequest* request,
                         v1::SetDeviceResponse* response) override {
    return Answer(Copy(&Services::set_device)(*request), response);
  }

  grpc::Status GetProgress(grpc::ServerContext* /*context*/, const v1::GetProgressRequest* request,
                           v1::GetProgressResponse* response) override {
    const Progress call = Copy(&Services::progress);
    if (!call) return {grpc::StatusCode::UNIMPLEMENTED, "not set"};
    return Answer(call(*request), response);
  }

  grpc::Status List(grpc::ServerContext* /*context*/, const v1::ListRequest* request,
                    grpc::ServerWriter<v1::TableChunk>* writer) override {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      lists.push_back(*request);
    }
    const Listing call = Copy(&Services::list);
    if (!call) return {grpc::StatusCode::UNIMPLEMENTED, "not set"};
    const auto table = call(*request);
    if (!table.ok()) return ToGrpc(table.status());
    WriteTable(*table, writer);
    return grpc::Status::OK;
  }

  grpc::Status Sql(grpc::ServerContext* /*context*/, const v1::SqlRequest* request,
                   grpc::ServerWriter<v1::TableChunk>* writer) override {
    const FakeFarm::Sql call = Copy(&Services::sql);
    if (!call) return {grpc::StatusCode::UNIMPLEMENTED, "not set"};
    const auto table = call(request->query());
    if (!table.ok()) return ToGrpc(table.status());
    WriteTable(*table, writer);
    return grpc::Status::OK;
  }

  grpc::Status GetTrace(grpc::ServerContext* /*context*/, const v1::GetTraceRequest* request,
                        grpc::ServerWriter<v1::TableChunk>* writer) override {
    const FakeFarm::Trace call = Copy(&Services::trace);
    if (!call) return {grpc::StatusCode::UNIMPLEMENTED, "not set"};
    const auto table = call(*request);
    if (!table.ok()) return ToGrpc(table.status());
    WriteTable(*table, writer);
    return grpc::Status::OK;
  }

  grpc::Status Recompute(grpc::ServerContext* /*context*/, const v1::RecomputeRequest* request,
                         grpc::ServerWriter<v1::TableChunk>* writer) override {
    const FakeFarm::Recompute call = Copy(&Services::recompute);
    if (!call) return {grpc::StatusCode::UNIMPLEMENTED, "not set"};
    const auto table = call(*request);
    if (!table.ok()) return ToGrpc(table.status());
    WriteTable(*table, writer);
    return grpc::Status::OK;
  }

  grpc::Status WatchDevices(grpc::ServerContext* /*context*/,
                            const v1::WatchDevicesRequest* request,
                            grpc::ServerWriter<v1::WatchDevicesResponse>* writer) override {
    const FakeFarm::Watch call = Copy(&Services::watch);
    if (!call) return {grpc::StatusCode::UNIMPLEMENTED, "not set"};
    return ToGrpc(call(*request, [writer](const v1::Telemetry& telemetry) {
      v1::WatchDevicesResponse response;
      *response.mutable_telemetry() = telemetry;
      return writer->Write(response);
    }));
  }

  grpc::Status Backup(grpc::ServerContext* /*context*/, const v1::BackupRequest* /*request*/,
                      grpc::ServerWriter<v1::BackupResponse>* writer) override {
    const FakeFarm::Backup call = Copy(&Services::backup);
    if (!call) return {grpc::StatusCode::UNIMPLEMENTED, "not set"};
    return ToGrpc(call([writer](const std::string& piece) {
      v1::BackupResponse response;
      response.set_data(piece);
      return writer->Write(response);
    }));
  }

  grpc::Status Diagnose(grpc::ServerContext* /*context*/, const v1::DiagnoseRequest* request,
                        v1::DiagnoseResponse* response) override {
    const FakeFarm::Diagnose call = Copy(&Services::diagnose);
    if (!call) return {grpc::StatusCode::UNIMPLEMENTED, "not set"};
    *response = call(request->thorough());
    const auto wall = std::chrono::system_clock::now().time_since_epoch() + Copy(&Services::ahead);
    response->set_wall_ns(std::chrono::duration_cast<std::chrono::nanoseconds>(wall).count());
    return grpc::Status::OK;
  }

  grpc::Status GetVersion(grpc::ServerContext* /*context*/,
                          const v1::GetVersionRequest* /*request*/,
                          v1::GetVersionResponse* response) override {
    response->set_version("9.8.7");
    response->set_schema_version(3);
    response->set_database("/var/lib/joulefarm/controller/joulefarm.db");
    return grpc::Status::OK;
  }

  grpc::Status PushArtifact(grpc::ServerContext* /*context*/,
                            grpc::ServerReader<v1::PushArtifactRequest>* reader,
                            v1::PushArtifactResponse* response) override {
    v1::PushArtifactRequest request;
    if (!reader->Read(&request) || !request.has_header())
      return {grpc::StatusCode::INVALID_ARGUMENT, "no header"};
    const v1::PushArtifactHeader header = request.header();
    Pushed arrived;
    arrived.sha256 = header.sha256();
    while (reader->Read(&request)) {
      absl::StrAppend(&arrived.content, request.data());
      ++arrived.pieces;
    }
    const std::lock_guard<std::mutex> lock(mutex);
    offsets.push_back(header.offset());
    if (break_pushes > 0 && arrived.pieces > 0) {
      --break_pushes;
      partial[header.sha256()] = arrived.content.substr(0, arrived.content.size() / 2);
      return {grpc::StatusCode::UNAVAILABLE, "Socket closed"};
    }
    if (!push_failure.ok()) return ToGrpc(push_failure);
    arrived.content =
        partial[header.sha256()].substr(0, static_cast<std::size_t>(header.offset())) +
        arrived.content;
    partial.erase(header.sha256());
    for (const auto& [name, known] : pushed) {
      if (known.sha256 == header.sha256() && arrived.pieces == 0) {
        arrived.content = known.content;
        response->set_existing(true);
      }
    }
    if (static_cast<std::int64_t>(arrived.content.size()) != header.size_bytes()) {
      return {grpc::StatusCode::DATA_LOSS, "the content is shorter than announced"};
    }
    pushed[header.name()] = arrived;
    response->set_name(header.name());
    response->set_sha256(header.sha256());
    response->set_size_bytes(header.size_bytes());
    return grpc::Status::OK;
  }

  grpc::Status StatArtifact(grpc::ServerContext* /*context*/,
                            const v1::StatArtifactRequest* request,
                            v1::StatArtifactResponse* response) override {
    const std::lock_guard<std::mutex> lock(mutex);
    for (const auto& [name, known] : pushed) {
      if (known.sha256 != request->sha256()) continue;
      response->set_name(name);
      response->set_sha256(known.sha256);
      response->set_size_bytes(static_cast<std::int64_t>(known.content.size()));
      response->set_complete(true);
      return grpc::Status::OK;
    }
    const auto kept = partial.find(request->sha256());
    if (kept == partial.end()) return {grpc::StatusCode::NOT_FOUND, "no such artifact"};
    response->set_partial_bytes(static_cast<std::int64_t>(kept->second.size()));
    return grpc::Status::OK;
  }

  grpc::Status FetchArtifact(grpc::ServerContext* /*context*/,
                             const v1::FetchArtifactRequest* request,
                             grpc::ServerWriter<v1::FetchArtifactResponse>* writer) override {
    const std::lock_guard<std::mutex> lock(mutex);
    for (const auto& [name, known] : pushed) {
      if (known.sha256 != request->sha256()) continue;
      v1::FetchArtifactResponse response;
      response.set_data(known.content);
      writer->Write(response);
      return grpc::Status::OK;
    }
    return {grpc::StatusCode::NOT_FOUND, "no such content"};
  }

  grpc::Status CollectArtifacts(grpc::ServerContext* /*context*/,
                                const v1::CollectArtifactsRequest* request,
                                v1::CollectArtifactsResponse* response) override {
    const std::lock_guard<std::mutex> lock(mutex);
    collected = *request;
    *response = collectable;
    return grpc::Status::OK;
  }
};

FakeFarm::FakeFarm() : services_(std::make_unique<Services>()) { Start(); }

FakeFarm::~FakeFarm() { Stop(); }

void FakeFarm::Start() {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", services_->port),
                           grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(static_cast<v1::FarmService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::ArtifactService::Service*>(services_.get()));
  services_->server = builder.BuildAndStart();
  services_->port = port;
  address_ = absl::StrCat("127.0.0.1:", port);
}

void FakeFarm::Stop() {
  if (services_->server == nullptr) return;
  services_->server->Shutdown(std::chrono::system_clock::now());
  services_->server->Wait();
  services_->server.reset();
}

void FakeFarm::OnDiagnose(Diagnose diagnose) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->diagnose = std::move(diagnose);
}
void FakeFarm::ShiftClock(std::chrono::nanoseconds ahead) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->ahead = ahead;
}
void FakeFarm::OnSubmit(Submit submit) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->submit = std::move(submit);
}
void FakeFarm::OnProgress(Progress progress) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->progress = std::move(progress);
}
void FakeFarm::OnList(Listing list) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->list = std::move(list);
}
void FakeFarm::OnSql(Sql sql) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->sql = std::move(sql);
}
void FakeFarm::OnRecompute(Recompute recompute) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->recompute = std::move(recompute);
}
void FakeFarm::OnTrace(Trace trace) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->trace = std::move(trace);
}
void FakeFarm::OnWatch(Watch watch) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->watch = std::move(watch);
}
void FakeFarm::OnBackup(Backup backup) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->backup = std::move(backup);
}
void FakeFarm::OnCancelJob(CancelJob cancel) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->cancel_job = std::move(cancel);
}
void FakeFarm::OnSetDevice(SetDevice set) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->set_device = std::move(set);
}
void FakeFarm::OnCancelExperiment(CancelExperiment cancel) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->cancel_experiment = std::move(cancel);
}
void FakeFarm::FailPushesWith(absl::Status status) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->push_failure = std::move(status);
}

void FakeFarm::BreakPushes(int times) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->break_pushes = times;
}
void FakeFarm::Corrupt(const std::string& name) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->pushed.at(name).content[0] ^= 1;
}
void FakeFarm::OfferForCollection(v1::CollectArtifactsResponse response) {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  services_->collectable = std::move(response);
}

std::vector<std::int64_t> FakeFarm::push_offsets() const {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  return services_->offsets;
}
v1::CollectArtifactsRequest FakeFarm::collection() const {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  return services_->collected;
}
std::vector<v1::ListRequest> FakeFarm::lists() const {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  return services_->lists;
}
std::vector<v1::SubmitExperimentRequest> FakeFarm::submissions() const {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  return services_->submissions;
}
std::map<std::string, FakeFarm::Pushed> FakeFarm::pushed() const {
  const std::lock_guard<std::mutex> lock(services_->mutex);
  return services_->pushed;
}

}  // namespace joulefarm::cli
