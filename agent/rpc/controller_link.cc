#include "agent/rpc/controller_link.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <map>
#include <utility>

#include "agent/rpc/artifact_fetch.h"
#include "agent/rpc/client_stream.h"
#include "agent/rpc/upload_pump.h"
#include "joulefarm/v1/agent_service.grpc.pb.h"

namespace joulefarm::agent {
namespace {

using ControlStream = ClientStream<v1::AgentMessage, v1::ControllerMessage>;
using UploadStream = ClientStream<v1::UploadRequest, v1::UploadResponse>;

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target) {
  // Kept until the process ends: gRPC 1.51's shutdown with its last channel may wait ten seconds
  // for a poller.
  [[maybe_unused]] static const bool kept = (grpc_init(), true);
  grpc::ChannelArguments arguments;
  // The session machine does the backing off; the channel's own must not outlast it.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  // Dead peers are found by the lease; this is for artifact fetches and stays within what servers
  // allow by default.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  // Two agents in one process (tests) must not share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A controller on a lab network is not behind whatever proxy the environment names.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

struct ControllerLink::Calls {
  Calls(LinkOptions link_options, Spool* spool, Post post_to, LinkHandlers link_handlers)
      : options(std::move(link_options)),
        post(std::move(post_to)),
        handlers(std::move(link_handlers)),
        channel(MakeChannel(options.target)),
        stub(v1::AgentService::NewStub(channel)),
        artifacts(channel),
        pump(spool,
             {.send =
                  [this](v1::UploadRequest request) {
                    if (upload != nullptr) upload->Send(std::move(request));
                  },
              .refused =
                  [this](std::int64_t fence, v1::Stream stream, const std::string& detail) {
                    handlers.refused(fence, stream, detail);
                  },
              .missing = [this](std::int64_t fence,
                                const std::string& detail) { handlers.missing(fence, detail); },
              .trouble = [this](const absl::Status& status) { handlers.trouble(status); }}) {}

  // A call is over for good: nothing of gRPC refers to the object any more.
  void Finished(Stream* stream) {
    if (stream == control) control = nullptr;
    if (stream == upload) DropUpload();
    live.erase(stream);
    if (live.empty() && shut_down) std::exchange(shut_down, {})();
  }

  void DropUpload() {
    upload = nullptr;
    pump.End();
  }

  template <typename S>
  S* Keep(std::unique_ptr<S> stream) {
    S* raw = stream.get();
    live.emplace(raw, std::move(stream));
    return raw;
  }

  const LinkOptions options;
  const Post post;
  const LinkHandlers handlers;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::AgentService::Stub> stub;
  GrpcArtifactSource artifacts;
  UploadPump pump;
  Connection connection = 0;
  ControlStream* control = nullptr;
  UploadStream* upload = nullptr;
  std::map<Stream*, std::unique_ptr<Stream>> live;
  std::function<void()> shut_down;
};

ControllerLink::ControllerLink(LinkOptions options, Spool* spool,
                               std::function<void(std::function<void()>)> post,
                               LinkHandlers handlers)
    : calls_(std::make_unique<Calls>(std::move(options), spool, std::move(post),
                                     std::move(handlers))) {}

ControllerLink::~ControllerLink() = default;

ArtifactSource& ControllerLink::artifacts() { return calls_->artifacts; }

void ControllerLink::Connect(Connection connection, v1::Hello hello) {
  Calls& calls = *calls_;
  Disconnect(calls.connection);
  if (calls.shut_down) return;
  calls.connection = connection;
  calls.control = calls.Keep(std::make_unique<ControlStream>(
      calls.post,
      ControlStream::Handlers{
          .received =
              [&calls, connection](v1::ControllerMessage message, std::int64_t arrived_ns) {
                calls.handlers.received(connection, std::move(message), arrived_ns);
              },
          .ended =
              [&calls, connection](absl::Status status) {
                calls.handlers.lost(connection, Rpc::kControl, std::move(status));
              }},
      [&calls](Stream* stream) { calls.Finished(stream); }));
  calls.stub->async()->Control(&calls.control->context(), calls.control);
  calls.control->Begin();
  v1::AgentMessage message;
  *message.mutable_hello() = std::move(hello);
  calls.control->Send(std::move(message));
}

void ControllerLink::Send(Connection connection, v1::AgentMessage message) {
  if (connection != calls_->connection || calls_->control == nullptr) return;
  calls_->control->Send(std::move(message));
}

void ControllerLink::SendFirst(Connection connection, v1::AgentMessage message) {
  if (connection != calls_->connection || calls_->control == nullptr) return;
  calls_->control->SendFirst(std::move(message));
}

void ControllerLink::SendIfIdle(Connection connection, std::vector<v1::AgentMessage> messages) {
  if (connection != calls_->connection || calls_->control == nullptr) return;
  calls_->control->SendIfIdle(std::move(messages));
}

void ControllerLink::OpenUpload(Connection connection, std::int64_t session_epoch,
                                const std::vector<v1::StreamCursor>& cursors) {
  Calls& calls = *calls_;
  if (connection != calls.connection || calls.control == nullptr || calls.upload != nullptr) return;
  calls.upload = calls.Keep(std::make_unique<UploadStream>(
      calls.post,
      UploadStream::Handlers{.received = [&calls](const v1::UploadResponse& response,
                                                  std::int64_t) { calls.pump.Received(response); },
                             .ended =
                                 [&calls, connection](absl::Status status) {
                                   calls.handlers.lost(connection, Rpc::kUpload, std::move(status));
                                 }},
      [&calls](Stream* stream) { calls.Finished(stream); }));
  calls.stub->async()->Upload(&calls.upload->context(), calls.upload);
  calls.upload->Begin();
  calls.pump.Begin(calls.options.agent_id, session_epoch, cursors);
}

void ControllerLink::Disconnect(Connection connection) {
  Calls& calls = *calls_;
  if (connection != calls.connection) return;
  if (calls.upload != nullptr) {
    UploadStream* upload = calls.upload;
    calls.DropUpload();
    upload->Close();
  }
  if (calls.control != nullptr) std::exchange(calls.control, nullptr)->Close();
}

void ControllerLink::FramesCommitted() { calls_->pump.Pump(); }

void ControllerLink::Forget(Fence fence) { calls_->pump.Forget(fence); }

void ControllerLink::Shutdown(std::function<void()> done) {
  Disconnect(calls_->connection);
  if (calls_->live.empty()) {
    done();
    return;
  }
  calls_->shut_down = std::move(done);
}

}  // namespace joulefarm::agent
