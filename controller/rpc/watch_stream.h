// Telemetry on its way to one watcher: what cannot be sent in time is replaced by newer news of the
// same device, never queued.
//
// Thread rule: Offer and Close from any thread; gRPC calls back on its own. No lock is held around
// Start* and Finish. Ownership: shared by the server's table of watchers, which `done` is to clear,
// and the telemetry hub.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "grpcpp/support/server_callback.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::controller {

class WatchStream : public grpc::ServerWriteReactor<v1::WatchDevicesResponse> {
 public:
  // `done` comes once, last of all: the stream may be destroyed in it.
  explicit WatchStream(std::function<void(WatchStream*)> done) : done_(std::move(done)) {}

  void Offer(const v1::Telemetry& telemetry) {
    Act([&] { waiting_[telemetry.device_id()] = telemetry; });
  }

  // The first call wins; what waits is not sent any more.
  void Close(grpc::Status status) {
    Act([&] {
      if (!closing_) closing_ = std::move(status);
      waiting_.clear();
    });
  }

  void OnWriteDone(bool ok) override {
    Act([&] {
      writing_ = false;
      if (!ok && !closing_) closing_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, "nobody reads");
    });
  }
  void OnCancel() override { Close({grpc::StatusCode::CANCELLED, "the watcher hung up"}); }
  void OnDone() override {
    const auto done = std::move(done_);
    done(this);
  }

 private:
  template <typename Change>
  void Act(Change change) {
    bool write = false;
    std::optional<grpc::Status> finish;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      change();
      if (writing_ || finished_) return;
      if (closing_) {
        finished_ = true;
        finish = closing_;
      } else if (!waiting_.empty()) {
        // In turn: a slow reader gets something of every device.
        auto next = waiting_.upper_bound(response_.telemetry().device_id());
        if (next == waiting_.end()) next = waiting_.begin();
        *response_.mutable_telemetry() = std::move(next->second);
        waiting_.erase(next);
        writing_ = write = true;
      }
    }
    if (write) StartWrite(&response_);
    if (finish) Finish(*finish);
  }

  std::function<void(WatchStream*)> done_;
  std::mutex mutex_;                   // guards what follows
  v1::WatchDevicesResponse response_;  // not touched while writing_
  std::map<std::string, v1::Telemetry> waiting_;
  bool writing_ = false;
  bool finished_ = false;
  std::optional<grpc::Status> closing_;
};

}  // namespace joulefarm::controller
