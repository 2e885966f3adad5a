#include "agent/config.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "agent/identity.h"
#include "agent/power/latency_file.h"
#include "agent/power/meter/check_settings.h"
#include "agent/power/meter/registry.h"
#include "agent/power/tare_file.h"
#include "agent/run/core_list.h"
#include "common/config/diagnostics.h"
#include "common/config/yaml_proto.h"
#include "common/daemon/state_dir.h"
#include "joulefarm/config/v1/agent.pb.h"

namespace joulefarm::agent {
namespace {

MeterSettings Meter(const config::v1::Meter& stated) {
  MeterSettings meter;
  meter.serial = stated.serial();
  meter.model = stated.model();
  meter.node = stated.node();
  meter.rate_hz = stated.rate_hz();
  meter.negate = stated.reversed();
  if (stated.has_gain()) meter.gain = stated.gain();
  if (stated.has_gain_u()) meter.gain_u = stated.gain_u();
  meter.sense_point = stated.sense_point();
  if (stated.has_cable_ohm()) meter.cable_ohm = stated.cable_ohm();
  if (stated.has_supply_v()) meter.supply_v = stated.supply_v();
  if (stated.has_supply_u_v()) meter.supply_u_v = stated.supply_u_v();
  meter.mode = stated.mode();
  meter.usb_pass_through = stated.usb_pass_through();
  meter.command.assign(stated.command().begin(), stated.command().end());
  const MeterModel* model = FindMeterModel(meter.model);
  if (model != nullptr && model->program && meter.node.empty())
    meter.node = ProgramNode(*model, meter);
  return meter;
}

// What of the meters cannot be, as far as it is known without looking for them.
absl::Status CheckMeters(const config::v1::AgentConfig& file, const SourceMap& source) {
  Diagnostics diagnostics(source.file_name());
  for (int i = 0; i < file.meters_size(); ++i) {
    const config::v1::Meter& stated = file.meters(i);
    const MeterModel* model = FindMeterModel(stated.model());
    if (model == nullptr) continue;
    const SourcePosition at = source.Value(absl::StrCat("meters[", i, "]"));
    if (model->program && stated.has_node()) {
      diagnostics.Add(at, absl::StrCat("node: ", model->title,
                                       " is a program and hangs on none; state its command, or "
                                       "take the node out"));
    } else if (const absl::Status can_be = CheckSettings(*model, Meter(stated)); !can_be.ok()) {
      diagnostics.Add(at, can_be.message());
    }
  }
  return diagnostics.ToStatus();
}

PowerSettings Power(const config::v1::AgentConfig& file) {
  PowerSettings power;
  const config::v1::EstimatedPower& estimated = file.estimated_power();
  if (estimated.has_idle_w()) power.estimate.idle_w = estimated.idle_w();
  if (estimated.has_peak_w()) power.estimate.peak_w = estimated.peak_w();
  if (estimated.has_relative_u()) power.estimate.relative_u = estimated.relative_u();
  power.channel = file.power_channel();
  for (const config::v1::Meter& meter : file.meters()) power.meter.meters.push_back(Meter(meter));
  power.meter.device.agent = file.meter().agent();
  power.meter.device.serial = file.meter().serial();
  power.meter.device.channel = file.meter().channel();
  if (file.has_simulated_power()) {
    const config::v1::SimulatedPower& simulated = file.simulated_power();
    SimulatedSettings& settings = power.simulated.emplace();
    if (simulated.has_idle_w()) settings.watts = simulated.idle_w();
    if (simulated.has_busy_w()) settings.busy_watts = simulated.busy_w();
    if (simulated.has_rate_hz()) settings.rate_hz = simulated.rate_hz();
  }
  if (file.has_replay_power()) {
    power.replay.emplace().file = file.replay_power().file();
    if (file.replay_power().has_loop()) power.replay->loop = file.replay_power().loop();
  }
  return power;
}

SwitchSettings Switch(const config::v1::PowerSwitch& stated) {
  return {.name = stated.name(),
          .kind = stated.kind(),
          .serial = stated.serial(),
          .place = stated.place(),
          .command = {{stated.on().begin(), stated.on().end()},
                      {stated.off().begin(), stated.off().end()},
                      {stated.status().begin(), stated.status().end()}}};
}

absl::StatusOr<PlanSettings> Plan(const config::v1::AgentConfig& file, const SourceMap& source) {
  PlanSettings plan;
  const config::v1::Environment& environment = file.environment();
  if (environment.has_governor()) plan.environment.governor = environment.governor();
  if (environment.has_power_mode()) plan.environment.power_mode = environment.power_mode();
  if (environment.has_cores()) {
    const absl::StatusOr<std::vector<int>> cores = ParseCoreList(environment.cores());
    if (!cores.ok()) {
      Diagnostics diagnostics(source.file_name());
      diagnostics.Add(source.Value("environment.cores"),
                      absl::StrCat("cores: ", cores.status().message()));
      return diagnostics.ToStatus();
    }
    plan.environment.cores = environment.cores();
  }
  std::vector<SwitchSettings> switches;
  for (const config::v1::PowerSwitch& stated : file.switches()) switches.push_back(Switch(stated));
  if (file.has_usb_port()) {
    absl::StatusOr<SwitchedPort> port = FindPort(file.usb_port(), switches);
    if (!port.ok()) {
      Diagnostics diagnostics(source.file_name());
      diagnostics.Add(source.Value("usb_port"),
                      absl::StrCat("usb_port: ", port.status().message()));
      return diagnostics.ToStatus();
    }
    plan.usb_port = *std::move(port);
  }
  if (file.has_battery_wh()) plan.battery_wh = file.battery_wh();
  if (file.has_reference_temp_c()) plan.reference_temp_c = file.reference_temp_c();
  plan.power_path = file.power_path();
  for (const config::v1::Label& stated : file.operator_())
    plan.operator_stated[stated.key()] = stated.value();
  return plan;
}

// Without one nothing would be found there, and that would pass for a host without sensors.
absl::Status CheckRoot(const std::filesystem::path& root) {
  std::error_code error;
  if (std::filesystem::is_directory(root, error)) return absl::OkStatus();
  const bool there = std::filesystem::exists(root, error);
  const std::string why = error   ? error.message()
                          : there ? "it is no directory"
                                  : "there is no such directory";
  return absl::InvalidArgumentError(
      absl::StrCat("--root ", root.string(), ": ", why,
                   "; name the directory that has proc and sys in it, or leave --root out"));
}

}  // namespace

absl::StatusOr<AgentOptions> MakeOptions(const AgentFlags& flags) {
  if (absl::Status root = CheckRoot(flags.root); !root.ok()) return root;
  config::v1::AgentConfig file;
  SourceMap source;
  if (flags.config) {
    const absl::Status parsed = ParseYamlFile(*flags.config, &file, &source);
    if (!parsed.ok()) return parsed;
  }
  if (absl::Status meters = CheckMeters(file, source); !meters.ok()) return meters;
  AgentOptions options;
  if (file.has_controller()) options.controller = file.controller();
  if (flags.controller) options.controller = *flags.controller;
  if (file.has_id()) options.id = file.id();
  if (flags.id) options.id = *flags.id;
  options.state_dir = flags.state        ? std::filesystem::path(*flags.state)
                      : file.has_state() ? std::filesystem::path(file.state())
                                         : DefaultStateDir("agent");
  absl::StatusOr<MeterTares> tares = ReadTares(TareFile(options.state_dir));
  if (!tares.ok()) return tares.status();
  absl::StatusOr<MeterLatencies> latencies = ReadLatencies(LatencyFile(options.state_dir));
  if (!latencies.ok()) return latencies.status();
  options.root = flags.root;
  for (const config::v1::Label& label : file.labels()) options.labels[label.key()] = label.value();
  options.power = Power(file);
  options.power.meter.tares = *std::move(tares);
  options.power.meter.latencies = *std::move(latencies);
  options.power.meter.agent_id = options.id.empty() ? KeptAgentId(options.state_dir) : options.id;
  if (std::string& agent = options.power.meter.device.agent; agent == options.id) agent.clear();
  if (options.power.meter.device.agent.empty() && options.power.channel.empty())
    options.power.channel = file.meter().channel();
  absl::StatusOr<PlanSettings> plan = Plan(file, source);
  if (!plan.ok()) return plan.status();
  options.plan = *std::move(plan);
  for (const std::string& dir : file.engine_dirs()) options.engine_dirs.emplace_back(dir);
  if (file.has_spool_max_bytes()) options.spool_max_bytes = file.spool_max_bytes();
  if (file.has_artifact_max_bytes()) options.artifact_max_bytes = file.artifact_max_bytes();
  options.allow_plaintext = flags.allow_plaintext || file.allow_plaintext();
  return options;
}

}  // namespace joulefarm::agent
