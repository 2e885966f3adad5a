// The result store port: what the farm writes, what frames become, and what is read back after a
// restart.
//
// Thread rule: one instance, one thread (the store thread); readers use their own read-only
// connections (reader.h). Ownership: the implementation owns the only write connection. Every call
// that writes is one durable transaction: when it returns OK the data survives a crash of process
// and machine; on an error nothing of it was written.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/trace/trace_summary.h"
#include "controller/core/model.h"
#include "controller/core/writes.h"
#include "joulefarm/v1/agent_service.pb.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::controller {

// What became of a batch of frames.
struct IngestOutcome {
  v1::UploadResponse response;      // acks, resume points and rejections, ready to send
  std::vector<SourceFinal> finals;  // sources that have a final now (first time)
};

// What the finaliser needs of one attempt, read back in order.
struct AttemptData {
  v1::JobSpec spec;
  v1::Final final;                                // of source 0
  std::vector<v1::Event> events;                  // of the device's own agent, in order
  std::map<int, std::vector<v1::Event>> helpers;  // of further sources, by their number
  struct Chunk {
    int source = 0;
    v1::TraceChunk chunk;
    // As they were when it was stored; absent: of an older version, or it could not be decoded.
    std::optional<TraceSummary> summary = std::nullopt;
    std::optional<std::uint32_t> crc32c = std::nullopt;  // of chunk.data
    std::int64_t id = 0;                                 // of its row
  };
  std::vector<Chunk> chunks;  // power and host, by channel, then time
  std::vector<v1::TokenBatch> tokens;
  std::vector<v1::Metric> metrics;
  // What the newest earlier accepted attempt gave that ran the same work (model, engine build,
  // prompts, options); absent: there was none.
  struct EarlierOutput {
    std::int64_t fence = 0;
    std::string sha256;
  };
  std::optional<EarlierOutput> earlier_output;
};

// What of the artifacts is needed, for collecting the rest.
struct ArtifactUse {
  struct Row {
    std::string name;
    std::string sha256;
    std::int64_t pushed_wall_ns = 0;
    bool current = false;  // the newest content of its name
  };
  std::vector<Row> rows;
  std::vector<std::string> of_unfinished_jobs;  // SHA-256 of their models
};

class Store {
 public:
  virtual ~Store() = default;

  // Control state, all or nothing, in order.
  // Errors: RESOURCE_EXHAUSTED (disk full), UNAVAILABLE (locked, I/O error), INVALID_ARGUMENT (a
  // row the schema refuses, now and ever), INTERNAL.
  virtual absl::Status Commit(const std::vector<Write>& writes) = 0;

  // Frames of one upload, in order. The fence is checked against job.live_fence inside the
  // transaction; seqs must be contiguous; payloads are decoded into the final tables in the same
  // transaction. A bad frame is rejected in the response and stops nothing else (ingest.h has the
  // rules). Errors as Commit: then nothing was stored and nothing may be acknowledged.
  virtual absl::StatusOr<IngestOutcome> Ingest(const std::vector<v1::Frame>& frames) = 0;

  // Durable cursors of one attempt.
  virtual absl::StatusOr<std::vector<v1::StreamCursor>> Cursors(Fence fence) = 0;

  // The state to go on from.
  virtual absl::StatusOr<FarmSnapshot> Load() = 0;

  // Attempts that are still their job's live fence and have no AttemptResults yet, of jobs that are
  // not terminal, whose sources each have a final or were closed by the farm.
  virtual absl::StatusOr<std::vector<Fence>> Unfinalised() = 0;

  // NOT_FOUND when the attempt or its final does not exist. Facts of several events come as one; of
  // events that repeat a run, request or channel the last counts; the final is a failure where a
  // stream it rests on was broken off.
  virtual absl::StatusOr<AttemptData> ReadAttempt(Fence fence) = 0;

  // Moves what a write-ahead log holds into place; for moments when nothing else is to be written.
  // Errors as Commit.
  virtual absl::Status Checkpoint() = 0;

  // The newest artifact of a name. NOT_FOUND.
  virtual absl::StatusOr<Artifact> FindArtifact(const std::string& name) = 0;

  // Every name and content, and which contents unfinished jobs need.
  virtual absl::StatusOr<ArtifactUse> ReadArtifactUse() = 0;

  // Removes the rows of these contents and notes it as a farm event, in one transaction. Errors as
  // Commit.
  virtual absl::Status ForgetArtifacts(const std::vector<std::string>& sha256s,
                                       std::int64_t wall_ns) = 0;
};

}  // namespace joulefarm::controller
