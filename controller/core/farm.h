// The farm: every job, attempt, device and agent session, and what each event does to them.
//
// Pure: no clock, thread, file or RPC; `Handle` maps (state, input, now) to (state, plan). Thread
// rule: one owner (the farm strand). The plan's effects may only happen once its writes are
// durable; if they cannot be made durable the whole Farm is dropped and built again from the store.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/core/deadlines.h"
#include "controller/core/events.h"
#include "controller/core/farm_parts.h"
#include "controller/core/machines.h"
#include "controller/core/model.h"

namespace joulefarm::controller {

struct FarmConfig {
  std::int64_t heartbeat_ns = 5'000'000'000;
  std::int64_t ttl_ns = 30'000'000'000;
  std::int64_t grace_ns = 10'000'000'000;
  // How long a device rests after a grant of it was refused; doubles up to 16 times this.
  std::int64_t reject_backoff_ns = 2'000'000'000;
  std::string instance;  // of this controller process
};

class Farm {
 public:
  Farm(FarmConfig config, FarmSnapshot snapshot, Instant now);

  // What the restart itself changed; to be committed before anything else.
  Plan TakeRecoveryPlan();

  Plan Handle(const FarmInput& input, Instant now);

  // How long until a Tick is due; nullopt: no deadline is pending. Never negative.
  std::optional<std::int64_t> NextTickIn(Instant now) const;

  // For tests and invariants.
  const std::map<std::string, Job>& jobs() const { return jobs_; }
  const std::map<Fence, Attempt>& attempts() const { return attempts_; }
  const std::map<std::string, Device>& devices() const { return devices_; }
  const std::map<std::string, Resource>& resources() const { return resources_; }
  Fence last_fence() const { return last_fence_; }

 private:
  // farm_session.cc: who is connected.
  void On(const AgentHello& input);
  void On(const AgentAlive& input);
  void On(const AgentGone& input);
  void On(const DeviceReported& input);
  void EndOlderSession(AgentState& agent, const AgentHello& input);
  void AdoptDevices(AgentState& agent, const v1::Hello& hello, v1::Welcome& welcome);
  void JudgeHeld(AgentState& agent, const AgentHello& input, v1::Welcome& welcome);
  v1::VerdictKind Judge(AgentState& agent, const v1::HeldAttempt& held);
  void LoseAbsent(AgentState& agent, const v1::Hello& hello);
  void ResendOffers(AgentState& agent);
  void LinkLost(AgentState& agent, v1::DeviceLink link);
  void LeaseLapsed(AgentState& agent);

  // farm_resources.cc: meters and ports, who needs them, and who has them.
  void On(const ResourceReported& input);
  void AdoptResources(AgentState& agent, const v1::Hello& hello, v1::Welcome& welcome);
  std::string AdoptResource(AgentState& agent, const v1::ResourceAnnouncement& said);
  static const std::string& MeterAgent(const Device& device);
  const Resource* FindMeter(const Device& device, std::string& why) const;
  bool IsMetered(const Device& device) const;
  std::set<std::string> SharersOf(const Device& device) const;
  std::set<std::string> WaitingOn(const AgentState& agent) const;
  // The devices on its meter and those on its port.
  std::set<std::string> AroundOf(const Device& device) const;
  Until UntilOver(std::optional<Fence> fence) const;
  std::optional<Trouble> TroubleWith(const Resource& resource, const Device& device) const;
  Gang Assemble(const Device& device, const Need& need) const;
  void AddMeter(const Device& device, const Need& need, Gang& gang) const;
  void AddResource(const Device& device, const Resource& resource, const std::string& channel,
                   Gang& gang) const;
  void TakeResources(const Attempt& attempt, DeviceEvent event, std::optional<int> source);
  void ReleaseResources(const Attempt& attempt, bool device_agent_said);
  void PutResource(Resource& resource, DeviceEvent event);

  // farm_ports.cc: which ports are one, and what hangs on them.
  std::string KeyOfPort(const Resource& port) const;
  void PlacePort(const Resource& port);
  void HangOn(Device& device, const std::string& port);
  std::set<std::string> PortsAt(const std::string& port_id) const;
  std::set<std::string> OnPortOf(const Device& device) const;
  std::optional<Trouble> PortTroubleOf(const Device& device) const;
  void AddPort(const Device& device, Gang& gang) const;

