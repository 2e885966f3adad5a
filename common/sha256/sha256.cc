#include "common/sha256/sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace joulefarm {
namespace {

constexpr size_t kDigestBytes = 32;
constexpr size_t kReadBytes = 262'144;

// libcrypto refuses SHA-256 only without memory or with a broken installation. A wrong digest would
// be far worse than the end of the process.
void Require(int ok) {
  if (ok == 1) return;
  std::fputs("joulefarm: libcrypto cannot compute SHA-256; check the OpenSSL installation\n",
             stderr);
  std::abort();
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

struct Sha256::Context {
  Context() : evp(EVP_MD_CTX_new()) {
    Require(evp != nullptr ? 1 : 0);
    Start();
  }
  ~Context() { EVP_MD_CTX_free(evp); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void Start() { Require(EVP_DigestInit_ex(evp, EVP_sha256(), nullptr)); }

  EVP_MD_CTX* evp;
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(absl::string_view bytes) {
  Require(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()));
}

std::string Sha256::HexDigest() {
  std::array<unsigned char, kDigestBytes> digest{};
  Require(EVP_DigestFinal_ex(context_->evp, digest.data(), nullptr));
  context_->Start();
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

std::string Sha256Hex(absl::string_view bytes) {
  Sha256 sha;
  sha.Update(bytes);
  return sha.HexDigest();
}

absl::StatusOr<std::string> Sha256File(const std::filesystem::path& path) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    return absl::NotFoundError(absl::StrCat(path.string(), ": ", std::strerror(errno)));
  }
  Sha256 sha;
  std::vector<char> buffer(kReadBytes);
  for (;;) {
    const ssize_t n = read(file.get(), buffer.data(), buffer.size());
    if (n == 0) return sha.HexDigest();
    if (n > 0) {
      sha.Update(absl::string_view(buffer.data(), static_cast<size_t>(n)));
    } else if (errno != EINTR) {
      return absl::UnavailableError(
          absl::StrCat(path.string(), ": reading failed: ", std::strerror(errno)));
    }
  }
}

bool IsSha256Hex(absl::string_view text) {
  return text.size() == 2 * kDigestBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace joulefarm
