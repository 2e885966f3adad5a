#include "controller/artifacts/artifact_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/time/wall_now.h"
#include "controller/artifacts/artifact_file_io.h"

namespace joulefarm::controller {

namespace {

constexpr absl::string_view kPartial = ".part";
constexpr absl::string_view kDamaged = ".damaged";
constexpr std::chrono::nanoseconds kPartialKept = std::chrono::hours(24 * 7);

// What a file is by its name; absent for files of somebody else.
std::optional<StoredContent> Parse(absl::string_view name) {
  StoredContent content;
  if (absl::ConsumeSuffix(&name, kPartial)) {
    content.kind = StoredContent::Kind::kPartial;
  } else if (absl::ConsumeSuffix(&name, kDamaged)) {
    content.kind = StoredContent::Kind::kDamaged;
  }
  if (!IsSha256Hex(name)) return std::nullopt;
  content.sha256 = std::string(name);
  return content;
}

}  // namespace

absl::Status CheckArtifactName(absl::string_view name) {
  bool ok = !name.empty() && name.size() <= 128 && name[0] != '.' && name[0] != '-';
  for (const char c : name) ok = ok && (absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-');
  if (ok) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name,
                   "\" cannot name an artifact: use 1 to 128 letters, digits, '.', '_' "
                   "and '-', not beginning with '.' or '-'"));
}

absl::StatusOr<std::unique_ptr<ArtifactFiles>> ArtifactFiles::Open(
    const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    return absl::UnavailableError(
        absl::StrCat("cannot make ", directory.string(), ": ", error.message()));
  for (auto it = std::filesystem::directory_iterator(directory, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (absl::StartsWith(it->path().filename().string(), ".upload-"))
      std::filesystem::remove(it->path(), ignored);
  }
  if (error)
    return absl::UnavailableError(
        absl::StrCat("cannot read ", directory.string(), ": ", error.message()));
  std::unique_ptr<ArtifactFiles> files(new ArtifactFiles(directory));
  files->SweepPartials();
  return files;
}

bool ArtifactFiles::Has(const std::string& sha256) const {
  return IsSha256Hex(sha256) && FileSizeOr(PathOf(sha256), -1) >= 0;
}

std::filesystem::path ArtifactFiles::PathOf(const StoredContent& content) const {
  switch (content.kind) {
    case StoredContent::Kind::kComplete:
      break;
    case StoredContent::Kind::kPartial:
      return directory_ / absl::StrCat(content.sha256, kPartial);
    case StoredContent::Kind::kDamaged:
      return directory_ / absl::StrCat(content.sha256, kDamaged);
  }
  return PathOf(content.sha256);
}

std::int64_t ArtifactFiles::PartialBytes(const std::string& sha256) const {
  if (!IsSha256Hex(sha256) || uses_->IsWriting(sha256)) return 0;
  return FileSizeOr(directory_ / absl::StrCat(sha256, kPartial), 0);
}

absl::StatusOr<std::unique_ptr<ArtifactUpload>> ArtifactFiles::Begin(const std::string& sha256,
                                                                     std::int64_t size_bytes,
                                                                     std::int64_t offset) const {
  if (!IsSha256Hex(sha256))
    return absl::InvalidArgumentError("sha256 must be 64 lower-case hex digits");
  if (size_bytes < 0) return absl::InvalidArgumentError("size_bytes must not be negative");
  if (offset < 0 || offset > size_bytes)
    return absl::InvalidArgumentError("offset must lie between 0 and size_bytes");
  SweepPartials();
  auto use = std::make_unique<ArtifactUses::Use>(uses_, sha256);
  ArtifactUpload::Place place;
  place.target = PathOf(sha256);
  place.resumable = use->TakePartial();
  if (place.resumable) {
    place.path = directory_ / absl::StrCat(sha256, kPartial);
    place.fd = ::open(place.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  } else {
    std::string pattern = (directory_ / ".upload-XXXXXX").string();
    place.fd = ::mkostemp(pattern.data(), O_CLOEXEC);
    place.path = pattern;
  }
  if (place.fd < 0) return ArtifactFileError("make a file in", directory_);
  const std::int64_t kept = ::lseek(place.fd, 0, SEEK_END);
  std::unique_ptr<ArtifactUpload> upload(
      new ArtifactUpload(std::move(place), std::move(use), sha256, size_bytes));
  if (offset > kept) {
    return absl::OutOfRangeError(absl::StrCat("the push cannot go on at byte ", offset, ", only ",
                                              kept, " were kept: push it from the beginning"));
  }
  if (const absl::Status resumed = upload->ResumeAt(offset); !resumed.ok()) return resumed;
  if (const absl::Status room = CheckRoom(directory_, size_bytes - offset); !room.ok()) return room;
  return upload;
}

absl::StatusOr<std::unique_ptr<ArtifactReader>> ArtifactFiles::Read(const std::string& sha256,
                                                                    std::int64_t offset) const {
  const auto missing = [&] {
    if (FileSizeOr(directory_ / absl::StrCat(sha256, kDamaged), -1) >= 0) {
      return absl::NotFoundError(absl::StrCat(
          "the controller's copy of content ", sha256.substr(0, 12),
          " was found damaged and set aside: push the file again with `joulefarm artifact push`"));
    }
    return absl::NotFoundError(
        absl::StrCat("the controller has no content with SHA-256 ", sha256,
                     " (any more): push the file with `joulefarm artifact push`"));
  };
  if (!IsSha256Hex(sha256)) return missing();
  auto use = std::make_unique<ArtifactUses::Use>(uses_, sha256);
  const std::filesystem::path path = PathOf(sha256);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? missing() : ArtifactFileError("open", path);
  const std::int64_t size = ::lseek(fd, 0, SEEK_END);
  std::unique_ptr<ArtifactReader> reader(
      new ArtifactReader(fd, path, std::move(use), sha256, offset));
  if (offset < 0 || offset > size) {
    return absl::OutOfRangeError(
        absl::StrCat("offset ", offset, " is past the ", size, " bytes there are"));
  }
  return reader;
}

absl::StatusOr<std::vector<StoredContent>> ArtifactFiles::Contents() const {
  std::vector<StoredContent> contents;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(directory_, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    std::optional<StoredContent> content = Parse(it->path().filename().string());
    if (!content) continue;
    content->size_bytes = FileSizeOr(it->path(), -1);
    content->changed_wall_ns = ChangedWallNs(it->path());
    if (content->size_bytes >= 0) contents.push_back(*std::move(content));
  }
  if (error)
    return absl::UnavailableError(
        absl::StrCat("cannot read ", directory_.string(), ": ", error.message()));
  return contents;
}

bool ArtifactFiles::Remove(const StoredContent& content) const {
  const std::filesystem::path path = PathOf(content);
  // Renamed where nobody can begin to use it; giving back a big file's blocks takes its time.
  std::string gone = (directory_ / absl::StrCat(".upload-gone-", content.sha256)).string();
  const bool unused =
      uses_->WhileUnused(content.sha256, [&] { (void)::rename(path.c_str(), gone.c_str()); });
  if (unused) (void)::unlink(gone.c_str());
  return unused;
}

void ArtifactFiles::SweepPartials() const {
  const absl::StatusOr<std::vector<StoredContent>> contents = Contents();
  if (!contents.ok()) return;  // whoever needs the directory next says why
  const std::int64_t oldest = WallNowNs() - kPartialKept.count();
  for (const StoredContent& content : *contents) {
    if (content.kind == StoredContent::Kind::kPartial && content.changed_wall_ns < oldest)
      (void)Remove(content);
  }
}

}  // namespace joulefarm::controller
