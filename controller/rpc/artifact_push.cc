#include "controller/rpc/artifact_push.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "boost/asio/post.hpp"
#include "common/gguf/model_claim.h"
#include "common/time/wall_now.h"
#include "controller/rpc/status.h"

namespace joulefarm::controller {

namespace {

// What a file says of itself. INVALID_ARGUMENT when it is not what it claims.
absl::StatusOr<Artifact> Describe(const v1::PushArtifactHeader& header,
                                  const std::filesystem::path& path) {
  const absl::StatusOr<std::optional<GgufInfo>> info =
      ReadClaimedModel(header.name(), path.string(), header.name());
  if (!info.ok()) return info.status();
  Artifact artifact;
  artifact.name = header.name();
  artifact.sha256 = header.sha256();
  artifact.size_bytes = header.size_bytes();
  artifact.pushed_wall_ns = WallNowNs();
  artifact.format = "file";
  if (!info->has_value()) return artifact;
  const GgufInfo& model = **info;
  artifact.format = "gguf";
  artifact.architecture = model.architecture;
  if (!model.quantisation.empty()) artifact.quant = model.quantisation;
  artifact.parameters = static_cast<std::int64_t>(model.parameter_count);
  if (model.context_length.has_value())
    artifact.context_length = static_cast<std::int64_t>(*model.context_length);
  return artifact;
}

class PushReactor : public grpc::ServerReadReactor<v1::PushArtifactRequest> {
 public:
  PushReactor(FarmHost& host, ArtifactFiles& files, boost::asio::thread_pool& pool,
              v1::PushArtifactResponse* response)
      : host_(host), files_(files), pool_(pool), response_(response) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    boost::asio::post(pool_, [this, ok] { ok ? Next() : End(); });
  }

  void OnDone() override { delete this; }

 private:
  void Next() {
    if (const absl::Status taken = Take(); !taken.ok()) {
      EndWith(taken);
      return;
    }
    StartRead(&request_);
  }

  absl::Status Take() {
    if (request_.has_header()) {
      if (begun_) return absl::InvalidArgumentError("a second header");
      begun_ = true;
      header_ = request_.header();
      return Begin();
    }
    if (!begun_)
      return absl::InvalidArgumentError("the first message of PushArtifact must be a header");
    // Content that is there already is not needed; it is read so that a client that sends anyway
    // can finish.
    return upload_ == nullptr ? absl::OkStatus() : upload_->Write(request_.data());
  }

  absl::Status Begin() {
    if (const absl::Status name = CheckArtifactName(header_.name()); !name.ok()) return name;
    absl::StatusOr<std::unique_ptr<ArtifactReader>> existing = files_.Read(header_.sha256(), 0);
    if (existing.ok()) {
      // Read through before it is relied on: a damaged copy is set aside and asked for again.
      existing_ = *std::move(existing);
      return existing_->Verify();
    }
    if (!absl::IsNotFound(existing.status())) return existing.status();
    auto upload = files_.Begin(header_.sha256(), header_.size_bytes(), header_.offset());
    if (!upload.ok()) return upload.status();
    upload_ = *std::move(upload);
    return absl::OkStatus();
  }

  void End() {
    if (!begun_) {
      EndWith(absl::CancelledError("nothing was sent"));
      return;
    }
    if (upload_ != nullptr) {
      if (const absl::Status verified = upload_->Verify(); !verified.ok()) {
        EndWith(verified);
        return;
      }
    }
    absl::StatusOr<Artifact> artifact =
        Describe(header_, upload_ != nullptr ? upload_->path() : files_.PathOf(header_.sha256()));
    if (!artifact.ok()) {
      if (upload_ != nullptr) upload_->Discard();
      EndWith(artifact.status());
      return;
    }
    if (upload_ != nullptr) {
      if (const absl::Status published = upload_->Publish(); !published.ok()) {
        EndWith(published);
        return;
      }
    }
    response_->set_name(artifact->name);
    response_->set_sha256(artifact->sha256);
    response_->set_size_bytes(artifact->size_bytes);
    response_->set_existing(upload_ == nullptr);
    host_.WithStore(
        [this, row = *std::move(artifact)](Store& store) { EndWith(store.Commit({row})); });
  }

  // What is held open is let go before the client hears of the end, so that it can come again.
  void EndWith(const absl::Status& status) {
    upload_.reset();
    existing_.reset();
    Finish(ToGrpc(status));
  }

  FarmHost& host_;
  ArtifactFiles& files_;
  boost::asio::thread_pool& pool_;
  v1::PushArtifactResponse* response_;
  v1::PushArtifactRequest request_;
  v1::PushArtifactHeader header_;
  bool begun_ = false;
  // One of the two, until the row is committed: nobody collects the content meanwhile.
  std::unique_ptr<ArtifactUpload> upload_;
  std::unique_ptr<ArtifactReader> existing_;
};

}  // namespace

grpc::ServerReadReactor<v1::PushArtifactRequest>* NewPush(FarmHost& host, ArtifactFiles& files,
                                                          boost::asio::thread_pool& pool,
                                                          v1::PushArtifactResponse* response) {
  return new PushReactor(host, files, pool, response);
}

}  // namespace joulefarm::controller
