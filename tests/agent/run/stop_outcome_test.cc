#include "agent/run/stop_outcome.h"

#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

StopAttempt StopOf(StopWhy why, v1::FailureClass failure_class = v1::FAILURE_CLASS_UNSPECIFIED) {
  return {1, why, failure_class, "because"};
}

WorkloadOutcome Said(v1::Outcome outcome, std::string reason = "") {
  WorkloadOutcome said;
  said.outcome = outcome;
  said.reason = std::move(reason);
  return said;
}

TEST(StopOutcomeTest, EveryReasonHasItsOutcome) {
  struct Row {
    StopWhy why;
    v1::Outcome outcome;
    v1::FailureClass failure_class;
  };
  for (const Row& row :
       {Row{StopWhy::kCanceled, v1::OUTCOME_CANCELED, v1::FAILURE_CLASS_POLICY},
        Row{StopWhy::kAborted, v1::OUTCOME_CANCELED, v1::FAILURE_CLASS_POLICY},
        Row{StopWhy::kUploadOnly, v1::OUTCOME_CANCELED, v1::FAILURE_CLASS_POLICY},
        Row{StopWhy::kLeaseLapsed, v1::OUTCOME_INTERRUPTED, v1::FAILURE_CLASS_INFRA},
        Row{StopWhy::kShutdown, v1::OUTCOME_INTERRUPTED, v1::FAILURE_CLASS_INFRA},
        Row{StopWhy::kTimedOut, v1::OUTCOME_TIMED_OUT, v1::FAILURE_CLASS_TIMEOUT},
        Row{StopWhy::kSpoolFailed, v1::OUTCOME_FAILED, v1::FAILURE_CLASS_INFRA}}) {
    const WorkloadOutcome outcome = OutcomeOfStop(StopOf(row.why, v1::FAILURE_CLASS_POLICY));
    EXPECT_EQ(outcome.outcome, row.outcome);
    EXPECT_EQ(outcome.failure_class, row.failure_class);
    EXPECT_EQ(outcome.reason, "because");
  }
}

TEST(StopOutcomeTest, WhoWasReleasedHasDoneItsWork) {
  const WorkloadOutcome outcome =
      OutcomeOfStop(StopOf(StopWhy::kReleased, v1::FAILURE_CLASS_UNSPECIFIED));
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(outcome.reason, "");
}

TEST(StopOutcomeTest, WithoutAStopTheWorkloadIsBelieved) {
  const WorkloadOutcome outcome = Resolve(Said(v1::OUTCOME_FAILED, "exit code 3"), nullptr);
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_FAILED);
  EXPECT_EQ(outcome.reason, "exit code 3");
  EXPECT_EQ(Resolve({}, nullptr).failure_class, v1::FAILURE_CLASS_INFRA);
}

TEST(StopOutcomeTest, SuccessBeforeTheStopStandsUnlessItsDataIsLost) {
  const StopAttempt cancel = StopOf(StopWhy::kCanceled);
  EXPECT_EQ(Resolve(Said(v1::OUTCOME_SUCCEEDED), &cancel).outcome, v1::OUTCOME_SUCCEEDED);
  const StopAttempt spool = StopOf(StopWhy::kSpoolFailed);
  EXPECT_EQ(Resolve(Said(v1::OUTCOME_SUCCEEDED), &spool).outcome, v1::OUTCOME_FAILED);
}

TEST(StopOutcomeTest, WhoStoppedItDecidesAndWhatWasSeenIsKept) {
  const StopAttempt timeout = StopOf(StopWhy::kTimedOut);
  const WorkloadOutcome outcome = Resolve(Said(v1::OUTCOME_FAILED, "engine died"), &timeout);
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_TIMED_OUT);
  EXPECT_EQ(outcome.reason, "because; engine died");
}

TEST(StopOutcomeTest, ALimitThatPassesInAWaitHasTheClassOfWhatWasWaitedFor) {
  WorkloadOutcome waited = Said(v1::OUTCOME_TIMED_OUT, "waited for gate max_temp_c");
  waited.failure_class = v1::FAILURE_CLASS_THERMAL;
  const StopAttempt timeout = StopOf(StopWhy::kTimedOut);
  const WorkloadOutcome outcome = Resolve(waited, &timeout);
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_TIMED_OUT);
  EXPECT_EQ(outcome.failure_class, v1::FAILURE_CLASS_THERMAL);
  EXPECT_EQ(outcome.reason, "because; waited for gate max_temp_c");
  // Who stops it for another reason decides alone.
  const StopAttempt shutdown = StopOf(StopWhy::kShutdown);
  EXPECT_EQ(Resolve(waited, &shutdown).outcome, v1::OUTCOME_INTERRUPTED);
  EXPECT_EQ(Resolve(waited, &shutdown).failure_class, v1::FAILURE_CLASS_INFRA);
}

}  // namespace
}  // namespace joulefarm::agent
