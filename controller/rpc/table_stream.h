// A table, or anything else in parts, on its way to a client: the reading thread waits for each
// part to be written before it reads on.
//
// Thread rule: Offer and End from the one reading thread; gRPC calls back on its own. Ownership:
// deletes itself after OnDone and End.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "controller/rpc/status.h"
#include "grpcpp/support/server_callback.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::controller {

template <typename Part>
class PartStream : public grpc::ServerWriteReactor<Part> {
 public:
  // False when the client is gone.
  bool Offer(Part part) {
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return !writing_ || gone_; });
    if (gone_) return false;
    part_ = std::move(part);
    writing_ = true;
    lock.unlock();
    this->StartWrite(&part_);
    return true;
  }

  // The last call of the reading thread.
  void End(const absl::Status& status) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      idle_.wait(lock, [this] { return !writing_; });
    }
    this->Finish(ToGrpc(status));
  }

  bool gone() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return gone_;
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    writing_ = false;
    gone_ = gone_ || !ok;
    idle_.notify_one();
  }
  void OnCancel() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    gone_ = true;
    idle_.notify_one();
  }
  // Only after Finish, which only End calls: the reading thread is done with this.
  void OnDone() override { delete this; }

 private:
  std::mutex mutex_;
  std::condition_variable idle_;
  Part part_;
  bool writing_ = false;  // guarded by mutex_
  bool gone_ = false;     // guarded by mutex_
};

using TableStream = PartStream<v1::TableChunk>;

}  // namespace joulefarm::controller
