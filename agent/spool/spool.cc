#include "agent/spool/spool.h"

#include <SQLiteCpp/Transaction.h>
#include <sqlite3.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/spool/fence_file.h"
#include "agent/spool/gap.h"
#include "agent/spool/spool_db.h"
#include "agent/spool/spool_errors.h"

namespace joulefarm::agent {
namespace {

constexpr std::size_t kGroupBytes = 64 << 10;
// If the disk is this far behind, samples give way at once rather than fill memory.
constexpr std::size_t kMaxQueuedBytes = 8 << 20;

// Moves the database and its side files out of the way; the name it has now.
absl::StatusOr<std::string> SetAside(const std::filesystem::path& path) {
  const std::string stem = absl::StrCat(path.string(), ".damaged-", std::time(nullptr));
  std::string name = stem;
  for (int n = 1; std::filesystem::exists(name); ++n) name = absl::StrCat(stem, "-", n);
  std::error_code error;
  std::filesystem::rename(path, name, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat(
        "the spool ", path.string(), " is damaged and cannot be moved away: ", error.message()));
  }
  for (const char* side : {"-wal", "-shm"}) {
    std::filesystem::rename(path.string() + side, name + side, error);
  }
  return name;
}

}  // namespace

absl::Status SpoolStatus(const SQLite::Exception& error, absl::string_view path) {
  const std::string message = absl::StrCat(path, ": ", error.what());
  switch (error.getErrorCode()) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(absl::StrCat(message, ": no space left; free some"));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    case SQLITE_CONSTRAINT:
      return absl::AlreadyExistsError(message);
    case SQLITE_MISMATCH:
      return absl::FailedPreconditionError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::Status Spool::Guarded(const std::function<void(SpoolDb&)>& work) {
  const std::lock_guard lock(db_mutex_);
  try {
    work(*db_);
    return absl::OkStatus();
  } catch (const SQLite::Exception& error) {
    return SpoolStatus(error, db_path_.string());
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(db_path_.string(), ": ", error.what()));
  }
}

Spool::Spool(SpoolOptions options)
    : options_(std::move(options)), db_path_(options_.dir / "spool.db") {}

absl::Status Spool::OpenDatabase() {
  const std::lock_guard lock(db_mutex_);
  try {
    db_ = std::make_unique<SpoolDb>(db_path_);
    db_->Held();  // a held grant that cannot be read is damage as well
    db_->DeleteProcessesOfOtherBoots(options_.boot_id);
    next_id_ = db_->LastFrameId() + 1;
    stored_bytes_ = db_->StoredBytes();
    fences_ = ReadFenceFile(options_.dir / "fences");
    for (const auto& [device, fence] : db_->HighWater()) {
      std::int64_t& mark = fences_[device];
      mark = std::max(mark, fence);
    }
    return absl::OkStatus();
  } catch (const SQLite::Exception& error) {
    db_.reset();
    return SpoolStatus(error, db_path_.string());
  }
}

absl::StatusOr<Spool::Opened> Spool::Open(SpoolOptions options) {
  Opened opened;
  opened.spool.reset(new Spool(std::move(options)));
  Spool& spool = *opened.spool;
  absl::Status status = spool.OpenDatabase();
  if (absl::IsDataLoss(status)) {
    absl::StatusOr<std::string> name = SetAside(spool.db_path_);
    if (!name.ok()) return name.status();
    opened.set_aside = *std::move(name);
    status = spool.OpenDatabase();
  }
  if (!status.ok()) return status;
  spool.TakeReserve();
  spool.writer_ = std::thread([&spool] { spool.WriterLoop(); });
  return opened;
}

Spool::~Spool() {
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
  }
  queue_changed_.notify_all();
  if (writer_.joinable()) writer_.join();
}

absl::StatusOr<std::vector<HeldRecord>> Spool::Held() {
  std::vector<HeldRecord> held;
  const absl::Status status = Guarded([&](SpoolDb& db) { held = db.Held(); });
  if (!status.ok()) return status;
  return held;
}

std::map<std::string, std::int64_t> Spool::HighWater() {
  const std::lock_guard lock(db_mutex_);
  return fences_;
}

absl::Status Spool::PersistGrant(const v1::Grant& grant) {
  if (!TakeReserve()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no space left under ", options_.dir.string(), "; free some"));
  }
  std::map<std::string, std::int64_t> fences = HighWater();
  std::int64_t& mark = fences[grant.device_id()];
  mark = std::max(mark, grant.fence());
  absl::Status status = WriteFenceFile(options_.dir / "fences", fences);
  if (!status.ok()) return status;
  return Guarded([&](SpoolDb& db) {
    fences_ = std::move(fences);
    SQLite::Transaction transaction(db.handle());
    db.InsertGrant(grant);
    transaction.commit();
  });
}

