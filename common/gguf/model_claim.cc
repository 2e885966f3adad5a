#include "common/gguf/model_claim.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/gguf/gguf_format.h"

namespace joulefarm {
namespace {

constexpr absl::string_view kMagic(kGgufMagic, sizeof(kGgufMagic));

// What usually lies under a model's name when it is no model.
absl::string_view Cure(absl::string_view head) {
  if (absl::StartsWith(head, "version https://git-lfs")) {
    return "it is a Git LFS pointer, not the file itself: run `git lfs pull` where it came from";
  }
  if (absl::StartsWith(head, "<")) {
    return "it looks like a web page: download the file itself, not the page about it";
  }
  if (absl::StartsWith(head, "PK")) return "it is an archive: unpack it first";
  return "download or convert it again, and compare its size and SHA-256 with its source's";
}

}  // namespace

absl::StatusOr<std::optional<GgufInfo>> ReadClaimedModel(absl::string_view name,
                                                         const std::string& path,
                                                         absl::string_view shown) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return absl::UnavailableError(absl::StrCat("cannot read ", shown, ": ", std::strerror(errno)));
  }
  std::array<char, 64> buffer{};
  in.read(buffer.data(), buffer.size());
  const absl::string_view head(buffer.data(), static_cast<std::size_t>(in.gcount()));
  if (!absl::StartsWith(head, kMagic) && !absl::EndsWithIgnoreCase(name, ".gguf")) {
    return std::nullopt;
  }
  absl::StatusOr<GgufInfo> info = ReadGgufFile(path);
  if (info.ok()) return *std::move(info);
  if (absl::IsNotFound(info.status()) || absl::IsUnavailable(info.status())) return info.status();
  return absl::InvalidArgumentError(absl::StrCat(
      shown, " is not the GGUF model it claims to be: ",
      head.empty() ? absl::string_view("it is empty") : info.status().message(), "; ", Cure(head)));
}

}  // namespace joulefarm
