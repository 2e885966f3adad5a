#include "controller/ingest/store_loop.h"

#include <chrono>
#include <iterator>
#include <map>
#include <utility>

namespace joulefarm::controller {

namespace {

// Larger bulk commits were seen to hold up control commits.
constexpr std::size_t kMostBulkBytes = std::size_t{256} * 1024;

constexpr std::chrono::seconds kIdleBeforeCheckpoint{1};

using StreamOwner = std::pair<Fence, int>;

}  // namespace

StoreLoop::StoreLoop(Store& store) : store_(store), thread_([this] { Main(); }) {}

StoreLoop::~StoreLoop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void StoreLoop::Commit(std::vector<Write> writes, std::function<void(absl::Status)> done) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    control_.push_back({std::move(writes), std::move(done), nullptr});
  }
  wake_.notify_one();
}

void StoreLoop::Ingest(std::vector<v1::Frame> frames,
                       std::function<void(absl::StatusOr<IngestOutcome>)> done) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    bulk_.push_back({std::move(frames), std::move(done)});
  }
  wake_.notify_one();
}

void StoreLoop::Run(std::function<void(Store&)> work) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    control_.push_back({{}, nullptr, std::move(work)});
  }
  wake_.notify_one();
}

void StoreLoop::Reload(FarmEvent note, std::function<void(absl::StatusOr<FarmSnapshot>)> done) {
  Run([this, note = std::move(note), done = std::move(done)](Store& store) {
    const absl::Status written = store.Commit({note});
    if (!written.ok()) {
      done(written);
      return;
    }
    absl::StatusOr<FarmSnapshot> snapshot = store.Load();
    if (snapshot.ok()) broken_ = absl::OkStatus();
    done(std::move(snapshot));
  });
}

void StoreLoop::Main() {
  const auto something_to_do = [this] { return stopping_ || !control_.empty() || !bulk_.empty(); };
  bool checkpoint_due = false;
  while (true) {
    std::vector<ControlWork> control;
    std::vector<BulkWork> bulk;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      if (checkpoint_due && !wake_.wait_for(lock, kIdleBeforeCheckpoint, something_to_do)) {
        lock.unlock();
        checkpoint_due = false;
        // Off the path of writes; a failure is met again, and reported, by the next commit.
        (void)store_.Checkpoint();
        continue;
      }
      wake_.wait(lock, something_to_do);
      if (stopping_ && control_.empty() && bulk_.empty()) return;
      control.swap(control_);
      std::size_t bytes = 0;
      while (control.empty() && !bulk_.empty() && bytes < kMostBulkBytes) {
        for (const v1::Frame& frame : bulk_.front().frames) bytes += frame.payload().size();
        bulk.push_back(std::move(bulk_.front()));
        bulk_.pop_front();
      }
    }
    if (!control.empty()) DoControl(std::move(control));
    if (!bulk.empty()) DoBulk(std::move(bulk));
    checkpoint_due = true;
  }
}

void StoreLoop::DoControl(std::vector<ControlWork> group) {
  std::vector<ControlWork*> commits;
  for (ControlWork& work : group) {
    if (!work.run) {
      commits.push_back(&work);
      continue;
    }
    CommitGroup(commits);
    work.run(store_);
  }
  CommitGroup(commits);
}

void StoreLoop::CommitGroup(std::vector<ControlWork*>& group) {
  if (group.empty()) return;
  std::vector<Write> writes;
  for (ControlWork* work : group) {
    writes.insert(writes.end(), std::make_move_iterator(work->writes.begin()),
                  std::make_move_iterator(work->writes.end()));
  }
  absl::Status status = broken_;
  if (status.ok() && !writes.empty()) status = store_.Commit(writes);
  if (group.size() > 1 && absl::IsInvalidArgument(status)) {
    CommitOneByOne(group, writes);
  } else {
    if (!status.ok()) broken_ = status;
    for (ControlWork* work : group) work->done(status);
  }
  group.clear();
}

// One of the group has a row the schema refuses: what came before it is written, and the first to
// be told of the failure is the one it belongs to.
void StoreLoop::CommitOneByOne(const std::vector<ControlWork*>& group, std::vector<Write>& writes) {
  auto next = writes.begin();
  for (ControlWork* work : group) {
    const auto end = next + static_cast<std::ptrdiff_t>(work->writes.size());
    const std::vector<Write> own(std::make_move_iterator(next), std::make_move_iterator(end));
    next = end;
    absl::Status status = broken_;
    if (status.ok() && !own.empty()) status = store_.Commit(own);
    if (!status.ok()) broken_ = status;
    work->done(status);
  }
}

void StoreLoop::DoBulk(std::vector<BulkWork> group) {
  if (!broken_.ok()) {
    for (BulkWork& work : group) work.done(broken_);
    return;
  }
  std::vector<v1::Frame> frames;
  std::map<StreamOwner, std::size_t> owner;
  for (std::size_t i = 0; i < group.size(); ++i) {
    for (v1::Frame& frame : group[i].frames) {
      owner[{frame.fence(), frame.source()}] = i;
      frames.push_back(std::move(frame));
    }
  }
  absl::StatusOr<IngestOutcome> outcome = store_.Ingest(frames);
  if (!outcome.ok()) {
    for (BulkWork& work : group) work.done(outcome.status());
    return;
  }
  std::vector<IngestOutcome> split(group.size());
  const v1::UploadResponse& all = outcome->response;
  for (const auto& ack : all.acks())
    *split[owner[{ack.fence(), ack.source()}]].response.add_acks() = ack;
  for (const auto& cursor : all.resume_from()) {
    *split[owner[{cursor.fence(), cursor.source()}]].response.add_resume_from() = cursor;
  }
  for (const auto& rejected : all.rejected()) {
    *split[owner[{rejected.fence(), rejected.source()}]].response.add_rejected() = rejected;
  }
  for (const SourceFinal& final : outcome->finals)
    split[owner[{final.fence, final.source}]].finals.push_back(final);
  for (std::size_t i = 0; i < group.size(); ++i) group[i].done(std::move(split[i]));
}

}  // namespace joulefarm::controller
