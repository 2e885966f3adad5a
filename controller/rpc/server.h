// The gRPC server: one listening address, its services, an orderly end.
//
// Thread rule: Start and Shutdown from the owner's thread. Ownership: the services outlive the
// server.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/daemon/address.h"

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace joulefarm::controller {

class RpcServer {
 public:
  // Port 0 takes a free one. UNAVAILABLE with the address and what to do when it cannot be listened
  // on.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(
      const HostPort& listen, const std::vector<grpc::Service*>& services);
  // Shuts down; what is still open after two seconds is cancelled.
  ~RpcServer();

  int port() const { return port_; }

 private:
  RpcServer(std::unique_ptr<grpc::Server> server, int port);
  std::unique_ptr<grpc::Server> server_;
  const int port_;
};

}  // namespace joulefarm::controller
