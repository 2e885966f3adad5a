#include "common/sha256/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/escaping.h"

namespace joulefarm {
namespace {

constexpr size_t kDigestBytes = 32;

// libcrypto refuses SHA-256 only without memory or with a broken installation. A wrong digest would
// be far worse than the end of the process.
void Require(int ok) {
  if (ok == 1) return;
  std::fputs("joulefarm: libcrypto cannot compute SHA-256; check the OpenSSL installation\n",
             stderr);
  std::abort();
}

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

bool IsSha256Hex(absl::string_view text) {
  return text.size() == 2 * kDigestBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace joulefarm
