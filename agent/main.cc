// joulefarm-agent: flags, then an Agent until it ends.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "agent/agent.h"
#include "agent/commands/decode.h"
#include "agent/commands/keep_latency.h"
#include "agent/commands/latency.h"
#include "agent/commands/meters.h"
#include "agent/commands/tare.h"
#include "agent/config.h"
#include "agent/doctor/host_checks.h"
#include "agent/doctor/report.h"
#include "agent/power/latency_file.h"
#include "agent/power/tare_file.h"
#include "common/daemon/notify.h"

namespace joulefarm::agent {
namespace {

constexpr int kExitUsage = 2;
constexpr int kExitCannotStart = 1;

// Prints what an agent with these flags would find; nothing is changed or started.
int Doctor(const AgentFlags& flags, const std::string& format) {
  const absl::StatusOr<AgentOptions> options = MakeOptions(flags);
  if (!options.ok()) {
    spdlog::error("{}", std::string(options.status().message()));
    return kExitUsage;
  }
  const Findings findings = Examine({.controller = options->controller,
                                     .state_dir = options->state_dir,
                                     .root = options->root,
                                     .engine_dirs = options->engine_dirs,
                                     .power = options->power,
                                     .allow_plaintext = options->allow_plaintext});
  std::cout << (format == "json" ? FindingsAsJson(findings) : FindingsAsText(findings))
            << std::flush;
  return ExitCodeOf(findings);
}

int Serve(const AgentFlags& flags) {
  absl::StatusOr<AgentOptions> options = MakeOptions(flags);
  if (!options.ok()) {
    spdlog::error("{}", std::string(options.status().message()));
    return kExitUsage;
  }
  options->version = JOULEFARM_VERSION;
  absl::StatusOr<std::unique_ptr<Agent>> agent = Agent::Create(*options);
  if (!agent.ok()) {
    spdlog::error("cannot start: {}", std::string(agent.status().message()));
    return absl::IsInvalidArgument(agent.status()) ? kExitUsage : kExitCannotStart;
  }
  spdlog::info("joulefarm-agent {} {}: controller {}, state {}", JOULEFARM_VERSION, (*agent)->id(),
               options->controller, options->state_dir.string());
  (*agent)->StopOnSignals();
  (*agent)->Start();
  NotifyServiceManager("READY=1");
  const int code = (*agent)->Wait();
  NotifyServiceManager("STOPPING=1");
  return code;
}

int ShowMeters(const AgentFlags& flags, const std::string& format) {
  const absl::StatusOr<AgentOptions> options = MakeOptions(flags);
  if (!options.ok()) {
    spdlog::error("{}", std::string(options.status().message()));
    return kExitUsage;
  }
  const MetersReport report = ReadMeters(HostPaths(options->root), options->power);
  if (format == "json") {
    WriteMetersJson(report, std::cout, std::cerr);
  } else {
    WriteMetersTable(report, std::cout);
  }
  return 0;
}

int Latency(const AgentFlags& flags, LatencyRequest request) {
  const absl::StatusOr<AgentOptions> options = MakeOptions(flags);
  if (!options.ok()) {
    spdlog::error("{}", std::string(options.status().message()));
    return kExitUsage;
  }
  request.file = LatencyFile(options->state_dir);
  if (request.clear) return ClearLatency(request.file, request.channel, std::cout, std::cerr);
  return ShowLatency(HostPaths(options->root), options->power, request, std::cout, std::cerr);
}

int Tare(const AgentFlags& flags, TareRequest request) {
  const absl::StatusOr<AgentOptions> options = MakeOptions(flags);
  if (!options.ok()) {
    spdlog::error("{}", std::string(options.status().message()));
    return kExitUsage;
  }
  request.file = TareFile(options->state_dir);
  return request.clear
             ? ClearTare(request, std::cout, std::cerr)
             : TakeTare(request, options->power.meter, RealTareHooks(), std::cout, std::cerr);
}

int Main(int argc, char** argv) {
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("agent", std::make_shared<spdlog::sinks::stderr_sink_mt>()));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  spdlog::flush_on(spdlog::level::info);
  CLI::App app{
      "Runs inference jobs on this host for a Joulefarm controller, and measures them.\n"
      "Runs with no file and no flag: it dials 127.0.0.1:7070 and finds out about this host "
      "itself.",
      "joulefarm-agent"};
  app.footer(
      "Examples:\n"
      "  joulefarm-agent --controller lab-host:7070 --allow-plaintext\n"
      "  joulefarm-agent --config /etc/joulefarm/agent.yaml\n"
      "  joulefarm-agent meters                      what can measure power here, and what cannot\n"
      "  joulefarm-agent meters tare                 zero the meter, with the device taken off it\n"
      "  joulefarm-agent meters latency              find how late the meter is, with the device "
      "on it\n"
      "  joulefarm-agent meters decode km003c <hex   what the bytes of a bus capture say\n"
      "  joulefarm-agent doctor                      what this host lacks, and what to do about "
      "it\n"
      "\n"
      "Engines are looked for in engine_dirs of the file, then $JOULEFARM_ENGINE_DIR, then PATH. "
      "Flags win over the file.\n"
      "State (spool, cached models, address of the lock's owner) is in /var/lib/joulefarm/agent "
      "for "
      "root, else in\n"
      "~/.local/state/joulefarm/agent. SIGTERM ends attempts as INTERRUPTED, sends what there is, "
      "and exits 0.\n"
      "Exit codes: 0 stopped in order, 1 cannot start, 2 wrong flags or file, 3 another process "
      "took "
      "over this id.");
  app.set_version_flag("--version", std::string("joulefarm-agent ") + JOULEFARM_VERSION);
  AgentFlags flags;
  app.add_option("--config", flags.config, "Configuration file (YAML)")->type_name("FILE");
  app.add_option("--controller", flags.controller, "Controller to dial, default 127.0.0.1:7070")
      ->type_name("HOST:PORT");
  app.add_option("--id", flags.id,
                 "This agent's id, default hostname and a random suffix that stays")
      ->type_name("NAME");
  app.add_option("--state", flags.state, "State directory")->type_name("DIR");
  app.add_option("--root", flags.root, "Where /proc and /sys are read below, default /")
      ->type_name("DIR");
  app.add_flag("--allow-plaintext", flags.allow_plaintext,
               "Talk without TLS to a controller that is not on this machine");
  std::string format = "table";
  CLI::App* meters =
      app.add_subcommand("meters", "List what can measure power here, and what stands in the way");
  meters->add_option("--root", flags.root, "Where /proc and /sys are read below, default /")
      ->type_name("DIR");
  meters->add_option("--config", flags.config, "Configuration file (YAML)")->type_name("FILE");
  meters
      ->add_option("--state", flags.state,
                   "State directory, where tares and latencies of meters are kept")
      ->type_name("DIR");
  meters->add_option("-o,--output", format, "How to print: table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT");
  meters->footer(
      "Meters on buses are found by themselves. Those that cannot be, and programs that print what "
      "they measure\n(tegrastats, dumpsys battery, powermetrics), are stated in `meters` of the "
      "configuration file (docs/meters.md).");
  std::string model;
  CLI::App* decode = meters->add_subcommand(
      "decode",
      "Read frames in hex, one per line, from standard input; print samples as JSON lines");
  decode->add_option("MODEL", model, "Meter model: " + DecodableModels())
      ->required()
      ->type_name("");
  decode->footer(
      "Blanks between digits, empty lines and what follows a # do not count. Models whose protocol "
      "is text take its\n"
      "bytes, whole lines per frame or as xxd cuts them: xxd -p FILE | joulefarm-agent meters "
      "decode "
      "tegrastats.\n"
      "A refused frame prints {\"error\": ...}, samples known to be missing {\"lost\": n}.");
  LatencyRequest latency_request;
  CLI::App* latency = meters->add_subcommand(
      "latency",
      "Load this host 3 x 300 ms and find how late a meter's stamps are; they count as that late "
      "from then on");
  latency->fallthrough();
  latency
      ->add_option("channel", latency_request.channel,
                   "As meters lists it, default the one results come from; with --clear the "
                   "meter's serial number")
      ->type_name("CHANNEL");
  latency->add_flag("--force", latency_request.force,
                    "Keep what was found though it is not what is known of the meter");
  latency->add_flag("--clear", latency_request.clear,
                    "Forget what was kept; the meter need not be here");
  latency->footer(
      "For a meter that measures this very host; while nothing else runs. Give it --config and "
      "--state of the agent that uses\nthe meter; that one takes it into account when it starts "
      "anew.\nExit code 0: kept, 1: it cannot be measured or kept, 3: the stamps are off by more "
      "than is known of the meter.");
  TareRequest tare_request;
  CLI::App* tare = meters->add_subcommand(
      "tare",
      "Sample a meter through which nothing flows; what it says is subtracted from then on");
  tare->fallthrough();
  tare->add_option("serial", tare_request.meter,
                   "Its serial number (its place, where it has none), default the only one here")
      ->type_name("SERIAL");
  tare->add_option("--seconds", tare_request.seconds, "For how long, default 10")
      ->check(CLI::Range(1.0, 3600.0).description(""))
      ->type_name("S");
  tare->add_flag("--force", tare_request.force, "Take it though it is not steady or far from zero");
  tare->add_flag("--clear", tare_request.clear, "Forget the tare; the meter need not be here");
  tare->footer(
      "Take the device off the meter first and leave its supply on. Also takes --config and "
      "--state "
      "of the agent that uses\nthe meter; that one takes the tare into account when it starts "
      "anew. "
      "Refused: a mean beyond 20 mA (or 1 % of the\nmodel's range; of meters without a current 50 "
      "mW "
      "or ten times the class of the offset), a standard deviation\nbeyond a quarter of that, two "
      "halves that differ by more than a tenth of it.\nExit code 0: done, 1: refused or it cannot "
      "be "
      "measured, and why.");
  CLI::App* doctor = app.add_subcommand(
      "doctor", "Look at what an agent needs here: engines, sensors, disk, memory, time, state");
  doctor->fallthrough();
  doctor->add_option("--root", flags.root, "Where /proc and /sys are read below, default /")
      ->type_name("DIR");
  doctor->add_option("--config", flags.config, "Configuration file (YAML)")->type_name("FILE");
  doctor->add_option("-o,--output", format, "table or json")
      ->check(CLI::IsMember({"table", "json"}).description(""))
      ->type_name("FORMAT")
      ->default_str("table");
  doctor->footer(
      "Takes the agent's other flags as well, such as --state. Exit code 3 when something needed "
      "is "
      "broken, else 0.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (decode->parsed()) return DecodeFrames(model, std::cin, std::cout, std::cerr);
  if (tare->parsed()) return Tare(flags, tare_request);
  if (latency->parsed()) return Latency(flags, latency_request);
  if (meters->parsed()) return ShowMeters(flags, format);
  return doctor->parsed() ? Doctor(flags, format) : Serve(flags);
}

}  // namespace
}  // namespace joulefarm::agent

int main(int argc, char** argv) { return joulefarm::agent::Main(argc, argv); }
