// Decoding of whole chunks: the one part of the codec that knows the protocol.
#include "common/trace/trace_codec.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm {

absl::Status TraceDecoder::Decode(const v1::TraceChunk& chunk, TraceSamples& samples) {
  if (chunk.data().empty() && (chunk.gap() || chunk.n() == 0)) return absl::OkStatus();
  const std::size_t before = samples.t_ns.size();
  absl::Status read = Decode(absl::string_view(chunk.data()), samples);
  if (!read.ok()) return read;
  if (samples.t_ns.size() - before == static_cast<std::size_t>(chunk.n()) &&
      samples.t_ns[before] == chunk.t0_ns() && samples.t_ns.back() == chunk.t1_ns()) {
    return absl::OkStatus();
  }
  samples.t_ns.resize(before);
  samples.raw.resize(before);
  return absl::DataLossError("trace block: does not agree with its chunk's n, t0 and t1");
}

}  // namespace joulefarm