std::uint64_t Spool::Enqueue(Op op, std::size_t bytes, When when) {
  const auto now = std::chrono::steady_clock::now();
  std::uint64_t ticket = 0;
  bool sooner = false;
  {
    const std::lock_guard lock(queue_mutex_);
    queue_.push_back(std::move(op));
    queued_bytes_ += bytes;
    ticket = ++enqueued_;
    auto due = now;
    if (when == When::kIdly) {
      due += options_.acknowledged_window;
    } else if (when == When::kGrouped && queued_bytes_ < kGroupBytes) {
      due += options_.group_window;
    }
    sooner = !due_ || due < *due_;
    if (sooner) due_ = due;
  }
  if (sooner) queue_changed_.notify_one();
  return ticket;
}

void Spool::Append(v1::Frame frame) {
  bool behind = false;
  {
    const std::lock_guard lock(queue_mutex_);
    behind = queued_bytes_ > kMaxQueuedBytes;
    going_on_.insert(frame.fence());
  }
  if (behind) Degrade(frame);
  const std::size_t bytes = frame.payload().size();
  Enqueue(FrameOp{std::move(frame), false}, bytes, When::kGrouped);
}

absl::Status Spool::Finish(v1::Frame final_frame) {
  const std::size_t bytes = final_frame.payload().size();
  {
    const std::lock_guard lock(queue_mutex_);
    going_on_.erase(final_frame.fence());
  }
  const std::uint64_t ticket = Enqueue(FrameOp{std::move(final_frame), true}, bytes, When::kNow);
  std::unique_lock lock(queue_mutex_);
  if (progress_.wait_for(lock, options_.finish_limit, [&] { return committed_ >= ticket; })) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("could not be written to ", db_path_.string(), " in time"));
}

void Spool::Flush() {
  std::unique_lock lock(queue_mutex_);
  const std::uint64_t ticket = enqueued_;
  if (due_) due_ = std::chrono::steady_clock::now();
  queue_changed_.notify_one();
  progress_.wait(lock, [&] { return tried_ >= ticket; });
}

absl::StatusOr<std::vector<v1::StreamCursor>> Spool::LastSeqs(std::int64_t fence) {
  Flush();
  std::vector<v1::StreamCursor> cursors;
  const absl::Status status = Guarded([&](SpoolDb& db) { cursors = db.LastSeqs(fence); });
  if (!status.ok()) return status;
  return cursors;
}

absl::StatusOr<std::vector<StoredFrame>> Spool::Read(std::int64_t after_id, std::size_t max_bytes) {
  std::vector<StoredFrame> frames;
  const absl::Status status =
      Guarded([&](SpoolDb& db) { frames = db.Frames(after_id, max_bytes); });
  if (!status.ok()) return status;
  return frames;
}

absl::StatusOr<std::int64_t> Spool::FrameId(const v1::StreamCursor& key) {
  std::optional<std::int64_t> id;
  const absl::Status status = Guarded([&](SpoolDb& db) { id = db.FrameId(key); });
  if (!status.ok()) return status;
  if (!id) {
    return absl::NotFoundError(absl::StrCat("frame ", key.last_seq(), " of stream ",
                                            v1::Stream_Name(key.stream()), " of attempt ",
                                            key.fence(), " is not in the spool"));
  }
  return *id;
}

void Spool::Acknowledge(const v1::StreamCursor& cursor) {
  const bool goes_on = [&] {
    const std::lock_guard lock(queue_mutex_);
    return going_on_.contains(cursor.fence());
  }();
  Enqueue(AckOp{cursor}, 0, goes_on ? When::kIdly : When::kGrouped);
}

void Spool::CheckUploaded() { Enqueue(CheckOp{}, 0, When::kGrouped); }

void Spool::Forget(std::int64_t fence) {
  {
    const std::lock_guard lock(queue_mutex_);
    going_on_.erase(fence);
  }
  Enqueue(ForgetOp{fence}, 0, When::kGrouped);
}

absl::Status Spool::Started(pid_t pid, std::uint64_t start_ticks) {
  return Guarded([&](SpoolDb& db) {
    db.InsertProcess({.boot_id = options_.boot_id, .pid = pid, .start_ticks = start_ticks});
  });
}

void Spool::Ended(pid_t pid) {
  // Should this fail, the next start looks for a process that is not there any more.
  (void)Guarded([&](SpoolDb& db) { db.DeleteProcess(options_.boot_id, pid); });
}

absl::StatusOr<std::vector<JournaledProcess>> Spool::Leftovers() {
  std::vector<JournaledProcess> processes;
  const absl::Status status = Guarded([&](SpoolDb& db) { processes = db.Processes(); });
  if (!status.ok()) return status;
  return processes;
}

std::int64_t Spool::stored_bytes() {
  const std::lock_guard lock(db_mutex_);
  return stored_bytes_;
}

}  // namespace joulefarm::agent
