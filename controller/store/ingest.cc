#include "controller/store/ingest.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/crc32c/crc32c.h"
#include "controller/store/enum_text.h"

namespace joulefarm::controller {
namespace {

// Frames and Finals are smaller by protocol; more would be a broken agent.
constexpr std::size_t kMaxPayloadBytes = 1 << 20;
// Late evidence of one attempt is bounded: a spool of days is not.
constexpr std::int64_t kMaxLateBytes = 8 << 20;
// Events the controller adds to an attempt: seq 0 is no frame's.
constexpr std::int64_t kOwnSeq = 0;

bool IsKept(v1::Stream stream) {
  return stream == v1::STREAM_LOG || stream == v1::STREAM_EVENT || stream == v1::STREAM_METRIC ||
         stream == v1::STREAM_FINAL;
}

// Streams without which a success cannot be believed.
bool CarriesResult(v1::Stream stream) {
  return stream == v1::STREAM_EVENT || stream == v1::STREAM_METRIC || stream == v1::STREAM_TOKEN;
}

v1::StreamCursor MakeCursor(Fence fence, int source, v1::Stream stream, std::int64_t last_seq) {
  v1::StreamCursor cursor;
  cursor.set_fence(fence);
  cursor.set_source(source);
  cursor.set_stream(stream);
  cursor.set_last_seq(last_seq);
  return cursor;
}

// Undoes one frame and nothing else.
class FrameSavepoint {
 public:
  explicit FrameSavepoint(Session& session) : session_(session) { session_.Run("SAVEPOINT frame"); }
  ~FrameSavepoint() {
    if (open_ && sqlite3_get_autocommit(session_.database().getHandle()) == 0) {
      sqlite3_exec(session_.database().getHandle(), "ROLLBACK TO frame; RELEASE frame", nullptr,
                   nullptr, nullptr);
    }
  }
  FrameSavepoint(const FrameSavepoint&) = delete;
  FrameSavepoint& operator=(const FrameSavepoint&) = delete;
  void Keep() {
    session_.Run("RELEASE frame");
    open_ = false;
  }

 private:
  Session& session_;
  bool open_ = true;
};

}  // namespace

Ingest::Cursor& Ingest::At(const Key& key) {
  const auto [entry, is_new] = cursors_.try_emplace(key);
  Cursor& cursor = entry->second;
  if (!is_new) return cursor;
  Rows rows = session_.Query(
      R"sql(
          SELECT last_seq, closed, broken FROM stream_cursor
          WHERE attempt = ? AND source = ? AND stream = ?)sql",
      std::get<0>(key), std::get<1>(key), std::get<2>(key));
  if (rows.Next()) {
    cursor.last_seq = rows.Int(0);
    cursor.closed = rows.Int(1) != 0;
    cursor.broken = rows.Text(2);
  }
  return cursor;
}

bool Ingest::IsLive(Fence fence) {
  const auto [entry, is_new] = live_.try_emplace(fence, false);
  if (is_new) {
    Rows rows = session_.Query(
        R"sql(
          SELECT 1 FROM attempt JOIN job ON job.id = attempt.job_id
          WHERE attempt.fence = ?1 AND job.live_fence = ?1)sql",
        fence);
    entry->second = rows.Next();
  }
  return entry->second;
}

// Says to its agent why not.
bool Ingest::IsOpenSource(const v1::Frame& frame) {
  const auto [entry, is_new] =
      sources_.try_emplace({frame.fence(), frame.source()}, SourceState::kUnknown);
  if (is_new) {
    Rows rows = session_.Query("SELECT state FROM attempt_source WHERE attempt = ? AND source = ?",
                               frame.fence(), frame.source());
    if (rows.Next()) {
      entry->second = rows.Enum<v1::AttemptState>(0) == v1::ATTEMPT_STATE_LOST
                          ? SourceState::kClosed
                          : SourceState::kOpen;
    }
  }
  if (entry->second == SourceState::kUnknown) {
    Reject(frame, "CONFLICT", absl::StrCat("source ", frame.source(), " was not granted"));
  } else if (entry->second == SourceState::kClosed) {
    KeepLate(frame);
    Reject(frame, "STALE_FENCE", "the controller no longer waits for this source");
  }
  return entry->second == SourceState::kOpen;
}

