// SHA-256 of bytes: how artifacts, models and experiments are named by content.
//
// Threads: one Sha256 belongs to one thread at a time; the free functions are pure. Ownership:
// values.
#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace joulefarm {

// Takes the bytes piece by piece. Reusable: HexDigest starts over.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(absl::string_view bytes);

  // 64 lower-case hex digits over everything since construction or the last HexDigest.
  std::string HexDigest();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Digest of bytes in memory, 64 lower-case hex digits.
std::string Sha256Hex(absl::string_view bytes);

// Whether the text is 64 lower-case hex digits: the one spelling of a digest in this project.
bool IsSha256Hex(absl::string_view text);

}  // namespace joulefarm