  // farm_helpers.cc: the further sources of an attempt.
  void AddHelpers(Attempt& attempt);
  void SendHelperGrant(const Attempt& attempt, const Helper& helper);
  void SendRelease(const std::string& agent_id, Fence fence, int source);
  void ReleaseHelpers(Attempt& attempt);
  void HelperAccepted(Attempt& attempt, Helper& helper);
  void HelperReported(Attempt& attempt, Helper& helper, const v1::AttemptReport& report);
  void HelperEnded(Attempt& attempt, const SourceFinal& final);
  void CloseHelper(Attempt& attempt, Helper& helper, const std::string& why);
  void CloseHelpersOutOfReach(Attempt& attempt);
  void HelpersLate(Attempt& attempt);
  void HelperLeaseLapsed(AgentState& agent);
  void LoseAbsentHelpers(AgentState& agent, const v1::Hello& hello);
  v1::VerdictKind JudgeHelper(AgentState& agent, const v1::HeldAttempt& held);
  void ResendToHelper(AgentState& agent);
  void CheckComplete(const Attempt& attempt);
  void NoteMeterLost(const Attempt& attempt, int source, const std::string& why);
  static Helper* FindHelper(Attempt& attempt, const std::string& agent_id);
  // The device's agent is not asked before its helpers have accepted.
  static bool WaitsForHelpers(const Attempt& attempt);

  // farm_attempt.cc: what became of a lease.
  void On(const GrantReplied& input);
  void On(const AttemptReported& input);
  void On(const FinalStored& input);
  void On(const AttemptFinalised& input);
  bool IsDetailDue(const Attempt& attempt);
  // What it waits for is the reason of its job and of its device; empty: nothing any more.
  void SayWait(const Attempt& attempt, const std::string& why);
  void Lose(Fence fence, const std::string& why);
  void Withdraw(Attempt& attempt, const std::string& by, const std::string& reason);
  void Unhold(const Attempt& attempt);
  void EndAttempt(Attempt& attempt, AttemptEvent event, v1::FailureClass failure,
                  const std::string& reason);
  void SettleJob(Job& job, Attempt& attempt, const v1::Final& final);
  // `agent_said`: its agent's word is there that nothing of the attempt runs.
  void ReleaseDevice(const Attempt& attempt, DeviceEvent event, bool agent_said);
  void RetryOrFail(Job& job, v1::FailureClass failure, const std::string& reason);
  void StopJob(Job& job);
  void NoteCellFailure(const Job& job, v1::FailureClass failure);
  void StopAttempt(const Attempt& attempt, v1::FailureClass failure, const std::string& reason);

  // farm_health.cc: whether a device is to be trusted.
  void JudgeHealth(const Attempt& attempt, const v1::Final& final);
  void StartHealthCheck(Device& device, const Job& failed);
  void EndHealthCheck(const Job& job);
  void SetHealth(Device& device, v1::DeviceHealth health, const std::string& why);
  void DropHealthCheck(Device& device);

  // farm_admin.cc: devices in and out of service.
  void On(const SetDeviceRequested& input);
  void MoveAway(const std::string& device_id);

  // farm_submit.cc: what operators ask.
  void On(const SubmitRequested& input);
  void On(const CancelExperimentRequested& input);
  void On(const CancelJobRequested& input);
  void On(const ProgressRequested& input);
  absl::Status ChooseDevices(const SubmitRequested& input, std::vector<std::string>& chosen,
                             std::vector<std::string>& warnings) const;
  std::string CreateJobs(const SubmitRequested& input, const std::vector<std::string>& devices);
  void AddActive(const Job& job, v1::GetProgressResponse& response);
  void FillProgress(const Job& job, v1::GetProgressResponse& response);
  void FillProgress(const ExperimentState& experiment, v1::GetProgressResponse& response);
  void CancelJob(Job& job);
  void CancelActive(Job& job, v1::FailureClass failure, const std::string& why);
  ExperimentState* FindExperiment(const std::string& id_or_name);

