#include "agent/rpc/artifact_fetch.h"

#include <grpcpp/client_context.h>

#include "agent/rpc/client_stream.h"

namespace joulefarm::agent {

GrpcArtifactSource::GrpcArtifactSource(const std::shared_ptr<grpc::Channel>& channel)
    : stub_(v1::ArtifactService::NewStub(channel)) {}

absl::Status GrpcArtifactSource::Fetch(const std::string& sha256, std::int64_t offset,
                                       const std::function<absl::Status(absl::string_view)>& sink,
                                       std::stop_token stop) {
  grpc::ClientContext context;
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  v1::FetchArtifactRequest request;
  request.set_sha256(sha256);
  request.set_offset(offset);
  const auto reader = stub_->FetchArtifact(&context, request);
  v1::FetchArtifactResponse response;
  absl::Status taken;
  while (taken.ok() && reader->Read(&response)) taken = sink(response.data());
  if (!taken.ok()) context.TryCancel();
  const grpc::Status ended = reader->Finish();
  if (!taken.ok()) return taken;
  if (stop.stop_requested()) return absl::CancelledError("stopped");
  return FromGrpc(ended);
}

}  // namespace joulefarm::agent