void Ingest::Take(const v1::Frame& frame) {
  if (frame.seq() < 1 || EnumText(frame.stream()).empty()) {
    Reject(frame, "BAD_PAYLOAD", "no such stream, or a seq below 1");
    return;
  }
  Cursor& cursor = At({frame.fence(), frame.source(), frame.stream()});
  if (frame.seq() <= cursor.last_seq) {
    cursor.answered = true;
    if (frame.stream() == v1::STREAM_FINAL) CheckRepeatedFinal(frame);
    return;
  }
  if (!IsLive(frame.fence())) {
    KeepLate(frame);
    Reject(frame, "STALE_FENCE", "the job is finished or another attempt has it");
    return;
  }
  if (frame.source() != 0 && !IsOpenSource(frame)) return;
  if (!cursor.broken.empty()) {
    Reject(frame, cursor.broken.substr(0, cursor.broken.find(' ')), cursor.broken);
    return;
  }
  if (At({frame.fence(), frame.source(), v1::STREAM_FINAL}).closed) {
    Reject(frame, "CONFLICT", "the source has sent its final");
    return;
  }
  if (frame.seq() > cursor.last_seq + 1) {
    cursor.gap_at = std::max(cursor.gap_at, frame.seq());
    return;
  }
  Accept(frame, cursor);
}

void Ingest::Accept(const v1::Frame& frame, Cursor& cursor) {
  if (frame.payload().size() > kMaxPayloadBytes) {
    Break(frame, cursor, "BAD_PAYLOAD",
          absl::StrCat(frame.payload().size(), " bytes in one frame"));
    return;
  }
  if (Crc32c(frame.payload()) != frame.crc32c()) {
    Break(frame, cursor, "BAD_CRC", "the payload is damaged");
    return;
  }
  if (frame.stream() == v1::STREAM_FINAL) {
    AcceptFinal(frame, cursor);
    return;
  }
  std::string wrong;
  {
    FrameSavepoint savepoint(session_);
    try {
      wrong = WritePayload(session_, {frame.fence(), frame.source(), frame.seq()}, frame.stream(),
                           frame.payload());
    } catch (const SQLite::Exception& error) {
      // Only what the payload itself is to blame for; a full disk is not.
      if (error.getErrorCode() != SQLITE_CONSTRAINT && error.getErrorCode() != SQLITE_MISMATCH &&
          error.getErrorCode() != SQLITE_TOOBIG) {
        throw;
      }
      wrong = error.what();
    }
    if (wrong.empty()) savepoint.Keep();
  }
  if (!wrong.empty()) {
    Break(frame, cursor, "BAD_PAYLOAD", wrong);
    return;
  }
  cursor.last_seq = frame.seq();
  cursor.moved = cursor.answered = true;
}

void Ingest::AcceptFinal(const v1::Frame& frame, Cursor& cursor) {
  v1::Final final;
  if (!final.ParseFromString(frame.payload())) {
    Break(frame, cursor, "BAD_PAYLOAD", "the payload is not a Final");
    return;
  }
  if (AskForMissing(frame, final, cursor)) return;
  FlagUnlisted(frame, final);
  Close(frame, cursor, frame.payload(), final);
  cursor.answered = true;
}

bool Ingest::AskForMissing(const v1::Frame& frame, const v1::Final& final, Cursor& cursor) {
  bool missing = false;
  for (const v1::StreamCursor& last : final.last()) {
    if (last.stream() == v1::STREAM_FINAL || EnumText(last.stream()).empty()) continue;
    Cursor& other = At({frame.fence(), frame.source(), last.stream()});
    if (!other.broken.empty() || other.last_seq >= last.last_seq()) continue;
    other.gap_at = std::max(other.gap_at, last.last_seq());
    missing = true;
  }
  // The FINAL has to come again after them.
  if (missing) cursor.gap_at = std::max<std::int64_t>(cursor.gap_at, 1);
  return missing;
}

