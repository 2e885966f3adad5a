// What happens to the farm (events) and what it wants done about it (a plan: writes, then effects).
//
// Thread rule: plain values. Effects may only be carried out after the plan's writes are durable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "controller/core/model.h"
#include "controller/core/writes.h"
#include "joulefarm/v1/agent_service.pb.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::controller {

// One Control stream; unique within a controller process. 0 is none.
using SessionId = std::int64_t;
// One operator's request waiting for its reply; unique within a controller process.
using RequestToken = std::int64_t;

struct AgentHello {
  SessionId session = 0;
  v1::Hello hello;
  std::vector<v1::StreamCursor> cursors;  // durable cursors of the held fences
};
// Any valid message: renews the lease. `heartbeat` asks for an answer.
struct AgentAlive {
  SessionId session = 0;
  std::optional<std::int64_t> heartbeat_seq;
};
struct AgentGone {
  SessionId session = 0;
};
struct GrantReplied {
  SessionId session = 0;
  v1::GrantReply reply;
};
struct AttemptReported {
  SessionId session = 0;
  v1::AttemptReport report;
};
struct DeviceReported {
  SessionId session = 0;
  v1::DeviceReport report;
};
struct ResourceReported {
  SessionId session = 0;
  v1::ResourceReport report;
};
// The last word of one source of an attempt is durable.
struct FinalStored {
  SourceFinal final;
};
// The results are computed.
struct AttemptFinalised {
  v1::Final final;
  AttemptResults results;
};

// One job to be, before devices are chosen.
struct CellToRun {
  v1::JobSpec spec;  // without block
};
struct SubmitRequested {
  RequestToken token = 0;
  Experiment experiment;  // without id and job_ids
  std::vector<CellToRun> cells;
  std::vector<std::vector<int>> block_orders;  // per block: indices into cells
  std::string selector;
  int device_count = 0;  // 0: all
  int priority = 2;
  int retries = 2;
  std::int64_t lost_after_ns = 0;
  bool dry_run = false;
};
struct CancelExperimentRequested {
  RequestToken token = 0;
  std::string experiment;
};
struct CancelJobRequested {
  RequestToken token = 0;
  std::string job;
};
// What an operator wants of a device; nullopt: as it is.
struct SetDeviceRequested {
  RequestToken token = 0;
  std::string device;
  std::optional<v1::DeviceAdmin> admin = {};
  std::optional<v1::DeviceHealth> health = {};
  std::string reason = {};  // may be empty
};
struct ProgressRequested {
  RequestToken token = 0;
  std::string experiment;
  std::string job;  // only of this one; empty: of the experiment
};
// A deadline may have passed.
struct Tick {};

using FarmInput = std::variant<AgentHello, AgentAlive, AgentGone, GrantReplied, AttemptReported,
                               DeviceReported, ResourceReported, FinalStored, AttemptFinalised,
                               SubmitRequested, CancelExperimentRequested, CancelJobRequested,
                               SetDeviceRequested, ProgressRequested, Tick>;

struct SendToAgent {
  SessionId session = 0;
  v1::ControllerMessage message;
};
// End the stream with this status after what was sent before.
struct CloseSession {
  SessionId session = 0;
  absl::Status status;
};
// The session is accepted; uploads that name agent and epoch belong to it.
struct SessionOpened {
  SessionId session = 0;
  std::string agent_id;
  std::int64_t epoch = 0;
};
// What it measures for a device of another agent was its own before, and goes on.
struct HelperGoesOn {
  SessionId session = 0;
  std::string device_id;
  Fence fence = 0;
};
// Every source of the attempt has ended: compute its results, then input AttemptFinalised.
struct ComputeResults {
  Fence fence = 0;
};
struct ReplyToOperator {
  RequestToken token = 0;
  absl::Status status;
  std::variant<std::monostate, v1::SubmitExperimentResponse, v1::CancelExperimentResponse,
               v1::CancelJobResponse, v1::SetDeviceResponse, v1::GetProgressResponse>
      response;
};

using Effect = std::variant<SendToAgent, CloseSession, SessionOpened, HelperGoesOn, ComputeResults,
                            ReplyToOperator>;

struct Plan {
  std::vector<Write> writes;
  std::vector<Effect> effects;
};

}  // namespace joulefarm::controller
