// The controller as the CLI sees it: plain calls that return absl::Status. The only place of the
// CLI that knows gRPC.
//
// Thread rule: used from one thread; calls block. Ownership: owns its channel. Status codes are the
// server's; UNAVAILABLE messages of a controller that cannot be reached are shortened to the reason
// ("Connection refused"), see IsUnreachable. CANCELLED when `interrupted` became true during a
// call.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/table/table.h"
#include "joulefarm/v1/artifact_service.pb.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::cli {

class FarmClient {
 public:
  // `address` is HOST:PORT; `interrupted` is asked during calls. Connects with the first call.
  FarmClient(std::string address, std::function<bool()> interrupted);
  ~FarmClient();
  FarmClient(const FarmClient&) = delete;
  FarmClient& operator=(const FarmClient&) = delete;

  const std::string& address() const { return address_; }

  absl::StatusOr<v1::SubmitExperimentResponse> Submit(const v1::SubmitExperimentRequest& request);
  absl::StatusOr<v1::CancelExperimentResponse> CancelExperiment(const std::string& experiment);
  absl::StatusOr<v1::CancelJobResponse> CancelJob(const std::string& job);
  absl::StatusOr<v1::SetDeviceResponse> SetDevice(const v1::SetDeviceRequest& request);
  absl::StatusOr<v1::GetProgressResponse> GetProgress(const v1::GetProgressRequest& request);
  absl::StatusOr<v1::GetVersionResponse> GetVersion();

  struct Diagnosed {
    v1::DiagnoseResponse response;
    // The controller's wall clock minus this host's, and about how wrong that may be (a round
    // trip); absent when it does not tell.
    std::optional<std::int64_t> clock_ahead_ns;
    std::int64_t clock_bound_ns = 0;
  };
  absl::StatusOr<Diagnosed> Diagnose(bool thorough);

  // Rows go to the sink as they arrive; End is called only after the last one arrived safely. OK as
  // well when the sink wants no more.
  absl::Status List(const v1::ListRequest& request, TableSink& sink);
  absl::Status Sql(const std::string& query, TableSink& sink);
  absl::Status Trace(const v1::GetTraceRequest& request, TableSink& sink);
  absl::Status Recompute(const v1::RecomputeRequest& request, TableSink& sink);

  // Telemetry as it comes in, and nullptr several times a second while none does, until `take` says
  // no more (OK). UNAVAILABLE when the controller stops.
  absl::Status WatchDevices(const std::vector<std::string>& devices,
                            const std::function<bool(const v1::Telemetry*)>& take);

  // The pieces of a copy of the database, in order. An error of `take` ends it and is returned.
  absl::Status Backup(const std::function<absl::Status(const std::string& piece)>& take);

  absl::StatusOr<v1::StatArtifactResponse> StatArtifact(const v1::StatArtifactRequest& request);

  // The next piece of content, empty at the end.
  using ReadPiece = std::function<absl::StatusOr<std::string>()>;
  // Sends the header, then what `read` gives. The server may answer before the end when it has the
  // content already.
  absl::StatusOr<v1::PushArtifactResponse> PushArtifact(const v1::PushArtifactHeader& header,
                                                        const ReadPiece& read);

  // Takes the next piece of content; its error ends the call and is returned.
  using TakePiece = std::function<absl::Status(absl::string_view)>;
  // The content from the beginning, in order.
  absl::Status FetchArtifact(const std::string& sha256, const TakePiece& take);
  absl::StatusOr<v1::CollectArtifactsResponse> CollectArtifacts(
      const v1::CollectArtifactsRequest& request);

 private:
  struct Rpc;
  std::string address_;
  std::unique_ptr<Rpc> rpc_;
};

}  // namespace joulefarm::cli
