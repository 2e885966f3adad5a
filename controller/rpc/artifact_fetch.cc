#include "controller/rpc/artifact_fetch.h"

#include <memory>
#include <utility>

#include "boost/asio/post.hpp"
#include "controller/rpc/status.h"
#include "spdlog/spdlog.h"

namespace joulefarm::controller {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{256} * 1024;

class FetchReactor : public grpc::ServerWriteReactor<v1::FetchArtifactResponse> {
 public:
  FetchReactor(const ArtifactFiles& files, boost::asio::thread_pool& pool,
               const v1::FetchArtifactRequest& request)
      : pool_(pool) {
    boost::asio::post(pool_, [this, &files, request] {
      auto reader = files.Read(request.sha256(), request.offset());
      if (!reader.ok()) {
        Finish(ToGrpc(reader.status()));
        return;
      }
      reader_ = *std::move(reader);
      Next();
    });
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      boost::asio::post(pool_, [this] { Next(); });
    } else {
      Finish({grpc::StatusCode::CANCELLED, "the agent hung up"});
    }
  }

  void OnDone() override { delete this; }

 private:
  void Next() {
    if (const absl::Status read = reader_->Next(kPieceBytes, *response_.mutable_data());
        !read.ok()) {
      spdlog::error("{}", std::string(read.message()));
      Finish(ToGrpc(read));
      return;
    }
    if (response_.data().empty()) {
      Finish(grpc::Status::OK);
      return;
    }
    StartWrite(&response_);
  }

  boost::asio::thread_pool& pool_;
  std::unique_ptr<ArtifactReader> reader_;
  v1::FetchArtifactResponse response_;
};

}  // namespace

grpc::ServerWriteReactor<v1::FetchArtifactResponse>* NewFetch(
    const ArtifactFiles& files, boost::asio::thread_pool& pool,
    const v1::FetchArtifactRequest& request) {
  return new FetchReactor(files, pool, request);
}

}  // namespace joulefarm::controller
