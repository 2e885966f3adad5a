// The spool's own thread: groups what is queued into commits, and keeps going when the disk is
// full.
#include <SQLiteCpp/Transaction.h>
#include <fcntl.h>
#include <unistd.h>

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/process/unique_fd.h"
#include "agent/spool/gap.h"
#include "agent/spool/spool.h"
#include "agent/spool/spool_db.h"
#include "agent/spool/spool_errors.h"

namespace joulefarm::agent {
namespace {

constexpr std::chrono::milliseconds kRetryPause{500};
constexpr std::chrono::seconds kReservePause{5};

}  // namespace

void Spool::WriterLoop() {
  std::deque<Op> ops;
  bool failing = false;
  while (true) {
    {
      std::unique_lock lock(queue_mutex_);
      if (failing) {
        // The same operations again, after a while; a stop does not wait for a full disk.
        queue_changed_.wait_for(lock, kRetryPause, [&] { return stopping_; });
        if (stopping_) return;
      } else {
        AwaitDue(lock);
      }
      if (stopping_ && queue_.empty() && ops.empty()) return;
      for (Op& op : queue_) ops.push_back(std::move(op));
      queue_.clear();
      queued_bytes_ = 0;
      due_.reset();
    }
    const std::size_t count = ops.size();
    failing = !Commit(ops);
    {
      const std::lock_guard lock(queue_mutex_);
      if (!failing) committed_ += count;
      tried_ = committed_ + (failing ? count : 0);
    }
    if (!failing) ops.clear();
    progress_.notify_all();
  }
}

void Spool::AwaitDue(std::unique_lock<std::mutex>& lock) {
  while (!stopping_ && !(due_ && std::chrono::steady_clock::now() >= *due_)) {
    if (due_) {
      queue_changed_.wait_until(lock, *due_);
    } else {
      queue_changed_.wait(lock);
    }
  }
}

bool Spool::Commit(std::deque<Op>& ops) {
  const bool had_reserve = HasReserve() || (ReserveDue() && TakeReserve());
  const auto degrade = [&ops] {
    for (Op& op : ops) {
      if (auto* frame = std::get_if<FrameOp>(&op)) Degrade(frame->frame);
    }
  };
  if (!had_reserve) degrade();
  absl::StatusOr<Committed> done = TryCommit(ops);
  if (!done.ok()) {
    if (had_reserve && options_.listener.failed) options_.listener.failed(done.status());
    ReleaseReserve();
    degrade();
    done = TryCommit(ops);
    if (!done.ok()) return false;
  }
  // Without room the write-ahead log must not be what uses up the rest of it.
  if (!HasReserve()) {
    (void)Guarded([](SpoolDb& db) { db.Checkpoint(); });
  }
  if (done->frames > 0 && options_.listener.committed) options_.listener.committed();
  if (options_.listener.uploaded) {
    for (const std::int64_t fence : done->uploaded) options_.listener.uploaded(fence);
  }
  return true;
}

absl::StatusOr<Spool::Committed> Spool::TryCommit(std::deque<Op>& ops) {
  Committed change;
  const std::int64_t first_id = [this] {
    const std::lock_guard lock(db_mutex_);
    return next_id_;
  }();
  const absl::Status status = [&]() -> absl::Status {
    const std::lock_guard lock(db_mutex_);
    try {
      SQLite::Transaction transaction(db_->handle());
      bool look = false;
      for (Op& op : ops) {
        look = look || !std::holds_alternative<ForgetOp>(op);
        Apply(op, change);
      }
      if (look) change.uploaded = db_->Uploaded();
      transaction.commit();
      stored_bytes_ += change.bytes;
      if (stored_bytes_ == 0 && change.bytes < 0) db_->Shrink();
      return absl::OkStatus();
    } catch (const SQLite::Exception& error) {
      next_id_ = first_id;
      return SpoolStatus(error, db_path_.string());
    } catch (const std::exception& error) {
      next_id_ = first_id;
      return absl::InternalError(absl::StrCat(db_path_.string(), ": ", error.what()));
    }
  }();
  if (!status.ok()) return status;
  return change;
}

void Spool::Apply(Op& op, Committed& change) {
  if (auto* append = std::get_if<FrameOp>(&op)) {
    v1::Frame& frame = append->frame;
    const auto size = [&frame] { return static_cast<std::int64_t>(frame.payload().size()); };
    if (stored_bytes_ + change.bytes + size() > options_.max_bytes) Degrade(frame);
    if (db_->InsertFrame(next_id_, frame)) {
      ++next_id_;
      change.bytes += size();
      ++change.frames;
    }
    if (append->finishes) db_->SetFinished(frame.fence());
  } else if (const auto* ack = std::get_if<AckOp>(&op)) {
    change.bytes -= db_->DeleteFramesUpTo(ack->cursor);
  } else if (const auto* forget = std::get_if<ForgetOp>(&op)) {
    change.bytes -= db_->DeleteAttempt(forget->fence);
  }
}

bool Spool::TakeReserve() {
  const std::lock_guard lock(reserve_mutex_);
  if (has_reserve_) return true;
  const std::filesystem::path path = options_.dir / "spool.reserve";
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!file.valid()) return false;
  if (posix_fallocate(file.get(), 0, options_.reserve_bytes) != 0) {
    // Part of a reserve is of no use.
    unlink(path.c_str());
    return false;
  }
  has_reserve_ = true;
  return true;
}

bool Spool::HasReserve() {
  const std::lock_guard lock(reserve_mutex_);
  return has_reserve_;
}

// Not at once again: what the reserve has just made room for would be full the next moment.
bool Spool::ReserveDue() {
  const std::lock_guard lock(reserve_mutex_);
  return std::chrono::steady_clock::now() - released_at_ >= kReservePause;
}

void Spool::ReleaseReserve() {
  const std::lock_guard lock(reserve_mutex_);
  has_reserve_ = false;
  released_at_ = std::chrono::steady_clock::now();
  unlink((options_.dir / "spool.reserve").c_str());
}

}  // namespace joulefarm::agent
