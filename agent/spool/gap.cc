#include "agent/spool/gap.h"

#include "absl/strings/str_cat.h"
#include "common/crc32c/crc32c.h"

namespace joulefarm::agent {
namespace {

bool DegradeTrace(v1::Frame& frame) {
  v1::TraceBatch batch;
  if (!batch.ParseFromString(frame.payload())) return false;
  bool changed = false;
  for (v1::TraceChunk& chunk : *batch.mutable_chunks()) {
    if (chunk.gap()) continue;
    chunk.clear_data();
    chunk.set_gap(true);
    changed = true;
  }
  if (changed) batch.SerializeToString(frame.mutable_payload());
  return changed;
}

bool DegradeLog(v1::Frame& frame) {
  v1::LogBatch batch;
  if (!batch.ParseFromString(frame.payload()) || batch.lines_size() == 0) return false;
  const std::int64_t t_ns = batch.lines(0).t_ns();
  const int lines = batch.lines_size();
  batch.Clear();
  v1::LogLine* note = batch.add_lines();
  note->set_t_ns(t_ns);
  note->set_source("agent");
  note->set_text(absl::StrCat(lines, lines == 1 ? " line was" : " lines were",
                              " dropped here: the agent's spool is full"));
  const std::string payload = batch.SerializeAsString();
  if (payload.size() >= frame.payload().size()) return false;
  frame.set_payload(payload);
  return true;
}

}  // namespace

void Seal(v1::Frame& frame) { frame.set_crc32c(Crc32c(frame.payload())); }

bool Degrade(v1::Frame& frame) {
  bool changed = false;
  switch (frame.stream()) {
    case v1::STREAM_POWER:
    case v1::STREAM_HOST:
      changed = DegradeTrace(frame);
      break;
    case v1::STREAM_LOG:
      changed = DegradeLog(frame);
      break;
    case v1::STREAM_EVENT:
    case v1::STREAM_METRIC:
    case v1::STREAM_TOKEN:
    case v1::STREAM_FINAL:
    default:
      break;
  }
  if (changed) Seal(frame);
  return changed;
}

}  // namespace joulefarm::agent
