// FarmService: what operators ask.
//
// Thread rule: gRPC calls back on its own threads; parsing, expanding and reading happen on a small
// pool, decisions on the farm strand. Ownership: host and reader outlive this; destroy it after the
// server.
#pragma once

#include <atomic>
#include <string>

#include "boost/asio/thread_pool.hpp"
#include "controller/artifacts/artifact_files.h"
#include "controller/farm_host.h"
#include "controller/rpc/device_watchers.h"
#include "controller/store/reader.h"
#include "controller/telemetry/telemetry_hub.h"
#include "joulefarm/v1/farm_service.grpc.pb.h"

namespace joulefarm::controller {

struct FarmServerInfo {
  std::string version;
  int schema_version = 0;
  std::string database;
};

class FarmServer : public v1::FarmService::CallbackService {
 public:
  FarmServer(FarmHost& host, Reader& reader, ArtifactFiles& files, TelemetryHub& telemetry,
             FarmServerInfo info);
  ~FarmServer() override;

  // Ends the streams that end only when somebody says so.
  void CloseWatchers(const absl::Status& status) { watchers_.CloseAll(status); }

  grpc::ServerUnaryReactor* SubmitExperiment(grpc::CallbackServerContext* context,
                                             const v1::SubmitExperimentRequest* request,
                                             v1::SubmitExperimentResponse* response) override;
  grpc::ServerUnaryReactor* CancelExperiment(grpc::CallbackServerContext* context,
                                             const v1::CancelExperimentRequest* request,
                                             v1::CancelExperimentResponse* response) override;
  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* context,
                                      const v1::CancelJobRequest* request,
                                      v1::CancelJobResponse* response) override;
  grpc::ServerUnaryReactor* SetDevice(grpc::CallbackServerContext* context,
                                      const v1::SetDeviceRequest* request,
                                      v1::SetDeviceResponse* response) override;
  grpc::ServerUnaryReactor* GetProgress(grpc::CallbackServerContext* context,
                                        const v1::GetProgressRequest* request,
                                        v1::GetProgressResponse* response) override;
  grpc::ServerWriteReactor<v1::TableChunk>* List(grpc::CallbackServerContext* context,
                                                 const v1::ListRequest* request) override;
  grpc::ServerWriteReactor<v1::TableChunk>* Sql(grpc::CallbackServerContext* context,
                                                const v1::SqlRequest* request) override;
  grpc::ServerWriteReactor<v1::TableChunk>* GetTrace(grpc::CallbackServerContext* context,
                                                     const v1::GetTraceRequest* request) override;
  grpc::ServerWriteReactor<v1::WatchDevicesResponse>* WatchDevices(
      grpc::CallbackServerContext* context, const v1::WatchDevicesRequest* request) override;
  grpc::ServerWriteReactor<v1::BackupResponse>* Backup(grpc::CallbackServerContext* context,
                                                       const v1::BackupRequest* request) override;
  // Besides, `joulefarm-wall-ns` in the trailing metadata is this host's wall clock.
  grpc::ServerWriteReactor<v1::TableChunk>* Recompute(grpc::CallbackServerContext* context,
                                                      const v1::RecomputeRequest* request) override;
  grpc::ServerUnaryReactor* Diagnose(grpc::CallbackServerContext* context,
                                     const v1::DiagnoseRequest* request,
                                     v1::DiagnoseResponse* response) override;
  grpc::ServerUnaryReactor* GetVersion(grpc::CallbackServerContext* context,
                                       const v1::GetVersionRequest* request,
                                       v1::GetVersionResponse* response) override;

 private:
  FarmHost& host_;
  Reader& reader_;
  ArtifactFiles& files_;
  TelemetryHub& telemetry_;
  const FarmServerInfo info_;
  boost::asio::thread_pool pool_{4};
  DeviceWatchers watchers_;
  std::atomic<bool> copying_{false};  // one backup at a time: each is as big as the database
};

}  // namespace joulefarm::controller
