// What runs one agent: it owns the executor and every part, and carries out what the session asks
// for.
//
// Threads: as Agent; handlers of the parts are called on any thread and post to the io thread.
// Ownership: owns everything it starts.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/agent.h"
#include "agent/artifact/artifact_cache.h"
#include "agent/boot_timer.h"
#include "agent/clock/clock_log.h"
#include "agent/clock/clock_prober.h"
#include "agent/core/session.h"
#include "agent/recovery.h"
#include "agent/rpc/controller_link.h"
#include "agent/run/attempt_runner.h"
#include "agent/spool/spool.h"
#include "agent/telemetry/agent_telemetry.h"
#include "common/daemon/state_dir.h"

namespace joulefarm::agent {

// To the log.
void Say(Severity severity, const std::string& text);

// Members are destroyed from the
// bottom: attempts first, then the link, then the spool, then the lock on the state.
class Agent::Shell {
 public:
  static absl::StatusOr<std::unique_ptr<Shell>> Create(AgentOptions options);
  ~Shell();

  const std::string& id() const { return options_.id; }
  void Start();
  void StopOnSignals();
  void RequestStop() { Feed(DrainRequested{}); }
  int Wait();

 private:
  explicit Shell(AgentOptions options) : options_(std::move(options)) {}
  absl::Status Open();
  absl::Status OpenSpool();
  void MakeTelemetry();
  void MakeSession(const Recovered& recovered);
  LinkHandlers MakeLinkHandlers();

  // From any thread: events are handled one after the other on the io thread.
  void Feed(Event event);
  void Received(Connection connection, v1::ControllerMessage message, std::int64_t arrived_ns);
  void MakeClocks();
  // Meters and the port that are here now.
  std::vector<v1::ResourceAnnouncement> LookAround() const;
  void WatchResources();
  void SpoolFailed(const absl::Status& status);

  void Do(Connect& effect) { link_->Connect(effect.connection, std::move(effect.hello)); }
  void Do(Disconnect& effect) {
    clock_prober_->Offline();
    link_->Disconnect(effect.connection);
  }
  void Do(OpenUpload& effect) {
    link_->OpenUpload(effect.connection, effect.session_epoch, effect.cursors);
  }
  void Do(Send& effect) { link_->Send(effect.connection, std::move(effect.message)); }
  void Do(PersistGrant& effect) {
    Feed(GrantPersisted{effect.grant.fence(), spool_->PersistGrant(effect.grant)});
  }
  void Do(StartAttempt& effect);
  void Do(StopAttempt& effect);
  void Do(ForgetAttempt& effect);
  void Do(ArmTimer& effect) { timers_.at(effect.timer).Arm(effect.deadline_ns); }
  void Do(DisarmTimer& effect) { timers_.at(effect.timer).Disarm(); }
  void Do(Tell& effect) { Say(effect.severity, effect.text); }
  void Do(Exit& effect);

  AgentOptions options_;
  std::unique_ptr<StateDir> state_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      io_.get_executor()};
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<ControllerLink> link_;
  std::unique_ptr<ArtifactCache> artifacts_;
  std::mt19937_64 random_{std::random_device{}()};
  std::unique_ptr<Session> session_;
  std::map<Timer, BootTimer> timers_;
  std::optional<boost::asio::signal_set> signals_;
  LiveAttempt live_;
  LiveHelps helps_;
  ClockLog clock_log_;
  std::unique_ptr<ClockProber> clock_prober_;
  std::optional<BootTimer> clock_timer_;
  RunEnvironment environment_;
  std::map<Fence, std::unique_ptr<Runner>> runners_;
  std::jthread resource_watch_;                // from Start to Exit
  std::unique_ptr<AgentTelemetry> telemetry_;  // made before Start, ended by Exit
  int exit_code_ = 0;
  std::thread io_thread_;
};

}  // namespace joulefarm::agent
