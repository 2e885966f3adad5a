// One bounded writer for server streams: a second write in flight would abort the process, a write
// after Finish is undefined.
//
// Thread rule: Send and Close from any thread; OnWriteDone from the reactor. No lock is held around
// Start* and Finish: whoever turns a flag under the lock owns the one call that follows from it.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "grpcpp/support/status.h"

namespace joulefarm::controller {

template <typename Reactor, typename Message>
class StreamWriter {
 public:
  // `reactor` owns the writer. At most `most` messages wait; one more closes the stream as unable
  // to keep up.
  StreamWriter(Reactor& reactor, std::size_t most) : reactor_(reactor), most_(most) {}

  void Send(Message message) {
    Act([&] {
      if (closing_.has_value()) return;
      if (queue_.size() >= most_) {
        closing_ = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                "the peer does not read what is sent to it");
        return;
      }
      queue_.push_back(std::move(message));
    });
  }

  // Ahead of all that waits, for what is small and must be prompt; dropped where too much waits.
  // `fill` is called right before it is queued.
  void SendFirst(Message message, const std::function<void(Message&)>& fill) {
    Act([&] {
      if (closing_.has_value() || queue_.size() >= most_) return;
      fill(message);
      queue_.insert(queue_.begin() + (writing_ ? 1 : 0), std::move(message));
    });
  }

  // For what may be lost: not sent, and false, when `most_waiting` messages wait already or the
  // stream ends.
  bool SendUnlessBusy(Message message, std::size_t most_waiting) {
    bool taken = false;
    Act([&] {
      if (closing_.has_value() || queue_.size() >= most_waiting) return;
      queue_.push_back(std::move(message));
      taken = true;
    });
    return taken;
  }

  // Finishes the stream after what was sent before. The first call wins.
  void Close(grpc::Status status) {
    Act([&] {
      if (!closing_.has_value()) closing_ = std::move(status);
    });
  }

  void OnWriteDone(bool ok) {
    Act([&] {
      writing_ = false;
      if (ok) {
        queue_.pop_front();
        return;
      }
      queue_.clear();
      if (!closing_.has_value())
        closing_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, "the peer is gone");
    });
  }

 private:
  template <typename Change>
  void Act(Change change) {
    const Message* write = nullptr;
    std::optional<grpc::Status> finish;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      change();
      if (!writing_ && !finished_) {
        if (!queue_.empty()) {
          writing_ = true;
          write = &queue_.front();  // a deque keeps it in place until OnWriteDone takes it out
        } else if (closing_.has_value()) {
          finished_ = true;
          finish = closing_;
        }
      }
    }
    if (write != nullptr) reactor_.StartWrite(write);
    if (finish.has_value()) reactor_.Finish(*finish);
  }

  Reactor& reactor_;
  const std::size_t most_;
  std::mutex mutex_;
  std::deque<Message> queue_;            // guarded by mutex_; the front is in flight while writing_
  bool writing_ = false;                 // guarded by mutex_
  bool finished_ = false;                // guarded by mutex_
  std::optional<grpc::Status> closing_;  // guarded by mutex_
};

}  // namespace joulefarm::controller
