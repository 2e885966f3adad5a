// One upload of frames, inside one write transaction: fences, sequence numbers, checksums,
// decoding, closing of sources.
//
// What becomes of a frame, first rule that fits:
//   seq ≤ last_seq        acknowledged again (it is durable); a FINAL with other content than the
//   first: CONFLICT, and a farm event fence not live        STALE_FENCE; log, event, metric and
//   final are kept in late_frame stream broken off     rejected again with the same code source
//   closed         CONFLICT seq > last_seq + 1    resume_from damaged or undecodable  BAD_CRC,
//   BAD_PAYLOAD: the stream is broken off (below) FINAL before the rest resume_from for every
//   stream behind it, and for the FINAL itself otherwise             decoded, acknowledged
// A frame that can never be accepted must not hold its attempt up for ever: its stream is broken
// off, later frames of it are rejected, and the source's FINAL no longer waits for it. What that
// costs is recorded: a broken power or host stream makes the attempt's energy INVALID, a broken
// event, metric or token stream makes a success an INFRA failure, and a FINAL that cannot be read
// is replaced by one that says so.
//
// Thread rule: the store thread. Ownership: borrows the session for one transaction. Errors: throws
// SQLite::Exception.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "controller/store/rows.h"
#include "controller/store/session.h"
#include "controller/store/store.h"

namespace joulefarm::controller {

class Ingest {
 public:
  // `wall_ns`: now, for late frames and farm events.
  Ingest(Session& session, std::int64_t wall_ns) : session_(session), wall_ns_(wall_ns) {}

  void Take(const v1::Frame& frame);

  // Writes the moved cursors. Nothing of the outcome may be used before the transaction is
  // committed.
  IngestOutcome Finish();

 private:
  using Key = std::tuple<Fence, int, v1::Stream>;
  enum class SourceState { kUnknown, kOpen, kClosed };

  struct Cursor {
    std::int64_t last_seq = 0;
    bool closed = false;
    std::string broken;       // "BAD_CRC at seq 7: …"; empty: whole
    bool moved = false;       // has to be written
    bool answered = false;    // has to be acknowledged
    std::int64_t gap_at = 0;  // highest seq that came too early
  };

  Cursor& At(const Key& key);
  bool IsLive(Fence fence);
  bool IsOpenSource(const v1::Frame& frame);
  void Accept(const v1::Frame& frame, Cursor& cursor);
  void AcceptFinal(const v1::Frame& frame, Cursor& cursor);
  void Close(const v1::Frame& frame, Cursor& cursor, const std::string& payload,
             const v1::Final& final);
  bool AskForMissing(const v1::Frame& frame, const v1::Final& final, Cursor& cursor);
  void FlagUnlisted(const v1::Frame& frame, const v1::Final& final);
  void CheckRepeatedFinal(const v1::Frame& frame);
  void KeepLate(const v1::Frame& frame);
  void WriteCursor(const Key& key, const Cursor& cursor);
  void Break(const v1::Frame& frame, Cursor& cursor, const std::string& code,
             const std::string& why);
  void Reject(const v1::Frame& frame, const std::string& code, const std::string& detail);
  void Note(Fence fence, const std::string& text);

  Session& session_;
  const std::int64_t wall_ns_;
  std::map<Key, Cursor> cursors_;
  std::map<Fence, bool> live_;
  std::map<std::pair<Fence, int>, SourceState> sources_;  // further ones than 0
  std::set<std::tuple<Fence, int, v1::Stream, std::string>> rejected_;
  IngestOutcome outcome_;
};

// The Final as the controller uses it: what the source said, or a failure where the streams it
// rests on are damaged. NULL columns: absent.
std::optional<v1::Final> ReadFinal(Session& session, Fence fence, int source);

}  // namespace joulefarm::controller
