// The spool's SQLite file: schema and statements, nothing else.
//
// Thread rule: one thread at a time (Spool holds its lock). Ownership: owns the connection. Throws
// SQLite::Exception, which Spool turns into a status.
#pragma once

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/spool/spool_types.h"
#include "joulefarm/v1/lease.pb.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

class SpoolDb {
 public:
  // Opens or creates. Throws SQLITE_CORRUPT or SQLITE_NOTADB for a damaged file.
  explicit SpoolDb(const std::filesystem::path& path);

  SQLite::Database& handle() { return db_; }

  std::vector<HeldRecord> Held();
  std::map<std::string, std::int64_t> HighWater();
  void InsertGrant(const v1::Grant& grant);
  void SetFinished(std::int64_t fence);

  void InsertProcess(const JournaledProcess& process);
  void DeleteProcess(const std::string& boot_id, pid_t pid);
  void DeleteProcessesOfOtherBoots(const std::string& boot_id);
  std::vector<JournaledProcess> Processes();

  std::int64_t LastFrameId();
  std::int64_t StoredBytes();
  // False for a frame that is there already or whose attempt is not held any more.
  bool InsertFrame(std::int64_t id, const v1::Frame& frame);
  std::vector<StoredFrame> Frames(std::int64_t after_id, std::size_t max_bytes);
  std::optional<std::int64_t> FrameId(const v1::StreamCursor& key);
  // Last seq ever stored per stream, pruned ones included.
  std::vector<v1::StreamCursor> LastSeqs(std::int64_t fence);
  // Both give back how many payload bytes went.
  std::int64_t DeleteFramesUpTo(const v1::StreamCursor& cursor);
  std::int64_t DeleteAttempt(std::int64_t fence);
  // Attempts that ended and have no frame left.
  std::vector<std::int64_t> Uploaded();
  // Moves the write-ahead log into the database and empties it.
  void Checkpoint();
  // Gives free pages back to the file system.
  void Shrink();

 private:
  SQLite::Statement& Prepared(const char* sql);

  SQLite::Database db_;
  // Keyed by the literal's address: every statement has one place in the source.
  std::map<const char*, SQLite::Statement> statements_;
};

}  // namespace joulefarm::agent
