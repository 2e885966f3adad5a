// Messages on their way into one stream: in order, one write in flight (a second would abort the
// process), not more waiting than a bound.
//
// Thread rule: one executor; `start` is called on it. Ownership: holds the messages; the one in
// flight stays in place until Done.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <utility>

namespace joulefarm::agent {

template <typename Message>
class BoundedWriter {
 public:
  BoundedWriter(std::size_t most, std::function<void(const Message*)> start)
      : most_(most), start_(std::move(start)) {}

  // False when the peer has not read for so long that the bound is reached; the message is dropped.
  bool Push(Message message) {
    if (closed_) return true;  // goes nowhere, like everything after the end
    if (queue_.size() >= most_) return false;
    queue_.push_back(std::move(message));
    if (!writing_) Begin();
    return true;
  }

  // Ahead of all that wait, behind the one in flight. False as above.
  bool PushFirst(Message message) {
    if (closed_) return true;
    if (queue_.size() >= most_) return false;
    queue_.insert(queue_.begin() + (writing_ ? 1 : 0), std::move(message));
    if (!writing_) Begin();
    return true;
  }

  // How many messages wait, the one in flight included.
  std::size_t waiting() const { return queue_.size(); }

  // The write in flight is over.
  void Done() {
    writing_ = false;
    queue_.pop_front();
    if (!closed_ && !queue_.empty()) Begin();
  }

  // Starts no further write. The one in flight still ends with Done.
  void Close() {
    closed_ = true;
    while (queue_.size() > (writing_ ? 1 : 0)) queue_.pop_back();
  }

 private:
  void Begin() {
    writing_ = true;
    start_(&queue_.front());
  }

  const std::size_t most_;
  const std::function<void(const Message*)> start_;
  std::deque<Message> queue_;  // the front one is in flight while writing_
  bool writing_ = false;
  bool closed_ = false;
};

}  // namespace joulefarm::agent
