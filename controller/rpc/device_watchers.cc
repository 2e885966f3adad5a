#include "controller/rpc/device_watchers.h"

#include <chrono>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "boost/asio/post.hpp"
#include "controller/rpc/status.h"

namespace joulefarm::controller {

namespace {

// Well below half of the time for which an agent is asked.
constexpr std::chrono::seconds kExtend{2};

}  // namespace

DeviceWatchers::DeviceWatchers(Reader& reader, TelemetryHub& telemetry,
                               boost::asio::thread_pool& pool)
    : reader_(reader), telemetry_(telemetry), pool_(pool), extend_(pool) {}

grpc::ServerWriteReactor<v1::WatchDevicesResponse>* DeviceWatchers::Begin(
    const v1::WatchDevicesRequest& request) {
  const auto stream = std::make_shared<WatchStream>([this](WatchStream* done) { Forget(done); });
  std::optional<absl::Status> closed;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    watchers_[stream.get()].stream = stream;
    closed = closed_;
  }
  if (closed) {
    stream->Close(ToGrpc(*closed));
  } else {
    boost::asio::post(pool_, [this, stream, request] { Watch(stream, request); });
  }
  return stream.get();
}

void DeviceWatchers::Watch(const std::shared_ptr<WatchStream>& stream,
                           const v1::WatchDevicesRequest& request) {
  std::set<std::string> devices(request.device_ids().begin(), request.device_ids().end());
  for (const std::string& id : devices) {
    v1::ListRequest one;
    one.set_listing(v1::LISTING_DEVICES);
    one.set_id(id);
    const absl::Status known = reader_.List(one, [](const v1::TableChunk&) { return true; });
    if (!known.ok()) {
      stream->Close(ToGrpc(known));
      return;
    }
  }
  const TelemetryHub::Subscription subscription = telemetry_.Subscribe(
      std::move(devices), [stream](const v1::Telemetry& telemetry) { stream->Offer(telemetry); });
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = watchers_.find(stream.get());
  if (it == watchers_.end()) {
    telemetry_.Unsubscribe(subscription);  // it hung up meanwhile
    return;
  }
  it->second.subscription = subscription;
  ExtendSoon();
}

void DeviceWatchers::Forget(WatchStream* stream) {
  Watcher last;  // destroyed after the lock
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = watchers_.find(stream);
  last = std::move(it->second);
  watchers_.erase(it);
  if (last.subscription) telemetry_.Unsubscribe(*last.subscription);
}

void DeviceWatchers::ExtendSoon() {
  if (extending_ || closed_) return;
  extending_ = true;
  extend_.expires_after(kExtend);
  extend_.async_wait([this](const boost::system::error_code& error) {
    const bool watched = !error && telemetry_.Extend();
    const std::lock_guard<std::mutex> lock(mutex_);
    extending_ = false;
    if (watched) ExtendSoon();
  });
}

void DeviceWatchers::CloseAll(const absl::Status& status) {
  std::vector<std::shared_ptr<WatchStream>> streams;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!closed_) closed_ = status;
    extend_.cancel();
    for (const auto& [key, watcher] : watchers_) streams.push_back(watcher.stream);
  }
  for (const auto& stream : streams) stream->Close(ToGrpc(status));
}

}  // namespace joulefarm::controller
