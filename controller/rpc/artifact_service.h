// ArtifactService: operators push and collect, agents fetch.
//
// Thread rule: gRPC calls back on its own threads; files are read and written on a small pool, rows
// go through the store thread. Ownership: host and files outlive this; destroy it after the server.
#pragma once

#include "boost/asio/thread_pool.hpp"
#include "controller/artifacts/artifact_files.h"
#include "controller/farm_host.h"
#include "joulefarm/v1/artifact_service.grpc.pb.h"

namespace joulefarm::controller {

class ArtifactServer : public v1::ArtifactService::CallbackService {
 public:
  ArtifactServer(FarmHost& host, ArtifactFiles& files) : host_(host), files_(files) {}
  ~ArtifactServer() override { pool_.join(); }

  grpc::ServerReadReactor<v1::PushArtifactRequest>* PushArtifact(
      grpc::CallbackServerContext* context, v1::PushArtifactResponse* response) override;
  grpc::ServerUnaryReactor* StatArtifact(grpc::CallbackServerContext* context,
                                         const v1::StatArtifactRequest* request,
                                         v1::StatArtifactResponse* response) override;
  grpc::ServerUnaryReactor* CollectArtifacts(grpc::CallbackServerContext* context,
                                             const v1::CollectArtifactsRequest* request,
                                             v1::CollectArtifactsResponse* response) override;
  grpc::ServerWriteReactor<v1::FetchArtifactResponse>* FetchArtifact(
      grpc::CallbackServerContext* context, const v1::FetchArtifactRequest* request) override;

 private:
  FarmHost& host_;
  ArtifactFiles& files_;
  boost::asio::thread_pool pool_{4};
};

}  // namespace joulefarm::controller
