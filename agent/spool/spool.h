// The durable store of what this agent began and of every frame the controller has not
// acknowledged: STATE/spool.db.
//
// A grant is durable before it is executed; frames are committed in groups by a thread of the
// spool's own and become readable for upload once they are durable, so that nothing the controller
// has seen can be unknown here after a crash. The spool is bounded: when it or the disk is full,
// power and host samples give way to GAP frames and log lines to a note, under the same sequence
// numbers; events, metrics, tokens and finals stay.
//
// Thread rule: every method may be called from any thread; the listener is called on the spool's
// thread and must not block. Ownership: owns its database and thread. Paths: DIR/spool.db,
// DIR/fences, DIR/spool.reserve.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/process/process_journal.h"
#include "agent/spool/spool_types.h"
#include "joulefarm/v1/lease.pb.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

class SpoolDb;

struct SpoolListener {
  // More frames can be read.
  std::function<void()> committed;
  // Everything of this finished attempt is acknowledged. May be told more than once.
  std::function<void(std::int64_t fence)> uploaded;
  // Frames cannot be kept as they are (disk full, I/O error): what runs should end. Once per spell
  // of trouble.
  std::function<void(absl::Status)> failed;
};

struct SpoolOptions {
  std::filesystem::path dir;                       // exists
  std::string boot_id;                             // of this boot, for the process journal
  std::int64_t max_bytes = std::int64_t{1} << 30;  // of payloads
  // Set aside on disk so that the end of an attempt can be written when the disk is full.
  std::int64_t reserve_bytes = std::int64_t{1} << 20;
  std::chrono::milliseconds group_window{50};
  // What the controller has acknowledged of an attempt that goes on is dropped with the next
  // frames, or after this: every commit waits for the disk.
  std::chrono::milliseconds acknowledged_window{2'000};
  // How long Finish waits for a disk that has become full.
  std::chrono::milliseconds finish_limit{10'000};
  SpoolListener listener;
};

class Spool : public ProcessJournal {
 public:
  struct Opened {
    std::unique_ptr<Spool> spool;
    // The name a damaged spool was given; its attempts are gone. Absent: there was none.
    std::optional<std::string> set_aside;
  };

  // FAILED_PRECONDITION for a spool of a newer agent, RESOURCE_EXHAUSTED for a full disk.
  static absl::StatusOr<Opened> Open(SpoolOptions options);
  // Commits what is queued, if it can.
  ~Spool() override;
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // In order of fence.
  absl::StatusOr<std::vector<HeldRecord>> Held();
  // Highest fence ever persisted per device; the larger of database and fence file.
  std::map<std::string, std::int64_t> HighWater();
  // Durable when it returns OK. ALREADY_EXISTS for a fence that is held.
  absl::Status PersistGrant(const v1::Grant& grant);

  // Queues a sealed frame; its seq must follow its stream's last. Never blocks.
  void Append(v1::Frame frame);
  // Appends the FINAL frame and marks the attempt finished; durable when it returns OK.
  absl::Status Finish(v1::Frame final_frame);
  // Durable or queued last seq of every stream of the attempt.
  absl::StatusOr<std::vector<v1::StreamCursor>> LastSeqs(std::int64_t fence);

  // Committed frames with an id above `after_id`, in order, at least one if there is any, otherwise
  // about `max_bytes`.
  absl::StatusOr<std::vector<StoredFrame>> Read(std::int64_t after_id, std::size_t max_bytes);
  // The id of the frame with exactly this seq. NOT_FOUND when it is not (or no longer) here.
  absl::StatusOr<std::int64_t> FrameId(const v1::StreamCursor& key);
  // Frames up to the cursor may go. Asynchronous, and in no hurry while the attempt goes on.
  void Acknowledge(const v1::StreamCursor& cursor);
  // Tells the listener of finished attempts that have nothing left to send. Asynchronous.
  void CheckUploaded();
  // Drops the attempt and its frames. Asynchronous.
  void Forget(std::int64_t fence);
  // Returns when everything queued before is committed or has failed once.
  void Flush();

  // ProcessJournal, for the boot the spool was opened in.
  absl::Status Started(pid_t pid, std::uint64_t start_ticks) override;
  void Ended(pid_t pid) override;
  // Processes of this boot that were started and not reported ended.
  absl::StatusOr<std::vector<JournaledProcess>> Leftovers();

  // Payload bytes stored now.
  std::int64_t stored_bytes();

 private:
  struct FrameOp {
    v1::Frame frame;
    bool finishes = false;
  };
  struct AckOp {
    v1::StreamCursor cursor;
  };
  struct ForgetOp {
    std::int64_t fence = 0;
  };
  struct CheckOp {};
  using Op = std::variant<FrameOp, AckOp, ForgetOp, CheckOp>;
  struct Committed {
    std::int64_t bytes = 0;
    std::int64_t frames = 0;
    std::vector<std::int64_t> uploaded;
  };

  explicit Spool(SpoolOptions options);
  absl::Status OpenDatabase();

  // Of an operation: how soon it is committed.
  enum class When { kNow, kGrouped, kIdly };
  std::uint64_t Enqueue(Op op, std::size_t bytes, When when);
  // spool_writer.cc
  void WriterLoop();
  // Returns when what is queued is to be committed, or when stopping.
  void AwaitDue(std::unique_lock<std::mutex>& lock);
  bool Commit(std::deque<Op>& ops);
  absl::StatusOr<Committed> TryCommit(std::deque<Op>& ops);
  void Apply(Op& op, Committed& change);
  // True when it is there, now or before.
  bool TakeReserve();
  bool HasReserve();
  bool ReserveDue();
  void ReleaseReserve();

  // Runs `work` with the database locked; what it throws becomes a status.
  absl::Status Guarded(const std::function<void(SpoolDb&)>& work);

  const SpoolOptions options_;
  const std::filesystem::path db_path_;

  std::mutex db_mutex_;  // guards the four below; held during a commit
  std::unique_ptr<SpoolDb> db_;
  std::map<std::string, std::int64_t> fences_;
  std::int64_t next_id_ = 1;
  std::int64_t stored_bytes_ = 0;

  std::mutex queue_mutex_;  // never held together with db_mutex_
  std::condition_variable queue_changed_;
  std::condition_variable progress_;
  std::deque<Op> queue_;
  std::size_t queued_bytes_ = 0;
  std::uint64_t enqueued_ = 0;  // operations ever queued
  std::uint64_t committed_ = 0;
  std::uint64_t tried_ = 0;  // operations that were committed or failed at least once
  // What is queued is committed then; absent: nothing is queued.
  std::optional<std::chrono::steady_clock::time_point> due_;
  std::set<std::int64_t> going_on_;  // attempts that frames were appended of, and no final
  bool stopping_ = false;

  // Without its reserve the spool degrades what it takes, and takes no grant.
  std::mutex reserve_mutex_;
  bool has_reserve_ = false;
  std::chrono::steady_clock::time_point released_at_{};
  std::thread writer_;
};

}  // namespace joulefarm::agent