// Frames the final does not know of: kept, since they are durable, but somebody should know.
void Ingest::FlagUnlisted(const v1::Frame& frame, const v1::Final& final) {
  for (int number = v1::STREAM_LOG; number < v1::STREAM_FINAL; ++number) {
    const auto stream = static_cast<v1::Stream>(number);
    const Cursor& cursor = At({frame.fence(), frame.source(), stream});
    std::int64_t listed = 0;
    for (const v1::StreamCursor& last : final.last()) {
      if (last.stream() == stream) listed = last.last_seq();
    }
    if (cursor.last_seq > listed) {
      Note(frame.fence(), absl::StrCat("stream ", EnumText(stream), " has ", cursor.last_seq,
                                       " frames, the final lists ", listed));
    }
  }
}

void Ingest::Close(const v1::Frame& frame, Cursor& cursor, const std::string& payload,
                   const v1::Final& final) {
  session_.Run(
      R"sql(
          INSERT INTO stream_cursor (attempt, source, stream, last_seq, closed, broken, final)
          VALUES (?, ?, ?, 1, 1, ?, ?))sql",
      frame.fence(), frame.source(), v1::STREAM_FINAL, TextOrNull{cursor.broken}, Blob{payload});
  cursor.last_seq = 1;
  cursor.closed = true;
  cursor.moved = false;
  const v1::Final used = ReadFinal(session_, frame.fence(), frame.source()).value_or(final);
  outcome_.finals.push_back({frame.fence(), frame.source(), used.outcome(), used.reason()});
  if (frame.source() != 0) return;
  session_.Run(
      R"sql(
          UPDATE attempt SET outcome = ?, started_ns = nullif(?, 0), ended_ns = nullif(?, 0),
          clean = ?
          WHERE fence = ?)sql",
      used.outcome(), used.started_ns(), used.ended_ns(), used.clean(), frame.fence());
}

void Ingest::CheckRepeatedFinal(const v1::Frame& frame) {
  std::string first;
  {
    Rows rows = session_.Query(
        "SELECT final FROM stream_cursor WHERE attempt = ? AND source = ? AND stream = 'final'",
        frame.fence(), frame.source());
    if (rows.Next()) first = rows.Text(0);
  }
  if (first == frame.payload()) return;
  Reject(frame, "CONFLICT", "the source has sent another final before; the first one counts");
  Note(frame.fence(), absl::StrCat("source ", frame.source(),
                                   " sent a second, different final; the first one counts"));
}

void Ingest::KeepLate(const v1::Frame& frame) {
  if (!IsKept(frame.stream()) || frame.payload().size() > kMaxPayloadBytes) return;
  session_.Run(
      R"sql(
          INSERT OR IGNORE INTO late_frame (attempt, source, stream, seq, received_wall_ns,
          payload)
          SELECT ?1, ?2, ?3, ?4, ?5, ?6
          WHERE (SELECT coalesce(sum(length(payload)), 0) FROM late_frame WHERE attempt = ?1)
                + length(?6) <= ?7)sql",
      frame.fence(), frame.source(), frame.stream(), frame.seq(), wall_ns_, Blob{frame.payload()},
      kMaxLateBytes);
}