  // farm_schedule.cc: queues, grants, deadlines.
  void On(const Tick& input);
  void Enqueue(Job& job);
  void Dequeue(const Job& job);
  static Need NeedOf(const Job& job);
  // In service, as far as operators and its health go.
  static bool TakesJobs(const Device& device);
  // What waits for it goes elsewhere where it may.
  static bool GivesAway(const Device& device);
  std::size_t Waiting(const std::string& device_id) const;
  // Within reach, in service, and with nothing to do.
  bool IsIdle(const Device& device) const;
  std::string GivesWay(const Device& device, const QueueKey& key, const Need& own) const;
  void Dispatch(const std::string& device_id);
  bool GrantHealthCheck(Device& device);
  // It and those that may have waited for it or for its meter, the job that waits longest first.
  void DispatchAround(const std::string& device_id);
  void DispatchInTurn(const std::set<std::string>& devices);
  void SetGate(Device& device, const std::string& why);
  void SayReason(Job& job, const std::string& why);
  void Grant(Job& job, Device& device, Gang gang);
  void SendGrant(const Attempt& attempt);
  v1::Grant MakeGrant(const Attempt& attempt, const AgentState& to, int source) const;
  void Rebind(Job& job);
  void OnDue(const std::string& key);

  // farm.cc: bookkeeping shared by all.
  void Move(Job& job, JobEvent event, v1::FailureClass failure, const std::string& reason);
  void Count(const Job& job, int delta);
  void PutDevice(Device& device, DeviceEvent event);
  void Put(const Job& job) { plan_.writes.push_back(job); }
  void Put(const Attempt& attempt) { plan_.writes.push_back(attempt); }
  void Put(const Device& device) { plan_.writes.push_back(device); }
  void Put(const Resource& resource) { plan_.writes.push_back(resource); }
  void Put(const Agent& agent) { plan_.writes.push_back(agent); }
  void Tell(const char* kind, const std::string& subject, const std::string& text);
  void Send(SessionId session, v1::ControllerMessage message);
  template <typename Response>
  void Reply(RequestToken token, Response response) {
    plan_.effects.push_back(ReplyToOperator{token, absl::OkStatus(), std::move(response)});
  }
  void Refuse(RequestToken token, absl::Status status) {
    plan_.effects.push_back(ReplyToOperator{token, std::move(status), {}});
  }
  AgentState* AgentOf(SessionId session);
  Attempt* LiveAttempt(const Job& job);
  void SetWallLimits(const Job& job);
  void ForgetAttempts();

  const FarmConfig config_;
  Fence last_fence_ = 0;
  std::int64_t last_experiment_ = 0;
  std::int64_t last_job_ = 0;
  std::int64_t last_epoch_ = 0;

  std::map<std::string, ExperimentState> experiments_;
  std::map<std::string, std::string> experiment_by_request_;
  std::map<std::string, std::string> newest_by_name_;
  std::map<std::string, Job> jobs_;
  // Not those that are over and can win no more.
  std::map<Fence, Attempt> attempts_;
  std::map<std::string, std::set<Fence>> attempts_of_;  // job id to its attempts in attempts_
  std::map<Fence, Told> told_;                          // of attempts that go on
  std::set<Fence> final_stored_;  // of source 0, without results yet: its agent may forget it
  std::map<std::string, Device> devices_;
  std::map<std::string, Resource> resources_;
  std::map<std::string, std::set<std::string>> on_port_;   // port id to devices
  std::map<std::string, std::string> port_keys_;           // of announced ports: where they are
  std::map<std::string, std::set<std::string>> ports_at_;  // and what ports are there
  std::map<std::string, Rest> rests_;
  std::map<std::string, AgentState> agents_;
  std::map<SessionId, AgentSession> sessions_;
  std::map<std::string, std::map<Need, Queue>> queues_;  // device id to jobs that wait for it
  Deadlines boot_deadlines_;                             // leases, lost_after, rests, ways given
  Deadlines wall_deadlines_;                             // operators' limits

  // Of the input being handled.
  Instant now_;
  Plan plan_;
  std::set<std::string> to_tidy_;  // jobs that may have attempts to forget
};

}  // namespace joulefarm::controller
