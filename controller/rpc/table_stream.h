// A table on its way to a client: the reading thread waits for each part to be written before it
// reads on.
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

class TableStream : public grpc::ServerWriteReactor<v1::TableChunk> {
 public:
  // False when the client is gone.
  bool Offer(v1::TableChunk chunk) {
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return !writing_ || gone_; });
    if (gone_) return false;
    chunk_ = std::move(chunk);
    writing_ = true;
    lock.unlock();
    StartWrite(&chunk_);
    return true;
  }

  // The last call of the reading thread.
  void End(const absl::Status& status) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      idle_.wait(lock, [this] { return !writing_; });
    }
    Finish(ToGrpc(status));
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
  v1::TableChunk chunk_;
  bool writing_ = false;  // guarded by mutex_
  bool gone_ = false;     // guarded by mutex_
};

}  // namespace joulefarm::controller
