// The streams of WatchDevices: telemetry to whoever watches, as it comes in.
//
// Thread rule: any thread. Ownership: reader, hub and pool outlive this; the pool is joined after
// CloseAll and before this is destroyed. Streams are owned here until gRPC is done with them.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "absl/status/status.h"
#include "boost/asio/steady_timer.hpp"
#include "boost/asio/thread_pool.hpp"
#include "controller/rpc/watch_stream.h"
#include "controller/store/reader.h"
#include "controller/telemetry/telemetry_hub.h"

namespace joulefarm::controller {

class DeviceWatchers {
 public:
  DeviceWatchers(Reader& reader, TelemetryHub& telemetry, boost::asio::thread_pool& pool);

  grpc::ServerWriteReactor<v1::WatchDevicesResponse>* Begin(const v1::WatchDevicesRequest& request);
  // Ends every stream, and those to come at once.
  void CloseAll(const absl::Status& status);

 private:
  struct Watcher {
    std::shared_ptr<WatchStream> stream;
    std::optional<TelemetryHub::Subscription> subscription;
  };

  void Watch(const std::shared_ptr<WatchStream>& stream, const v1::WatchDevicesRequest& request);
  void Forget(WatchStream* stream);
  // Keeps agents talking while somebody watches. With mutex_ held.
  void ExtendSoon();

  Reader& reader_;
  TelemetryHub& telemetry_;
  boost::asio::thread_pool& pool_;
  std::mutex mutex_;  // guards what follows
  std::map<WatchStream*, Watcher> watchers_;
  boost::asio::steady_timer extend_;
  bool extending_ = false;
  std::optional<absl::Status> closed_;
};

}  // namespace joulefarm::controller
