#include "agent/agent.h"

#include <spdlog/spdlog.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <deque>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/artifact/artifact_cache.h"
#include "agent/boot_timer.h"
#include "agent/clock/clock_log.h"
#include "agent/clock/clock_prober.h"
#include "agent/core/session.h"
#include "agent/host/clock.h"
#include "agent/host/engines.h"
#include "agent/host/facts.h"
#include "agent/identity.h"
#include "agent/recovery.h"
#include "agent/rpc/controller_link.h"
#include "agent/run/attempt_runner.h"
#include "agent/run/helper_runner.h"
#include "agent/run/host_meters.h"
#include "agent/run/host_ports.h"
#include "agent/spool/spool.h"
#include "agent/telemetry/agent_telemetry.h"
#include "common/daemon/address.h"
#include "common/daemon/state_dir.h"

namespace joulefarm::agent {
namespace {

namespace asio = boost::asio;

void Say(Severity severity, const std::string& text) {
  switch (severity) {
    case Severity::kInfo:
      spdlog::info("{}", text);
      return;
    case Severity::kWarning:
      spdlog::warn("{}", text);
      return;
    case Severity::kError:
      spdlog::error("{}", text);
      return;
  }
}

v1::DeviceAnnouncement Announce(const AgentOptions& options, const std::vector<v1::Engine>& engines,
                                bool clean) {
  v1::DeviceAnnouncement device;
  device.set_device_id(options.id);
  *device.mutable_facts() = ReadFacts(HostPaths(options.root));
  for (const v1::Engine& engine : engines) *device.mutable_facts()->add_engines() = engine;
  const PowerSelection power = SelectPower(PowerWish{}, HostPaths(options.root), options.power);
  for (const v1::ChannelInfo& channel : ListChannels(power))
    *device.mutable_facts()->add_power_channels() = channel;
  for (const std::string& obstacle : power.obstacles) {
    device.mutable_facts()->add_obstacles(obstacle);
    Say(Severity::kWarning, absl::StrCat("power: ", obstacle));
  }
  for (const auto& [key, value] : options.labels) (*device.mutable_labels())[key] = value;
  // Where nothing is named it is the only meter here, once there is one.
  const MeterChoice& meter = options.power.meter.device;
  device.mutable_meter()->set_agent_id(meter.agent);
  device.mutable_meter()->set_serial(meter.serial);
  device.mutable_meter()->set_channel(meter.channel);
  if (options.plan.usb_port)
    device.set_port(PortResourceId(*options.plan.usb_port, options.plan.agent_id));
  device.set_clean(clean);
  return device;
}

}  // namespace

// Owns the executor and carries out what the session asks for. Members are destroyed from the
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
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<ControllerLink> link_;
  std::unique_ptr<ArtifactCache> artifacts_;
  std::mt19937_64 random_{std::random_device{}()};
  std::unique_ptr<Session> session_;
  std::map<Timer, BootTimer> timers_;
  std::optional<asio::signal_set> signals_;
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

absl::StatusOr<std::unique_ptr<Agent::Shell>> Agent::Shell::Create(AgentOptions options) {
  std::unique_ptr<Shell> shell(new Shell(std::move(options)));
  const absl::Status status = shell->Open();
  if (!status.ok()) return status;
  return shell;
}

absl::Status Agent::Shell::Open() {
  const absl::StatusOr<HostPort> address = ParseHostPort(options_.controller);
  if (!address.ok()) return address.status();
  absl::Status status = CheckPlaintext(*address, options_.allow_plaintext);
  if (!status.ok()) return status;
  absl::StatusOr<std::unique_ptr<StateDir>> state = StateDir::Lock(options_.state_dir);
  if (!state.ok()) return state.status();
  state_ = *std::move(state);
  if (options_.id.empty()) {
    absl::StatusOr<std::string> id = PersistentAgentId(options_.state_dir);
    if (!id.ok()) return id.status();
    options_.id = *std::move(id);
  }
  options_.plan.agent_id = options_.id;
  options_.power.meter.agent_id = options_.id;
  status = OpenSpool();
  if (!status.ok()) return status;
  options_.power.meter.journal = spool_.get();
  environment_.run_dir = options_.state_dir / "run";
  environment_.journals = {options_.state_dir / "environment", options_.state_dir / "port",
                           spool_.get()};
  Environment left_set(HostPaths(options_.root), environment_.journals.environment);
  PortCut left_cut(HostPaths(options_.root), environment_.journals.port,
                   environment_.journals.processes);
  const absl::StatusOr<Recovered> recovered =
      Recover(*spool_, environment_.run_dir, left_set, left_cut);
  if (!recovered.ok()) return recovered.status();
  for (const std::string& note : recovered->notes) Say(Severity::kWarning, note);

  const EngineSearch search = DefaultEngineSearch(options_.engine_dirs);
  FoundEngines found = FindEngines(search, StopFd(std::stop_token()));
  for (const std::string& note : found.notes) Say(Severity::kWarning, note);
  for (const v1::Engine& engine : found.engines) {
    Say(Severity::kInfo,
        absl::StrCat("found engine ", engine.name(), " ", engine.version(), " at ", engine.path()));
  }
  environment_.engines = std::move(found.engines);
  environment_.engine_search = DescribeSearch(search);
  environment_.engine_dirs = SearchedDirectories(search);
  link_ = std::make_unique<ControllerLink>(
      LinkOptions{.target = options_.controller, .agent_id = options_.id}, spool_.get(),
      [this](std::function<void()> work) { asio::post(io_, std::move(work)); }, MakeLinkHandlers());
  ArtifactCacheOptions cache;
  cache.max_bytes = options_.artifact_max_bytes;
  cache.note = [](const std::string& text) { Say(Severity::kInfo, text); };
  artifacts_ = std::make_unique<ArtifactCache>(options_.state_dir / "artifacts",
                                               &link_->artifacts(), std::move(cache));
  environment_.spool = spool_.get();
  environment_.artifacts = artifacts_.get();
  environment_.paths = HostPaths(options_.root);
  environment_.power = options_.power;
  environment_.plan = options_.plan;
  environment_.agent_version = options_.version;
  environment_.agent_id = options_.id;
  environment_.make_workload = options_.make_workload ? options_.make_workload : MakeWorkload;
  environment_.live = &live_;
  environment_.helps = &helps_;
  if (options_.meters == nullptr)
    options_.meters = std::make_shared<HostMeters>(environment_.paths, options_.power.meter);
  environment_.meters = options_.meters.get();
  environment_.clocks = &clock_log_;
  MakeClocks();
  MakeTelemetry();
  MakeSession(*recovered);
  return absl::OkStatus();
}

absl::Status Agent::Shell::OpenSpool() {
  SpoolOptions spool;
  spool.dir = options_.state_dir;
  spool.boot_id = BootId(HostPaths()).value_or("unknown");
  spool.max_bytes = options_.spool_max_bytes;
  spool.listener.committed = [this] {
    asio::post(io_, [this] {
      if (link_) link_->FramesCommitted();
    });
  };
  spool.listener.uploaded = [this](Fence fence) { Feed(AttemptUploaded{fence}); };
  spool.listener.failed = [this](const absl::Status& status) {
    asio::post(io_, [this, status] { SpoolFailed(status); });
  };
  absl::StatusOr<Spool::Opened> opened = Spool::Open(std::move(spool));
  if (!opened.ok()) return opened.status();
  spool_ = std::move(opened->spool);
  if (opened->set_aside) {
    Say(Severity::kError,
        absl::StrCat("the spool was damaged and is set aside as ", *opened->set_aside,
                     "; what it held of unfinished attempts is lost"));
  }
  return absl::OkStatus();
}

void Agent::Shell::MakeTelemetry() {
  telemetry_ = std::make_unique<AgentTelemetry>(AgentTelemetry::Options{
      .device_id = options_.id,
      .paths = environment_.paths,
      .power = environment_.power,
      .live = &live_,
      .helps = &helps_,
      .send = [this](Connection connection, std::vector<v1::Telemetry> all) {
        asio::post(io_, [this, connection, all = std::move(all)]() mutable {
          std::vector<v1::AgentMessage> messages;
          for (v1::Telemetry& telemetry : all)
            *messages.emplace_back().mutable_telemetry() = std::move(telemetry);
          link_->SendIfIdle(connection, std::move(messages));
        });
      }});
}

void Agent::Shell::MakeClocks() {
  ClockProber::Hooks hooks;
  hooks.send = [this](Connection connection, v1::AgentMessage message) {
    link_->SendFirst(connection, std::move(message));
  };
  hooks.arm = [this](std::int64_t deadline_ns) { clock_timer_->Arm(deadline_ns); };
  hooks.now_ns = BoottimeNs;
  hooks.read_clocks = ReadClocks;
  clock_prober_ =
      std::make_unique<ClockProber>(&clock_log_, std::move(hooks), options_.clock_period_ns);
  clock_timer_.emplace(io_, [this] { clock_prober_->Fired(); });
  clock_log_.SetWanted([this] { asio::post(io_, [this] { clock_prober_->Wanted(); }); });
}

void Agent::Shell::MakeSession(const Recovered& recovered) {
  SessionOptions session;
  session.agent_id = options_.id;
  session.boot_id = BootId(HostPaths()).value_or("unknown");
  session.instance = RandomInstance();
  session.version = options_.version;
  session.devices.push_back(Announce(options_, environment_.engines, recovered.clean));
  session.resources = LookAround();
  session.kept = recovered.kept;
  session.high_water = spool_->HighWater();
  session.random = [this] { return std::uniform_real_distribution<double>(0, 1)(random_); };
  session.drain_limit_ns = options_.drain_limit_ns;
  session_ = std::make_unique<Session>(std::move(session));
  for (const Timer timer :
       {Timer::kReconnect, Timer::kHello, Timer::kHeartbeat, Timer::kLease, Timer::kDrain}) {
    timers_.try_emplace(timer, io_, [this, timer] { Feed(TimerFired{timer}); });
  }
}

LinkHandlers Agent::Shell::MakeLinkHandlers() {
  LinkHandlers handlers;
  handlers.received = [this](Connection connection, v1::ControllerMessage message,
                             std::int64_t arrived_ns) {
    Received(connection, std::move(message), arrived_ns);
  };
  handlers.lost = [this](Connection connection, Rpc rpc, absl::Status status) {
    Feed(LinkLost{connection, rpc, std::move(status)});
  };
  handlers.refused = [this](Fence fence, v1::Stream stream, std::string detail) {
    Feed(AttemptRefused{fence, stream, std::move(detail)});
  };
  handlers.missing = [this](Fence fence, std::string detail) {
    Feed(FramesMissing{fence, std::move(detail)});
  };
  handlers.trouble = [](const absl::Status& status) {
    Say(Severity::kError, absl::StrCat("the spool cannot be read: ", status.message()));
  };
  return handlers;
}

void Agent::Shell::Feed(Event event) {
  asio::post(io_, [this, event = std::move(event)] {
    for (Effect& effect : session_->Handle(event, BoottimeNs())) {
      std::visit([this](auto& e) { Do(e); }, effect);
    }
  });
}

void Agent::Shell::Received(Connection connection, v1::ControllerMessage message,
                            std::int64_t arrived_ns) {
  switch (message.body_case()) {
    case v1::ControllerMessage::kWelcome:
      clock_prober_->Online(connection, message.welcome().heartbeat_ns());
      Feed(WelcomeReceived{connection, std::move(*message.mutable_welcome())});
      return;
    case v1::ControllerMessage::kGrant:
      Feed(GrantReceived{connection, std::move(*message.mutable_grant())});
      return;
    case v1::ControllerMessage::kCancel:
      Feed(CancelReceived{connection, std::move(*message.mutable_cancel())});
      return;
    case v1::ControllerMessage::kHeartbeatAck:
      Feed(HeartbeatAckReceived{connection, std::move(*message.mutable_heartbeat_ack())});
      return;
    case v1::ControllerMessage::kWatch:
      if (telemetry_ != nullptr) telemetry_->Ask(connection, message.watch());
      return;
    case v1::ControllerMessage::kClockReply:
      clock_prober_->Replied(connection, message.clock_reply(), arrived_ns);
      return;
    case v1::ControllerMessage::kRelease:
      Feed(ReleaseReceived{connection, message.release()});
      return;
    case v1::ControllerMessage::BODY_NOT_SET:
      return;
  }
}

void Agent::Shell::SpoolFailed(const absl::Status& status) {
  const std::string text =
      absl::StrCat("the agent cannot keep what it observes: ", status.message());
  Say(Severity::kError, text);
  for (const auto& [fence, runner] : runners_) {
    runner->Stop({fence, StopWhy::kSpoolFailed, v1::FAILURE_CLASS_INFRA, text});
  }
}

void Agent::Shell::Do(StartAttempt& effect) {
  const Fence fence = effect.grant.fence();
  Say(Severity::kInfo, absl::StrCat(effect.grant.source() == 0 ? "" : "measuring for ", "attempt ",
                                    fence, " of job ", effect.grant.job_id(), " begins"));
  RunCallbacks callbacks;
  callbacks.moved = [this](Fence moved, v1::AttemptState state, const std::string& detail) {
    Feed(AttemptMoved{moved, state, detail});
  };
  callbacks.ended = [this](Fence ended, bool clean) { Feed(AttemptEnded{ended, clean}); };
  callbacks.stored = [this](Fence ended, const absl::Status& stored) {
    asio::post(io_, [this, ended] {
      Say(Severity::kInfo, absl::StrCat("attempt ", ended, " is over"));
      runners_.erase(ended);
    });
    if (!stored.ok()) Feed(EndNotStored{ended, stored});
  };
  if (effect.grant.source() == 0) {
    runners_.emplace(fence, std::make_unique<AttemptRunner>(std::move(effect.grant), environment_,
                                                            std::move(callbacks)));
  } else {
    runners_.emplace(fence, std::make_unique<HelperRunner>(std::move(effect.grant), environment_,
                                                           std::move(callbacks)));
  }
}

void Agent::Shell::Do(StopAttempt& effect) {
  const auto it = runners_.find(effect.fence);
  if (it != runners_.end()) it->second->Stop(std::move(effect));
}

void Agent::Shell::Do(ForgetAttempt& effect) {
  spool_->Forget(effect.fence);
  link_->Forget(effect.fence);
}

void Agent::Shell::Do(Exit& effect) {
  Say(effect.code == 0 ? Severity::kInfo : Severity::kError,
      absl::StrCat("agent ends: ", effect.text));
  exit_code_ = effect.code;
  resource_watch_ = std::jthread();
  telemetry_.reset();
  runners_.clear();  // stops and waits for what a bounded drain left running
  link_->Shutdown([this] { io_.stop(); });
}

std::vector<v1::ResourceAnnouncement> Agent::Shell::LookAround() const {
  std::vector<v1::ResourceAnnouncement> here = options_.meters->Look();
  if (const std::optional<SwitchedPort>& port = options_.plan.usb_port)
    here.push_back(AnnouncePort(environment_.paths, *port, options_.id, here));
  return here;
}

// What is plugged in and out while the agent runs.
void Agent::Shell::WatchResources() {
  resource_watch_ = std::jthread([this](std::stop_token token) {
    const StopFd stop(std::move(token));
    while (stop.SleepUntil(BoottimeNs() + options_.look_period_ns) != Wake::kStop)
      Feed(ResourcesChanged{LookAround()});
  });
}

void Agent::Shell::Start() {
  Feed(StartRequested{});
  WatchResources();
  io_thread_ = std::thread([this] { io_.run(); });
}

void Agent::Shell::StopOnSignals() {
  signals_.emplace(io_, SIGTERM, SIGINT);
  signals_->async_wait([this](const boost::system::error_code& error, int) {
    if (!error) RequestStop();
  });
}

int Agent::Shell::Wait() {
  if (io_thread_.joinable()) io_thread_.join();
  return exit_code_;
}

Agent::Shell::~Shell() {
  if (!io_thread_.joinable()) return;
  RequestStop();
  Wait();
}

Agent::Agent(std::unique_ptr<Shell> shell) : shell_(std::move(shell)) {}
Agent::~Agent() = default;

absl::StatusOr<std::unique_ptr<Agent>> Agent::Create(AgentOptions options) {
  absl::StatusOr<std::unique_ptr<Shell>> shell = Shell::Create(std::move(options));
  if (!shell.ok()) return shell.status();
  return std::unique_ptr<Agent>(new Agent(*std::move(shell)));
}

const std::string& Agent::id() const { return shell_->id(); }
void Agent::Start() { shell_->Start(); }
void Agent::StopOnSignals() { shell_->StopOnSignals(); }
void Agent::RequestStop() { shell_->RequestStop(); }
int Agent::Wait() { return shell_->Wait(); }

}  // namespace joulefarm::agent
