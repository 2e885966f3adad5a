// Reads one stored content from an offset on, in pieces, and watches over it: read from its
// beginning to its end, it is checked against its hash.
//
// Thread rule: one thread at a time. Ownership: owns its descriptor; while it lives the content is
// not collected.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/sha256/sha256.h"
#include "controller/artifacts/artifact_uses.h"

namespace joulefarm::controller {

class ArtifactReader {
 public:
  ~ArtifactReader();
  ArtifactReader(const ArtifactReader&) = delete;
  ArtifactReader& operator=(const ArtifactReader&) = delete;

  // The next at most `most` bytes; empty at the end. DATA_LOSS instead of the end when everything
  // was read and is not the content: then it is set aside as SHA256.damaged and no longer there.
  absl::Status Next(std::size_t most, std::string& data);

  // Reads to the end.
  absl::Status Verify();

 private:
  friend class ArtifactFiles;
  ArtifactReader(int fd, std::filesystem::path path, std::unique_ptr<ArtifactUses::Use> use,
                 std::string sha256, std::int64_t offset);
  absl::Status CheckHash();

  const int fd_;
  const std::filesystem::path path_;
  const std::unique_ptr<ArtifactUses::Use> use_;
  const std::string sha256_;
  std::int64_t at_;
  std::optional<Sha256> hash_;  // of what was read, when that began at 0
};

}  // namespace joulefarm::controller
