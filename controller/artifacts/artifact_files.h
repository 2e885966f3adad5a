// Artifact contents on disk, named by their SHA-256.
//
//   SHA256           complete, verified when it was stored
//   SHA256.part      kept of an interrupted push, for seven days
//   SHA256.damaged   found to be something else when it was read
//   .upload-XXXXXX   a push beside another one of the same content; swept at the start
//
// Thread rule: any thread. Ownership: the directory belongs to the controller's state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controller/artifacts/artifact_reader.h"
#include "controller/artifacts/artifact_upload.h"
#include "controller/artifacts/artifact_uses.h"

namespace joulefarm::controller {

// Letters, digits, '.', '_', '-', at most 128, not starting with '.' or '-'.
absl::Status CheckArtifactName(absl::string_view name);

// What lies in the directory under one hash.
struct StoredContent {
  enum class Kind { kComplete, kPartial, kDamaged };
  std::string sha256;
  Kind kind = Kind::kComplete;
  std::int64_t size_bytes = 0;
  std::int64_t changed_wall_ns = 0;
};

class ArtifactFiles {
 public:
  // Makes the directory when it is missing and removes what can no longer be resumed.
  static absl::StatusOr<std::unique_ptr<ArtifactFiles>> Open(
      const std::filesystem::path& directory);

  bool Has(const std::string& sha256) const;
  std::filesystem::path PathOf(const std::string& sha256) const { return directory_ / sha256; }

  // How much was kept of an interrupted push; 0 when nothing was, or while another push writes.
  std::int64_t PartialBytes(const std::string& sha256) const;

  // A push whose data begin at `offset`. OUT_OF_RANGE when less than that was kept,
  // RESOURCE_EXHAUSTED when the rest has no room. May read what was kept: not for gRPC's threads.
  absl::StatusOr<std::unique_ptr<ArtifactUpload>> Begin(const std::string& sha256,
                                                        std::int64_t size_bytes,
                                                        std::int64_t offset) const;

  // NOT_FOUND; OUT_OF_RANGE when the content is shorter than the offset.
  absl::StatusOr<std::unique_ptr<ArtifactReader>> Read(const std::string& sha256,
                                                       std::int64_t offset) const;

  absl::StatusOr<std::vector<StoredContent>> Contents() const;
  // Whether a push or fetch of it is running.
  bool InUse(const std::string& sha256) const { return uses_->InUse(sha256); }
  // False when somebody uses the content: then it stays.
  bool Remove(const StoredContent& content) const;

 private:
  explicit ArtifactFiles(std::filesystem::path directory) : directory_(std::move(directory)) {}
  std::filesystem::path PathOf(const StoredContent& content) const;
  void SweepPartials() const;

  const std::filesystem::path directory_;
  const std::shared_ptr<ArtifactUses> uses_ = std::make_shared<ArtifactUses>();
};

}  // namespace joulefarm::controller
