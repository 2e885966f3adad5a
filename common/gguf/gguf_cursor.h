// Little-endian integers and strings out of a stream of known size, for the GGUF reader: knows
// where it is, refuses to pass the end and never allocates by a length that the bytes do not back.
//
// Threads: one cursor belongs to one thread. Ownership: the stream stays the caller's and must
// outlive the cursor.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace joulefarm {

// `what` names, for errors, the thing that is being read. OutOfRange past the end, Unavailable when
// reading fails.
class GgufCursor {
 public:
  GgufCursor(std::istream& in, uint64_t size) : in_(in), size_(size) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return size_ - position_; }

  absl::Status Read(void* out, uint64_t count, absl::string_view what) {
    if (count > remaining()) return Truncated(what);
    if (!in_.read(static_cast<char*>(out), static_cast<std::streamsize>(count))) {
      return absl::UnavailableError(absl::StrCat("GGUF: reading failed at byte ", position_));
    }
    position_ += count;
    return absl::OkStatus();
  }

  absl::Status Skip(uint64_t count, absl::string_view what) {
    // By reading, not seeking: the same for memory and files, and the stream is buffered.
    char scratch[4096];
    if (count > remaining()) return Truncated(what);
    while (count > 0) {
      const uint64_t step = std::min<uint64_t>(count, sizeof(scratch));
      if (absl::Status status = Read(scratch, step, what); !status.ok()) return status;
      count -= step;
    }
    return absl::OkStatus();
  }

  template <typename T>
  absl::StatusOr<T> Integer(absl::string_view what) {
    unsigned char bytes[sizeof(T)];
    if (absl::Status status = Read(bytes, sizeof(T), what); !status.ok()) return status;
    T value = 0;
    for (size_t i = 0; i < sizeof(T); ++i)
      value |= static_cast<T>(static_cast<T>(bytes[i]) << (8 * i));
    return value;
  }

  absl::StatusOr<std::string> String(uint64_t max_bytes, absl::string_view what) {
    absl::StatusOr<uint64_t> length = Integer<uint64_t>(what);
    if (!length.ok()) return length.status();
    if (*length > max_bytes) {
      return absl::InvalidArgumentError(absl::StrCat("GGUF: ", what, " at byte ", position_,
                                                     " claims a length of ", *length,
                                                     " bytes; at most ", max_bytes, " make sense"));
    }
    // Before the allocation, which must never follow a length the file only claims.
    if (*length > remaining()) return Truncated(what);
    std::string value(*length, '\0');
    if (absl::Status status = Read(value.data(), *length, what); !status.ok()) return status;
    return value;
  }

  absl::Status Truncated(absl::string_view what) const {
    return absl::OutOfRangeError(
        absl::StrCat("GGUF: truncated: ", what, " at byte ", position_, " goes past the end"));
  }

 private:
  std::istream& in_;
  const uint64_t size_;
  uint64_t position_ = 0;
};

}  // namespace joulefarm
