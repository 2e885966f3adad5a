// The three state machines of the farm as tables: which event moves a job, an attempt or a device
// where.
//
// Threads: pure functions. A move that is not in the table is refused (nullopt) and changes
// nothing; see docs/states.md.
#pragma once

#include <optional>

#include "joulefarm/v1/device.pb.h"
#include "joulefarm/v1/job.pb.h"
#include "joulefarm/v1/lease.pb.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::controller {

enum class JobEvent {
  kGranted,         // an attempt was offered
  kGrantWithdrawn,  // the agent refused it
  kSucceeded,       // a successful result is complete
  kRetry,           // the attempt ended badly and another one is allowed
  kFailed,          // the attempt ended badly and none is
  kCancel,          // an operator wants it to stop
  kStopped,         // what was to stop has stopped, or is out of reach for good
  kExpired,         // it waited too long
  kHold,
  kRelease,
  kReturned,  // an attempt thought lost came back before another was granted
};

enum class AttemptEvent {
  kAccepted,
  kRejected,
  kPreparing,
  kSettling,
  kRunning,
  kUploading,
  kSucceeded,
  kFailed,
  kTimedOut,
  kCanceled,
  kInterrupted,
  kLost,
  kReturned,  // seen again after LOST, running
};

enum class DeviceEvent {
  kOffered,
  kAccepted,
  kReleasedClean,  // the attempt is over and the agent says nothing is left
  kReleasedDirty,  // the attempt is over without the agent's word
  kReportedClean,  // the agent's word
  kReportedDirty,
};

bool IsTerminal(v1::JobState state);
bool IsTerminal(v1::AttemptState state);

std::optional<v1::JobState> Next(v1::JobState state, JobEvent event);
std::optional<v1::AttemptState> Next(v1::AttemptState state, AttemptEvent event);
std::optional<v1::DeviceAlloc> Next(v1::DeviceAlloc alloc, DeviceEvent event);

// The event that an agent's report of `state` stands for; nullopt for states an agent cannot
// report.
std::optional<AttemptEvent> EventOfReport(v1::AttemptState state);
// The event that a source's final outcome stands for.
std::optional<AttemptEvent> EventOfOutcome(v1::Outcome outcome);

// DEVICE, INFRA and THERMAL failures are not the job's own and may be tried again.
bool IsRetryable(v1::FailureClass failure);

}  // namespace joulefarm::controller
