#include "controller/rpc/server.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"

namespace joulefarm::controller {

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(
    const HostPort& listen, const std::vector<grpc::Service*>& services) {
  grpc::ServerBuilder builder;
  int port = 0;
  // Without this two controllers could share one port, and agents would reach either.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.AddListeningPort(listen.ToString(), grpc::InsecureServerCredentials(), &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", listen.ToString(),
                     ": the port is in use or the address is not of this machine: stop what uses "
                     "it (another joulefarm-controller?) or give another --listen HOST:PORT"));
  }
  return std::unique_ptr<RpcServer>(new RpcServer(std::move(server), port));
}

RpcServer::RpcServer(std::unique_ptr<grpc::Server> server, int port)
    : server_(std::move(server)), port_(port) {}

RpcServer::~RpcServer() {
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
  server_->Wait();
}

}  // namespace joulefarm::controller
