#include "controller/rpc/artifact_service.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/gguf/gguf_reader.h"
#include "controller/rpc/status.h"

namespace joulefarm::controller {

namespace {

constexpr std::size_t kChunkBytes = 256 * 1024;

std::int64_t WallNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// What a model file says of itself; a file that is no GGUF is just a file.
absl::StatusOr<Artifact> Describe(const v1::PushArtifactHeader& header,
                                  const std::filesystem::path& path) {
  Artifact artifact;
  artifact.name = header.name();
  artifact.sha256 = header.sha256();
  artifact.size_bytes = header.size_bytes();
  artifact.pushed_wall_ns = WallNow();
  artifact.format = "file";
  char magic[4] = {};
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const ssize_t n = fd < 0 ? -1 : ::pread(fd, magic, sizeof(magic), 0);
  if (fd >= 0) ::close(fd);
  if (n != sizeof(magic) || absl::string_view(magic, sizeof(magic)) != "GGUF") return artifact;
  const absl::StatusOr<GgufInfo> info = ReadGgufFile(path.string());
  if (!info.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the file begins like a GGUF model and is none that can be used: ",
                     info.status().message()));
  }
  artifact.format = "gguf";
  artifact.architecture = info->architecture;
  if (!info->quantisation.empty()) artifact.quant = info->quantisation;
  artifact.parameters = static_cast<std::int64_t>(info->parameter_count);
  if (info->context_length.has_value())
    artifact.context_length = static_cast<std::int64_t>(*info->context_length);
  return artifact;
}

class PushReactor : public grpc::ServerReadReactor<v1::PushArtifactRequest> {
 public:
  PushReactor(FarmHost& host, ArtifactFiles& files, v1::PushArtifactResponse* response)
      : host_(host), files_(files), response_(response) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      End();
      return;
    }
    const absl::Status taken = Take();
    if (!taken.ok()) {
      Finish(ToGrpc(taken));
      return;
    }
    StartRead(&request_);
  }

  void OnDone() override { delete this; }

 private:
  absl::Status Take() {
    if (request_.has_header()) {
      if (begun_) return absl::InvalidArgumentError("a second header");
      begun_ = true;
      header_ = request_.header();
      if (const absl::Status name = CheckArtifactName(header_.name()); !name.ok()) return name;
      if (files_.Has(header_.sha256())) {
        existing_ = true;
        return absl::OkStatus();
      }
      auto upload = files_.Begin(header_.sha256(), header_.size_bytes());
      if (!upload.ok()) return upload.status();
      upload_ = *std::move(upload);
      return absl::OkStatus();
    }
    if (!begun_)
      return absl::InvalidArgumentError("the first message of PushArtifact must be a header");
    // Content that is there already is not needed; it is read so that a client that sends anyway
    // can finish.
    return upload_ == nullptr ? absl::OkStatus() : upload_->Write(request_.data());
  }

  void End() {
    if (!begun_) {
      Finish(grpc::Status(grpc::StatusCode::CANCELLED, "nothing was sent"));
      return;
    }
    if (upload_ != nullptr) {
      if (const absl::Status stored = upload_->Commit(); !stored.ok()) {
        Finish(ToGrpc(stored));
        return;
      }
    }
    absl::StatusOr<Artifact> artifact = Describe(header_, files_.PathOf(header_.sha256()));
    if (!artifact.ok()) {
      Finish(ToGrpc(artifact.status()));
      return;
    }
    response_->set_name(artifact->name);
    response_->set_sha256(artifact->sha256);
    response_->set_size_bytes(artifact->size_bytes);
    response_->set_existing(existing_);
    host_.WithStore(
        [this, row = *std::move(artifact)](Store& store) { Finish(ToGrpc(store.Commit({row}))); });
  }

  FarmHost& host_;
  ArtifactFiles& files_;
  v1::PushArtifactResponse* response_;
  v1::PushArtifactRequest request_;
  v1::PushArtifactHeader header_;
  bool begun_ = false;
  bool existing_ = false;
  std::unique_ptr<ArtifactUpload> upload_;
};

class FetchReactor : public grpc::ServerWriteReactor<v1::FetchArtifactResponse> {
 public:
  FetchReactor(const ArtifactFiles& files, const v1::FetchArtifactRequest& request)
      : at_(request.offset()) {
    if (!files.Has(request.sha256())) {
      Finish({grpc::StatusCode::NOT_FOUND,
              absl::StrCat("no artifact with SHA-256 ", request.sha256())});
      return;
    }
    fd_ = ::open(files.PathOf(request.sha256()).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) {
      Finish({grpc::StatusCode::UNAVAILABLE, "the artifact's file cannot be opened"});
      return;
    }
    const off_t size = ::lseek(fd_, 0, SEEK_END);
    if (at_ < 0 || at_ > size) {
      Finish({grpc::StatusCode::OUT_OF_RANGE,
              absl::StrCat("offset ", at_, " is past the ", size, " bytes there are")});
      return;
    }
    Next();
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      Next();
    } else {
      Finish({grpc::StatusCode::CANCELLED, "the agent hung up"});
    }
  }

  void OnDone() override { delete this; }

 private:
  ~FetchReactor() override {
    if (fd_ >= 0) ::close(fd_);
  }

  void Next() {
    std::string& data = *response_.mutable_data();
    data.resize(kChunkBytes);
    const ssize_t n = ::pread(fd_, data.data(), data.size(), at_);
    if (n < 0) {
      Finish({grpc::StatusCode::UNAVAILABLE, "the artifact's file cannot be read"});
      return;
    }
    if (n == 0) {
      Finish(grpc::Status::OK);
      return;
    }
    data.resize(static_cast<std::size_t>(n));
    at_ += n;
    StartWrite(&response_);
  }

  int fd_ = -1;
  off_t at_;
  v1::FetchArtifactResponse response_;
};

}  // namespace

grpc::ServerReadReactor<v1::PushArtifactRequest>* ArtifactServer::PushArtifact(
    grpc::CallbackServerContext*, v1::PushArtifactResponse* response) {
  return new PushReactor(host_, files_, response);
}

grpc::ServerUnaryReactor* ArtifactServer::StatArtifact(grpc::CallbackServerContext* context,
                                                       const v1::StatArtifactRequest* request,
                                                       v1::StatArtifactResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (!request->sha256().empty()) {
    if (!files_.Has(request->sha256())) {
      reactor->Finish({grpc::StatusCode::NOT_FOUND,
                       absl::StrCat("no artifact with SHA-256 ", request->sha256())});
      return reactor;
    }
    std::error_code error;
    response->set_sha256(request->sha256());
    response->set_size_bytes(static_cast<std::int64_t>(
        std::filesystem::file_size(files_.PathOf(request->sha256()), error)));
    reactor->Finish(error ? grpc::Status(grpc::StatusCode::UNAVAILABLE, error.message())
                          : grpc::Status::OK);
    return reactor;
  }
  host_.WithStore([reactor, response, name = request->name()](Store& store) {
    const absl::StatusOr<Artifact> artifact = store.FindArtifact(name);
    if (artifact.ok()) {
      response->set_name(artifact->name);
      response->set_sha256(artifact->sha256);
      response->set_size_bytes(artifact->size_bytes);
    }
    reactor->Finish(ToGrpc(artifact.status()));
  });
  return reactor;
}

grpc::ServerWriteReactor<v1::FetchArtifactResponse>* ArtifactServer::FetchArtifact(
    grpc::CallbackServerContext*, const v1::FetchArtifactRequest* request) {
  return new FetchReactor(files_, *request);
}

}  // namespace joulefarm::controller
