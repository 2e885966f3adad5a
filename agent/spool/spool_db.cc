#include "agent/spool/spool_db.h"

#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Transaction.h>
#include <sqlite3.h>

namespace joulefarm::agent {
namespace {

constexpr int kSchemaVersion = 1;

// Frames keep their stream's last seq apart: it must outlive pruning, because a Final names it.
constexpr char kSchema[] = R"sql(
CREATE TABLE held(
  fence INTEGER PRIMARY KEY,
  device_id TEXT NOT NULL,
  finished INTEGER NOT NULL,
  attempt_grant BLOB NOT NULL) STRICT;
CREATE TABLE high_water(
  device_id TEXT PRIMARY KEY,
  fence INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE process(
  boot_id TEXT NOT NULL,
  pid INTEGER NOT NULL,
  start_ticks INTEGER NOT NULL,
  PRIMARY KEY(boot_id, pid)) STRICT, WITHOUT ROWID;
CREATE TABLE frame(
  id INTEGER PRIMARY KEY,
  fence INTEGER NOT NULL,
  source INTEGER NOT NULL,
  stream INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  crc32c INTEGER NOT NULL,
  payload BLOB NOT NULL,
  UNIQUE(fence, source, stream, seq)) STRICT;
CREATE TABLE stream(
  fence INTEGER NOT NULL,
  source INTEGER NOT NULL,
  stream INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  PRIMARY KEY(fence, source, stream)) STRICT, WITHOUT ROWID;
)sql";

void BindKey(SQLite::Statement& statement, const v1::StreamCursor& key) {
  statement.bind(1, key.fence());
  statement.bind(2, key.source());
  statement.bind(3, static_cast<int>(key.stream()));
}

void BindBlob(SQLite::Statement& statement, int index, const std::string& bytes) {
  statement.bind(index, bytes.data(), static_cast<int>(bytes.size()));
}

std::string Blob(const SQLite::Column& column) {
  const void* data = column.getBlob();
  return data == nullptr ? std::string()
                         : std::string(static_cast<const char*>(data),
                                       static_cast<std::size_t>(column.getBytes()));
}

// Runs to the end and leaves the statement ready for its next use, whatever happens.
class Running {
 public:
  explicit Running(SQLite::Statement& statement) : statement_(statement) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { statement_.tryReset(); }

