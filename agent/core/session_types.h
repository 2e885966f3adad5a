// What the session machine is told (events) and what it asks for (effects).
//
// Thread rule: plain values. Ownership: values. Times are CLOCK_BOOTTIME, nanoseconds.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "joulefarm/v1/agent_service.pb.h"

namespace joulefarm::agent {

using Fence = std::int64_t;
// Numbers the tries to reach the controller, so that late news of an earlier one is recognised.
using Connection = std::int64_t;

enum class Timer { kReconnect, kHello, kHeartbeat, kLease, kDrain };

enum class Rpc { kControl, kUpload };

enum class Severity { kInfo, kWarning, kError };

// Why an attempt is stopped; its outcome follows from it.
enum class StopWhy {
  kCanceled,     // the controller said so
  kAborted,      // the controller wants nothing of it any more: nothing is uploaded
  kUploadOnly,   // the controller no longer wants it run
  kLeaseLapsed,  // controller unreachable, and the job is not to go on alone
  kShutdown,     // this agent stops
  kTimedOut,     // a limit of the job passed
  kSpoolFailed,  // what it observes cannot be kept
  kReleased,     // a helper: the device it measured is done
};

// --- events ---
struct StartRequested {};
// SIGTERM or SIGINT.
struct DrainRequested {};
struct WelcomeReceived {
  Connection connection = 0;
  v1::Welcome welcome;
};
struct GrantReceived {
  Connection connection = 0;
  v1::Grant grant;
};
struct CancelReceived {
  Connection connection = 0;
  v1::CancelAttempt cancel;
};
struct ReleaseReceived {
  Connection connection = 0;
  v1::ReleaseSource release;
};
struct HeartbeatAckReceived {
  Connection connection = 0;
  v1::HeartbeatAck ack;
};
// One of the connection's RPCs is over, or could not be begun.
struct LinkLost {
  Connection connection = 0;
  Rpc rpc = Rpc::kControl;
  absl::Status status;
};
struct TimerFired {
  Timer timer = Timer::kReconnect;
};
// The answer to PersistGrant.
struct GrantPersisted {
  Fence fence = 0;
  absl::Status status;
};
struct AttemptMoved {
  Fence fence = 0;
  v1::AttemptState state = v1::ATTEMPT_STATE_UNSPECIFIED;
  std::string detail;
};
// Nothing of the attempt runs any more. Told before its Final can reach the controller, which may
// grant the device anew at once.
struct AttemptEnded {
  Fence fence = 0;
  bool clean = true;
};
// The Final of an ended attempt could not be kept.
struct EndNotStored {
  Fence fence = 0;
  absl::Status status;
};
// The controller has everything of a finished attempt.
struct AttemptUploaded {
  Fence fence = 0;
};
// The controller will never take frames of this stream of this fence: the fence is stale, or the
// frame no good.
struct AttemptRefused {
  Fence fence = 0;
  v1::Stream stream = v1::STREAM_UNSPECIFIED;
  std::string detail;
};
// What hangs on this host is different now: all of it.
struct ResourcesChanged {
  std::vector<v1::ResourceAnnouncement> resources;
};
// Frames the controller asks for are not in the spool any more: the attempt can never be complete.
struct FramesMissing {
  Fence fence = 0;
  std::string detail;
};

using Event = std::variant<StartRequested, DrainRequested, WelcomeReceived, GrantReceived,
                           CancelReceived, ReleaseReceived, ResourcesChanged, HeartbeatAckReceived,
                           LinkLost, TimerFired, GrantPersisted, AttemptMoved, AttemptEnded,
                           EndNotStored, AttemptUploaded, AttemptRefused, FramesMissing>;

// --- effects, to be carried out in order ---
// Opens Control and sends the Hello.
struct Connect {
  Connection connection = 0;
  v1::Hello hello;
};
// Ends both RPCs; no news of the connection is expected afterwards.
struct Disconnect {
  Connection connection = 0;
};
// Takes over the store's cursors (everything up to them may be forgotten) and sends the rest.
struct OpenUpload {
  Connection connection = 0;
  std::int64_t session_epoch = 0;
  std::vector<v1::StreamCursor> cursors;
};
struct Send {
  Connection connection = 0;
  v1::AgentMessage message;
};
// Makes fence and grant durable, then reports GrantPersisted.
struct PersistGrant {
  v1::Grant grant;
};
struct StartAttempt {
  v1::Grant grant;
};
struct StopAttempt {
  Fence fence = 0;
  StopWhy why = StopWhy::kCanceled;
  v1::FailureClass failure_class = v1::FAILURE_CLASS_UNSPECIFIED;
  std::string text;
};
// Drops the attempt and its frames from the spool.
struct ForgetAttempt {
  Fence fence = 0;
};
// Replaces an earlier deadline of the same timer.
struct ArmTimer {
  Timer timer = Timer::kReconnect;
  std::int64_t deadline_ns = 0;
};
struct DisarmTimer {
  Timer timer = Timer::kReconnect;
};
struct Tell {
  Severity severity = Severity::kInfo;
  std::string text;
};
// The last effect there is.
struct Exit {
  int code = 0;
  std::string text;
};

using Effect = std::variant<Connect, Disconnect, OpenUpload, Send, PersistGrant, StartAttempt,
                            StopAttempt, ForgetAttempt, ArmTimer, DisarmTimer, Tell, Exit>;
using Effects = std::vector<Effect>;

}  // namespace joulefarm::agent
