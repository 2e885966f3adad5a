// ArtifactService: operators push, agents fetch.
//
// Thread rule: gRPC calls back on its own threads; file reads and writes happen there, rows go
// through the store thread. Ownership: host and files outlive this.
#pragma once

#include "controller/artifacts/artifact_files.h"
#include "controller/farm_host.h"
#include "joulefarm/v1/artifact_service.grpc.pb.h"

namespace joulefarm::controller {

class ArtifactServer : public v1::ArtifactService::CallbackService {
 public:
  ArtifactServer(FarmHost& host, ArtifactFiles& files) : host_(host), files_(files) {}

  grpc::ServerReadReactor<v1::PushArtifactRequest>* PushArtifact(
      grpc::CallbackServerContext* context, v1::PushArtifactResponse* response) override;
  grpc::ServerUnaryReactor* StatArtifact(grpc::CallbackServerContext* context,
                                         const v1::StatArtifactRequest* request,
                                         v1::StatArtifactResponse* response) override;
  grpc::ServerWriteReactor<v1::FetchArtifactResponse>* FetchArtifact(
      grpc::CallbackServerContext* context, const v1::FetchArtifactRequest* request) override;

 private:
  FarmHost& host_;
  ArtifactFiles& files_;
};

}  // namespace joulefarm::controller