 private:
  SQLite::Statement& statement_;
};

}  // namespace

SpoolDb::SpoolDb(const std::filesystem::path& path)
    : db_(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE) {
  db_.setBusyTimeout(5000);
  // One process, one connection: no shared memory file, and a page cache that fits a small agent.
  db_.exec("PRAGMA locking_mode=EXCLUSIVE");
  db_.exec("PRAGMA auto_vacuum=INCREMENTAL");
  db_.exec("PRAGMA journal_mode=WAL");
  db_.exec("PRAGMA synchronous=FULL");
  db_.exec("PRAGMA cache_size=-512");
  db_.exec("PRAGMA wal_autocheckpoint=256");
  db_.exec("PRAGMA journal_size_limit=4194304");
  const int version = db_.execAndGet("PRAGMA user_version").getInt();
  if (version > kSchemaVersion) {
    throw SQLite::Exception("the spool was written by a newer agent (version " +
                                std::to_string(version) + ", this one knows " +
                                std::to_string(kSchemaVersion) + ")",
                            SQLITE_MISMATCH);
  }
  if (version == 0) {
    SQLite::Transaction transaction(db_);
    db_.exec(kSchema);
    db_.exec("PRAGMA user_version=" + std::to_string(kSchemaVersion));
    transaction.commit();
  }
  const std::string verdict = db_.execAndGet("PRAGMA quick_check(1)").getString();
  if (verdict != "ok") throw SQLite::Exception("damaged: " + verdict, SQLITE_CORRUPT);
}

SQLite::Statement& SpoolDb::Prepared(const char* sql) {
  auto it = statements_.find(sql);
  if (it == statements_.end()) {
    it = statements_.try_emplace(sql, db_, sql).first;
  }
  return it->second;
}

std::vector<HeldRecord> SpoolDb::Held() {
  SQLite::Statement& query = Prepared("SELECT attempt_grant, finished FROM held ORDER BY fence");
  const Running running(query);
  std::vector<HeldRecord> held;
  while (query.executeStep()) {
    HeldRecord record;
    if (!record.grant.ParseFromString(Blob(query.getColumn(0)))) {
      throw SQLite::Exception("damaged: a held grant cannot be read", SQLITE_CORRUPT);
    }
    record.finished = query.getColumn(1).getInt() != 0;
    held.push_back(std::move(record));
  }
  return held;
}

std::map<std::string, std::int64_t> SpoolDb::HighWater() {
  SQLite::Statement& query = Prepared("SELECT device_id, fence FROM high_water");
  const Running running(query);
  std::map<std::string, std::int64_t> marks;
  while (query.executeStep()) {
    marks[query.getColumn(0).getString()] = query.getColumn(1).getInt64();
  }
  return marks;
}

void SpoolDb::InsertGrant(const v1::Grant& grant) {
  SQLite::Statement& insert =
      Prepared("INSERT INTO held(fence, device_id, finished, attempt_grant) VALUES(?1, ?2, 0, ?3)");
  const Running inserting(insert);
  insert.bind(1, grant.fence());
  insert.bind(2, grant.device_id());
  BindBlob(insert, 3, grant.SerializeAsString());
  insert.exec();
  SQLite::Statement& raise = Prepared(
      "INSERT INTO high_water(device_id, fence) VALUES(?1, ?2)"
      " ON CONFLICT(device_id) DO UPDATE SET fence = max(fence, excluded.fence)");
  const Running raising(raise);
  raise.bind(1, grant.device_id());
  raise.bind(2, grant.fence());
  raise.exec();
}

void SpoolDb::SetFinished(std::int64_t fence) {
  SQLite::Statement& update = Prepared("UPDATE held SET finished = 1 WHERE fence = ?1");
  const Running running(update);
  update.bind(1, fence);
  update.exec();
}

void SpoolDb::InsertProcess(const JournaledProcess& process) {
  SQLite::Statement& insert =
      Prepared("INSERT OR REPLACE INTO process(boot_id, pid, start_ticks) VALUES(?1, ?2, ?3)");
  const Running running(insert);
  insert.bind(1, process.boot_id);
  insert.bind(2, static_cast<std::int64_t>(process.pid));
  insert.bind(3, static_cast<std::int64_t>(process.start_ticks));
  insert.exec();
}

void SpoolDb::DeleteProcess(const std::string& boot_id, pid_t pid) {
  SQLite::Statement& erase = Prepared("DELETE FROM process WHERE boot_id = ?1 AND pid = ?2");
  const Running running(erase);
  erase.bind(1, boot_id);
  erase.bind(2, static_cast<std::int64_t>(pid));
  erase.exec();
}

void SpoolDb::DeleteProcessesOfOtherBoots(const std::string& boot_id) {
  SQLite::Statement& erase = Prepared("DELETE FROM process WHERE boot_id <> ?1");
  const Running running(erase);
  erase.bind(1, boot_id);
  erase.exec();
}

std::vector<JournaledProcess> SpoolDb::Processes() {
  SQLite::Statement& query = Prepared("SELECT boot_id, pid, start_ticks FROM process");
  const Running running(query);
  std::vector<JournaledProcess> processes;
  while (query.executeStep()) {
    processes.push_back({.boot_id = query.getColumn(0).getString(),
                         .pid = static_cast<pid_t>(query.getColumn(1).getInt64()),
                         .start_ticks = static_cast<std::uint64_t>(query.getColumn(2).getInt64())});
  }
  return processes;
}

std::int64_t SpoolDb::LastFrameId() {
  return db_.execAndGet("SELECT coalesce(max(id), 0) FROM frame").getInt64();
}

std::int64_t SpoolDb::StoredBytes() {
  return db_.execAndGet("SELECT coalesce(sum(length(payload)), 0) FROM frame").getInt64();
}

bool SpoolDb::InsertFrame(std::int64_t id, const v1::Frame& frame) {
  SQLite::Statement& insert = Prepared(
      "INSERT OR IGNORE INTO frame(id, fence, source, stream, seq, crc32c, payload)"
      " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS(SELECT 1 FROM held WHERE fence = ?2)");
  const Running inserting(insert);
  insert.bind(1, id);
  insert.bind(2, frame.fence());
  insert.bind(3, frame.source());
  insert.bind(4, static_cast<int>(frame.stream()));
  insert.bind(5, frame.seq());
  insert.bind(6, static_cast<std::int64_t>(frame.crc32c()));
  BindBlob(insert, 7, frame.payload());
  if (insert.exec() == 0) return false;
  SQLite::Statement& raise = Prepared(
      "INSERT INTO stream(fence, source, stream, last_seq) VALUES(?1, ?2, ?3, ?4)"
      " ON CONFLICT(fence, source, stream) DO UPDATE SET last_seq = excluded.last_seq");
  const Running raising(raise);
  raise.bind(1, frame.fence());
  raise.bind(2, frame.source());
  raise.bind(3, static_cast<int>(frame.stream()));
  raise.bind(4, frame.seq());
  raise.exec();
  return true;
}

std::vector<StoredFrame> SpoolDb::Frames(std::int64_t after_id, std::size_t max_bytes) {
  SQLite::Statement& query = Prepared(
      "SELECT id, fence, source, stream, seq, crc32c, payload FROM frame WHERE id > ?1 ORDER BY "
      "id");
  const Running running(query);
  query.bind(1, after_id);
  std::vector<StoredFrame> frames;
  std::size_t bytes = 0;
  while (query.executeStep()) {
    const auto size = static_cast<std::size_t>(query.getColumn(6).getBytes());
    if (!frames.empty() && bytes + size > max_bytes) break;
    StoredFrame stored;
    stored.id = query.getColumn(0).getInt64();
    stored.frame.set_fence(query.getColumn(1).getInt64());
    stored.frame.set_source(query.getColumn(2).getInt());
    stored.frame.set_stream(static_cast<v1::Stream>(query.getColumn(3).getInt()));
    stored.frame.set_seq(query.getColumn(4).getInt64());
    stored.frame.set_crc32c(static_cast<std::uint32_t>(query.getColumn(5).getInt64()));
    stored.frame.set_payload(Blob(query.getColumn(6)));
    bytes += size;
    frames.push_back(std::move(stored));
    if (bytes >= max_bytes) break;
  }
  return frames;
}

std::optional<std::int64_t> SpoolDb::FrameId(const v1::StreamCursor& key) {
  SQLite::Statement& query = Prepared(
      "SELECT id FROM frame WHERE fence = ?1 AND source = ?2 AND stream = ?3 AND seq = ?4");
  const Running running(query);
  BindKey(query, key);
  query.bind(4, key.last_seq());
  if (!query.executeStep()) return std::nullopt;
  return query.getColumn(0).getInt64();
}

std::vector<v1::StreamCursor> SpoolDb::LastSeqs(std::int64_t fence) {
  SQLite::Statement& query = Prepared(
      "SELECT source, stream, last_seq FROM stream WHERE fence = ?1 ORDER BY source, stream");
  const Running running(query);
  query.bind(1, fence);
  std::vector<v1::StreamCursor> cursors;
  while (query.executeStep()) {
    v1::StreamCursor cursor;
    cursor.set_fence(fence);
    cursor.set_source(query.getColumn(0).getInt());
    cursor.set_stream(static_cast<v1::Stream>(query.getColumn(1).getInt()));
    cursor.set_last_seq(query.getColumn(2).getInt64());
    cursors.push_back(std::move(cursor));
  }
  return cursors;
}

std::int64_t SpoolDb::DeleteFramesUpTo(const v1::StreamCursor& cursor) {
  SQLite::Statement& sum = Prepared(
      "SELECT coalesce(sum(length(payload)), 0) FROM frame"
      " WHERE fence = ?1 AND source = ?2 AND stream = ?3 AND seq <= ?4");
  const Running summing(sum);
  BindKey(sum, cursor);
  sum.bind(4, cursor.last_seq());
  sum.executeStep();
  const std::int64_t bytes = sum.getColumn(0).getInt64();
  SQLite::Statement& erase =
      Prepared("DELETE FROM frame WHERE fence = ?1 AND source = ?2 AND stream = ?3 AND seq <= ?4");
  const Running erasing(erase);
  BindKey(erase, cursor);
  erase.bind(4, cursor.last_seq());
  erase.exec();
  return bytes;
}

std::int64_t SpoolDb::DeleteAttempt(std::int64_t fence) {
  SQLite::Statement& sum =
      Prepared("SELECT coalesce(sum(length(payload)), 0) FROM frame WHERE fence = ?1");
  const Running summing(sum);
  sum.bind(1, fence);
  sum.executeStep();
  const std::int64_t bytes = sum.getColumn(0).getInt64();
  for (const char* sql :
       {"DELETE FROM frame WHERE fence = ?1", "DELETE FROM stream WHERE fence = ?1",
        "DELETE FROM held WHERE fence = ?1"}) {
    SQLite::Statement& erase = Prepared(sql);
    const Running erasing(erase);
    erase.bind(1, fence);
    erase.exec();
  }
  return bytes;
}

std::vector<std::int64_t> SpoolDb::Uploaded() {
  SQLite::Statement& query = Prepared(
      "SELECT fence FROM held WHERE finished = 1"
      " AND NOT EXISTS(SELECT 1 FROM frame WHERE frame.fence = held.fence)");
  const Running running(query);
  std::vector<std::int64_t> fences;
  while (query.executeStep()) fences.push_back(query.getColumn(0).getInt64());
  return fences;
}

void SpoolDb::Checkpoint() { db_.exec("PRAGMA wal_checkpoint(TRUNCATE)"); }

void SpoolDb::Shrink() {
  SQLite::Statement vacuum(db_, "PRAGMA incremental_vacuum");
  while (vacuum.executeStep()) {
  }
}

}  // namespace joulefarm::agent
