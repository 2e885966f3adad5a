#include "controller/rpc/artifact_service.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "boost/asio/post.hpp"
#include "common/time/wall_now.h"
#include "controller/artifacts/artifact_file_io.h"
#include "controller/artifacts/collection.h"
#include "controller/rpc/artifact_fetch.h"
#include "controller/rpc/artifact_push.h"
#include "controller/rpc/status.h"

namespace joulefarm::controller {

namespace {

// Decides, and forgets the rows of what goes; files without rows are harmless, the other way round
// would not be.
absl::StatusOr<std::vector<StoredContent>> Decide(Store& store, const ArtifactFiles& files,
                                                  const v1::CollectArtifactsRequest& request,
                                                  v1::CollectArtifactsResponse& response) {
  absl::StatusOr<ArtifactUse> use = store.ReadArtifactUse();
  if (!use.ok()) return use.status();
  absl::StatusOr<std::vector<StoredContent>> contents = files.Contents();
  if (!contents.ok()) return contents.status();
  std::map<std::string, std::string> names;  // the newest name of each content
  for (const ArtifactUse::Row& row : use->rows) names[row.sha256] = row.name;
  std::vector<StoredContent> going;
  std::vector<std::string> forget;
  for (StoredContent& content : Collectable(*contents, *use, request.keep_ns(), WallNowNs())) {
    if (files.InUse(content.sha256)) continue;
    v1::StatArtifactResponse& said = *response.add_removed();
    said.set_sha256(content.sha256);
    said.set_name(names[content.sha256]);
    said.set_complete(content.kind == StoredContent::Kind::kComplete);
    if (said.complete()) {
      said.set_size_bytes(content.size_bytes);
      forget.push_back(content.sha256);
    } else {
      said.set_partial_bytes(content.size_bytes);
    }
    response.set_freed_bytes(response.freed_bytes() + content.size_bytes);
    going.push_back(std::move(content));
  }
  if (request.dry_run()) return std::vector<StoredContent>{};
  if (const absl::Status forgotten = store.ForgetArtifacts(forget, WallNowNs()); !forgotten.ok())
    return forgotten;
  return going;
}

}  // namespace

grpc::ServerReadReactor<v1::PushArtifactRequest>* ArtifactServer::PushArtifact(
    grpc::CallbackServerContext*, v1::PushArtifactResponse* response) {
  return NewPush(host_, files_, pool_, response);
}

grpc::ServerUnaryReactor* ArtifactServer::StatArtifact(grpc::CallbackServerContext* context,
                                                       const v1::StatArtifactRequest* request,
                                                       v1::StatArtifactResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (!request->sha256().empty()) {
    response->set_sha256(request->sha256());
    response->set_complete(files_.Has(request->sha256()));
    if (response->complete()) {
      response->set_size_bytes(FileSizeOr(files_.PathOf(request->sha256()), 0));
    } else {
      response->set_partial_bytes(files_.PartialBytes(request->sha256()));
    }
    const bool known = response->complete() || response->partial_bytes() > 0;
    reactor->Finish(
        known ? grpc::Status::OK
              : grpc::Status(grpc::StatusCode::NOT_FOUND,
                             absl::StrCat("no artifact with SHA-256 ", request->sha256())));
    return reactor;
  }
  host_.WithStore([this, reactor, response, name = request->name()](Store& store) {
    const absl::StatusOr<Artifact> artifact = store.FindArtifact(name);
    if (artifact.ok()) {
      response->set_name(artifact->name);
      response->set_sha256(artifact->sha256);
      response->set_size_bytes(artifact->size_bytes);
      response->set_complete(files_.Has(artifact->sha256));
    }
    reactor->Finish(ToGrpc(artifact.status()));
  });
  return reactor;
}

grpc::ServerUnaryReactor* ArtifactServer::CollectArtifacts(
    grpc::CallbackServerContext* context, const v1::CollectArtifactsRequest* request,
    v1::CollectArtifactsResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (request->keep_ns() < 0) {
    reactor->Finish({grpc::StatusCode::INVALID_ARGUMENT, "keep_ns must not be negative"});
    return reactor;
  }
  host_.WithStore([this, reactor, request, response](Store& store) {
    auto going = Decide(store, files_, *request, *response);
    if (!going.ok()) {
      reactor->Finish(ToGrpc(going.status()));
      return;
    }
    // Giving back the blocks of big files would hold up the farm's commits.
    boost::asio::post(pool_, [this, reactor, going = *std::move(going)] {
      for (const StoredContent& content : going) (void)files_.Remove(content);
      reactor->Finish(grpc::Status::OK);
    });
  });
  return reactor;
}

grpc::ServerWriteReactor<v1::FetchArtifactResponse>* ArtifactServer::FetchArtifact(
    grpc::CallbackServerContext*, const v1::FetchArtifactRequest* request) {
  return NewFetch(files_, pool_, *request);
}

}  // namespace joulefarm::controller