void Ingest::Break(const v1::Frame& frame, Cursor& cursor, const std::string& code,
                   const std::string& why) {
  const std::string& stream = EnumText(frame.stream());
  cursor.broken = absl::StrCat(code, " at seq ", frame.seq(), ": ", why);
  Reject(frame, code, cursor.broken);
  Note(frame.fence(), absl::StrCat("stream ", stream, " was broken off: ", cursor.broken));
  if (frame.stream() == v1::STREAM_FINAL) {
    v1::Final final;
    final.set_outcome(v1::OUTCOME_FAILED);
    final.set_failure_class(v1::FAILURE_CLASS_INFRA);
    final.set_reason(absl::StrCat("the agent's final could not be read (", cursor.broken,
                                  "): check the agent's disk and version"));
    Close(frame, cursor, final.SerializeAsString(), final);
    return;
  }
  // At once: a final in the same upload looks at it.
  WriteCursor({frame.fence(), frame.source(), frame.stream()}, cursor);
  if (frame.stream() == v1::STREAM_POWER || frame.stream() == v1::STREAM_HOST) {
    v1::Event event;
    event.mutable_reason()->set_domain(v1::DOMAIN_ENERGY);
    event.mutable_reason()->set_quality(v1::QUALITY_INVALID);
    event.mutable_reason()->set_code("stream_broken");
    event.mutable_reason()->set_detail(absl::StrCat(stream, " ", cursor.broken));
    WriteEvent(session_, {frame.fence(), frame.source(), kOwnSeq}, frame.stream(), event);
  }
}

void Ingest::WriteCursor(const Key& key, const Cursor& cursor) {
  session_.Run(
      R"sql(
          INSERT INTO stream_cursor (attempt, source, stream, last_seq, broken)
          VALUES (?, ?, ?, ?, ?)
          ON CONFLICT (attempt, source, stream) DO UPDATE SET last_seq = excluded.last_seq,
          broken = excluded.broken)sql",
      std::get<0>(key), std::get<1>(key), std::get<2>(key), cursor.last_seq,
      TextOrNull{cursor.broken});
}

void Ingest::Reject(const v1::Frame& frame, const std::string& code, const std::string& detail) {
  // Once per stream and upload is enough: the agent forgets the rest of the stream too.
  if (!rejected_.insert({frame.fence(), frame.source(), frame.stream(), code}).second) return;
  v1::FrameRejected* rejected = outcome_.response.add_rejected();
  rejected->set_fence(frame.fence());
  rejected->set_source(frame.source());
  rejected->set_stream(frame.stream());
  rejected->set_seq(frame.seq());
  rejected->set_code(code);
  rejected->set_detail(detail);
}

void Ingest::Note(Fence fence, const std::string& text) {
  FarmEvent event;
  event.t_wall_ns = wall_ns_;
  event.kind = "attempt";
  event.subject = absl::StrCat(fence);
  event.text = text;
  WriteRow(session_, event);
}

IngestOutcome Ingest::Finish() {
  for (const auto& [key, cursor] : cursors_) {
    const auto& [fence, source, stream] = key;
    if (cursor.moved) WriteCursor(key, cursor);
    if (cursor.answered) {
      *outcome_.response.add_acks() = MakeCursor(fence, source, stream, cursor.last_seq);
    }
    if (cursor.gap_at > cursor.last_seq && cursor.broken.empty()) {
      *outcome_.response.add_resume_from() = MakeCursor(fence, source, stream, cursor.last_seq);
    }
  }
  return std::move(outcome_);
}

std::optional<v1::Final> ReadFinal(Session& session, Fence fence, int source) {
  std::optional<v1::Final> final;
  std::string damage;
  Rows rows = session.Query(
      R"sql(
          SELECT stream, broken, final FROM stream_cursor
          WHERE attempt = ? AND source = ? ORDER BY stream)sql",
      fence, source);
  while (rows.Next()) {
    const auto stream = rows.Enum<v1::Stream>(0);
    if (stream == v1::STREAM_FINAL && !rows.IsNull(2)) {
      final.emplace().ParseFromString(rows.Text(2));
    } else if (CarriesResult(stream) && !rows.IsNull(1)) {
      damage = absl::StrCat("stream ", rows.Text(0), " is damaged (", rows.Text(1), ")");
    }
  }
  if (final && final->outcome() == v1::OUTCOME_SUCCEEDED && !damage.empty()) {
    final->set_outcome(v1::OUTCOME_FAILED);
    final->set_failure_class(v1::FAILURE_CLASS_INFRA);
    final->set_reason(absl::StrCat("the result is incomplete: ", damage));
  }
  return final;
}

}  // namespace joulefarm::controller
