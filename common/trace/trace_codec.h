// The trace codec: samples (stamp, raw integer) to the bytes of TraceChunk.data and back, without
// loss. The format is described in docs/measurement.md.
//
// Threads: an object is used by one thread at a time; it keeps compression state so that chunks are
// cheap. Ownership: objects own their zstd contexts; results own their samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace joulefarm {

// Declared only: what reads the bytes of chunks, such as the extension for the sqlite3 shell, needs
// no protobuf.
namespace v1 {
class TraceChunk;
}

// Samples of one channel as two columns of equal length. Stamps are ns on the host's
// CLOCK_BOOTTIME; they may repeat or step back, the codec keeps what it is given.
struct TraceSamples {
  std::vector<std::int64_t> t_ns;
  std::vector<std::int64_t> raw;
};

// No block holds more samples than this, so hostile bytes cannot ask for more than 1 MiB.
inline constexpr std::size_t kMaxTraceSamples = 65536;

class TraceEncoder {
 public:
  TraceEncoder();
  ~TraceEncoder();
  TraceEncoder(const TraceEncoder&) = delete;
  TraceEncoder& operator=(const TraceEncoder&) = delete;

  // InvalidArgument: columns of different length, no sample, or more than kMaxTraceSamples.
  absl::StatusOr<std::string> Encode(absl::Span<const std::int64_t> t_ns,
                                     absl::Span<const std::int64_t> raw);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class TraceDecoder {
 public:
  TraceDecoder();
  ~TraceDecoder();
  TraceDecoder(const TraceDecoder&) = delete;
  TraceDecoder& operator=(const TraceDecoder&) = delete;

  // Appends the samples of one encoded block. DataLoss: not a block of a version this program
  // knows, cut off, or inconsistent; nothing was appended then.
  absl::Status Decode(absl::string_view data, TraceSamples& samples);

  // The same for a chunk, whose n and first and last stamp must agree with its data. A gap, or a
  // chunk that only counts lost samples, appends nothing. (In chunk_decode.cc: library jf_trace.)
  absl::Status Decode(const v1::TraceChunk& chunk, TraceSamples& samples);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace joulefarm
