// One push on its way to disk.
//
// Thread rule: one thread at a time. Ownership: the files belong to the artifact directory. What
// was written of an unfinished push is kept, so that the next one can go on from there; a content
// that was found to be wrong, or that filled the disk, is not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/sha256/sha256.h"
#include "controller/artifacts/artifact_uses.h"

namespace joulefarm::controller {

class ArtifactUpload {
 public:
  ~ArtifactUpload();
  ArtifactUpload(const ArtifactUpload&) = delete;
  ArtifactUpload& operator=(const ArtifactUpload&) = delete;

  // RESOURCE_EXHAUSTED when the disk is full, OUT_OF_RANGE past the announced size.
  absl::Status Write(absl::string_view data);
  // Whether everything came and has the announced hash; after it only path and Publish make sense.
  // DATA_LOSS when not.
  absl::Status Verify();
  // Where the content is until it is published.
  const std::filesystem::path& path() const { return path_; }
  // Not wanted after all: nothing of it is kept.
  void Discard() { keep_ = false; }
  // Makes the verified content durable and gives it its name.
  absl::Status Publish();

 private:
  friend class ArtifactFiles;
  struct Place {
    int fd = -1;
    std::filesystem::path path;
    std::filesystem::path target;
    bool resumable = false;  // false: the file is this push's own and goes with it
  };
  ArtifactUpload(Place place, std::unique_ptr<ArtifactUses::Use> use, std::string sha256,
                 std::int64_t size_bytes)
      : fd_(place.fd),
        path_(std::move(place.path)),
        target_(std::move(place.target)),
        keep_(place.resumable),
        use_(std::move(use)),
        sha256_(std::move(sha256)),
        size_bytes_(size_bytes) {}
  // Takes what an earlier push left into the hash.
  absl::Status ResumeAt(std::int64_t offset);

  int fd_;
  const std::filesystem::path path_;
  const std::filesystem::path target_;
  bool keep_;
  const std::unique_ptr<ArtifactUses::Use> use_;
  const std::string sha256_;
  const std::int64_t size_bytes_;
  std::int64_t written_ = 0;
  Sha256 hash_;
};

}  // namespace joulefarm::controller
