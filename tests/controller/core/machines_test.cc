// Every state × event of the three machines against the tables of docs/states.md, written out here
// a second time.
#include "controller/core/machines.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

namespace joulefarm::controller {
namespace {

using JobTable = std::map<std::pair<v1::JobState, JobEvent>, v1::JobState>;

const JobTable& Jobs() {
  static const JobTable table = {
      {{v1::JOB_STATE_QUEUED, JobEvent::kGranted}, v1::JOB_STATE_ACTIVE},
      {{v1::JOB_STATE_QUEUED, JobEvent::kCancel}, v1::JOB_STATE_CANCELED},
      {{v1::JOB_STATE_QUEUED, JobEvent::kExpired}, v1::JOB_STATE_EXPIRED},
      {{v1::JOB_STATE_QUEUED, JobEvent::kHold}, v1::JOB_STATE_HELD},
      {{v1::JOB_STATE_QUEUED, JobEvent::kFailed}, v1::JOB_STATE_FAILED},
      {{v1::JOB_STATE_QUEUED, JobEvent::kSucceeded}, v1::JOB_STATE_SUCCEEDED},
      {{v1::JOB_STATE_QUEUED, JobEvent::kReturned}, v1::JOB_STATE_ACTIVE},
      {{v1::JOB_STATE_HELD, JobEvent::kRelease}, v1::JOB_STATE_QUEUED},
      {{v1::JOB_STATE_HELD, JobEvent::kCancel}, v1::JOB_STATE_CANCELED},
      {{v1::JOB_STATE_HELD, JobEvent::kExpired}, v1::JOB_STATE_EXPIRED},
      {{v1::JOB_STATE_HELD, JobEvent::kFailed}, v1::JOB_STATE_FAILED},
      {{v1::JOB_STATE_HELD, JobEvent::kSucceeded}, v1::JOB_STATE_SUCCEEDED},
      {{v1::JOB_STATE_HELD, JobEvent::kReturned}, v1::JOB_STATE_ACTIVE},
      {{v1::JOB_STATE_ACTIVE, JobEvent::kGrantWithdrawn}, v1::JOB_STATE_QUEUED},
      {{v1::JOB_STATE_ACTIVE, JobEvent::kSucceeded}, v1::JOB_STATE_SUCCEEDED},
      {{v1::JOB_STATE_ACTIVE, JobEvent::kRetry}, v1::JOB_STATE_QUEUED},
      {{v1::JOB_STATE_ACTIVE, JobEvent::kFailed}, v1::JOB_STATE_FAILED},
      {{v1::JOB_STATE_ACTIVE, JobEvent::kCancel}, v1::JOB_STATE_CANCELING},
      {{v1::JOB_STATE_CANCELING, JobEvent::kGrantWithdrawn}, v1::JOB_STATE_CANCELED},
      {{v1::JOB_STATE_CANCELING, JobEvent::kSucceeded}, v1::JOB_STATE_SUCCEEDED},
      {{v1::JOB_STATE_CANCELING, JobEvent::kFailed}, v1::JOB_STATE_FAILED},
      {{v1::JOB_STATE_CANCELING, JobEvent::kStopped}, v1::JOB_STATE_CANCELED},
  };
  return table;
}

TEST(JobMachine, EveryStateAndEvent) {
  int checked = 0;
  for (int s = v1::JOB_STATE_UNSPECIFIED; s <= v1::JOB_STATE_EXPIRED; ++s) {
    for (int e = 0; e <= static_cast<int>(JobEvent::kReturned); ++e) {
      const auto state = static_cast<v1::JobState>(s);
      const auto event = static_cast<JobEvent>(e);
      const auto expected = Jobs().find({state, event});
      const auto got = Next(state, event);
      ++checked;
      if (expected == Jobs().end()) {
        EXPECT_EQ(got, std::nullopt) << v1::JobState_Name(state) << " event " << e;
      } else {
        EXPECT_EQ(got, expected->second) << v1::JobState_Name(state) << " event " << e;
      }
    }
  }
  EXPECT_EQ(checked, 9 * 11);
}

TEST(JobMachine, NothingLeavesATerminalState) {
  for (int s = v1::JOB_STATE_SUCCEEDED; s <= v1::JOB_STATE_EXPIRED; ++s) {
    ASSERT_TRUE(IsTerminal(static_cast<v1::JobState>(s)));
    for (int e = 0; e <= static_cast<int>(JobEvent::kReturned); ++e) {
      EXPECT_EQ(Next(static_cast<v1::JobState>(s), static_cast<JobEvent>(e)), std::nullopt);
    }
  }
}

using AttemptTable = std::map<std::pair<v1::AttemptState, AttemptEvent>, v1::AttemptState>;

AttemptTable Attempts() {
  const std::vector<std::pair<AttemptEvent, v1::AttemptState>> progress = {
      {AttemptEvent::kAccepted, v1::ATTEMPT_STATE_ACCEPTED},
      {AttemptEvent::kPreparing, v1::ATTEMPT_STATE_PREPARING},
      {AttemptEvent::kSettling, v1::ATTEMPT_STATE_SETTLING},
      {AttemptEvent::kRunning, v1::ATTEMPT_STATE_RUNNING},
      {AttemptEvent::kUploading, v1::ATTEMPT_STATE_UPLOADING},
  };
  const std::vector<std::pair<AttemptEvent, v1::AttemptState>> ends = {
      {AttemptEvent::kSucceeded, v1::ATTEMPT_STATE_SUCCEEDED},
      {AttemptEvent::kFailed, v1::ATTEMPT_STATE_FAILED},
      {AttemptEvent::kTimedOut, v1::ATTEMPT_STATE_TIMED_OUT},
      {AttemptEvent::kCanceled, v1::ATTEMPT_STATE_CANCELED},
      {AttemptEvent::kInterrupted, v1::ATTEMPT_STATE_INTERRUPTED},
  };
  const std::vector<v1::AttemptState> open = {
      v1::ATTEMPT_STATE_OFFERED,  v1::ATTEMPT_STATE_ACCEPTED, v1::ATTEMPT_STATE_PREPARING,
      v1::ATTEMPT_STATE_SETTLING, v1::ATTEMPT_STATE_RUNNING,  v1::ATTEMPT_STATE_UPLOADING};
  AttemptTable table;
  for (std::size_t i = 0; i < open.size(); ++i) {
    for (std::size_t p = i; p < progress.size(); ++p)
      table[{open[i], progress[p].first}] = progress[p].second;
    for (const auto& [event, to] : ends) table[{open[i], event}] = to;
    table[{open[i], AttemptEvent::kLost}] = v1::ATTEMPT_STATE_LOST;
  }
  table[{v1::ATTEMPT_STATE_OFFERED, AttemptEvent::kRejected}] = v1::ATTEMPT_STATE_REJECTED;
  for (const auto& [event, to] : ends) table[{v1::ATTEMPT_STATE_LOST, event}] = to;
  table[{v1::ATTEMPT_STATE_LOST, AttemptEvent::kReturned}] = v1::ATTEMPT_STATE_RUNNING;
  return table;
}

TEST(AttemptMachine, EveryStateAndEvent) {
  const AttemptTable table = Attempts();
  for (int s = v1::ATTEMPT_STATE_OFFERED; s <= v1::ATTEMPT_STATE_LOST; ++s) {
    for (int e = 0; e <= static_cast<int>(AttemptEvent::kReturned); ++e) {
      const auto state = static_cast<v1::AttemptState>(s);
      const auto event = static_cast<AttemptEvent>(e);
      const auto expected = table.find({state, event});
      const auto got = Next(state, event);
      if (expected == table.end()) {
        EXPECT_EQ(got, std::nullopt) << v1::AttemptState_Name(state) << " event " << e;
      } else {
        EXPECT_EQ(got, expected->second) << v1::AttemptState_Name(state) << " event " << e;
      }
    }
  }
}

TEST(AttemptMachine, ReportsAndOutcomes) {
  for (int s = v1::ATTEMPT_STATE_UNSPECIFIED; s <= v1::ATTEMPT_STATE_LOST; ++s) {
    const auto state = static_cast<v1::AttemptState>(s);
    const bool reportable = s >= v1::ATTEMPT_STATE_ACCEPTED && s <= v1::ATTEMPT_STATE_UPLOADING;
    EXPECT_EQ(EventOfReport(state).has_value(), reportable) << v1::AttemptState_Name(state);
  }
  EXPECT_EQ(EventOfOutcome(v1::OUTCOME_UNSPECIFIED), std::nullopt);
  EXPECT_EQ(EventOfOutcome(v1::OUTCOME_SUCCEEDED), AttemptEvent::kSucceeded);
  EXPECT_EQ(EventOfOutcome(v1::OUTCOME_FAILED), AttemptEvent::kFailed);
  EXPECT_EQ(EventOfOutcome(v1::OUTCOME_TIMED_OUT), AttemptEvent::kTimedOut);
  EXPECT_EQ(EventOfOutcome(v1::OUTCOME_CANCELED), AttemptEvent::kCanceled);
  EXPECT_EQ(EventOfOutcome(v1::OUTCOME_INTERRUPTED), AttemptEvent::kInterrupted);
}

TEST(DeviceMachine, EveryStateAndEvent) {
  const std::map<std::pair<v1::DeviceAlloc, DeviceEvent>, v1::DeviceAlloc> table = {
      {{v1::DEVICE_ALLOC_FREE, DeviceEvent::kOffered}, v1::DEVICE_ALLOC_OFFERED},
      {{v1::DEVICE_ALLOC_FREE, DeviceEvent::kAccepted}, v1::DEVICE_ALLOC_LEASED},
      {{v1::DEVICE_ALLOC_FREE, DeviceEvent::kReportedDirty}, v1::DEVICE_ALLOC_DIRTY},
      {{v1::DEVICE_ALLOC_OFFERED, DeviceEvent::kAccepted}, v1::DEVICE_ALLOC_LEASED},
      {{v1::DEVICE_ALLOC_OFFERED, DeviceEvent::kReleasedClean}, v1::DEVICE_ALLOC_FREE},
      {{v1::DEVICE_ALLOC_OFFERED, DeviceEvent::kReleasedDirty}, v1::DEVICE_ALLOC_DIRTY},
      {{v1::DEVICE_ALLOC_LEASED, DeviceEvent::kReleasedClean}, v1::DEVICE_ALLOC_FREE},
      {{v1::DEVICE_ALLOC_LEASED, DeviceEvent::kReleasedDirty}, v1::DEVICE_ALLOC_DIRTY},
      {{v1::DEVICE_ALLOC_DIRTY, DeviceEvent::kAccepted}, v1::DEVICE_ALLOC_LEASED},
      {{v1::DEVICE_ALLOC_DIRTY, DeviceEvent::kReportedClean}, v1::DEVICE_ALLOC_FREE},
  };
  for (int s = v1::DEVICE_ALLOC_FREE; s <= v1::DEVICE_ALLOC_DIRTY; ++s) {
    for (int e = 0; e <= static_cast<int>(DeviceEvent::kReportedDirty); ++e) {
      const auto alloc = static_cast<v1::DeviceAlloc>(s);
      const auto event = static_cast<DeviceEvent>(e);
      const auto expected = table.find({alloc, event});
      const auto got = Next(alloc, event);
      if (expected == table.end()) {
        EXPECT_EQ(got, std::nullopt) << v1::DeviceAlloc_Name(alloc) << " event " << e;
      } else {
        EXPECT_EQ(got, expected->second) << v1::DeviceAlloc_Name(alloc) << " event " << e;
      }
    }
  }
}

TEST(FailureClasses, OnlyFailuresThatAreNotTheJobsOwnAreTriedAgain) {
  for (int c = v1::FAILURE_CLASS_UNSPECIFIED; c <= v1::FAILURE_CLASS_POLICY; ++c) {
    const auto failure = static_cast<v1::FailureClass>(c);
    const bool expected = failure == v1::FAILURE_CLASS_DEVICE ||
                          failure == v1::FAILURE_CLASS_INFRA ||
                          failure == v1::FAILURE_CLASS_THERMAL;
    EXPECT_EQ(IsRetryable(failure), expected) << v1::FailureClass_Name(failure);
  }
}

}  // namespace
}  // namespace joulefarm::controller
