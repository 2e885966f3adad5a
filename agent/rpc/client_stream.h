// One bidirectional call of the callback API, turned into messages on the agent's executor.
//
// Thread rule: public methods on the executor only; gRPC's reactions only post to it. A hold keeps
// gRPC from finishing the call while the executor may still start operations. Ownership: owned by
// ControllerLink until `ended` was called; the handlers are dropped by Close.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "agent/process/boottime.h"
#include "agent/rpc/bounded_writer.h"

namespace joulefarm::agent {

using Post = std::function<void(std::function<void()>)>;

inline absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

// What ControllerLink needs of streams of either kind.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void Close() = 0;
};

template <typename Out, typename In>
class ClientStream : public Stream, public grpc::ClientBidiReactor<Out, In> {
 public:
  struct Handlers {
    // `arrived_ns`: BOOTTIME, read before anything else was done with the message.
    std::function<void(In, std::int64_t arrived_ns)> received;
    std::function<void(absl::Status)> ended;  // not called after Close
  };

  // `finished` is called last of all, when the object may be destroyed.
  ClientStream(Post post, Handlers handlers, std::function<void(Stream*)> finished)
      : post_(std::move(post)),
        handlers_(std::move(handlers)),
        finished_(std::move(finished)),
        writer_(kMostWaiting, [this](const Out* message) { this->StartWrite(message); }) {}

  grpc::ClientContext& context() { return context_; }

  // After the stub was told of context and reactor.
  void Begin() {
    this->AddHold();
    this->StartCall();
    this->StartRead(&incoming_);
  }

  void Send(Out message) {
    if (writer_.Push(std::move(message))) return;
    Fail(absl::ResourceExhaustedError("the controller does not read what is sent to it"));
  }

  // Ahead of all that waits; dropped where too much does.
  void SendFirst(Out message) { writer_.PushFirst(std::move(message)); }

  // For what may be lost: nothing happens where something waits already.
  void SendIfIdle(std::vector<Out> messages) {
    if (writer_.waiting() > 0) return;
    for (Out& message : messages) writer_.Push(std::move(message));
  }

  void Close() override {
    handlers_ = {};
    context_.TryCancel();
    Release();
  }

  void OnReadDone(bool ok) override {
    const std::int64_t arrived_ns = BoottimeNs();
    if (!ok) {
      post_([this] { Release(); });
      return;
    }
    auto message = std::make_shared<In>(std::move(incoming_));
    incoming_.Clear();
    post_([this, message, arrived_ns] {
      // A copy: the handler may close this stream, which drops the original.
      const auto received = handlers_.received;
      if (received) received(std::move(*message), arrived_ns);
    });
    // Not done before this reaction has returned, so the read may be started here.
    this->StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    post_([this, ok] {
      if (!ok) writer_.Close();
      writer_.Done();
    });
  }

  void OnDone(const grpc::Status& status) override {
    post_([this, status] {
      const auto ended = std::exchange(handlers_, {}).ended;
      const auto finished = std::move(finished_);
      // A call that ends without an error has ended all the same: a controller never closes a
      // session as a success.
      if (ended)
        ended(status.ok() ? absl::UnavailableError("the controller closed the stream")
                          : FromGrpc(status));
      finished(this);
    });
  }

 private:
  static constexpr std::size_t kMostWaiting = 4096;

  void Fail(absl::Status status) {
    const auto ended = std::exchange(handlers_, {}).ended;
    Close();
    if (!ended) return;
    // Not from inside the caller's own Send.
    post_([ended, status = std::move(status)] { ended(status); });
  }

  // No operation is started from here on.
  void Release() {
    if (std::exchange(released_, true)) return;
    writer_.Close();
    this->RemoveHold();
  }

  const Post post_;
  Handlers handlers_;
  std::function<void(Stream*)> finished_;
  grpc::ClientContext context_;
  In incoming_;
  bool released_ = false;
  BoundedWriter<Out> writer_;
};

}  // namespace joulefarm::agent
