// A controller for tests: real gRPC on a free port, answers set by the test.
//
// Thread rule: setters and getters from any thread (one mutex). Ownership: owns its server. No gRPC
// header is seen from here.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/table/table.h"
#include "joulefarm/v1/artifact_service.pb.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::cli {

class FakeFarm {
 public:
  FakeFarm();
  ~FakeFarm();
  FakeFarm(const FakeFarm&) = delete;
  FakeFarm& operator=(const FakeFarm&) = delete;

  // 127.0.0.1:PORT; stays the same over Stop and Start.
  const std::string& address() const { return address_; }
  void Stop();
  void Start();

  // What the calls answer. Set before the call.
  using Submit = std::function<absl::StatusOr<v1::SubmitExperimentResponse>(
      const v1::SubmitExperimentRequest&)>;
  using Progress =
      std::function<absl::StatusOr<v1::GetProgressResponse>(const v1::GetProgressRequest&)>;
  using Listing = std::function<absl::StatusOr<Table>(const v1::ListRequest&)>;
  using Sql = std::function<absl::StatusOr<Table>(const std::string& query)>;
  using Trace = std::function<absl::StatusOr<Table>(const v1::GetTraceRequest&)>;
  using SetDevice =
      std::function<absl::StatusOr<v1::SetDeviceResponse>(const v1::SetDeviceRequest& request)>;
  using CancelJob = std::function<absl::StatusOr<std::string>(const std::string& job)>;
  using CancelExperiment = std::function<absl::StatusOr<int>(const std::string& experiment)>;
  // Sends telemetry until `send` says that nobody reads it any more.
  using Watch = std::function<absl::Status(const v1::WatchDevicesRequest&,
                                           const std::function<bool(const v1::Telemetry&)>& send)>;
  // The pieces of a copy, and how it ended.
  using Backup = std::function<absl::Status(const std::function<bool(const std::string&)>& send)>;
  void OnWatch(Watch watch);
  void OnBackup(Backup backup);
  using Diagnose = std::function<v1::DiagnoseResponse(bool thorough)>;
  void OnDiagnose(Diagnose diagnose);
  // How far its wall clock is ahead.
  void ShiftClock(std::chrono::nanoseconds ahead);
  void OnSubmit(Submit submit);
  void OnProgress(Progress progress);
  void OnList(Listing list);
  void OnSql(Sql sql);
  void OnTrace(Trace trace);
  using Recompute = std::function<absl::StatusOr<Table>(const v1::RecomputeRequest&)>;
  void OnRecompute(Recompute recompute);
  void OnSetDevice(SetDevice set);
  void OnCancelJob(CancelJob cancel);
  void OnCancelExperiment(CancelExperiment cancel);
  // PushArtifact verifies nothing and answers this instead when it is not OK.
  void FailPushesWith(absl::Status status);
  // The next so many pushes with content keep half of what came and end as if the line broke.
  void BreakPushes(int times);
  // Flips a bit of what is stored under the name.
  void Corrupt(const std::string& name);
  // What CollectArtifacts answers.
  void OfferForCollection(v1::CollectArtifactsResponse response);

  // What arrived.
  std::vector<v1::ListRequest> lists() const;
  std::vector<v1::SubmitExperimentRequest> submissions() const;
  struct Pushed {
    std::string sha256;
    std::string content;
    int pieces = 0;  // how many data messages came with the last push
  };
  std::map<std::string, Pushed> pushed() const;
  std::vector<std::int64_t> push_offsets() const;
  v1::CollectArtifactsRequest collection() const;

 private:
  struct Services;
  std::unique_ptr<Services> services_;
  std::string address_;
};

}  // namespace joulefarm::cli
