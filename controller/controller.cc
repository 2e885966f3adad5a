#include "controller/controller.h"

#include <time.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/daemon/state_dir.h"
#include "controller/artifacts/artifact_files.h"
#include "controller/farm_host.h"
#include "controller/http/api.h"
#include "controller/http/http_server.h"
#include "controller/rpc/agent_sessions.h"
#include "controller/rpc/artifact_service.h"
#include "controller/rpc/farm_service.h"
#include "controller/rpc/server.h"
#include "controller/store/backup_stream.h"
#include "controller/store/reader.h"
#include "controller/store/sqlite_store.h"

namespace joulefarm::controller {

namespace {

std::int64_t Read(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// Changes with every boot, and here also with every process where the kernel does not tell: stamps
// of two processes are then not joined, although they might be.
std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  if (std::getline(file, id) && !id.empty()) return id;
  return absl::StrCat("process ", ::getpid(), " at ", Read(CLOCK_REALTIME));
}

// Agents judge from it whether BOOTTIME was slewed: what comes between the two must be far less
// than what they allow for.
ClockReading ReadClocks() {
  constexpr int kTries = 3;
  constexpr std::int64_t kMostApartNs = 10'000;
  ClockReading reading;
  for (int i = 0; i < kTries && !reading.raw_ns; ++i) {
    reading.boot_ns = Read(CLOCK_BOOTTIME);
    const std::int64_t raw_ns = Read(CLOCK_MONOTONIC_RAW);
    if (Read(CLOCK_BOOTTIME) - reading.boot_ns <= kMostApartNs) reading.raw_ns = raw_ns;
  }
  return reading;
}

Instant SystemNow() { return {.boot_ns = Read(CLOCK_BOOTTIME), .wall_ns = Read(CLOCK_REALTIME)}; }

}  // namespace

// In order of construction; destruction goes the other way: first nobody new can ask, then the farm
// comes to rest, then the store closes.
struct Controller::Parts {
  std::unique_ptr<StateDir> state;
  std::filesystem::path database;
  std::unique_ptr<SqliteStore> store;
  std::unique_ptr<Reader> reader;
  std::unique_ptr<ArtifactFiles> files;
  std::unique_ptr<FarmHost> host;
  std::unique_ptr<AgentSessions> sessions;
  std::unique_ptr<FarmServer> farm_server;
  std::unique_ptr<ArtifactServer> artifact_server;
  std::unique_ptr<RpcServer> rpc;
  std::unique_ptr<HttpServer> http;
  HostPort grpc_address;
  HostPort http_address;

  ~Parts() {
    http.reset();
    if (sessions != nullptr) sessions->CloseAll(absl::UnavailableError("the controller stops"));
    if (farm_server != nullptr)
      farm_server->CloseWatchers(absl::UnavailableError("the controller stops"));
    rpc.reset();
    farm_server.reset();
    artifact_server.reset();
    if (host != nullptr) host->Stop();
  }
};

Controller::Controller(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

absl::StatusOr<std::unique_ptr<Controller>> Controller::Start(const ControllerOptions& options) {
  if (const absl::Status ok = CheckPlaintext(options.listen, options.allow_plaintext); !ok.ok())
    return ok;
  if (const absl::Status ok = CheckPlaintext(options.http, options.allow_plaintext); !ok.ok())
    return ok;
  auto parts = std::make_unique<Parts>();
  auto state = StateDir::Lock(options.state);
  if (!state.ok()) return state.status();
  parts->state = *std::move(state);
  parts->database = options.state / "joulefarm.db";
  RemoveUnfinishedBackups(parts->database);
  auto store = SqliteStore::Open(parts->database.string());
  if (!store.ok()) return store.status();
  parts->store = *std::move(store);
  auto reader = Reader::Open(parts->database.string());
  if (!reader.ok()) return reader.status();
  parts->reader = *std::move(reader);
  auto files = ArtifactFiles::Open(options.state / "artifacts");
  if (!files.ok()) return files.status();
  parts->files = *std::move(files);

  parts->host = std::make_unique<FarmHost>(*parts->store, options.farm, SystemNow);
  parts->sessions = std::make_unique<AgentSessions>(*parts->host, ReadClocks, BootId());
  if (const absl::Status started = parts->host->Start(*parts->sessions); !started.ok())
    return started;
  parts->farm_server = std::make_unique<FarmServer>(
      *parts->host, *parts->reader, *parts->files, parts->sessions->telemetry(),
      FarmServerInfo{options.version, parts->store->schema_version(),
                     std::filesystem::absolute(parts->database).string()});
  parts->artifact_server = std::make_unique<ArtifactServer>(*parts->host, *parts->files);
  auto rpc = RpcServer::Start(options.listen, {parts->sessions.get(), parts->farm_server.get(),
                                               parts->artifact_server.get()});
  if (!rpc.ok()) return rpc.status();
  parts->rpc = *std::move(rpc);
  auto http = HttpServer::Start(
      options.http.host, options.http.port,
      MakeApi(
          *parts->reader, [host = parts->host.get()] { return host->ReadOnlyReason(); },
          options.version));
  if (!http.ok()) return http.status();
  parts->http = *std::move(http);
  parts->grpc_address = {options.listen.host, parts->rpc->port()};
  parts->http_address = {options.http.host, parts->http->port()};
  const absl::Status written = ReplaceFile(
      options.state / "address",
      absl::StrCat(parts->grpc_address.ToString(), "\n", parts->http_address.ToString(), "\n"));
  if (!written.ok()) return written;
  return std::unique_ptr<Controller>(new Controller(std::move(parts)));
}

Controller::~Controller() = default;

const HostPort& Controller::grpc_address() const { return parts_->grpc_address; }
const HostPort& Controller::http_address() const { return parts_->http_address; }
std::filesystem::path Controller::database() const { return parts_->database; }

}  // namespace joulefarm::controller
