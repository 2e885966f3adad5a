// AgentService: the Control and Upload streams of every agent, and the gateway through which the
// farm speaks to them.
//
// Thread rule: gateway methods on the farm strand; gRPC calls back on its own threads, which only
// move messages and post. Ownership: the FarmHost outlives this; every stream is finished before
// the server shuts down.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "controller/farm_host.h"
#include "controller/telemetry/telemetry_hub.h"
#include "joulefarm/v1/agent_service.grpc.pb.h"

namespace joulefarm::controller {

class ControlStream;
class UploadStream;

// The clocks of the controller's host, read together.
struct ClockReading {
  std::int64_t boot_ns = 0;            // BOOTTIME
  std::optional<std::int64_t> raw_ns;  // MONOTONIC_RAW; absent when something came between
};

class AgentSessions : public AgentGateway, public v1::AgentService::CallbackService {
 public:
  // `boot_id` is that of this host.
  AgentSessions(FarmHost& host, std::function<ClockReading()> read_clocks, std::string boot_id);

  TelemetryHub& telemetry() { return telemetry_; }

  void Send(SessionId session, v1::ControllerMessage message) override;
  void Close(SessionId session, const absl::Status& status) override;
  void Opened(SessionId session, const std::string& agent_id, std::int64_t epoch) override;
  void GoesOn(SessionId session, const std::string& device, Fence fence) override;
  // Ends every stream, uploads too.
  void CloseAll(const absl::Status& status) override;

  grpc::ServerBidiReactor<v1::AgentMessage, v1::ControllerMessage>* Control(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::UploadRequest, v1::UploadResponse>* Upload(
      grpc::CallbackServerContext* context) override;

 private:
  friend class ControlStream;
  friend class UploadStream;

  std::shared_ptr<ControlStream> Find(SessionId session);
  std::shared_ptr<UploadStream> Keep(UploadStream* upload);
  void Forget(SessionId session);
  void Forget(UploadStream* upload);
  bool IsCurrent(const std::string& agent_id, std::int64_t epoch);
  bool Watch(SessionId session, const v1::WatchDevice& watch);

  FarmHost& host_;
  const std::function<ClockReading()> read_clocks_;
  const std::string boot_id_;
  TelemetryHub telemetry_;
  std::mutex mutex_;
  std::map<SessionId, std::shared_ptr<ControlStream>> controls_;    // guarded by mutex_
  std::map<UploadStream*, std::shared_ptr<UploadStream>> uploads_;  // guarded by mutex_
  std::map<std::string, std::pair<std::int64_t, SessionId>>
      epochs_;  // agent id to its session; guarded by mutex_
};

}  // namespace joulefarm::controller
