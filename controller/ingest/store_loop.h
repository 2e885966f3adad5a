// The store thread: the only place the result store is touched from while the farm runs.
//
// Thread rule: every method may be called from any thread; completions run on the store thread and
// must only post elsewhere. Control writes go before bulk frames, and what waits is committed in
// groups. After a control commit failed nothing else is written until Reload succeeds: later plans
// were made from memory that holds what was lost. Where the schema refuses a row, the first
// completion that gets the error is that of the commit with the row.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/store/store.h"

namespace joulefarm::controller {

class StoreLoop {
 public:
  // `store` must outlive the loop.
  explicit StoreLoop(Store& store);
  // Finishes what is queued, then stops.
  ~StoreLoop();
  StoreLoop(const StoreLoop&) = delete;
  StoreLoop& operator=(const StoreLoop&) = delete;

  // Durable when `done` gets OK. Completions keep the order of calls; empty writes are answered in
  // their turn.
  void Commit(std::vector<Write> writes, std::function<void(absl::Status)> done);

  // One upload's frames. The response holds what concerns them.
  void Ingest(std::vector<v1::Frame> frames,
              std::function<void(absl::StatusOr<IngestOutcome>)> done);

  // Anything else that needs the store, in turn with control writes.
  void Run(std::function<void(Store&)> work);

  // After a failed commit: tries to write a note and to load the state again; on success the loop
  // accepts work again.
  void Reload(FarmEvent note, std::function<void(absl::StatusOr<FarmSnapshot>)> done);

 private:
  struct ControlWork {
    std::vector<Write> writes;
    std::function<void(absl::Status)> done;
    std::function<void(Store&)> run;  // set: not a commit
  };
  struct BulkWork {
    std::vector<v1::Frame> frames;
    std::function<void(absl::StatusOr<IngestOutcome>)> done;
  };

  void Main();
  void DoControl(std::vector<ControlWork> group);
  void CommitGroup(std::vector<ControlWork*>& group);
  void CommitOneByOne(const std::vector<ControlWork*>& group, std::vector<Write>& writes);
  void DoBulk(std::vector<BulkWork> group);

  Store& store_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<ControlWork> control_;
  std::deque<BulkWork> bulk_;
  bool stopping_ = false;
  absl::Status broken_;  // store thread only
  std::thread thread_;   // last: starts when everything else exists
};

}  // namespace joulefarm::controller
