// Fetches artifacts from the controller.
//
// Thread rule: Fetch blocks its caller; any number at a time. Ownership: shares the channel, which
// must still exist when the last Fetch returns.
#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "agent/artifact/artifact_cache.h"
#include "joulefarm/v1/artifact_service.grpc.pb.h"

namespace joulefarm::agent {

class GrpcArtifactSource : public ArtifactSource {
 public:
  explicit GrpcArtifactSource(const std::shared_ptr<grpc::Channel>& channel);

  absl::Status Fetch(const std::string& sha256, std::int64_t offset,
                     const std::function<absl::Status(absl::string_view)>& sink,
                     std::stop_token stop) override;

 private:
  const std::unique_ptr<v1::ArtifactService::Stub> stub_;
};

}  // namespace joulefarm::agent
