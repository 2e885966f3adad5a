#include "controller/core/machines.h"

namespace joulefarm::controller {

bool IsTerminal(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELED || state == v1::JOB_STATE_EXPIRED;
}

bool IsTerminal(v1::AttemptState state) {
  switch (state) {
    case v1::ATTEMPT_STATE_SUCCEEDED:
    case v1::ATTEMPT_STATE_FAILED:
    case v1::ATTEMPT_STATE_TIMED_OUT:
    case v1::ATTEMPT_STATE_CANCELED:
    case v1::ATTEMPT_STATE_REJECTED:
    case v1::ATTEMPT_STATE_INTERRUPTED:
    case v1::ATTEMPT_STATE_LOST:
      return true;
    default:
      return false;
  }
}

std::optional<v1::JobState> Next(v1::JobState state, JobEvent event) {
  const bool waiting = state == v1::JOB_STATE_QUEUED || state == v1::JOB_STATE_HELD;
  const bool active = state == v1::JOB_STATE_ACTIVE;
  const bool canceling = state == v1::JOB_STATE_CANCELING;
  switch (event) {
    case JobEvent::kGranted:
      if (state == v1::JOB_STATE_QUEUED) return v1::JOB_STATE_ACTIVE;
      break;
    case JobEvent::kGrantWithdrawn:
      if (active) return v1::JOB_STATE_QUEUED;
      if (canceling) return v1::JOB_STATE_CANCELED;
      break;
    case JobEvent::kSucceeded:
      // A success that was complete before the cancel took hold wins.
      if (active || canceling) return v1::JOB_STATE_SUCCEEDED;
      // A lost attempt whose whole result arrived before another was granted.
      if (waiting) return v1::JOB_STATE_SUCCEEDED;
      break;
    case JobEvent::kRetry:
      if (active) return v1::JOB_STATE_QUEUED;
      break;
    case JobEvent::kFailed:
      // A queued job fails without an attempt when its cell is poison, a canceling one when a limit
      // stopped it.
      if (active || waiting || canceling) return v1::JOB_STATE_FAILED;
      break;
    case JobEvent::kCancel:
      if (waiting) return v1::JOB_STATE_CANCELED;
      if (active) return v1::JOB_STATE_CANCELING;
      break;
    case JobEvent::kStopped:
      if (canceling) return v1::JOB_STATE_CANCELED;
      break;
    case JobEvent::kExpired:
      if (waiting) return v1::JOB_STATE_EXPIRED;
      break;
    case JobEvent::kHold:
      if (state == v1::JOB_STATE_QUEUED) return v1::JOB_STATE_HELD;
      break;
    case JobEvent::kRelease:
      if (state == v1::JOB_STATE_HELD) return v1::JOB_STATE_QUEUED;
      break;
    case JobEvent::kReturned:
      if (waiting) return v1::JOB_STATE_ACTIVE;
      break;
  }
  return std::nullopt;
}

namespace {

// Progress states in order; a report never moves an attempt backwards.
int Rank(v1::AttemptState state) {
  switch (state) {
    case v1::ATTEMPT_STATE_OFFERED:
      return 0;
    case v1::ATTEMPT_STATE_ACCEPTED:
      return 1;
    case v1::ATTEMPT_STATE_PREPARING:
      return 2;
    case v1::ATTEMPT_STATE_SETTLING:
      return 3;
    case v1::ATTEMPT_STATE_RUNNING:
      return 4;
    case v1::ATTEMPT_STATE_UPLOADING:
      return 5;
    default:
      return 6;
  }
}

std::optional<v1::AttemptState> Forward(v1::AttemptState from, v1::AttemptState to) {
  if (Rank(from) < Rank(to)) return to;
  return std::nullopt;
}

}  // namespace

std::optional<v1::AttemptState> Next(v1::AttemptState state, AttemptEvent event) {
  // A result that arrives whole after LOST still ends the attempt; the job's live fence decides
  // whether it counts.
  const bool open = !IsTerminal(state) || state == v1::ATTEMPT_STATE_LOST;
  const auto end = [open](v1::AttemptState to) {
    return open ? std::optional<v1::AttemptState>(to) : std::nullopt;
  };
  switch (event) {
    case AttemptEvent::kAccepted:
      return Forward(state, v1::ATTEMPT_STATE_ACCEPTED);
    case AttemptEvent::kRejected:
      if (state == v1::ATTEMPT_STATE_OFFERED) return v1::ATTEMPT_STATE_REJECTED;
      return std::nullopt;
    case AttemptEvent::kPreparing:
      return Forward(state, v1::ATTEMPT_STATE_PREPARING);
    case AttemptEvent::kSettling:
      return Forward(state, v1::ATTEMPT_STATE_SETTLING);
    case AttemptEvent::kRunning:
      return Forward(state, v1::ATTEMPT_STATE_RUNNING);
    case AttemptEvent::kUploading:
      return Forward(state, v1::ATTEMPT_STATE_UPLOADING);
    case AttemptEvent::kSucceeded:
      return end(v1::ATTEMPT_STATE_SUCCEEDED);
    case AttemptEvent::kFailed:
      return end(v1::ATTEMPT_STATE_FAILED);
    case AttemptEvent::kTimedOut:
      return end(v1::ATTEMPT_STATE_TIMED_OUT);
    case AttemptEvent::kCanceled:
      return end(v1::ATTEMPT_STATE_CANCELED);
    case AttemptEvent::kInterrupted:
      return end(v1::ATTEMPT_STATE_INTERRUPTED);
    case AttemptEvent::kLost:
      if (!IsTerminal(state)) return v1::ATTEMPT_STATE_LOST;
      return std::nullopt;
    case AttemptEvent::kReturned:
      if (state == v1::ATTEMPT_STATE_LOST) return v1::ATTEMPT_STATE_RUNNING;
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<v1::DeviceAlloc> Next(v1::DeviceAlloc alloc, DeviceEvent event) {
  const bool held = alloc == v1::DEVICE_ALLOC_OFFERED || alloc == v1::DEVICE_ALLOC_LEASED;
  switch (event) {
    case DeviceEvent::kOffered:
      if (alloc == v1::DEVICE_ALLOC_FREE) return v1::DEVICE_ALLOC_OFFERED;
      break;
    case DeviceEvent::kAccepted:
      // From DIRTY or FREE: an attempt thought lost came back and still holds the device.
      if (alloc != v1::DEVICE_ALLOC_LEASED) return v1::DEVICE_ALLOC_LEASED;
      break;
    case DeviceEvent::kReleasedClean:
      if (held) return v1::DEVICE_ALLOC_FREE;
      break;
    case DeviceEvent::kReleasedDirty:
      if (held) return v1::DEVICE_ALLOC_DIRTY;
      break;
    case DeviceEvent::kReportedClean:
      if (alloc == v1::DEVICE_ALLOC_DIRTY) return v1::DEVICE_ALLOC_FREE;
      break;
    case DeviceEvent::kReportedDirty:
      if (alloc == v1::DEVICE_ALLOC_FREE) return v1::DEVICE_ALLOC_DIRTY;
      break;
  }
  return std::nullopt;
}

std::optional<AttemptEvent> EventOfReport(v1::AttemptState state) {
  switch (state) {
    case v1::ATTEMPT_STATE_ACCEPTED:
      return AttemptEvent::kAccepted;
    case v1::ATTEMPT_STATE_PREPARING:
      return AttemptEvent::kPreparing;
    case v1::ATTEMPT_STATE_SETTLING:
      return AttemptEvent::kSettling;
    case v1::ATTEMPT_STATE_RUNNING:
      return AttemptEvent::kRunning;
    case v1::ATTEMPT_STATE_UPLOADING:
      return AttemptEvent::kUploading;
    default:
      return std::nullopt;
  }
}

std::optional<AttemptEvent> EventOfOutcome(v1::Outcome outcome) {
  switch (outcome) {
    case v1::OUTCOME_SUCCEEDED:
      return AttemptEvent::kSucceeded;
    case v1::OUTCOME_FAILED:
      return AttemptEvent::kFailed;
    case v1::OUTCOME_TIMED_OUT:
      return AttemptEvent::kTimedOut;
    case v1::OUTCOME_CANCELED:
      return AttemptEvent::kCanceled;
    case v1::OUTCOME_INTERRUPTED:
      return AttemptEvent::kInterrupted;
    default:
      return std::nullopt;
  }
}

bool IsRetryable(v1::FailureClass failure) {
  return failure == v1::FAILURE_CLASS_DEVICE || failure == v1::FAILURE_CLASS_INFRA ||
         failure == v1::FAILURE_CLASS_THERMAL;
}

}  // namespace joulefarm::controller
