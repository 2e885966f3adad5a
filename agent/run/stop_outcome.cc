#include "agent/run/stop_outcome.h"

namespace joulefarm::agent {

WorkloadOutcome OutcomeOfStop(const StopAttempt& stop) {
  switch (stop.why) {
    case StopWhy::kCanceled:
    case StopWhy::kAborted:
    case StopWhy::kUploadOnly:
      return {.outcome = v1::OUTCOME_CANCELED,
              .failure_class = stop.failure_class,
              .reason = stop.text};
    case StopWhy::kLeaseLapsed:
    case StopWhy::kShutdown:
      return {.outcome = v1::OUTCOME_INTERRUPTED,
              .failure_class = v1::FAILURE_CLASS_INFRA,
              .reason = stop.text};
    case StopWhy::kTimedOut:
      return {.outcome = v1::OUTCOME_TIMED_OUT,
              .failure_class = v1::FAILURE_CLASS_TIMEOUT,
              .reason = stop.text};
    case StopWhy::kReleased:
      return {.outcome = v1::OUTCOME_SUCCEEDED,
              .failure_class = v1::FAILURE_CLASS_UNSPECIFIED,
              .reason = ""};
    case StopWhy::kSpoolFailed:
      return {.outcome = v1::OUTCOME_FAILED,
              .failure_class = v1::FAILURE_CLASS_INFRA,
              .reason = stop.text};
  }
  return {};
}

WorkloadOutcome Resolve(const WorkloadOutcome& said, const StopAttempt* stop) {
  // A success that was there first stands, except where what it observed was lost.
  const bool counts = said.outcome == v1::OUTCOME_SUCCEEDED &&
                      (stop == nullptr || stop->why != StopWhy::kSpoolFailed);
  if (stop != nullptr && !counts) {
    WorkloadOutcome outcome = OutcomeOfStop(*stop);
    // What it waited for when the limit passed says whose failure that is.
    if (stop->why == StopWhy::kTimedOut && said.outcome == v1::OUTCOME_TIMED_OUT &&
        said.failure_class != v1::FAILURE_CLASS_UNSPECIFIED) {
      outcome.failure_class = said.failure_class;
    }
    // What the workload saw when it was stopped (the engine's last output) is worth keeping.
    if (!said.reason.empty() && said.outcome != v1::OUTCOME_SUCCEEDED) {
      outcome.reason += "; " + said.reason;
    }
    return outcome;
  }
  if (said.outcome == v1::OUTCOME_UNSPECIFIED) {
    return {.outcome = v1::OUTCOME_FAILED,
            .failure_class = v1::FAILURE_CLASS_INFRA,
            .reason = "the workload ended without saying how"};
  }
  return said;
}

}  // namespace joulefarm::agent
