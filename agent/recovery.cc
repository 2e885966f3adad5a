#include "agent/recovery.h"

#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"
#include "agent/process/leftover.h"
#include "agent/spool/spool_recorder.h"

namespace joulefarm::agent {
namespace {

absl::Status KillLeftovers(Spool& spool, Recovered& recovered) {
  const absl::StatusOr<std::vector<JournaledProcess>> left = spool.Leftovers();
  if (!left.ok()) return left.status();
  for (const JournaledProcess& process : *left) {
    const absl::Status killed = KillLeftover(process.pid, process.start_ticks);
    if (killed.ok()) {
      spool.Ended(process.pid);
      recovered.notes.push_back(
          absl::StrCat("made sure that process ", process.pid, " of an earlier run is gone"));
    } else {
      recovered.clean = false;
      recovered.notes.push_back(absl::StrCat(
          "process ", process.pid, " of an earlier run is still there: ", killed.message()));
    }
  }
  return absl::OkStatus();
}

void PutBack(Environment& environment, PortCut& port, Recovered& recovered) {
  const absl::StatusOr<std::string> powered = port.RestoreLeft();
  if (!powered.ok()) recovered.clean = false;
  if (!powered.ok() || !powered->empty())
    recovered.notes.emplace_back(powered.ok() ? *powered : std::string(powered.status().message()));
  absl::StatusOr<std::vector<std::string>> notes = environment.RestoreLeft();
  if (!notes.ok()) {
    recovered.clean = false;
    recovered.notes.emplace_back(notes.status().message());
    return;
  }
  for (std::string& note : *notes) recovered.notes.push_back(std::move(note));
}

// The last word of an attempt that this process did not see end.
absl::Status Interrupt(Spool& spool, const v1::Grant& grant, bool clean) {
  const absl::StatusOr<std::vector<v1::StreamCursor>> last = spool.LastSeqs(grant.fence());
  if (!last.ok()) return last.status();
  v1::Final final_word;
  final_word.set_outcome(v1::OUTCOME_INTERRUPTED);
  final_word.set_failure_class(v1::FAILURE_CLASS_INFRA);
  final_word.set_reason("the agent was restarted while it held the attempt");
  for (const v1::StreamCursor& cursor : *last) {
    if (cursor.source() == grant.source()) *final_word.add_last() = cursor;
  }
  final_word.set_started_ns(BoottimeNs());
  final_word.set_ended_ns(final_word.started_ns());
  final_word.set_clean(clean);
  return spool.Finish(MakeFinalFrame(grant.fence(), grant.source(), std::move(final_word)));
}

}  // namespace

absl::StatusOr<Recovered> Recover(Spool& spool, const std::filesystem::path& run_dir,
                                  Environment& environment, PortCut& port) {
  Recovered recovered;
  const absl::Status killed = KillLeftovers(spool, recovered);
  if (!killed.ok()) return killed;
  // After the engines: what they measure must not change under them.
  PutBack(environment, port, recovered);
  std::error_code ignored;  // a folder that stays is replaced when it is needed
  std::filesystem::remove_all(run_dir, ignored);

  absl::StatusOr<std::vector<HeldRecord>> held = spool.Held();
  if (!held.ok()) return held.status();
  for (const HeldRecord& record : *held) {
    const v1::Grant& grant = record.grant;
    KeptAttempt kept{.fence = grant.fence(),
                     .device_id = grant.device_id(),
                     .job_id = grant.job_id(),
                     .source = grant.source(),
                     .state = v1::ATTEMPT_STATE_UPLOADING};
    if (!record.finished) {
      kept.state = v1::ATTEMPT_STATE_INTERRUPTED;
      const absl::Status status = Interrupt(spool, grant, recovered.clean);
      if (!status.ok()) {
        // Absent from the Hello it ends LOST, which is true.
        recovered.notes.push_back(absl::StrCat("attempt ", grant.fence(),
                                               " was interrupted and is lost: ", status.message()));
        spool.Forget(grant.fence());
        continue;
      }
      recovered.notes.push_back(
          absl::StrCat("attempt ", grant.fence(), " of job ", grant.job_id(), " was interrupted"));
    }
    recovered.kept.push_back(std::move(kept));
  }
  return recovered;
}

}  // namespace joulefarm::agent
