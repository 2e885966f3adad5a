// Artifact contents on disk, named by their SHA-256.
//
// Thread rule: ArtifactFiles from any thread; one ArtifactUpload from one thread at a time.
// Ownership: the directory belongs to the controller's state. A file under its hash is complete and
// was verified when it was stored; uploads live under a temporary name until then.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/sha256/sha256.h"

namespace joulefarm::controller {

// Letters, digits, '.', '_', '-', at most 128, not starting with '.' or '-'.
absl::Status CheckArtifactName(absl::string_view name);

class ArtifactUpload {
 public:
  ~ArtifactUpload();
  ArtifactUpload(const ArtifactUpload&) = delete;
  ArtifactUpload& operator=(const ArtifactUpload&) = delete;

  // RESOURCE_EXHAUSTED when the disk is full, OUT_OF_RANGE past the announced size.
  absl::Status Write(absl::string_view data);
  // Verifies, makes durable and gives the content its name. DATA_LOSS when size or hash are not as
  // announced.
  absl::Status Commit();

 private:
  friend class ArtifactFiles;
  ArtifactUpload(int fd, std::filesystem::path temporary, std::filesystem::path target,
                 std::string sha256, std::int64_t size_bytes);

  int fd_;
  const std::filesystem::path temporary_;
  const std::filesystem::path target_;
  const std::string sha256_;
  const std::int64_t size_bytes_;
  std::int64_t written_ = 0;
  Sha256 hash_;
};

class ArtifactFiles {
 public:
  // Makes the directory when it is missing and removes what unfinished uploads left.
  static absl::StatusOr<std::unique_ptr<ArtifactFiles>> Open(
      const std::filesystem::path& directory);

  bool Has(const std::string& sha256) const;
  std::filesystem::path PathOf(const std::string& sha256) const { return directory_ / sha256; }
  absl::StatusOr<std::unique_ptr<ArtifactUpload>> Begin(const std::string& sha256,
                                                        std::int64_t size_bytes) const;

 private:
  explicit ArtifactFiles(std::filesystem::path directory) : directory_(std::move(directory)) {}
  const std::filesystem::path directory_;
};

}  // namespace joulefarm::controller
