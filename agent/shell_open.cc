// The shell: how its parts are made and joined.
#include <boost/asio/post.hpp>

#include "absl/strings/str_cat.h"
#include "agent/host/clock.h"
#include "agent/host/engines.h"
#include "agent/host/facts.h"
#include "agent/identity.h"
#include "agent/run/host_meters.h"
#include "agent/run/host_ports.h"
#include "agent/shell.h"
#include "common/daemon/address.h"

namespace joulefarm::agent {
namespace {

namespace asio = boost::asio;

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

std::vector<v1::ResourceAnnouncement> Agent::Shell::LookAround() const {
  std::vector<v1::ResourceAnnouncement> here = options_.meters->Look();
  if (const std::optional<SwitchedPort>& port = options_.plan.usb_port)
    here.push_back(AnnouncePort(environment_.paths, *port, options_.id, here));
  return here;
}

}  // namespace joulefarm::agent
