// joulefarm-controller: wiring only.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "common/config/duration.h"
#include "common/config/yaml_proto.h"
#include "common/daemon/address.h"
#include "common/daemon/notify.h"
#include "common/daemon/state_dir.h"
#include "controller/controller.h"
#include "joulefarm/config/v1/controller.pb.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace {

using joulefarm::controller::ControllerOptions;

struct Flags {
  std::string config, listen, http, state;
  bool allow_plaintext = false;
};

absl::Status SetAddress(const std::string& flag, const std::string& configured, const char* name,
                        joulefarm::HostPort& address) {
  const std::string& text = flag.empty() ? configured : flag;
  if (text.empty()) return absl::OkStatus();
  auto parsed = joulefarm::ParseHostPort(text);
  if (!parsed.ok())
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", parsed.status().message()));
  address = *std::move(parsed);
  return absl::OkStatus();
}

absl::Status SetDuration(const std::string& text, std::int64_t& ns) {
  if (text.empty()) return absl::OkStatus();
  const auto parsed = joulefarm::ParseDuration(text);
  if (!parsed.ok()) return parsed.status();
  ns = *parsed;
  return absl::OkStatus();
}

// Flags win over the file, the file over the defaults.
absl::StatusOr<ControllerOptions> MakeOptions(const Flags& flags) {
  joulefarm::config::v1::ControllerConfig config;
  if (!flags.config.empty()) {
    joulefarm::SourceMap source;
    if (const absl::Status read = joulefarm::ParseYamlFile(flags.config, &config, &source);
        !read.ok())
      return read;
  }
  ControllerOptions options;
  for (const absl::Status& status :
       {SetAddress(flags.listen, config.listen(), "--listen", options.listen),
        SetAddress(flags.http, config.http(), "--http", options.http),
        SetDuration(config.heartbeat(), options.farm.heartbeat_ns),
        SetDuration(config.ttl(), options.farm.ttl_ns),
        SetDuration(config.grace(), options.farm.grace_ns)}) {
    if (!status.ok()) return status;
  }
  if (options.farm.heartbeat_ns <= 0 || options.farm.ttl_ns < 2 * options.farm.heartbeat_ns) {
    return absl::InvalidArgumentError("heartbeat must be positive and ttl at least twice as long");
  }
  options.state = !flags.state.empty() ? flags.state : config.state();
  if (options.state.empty()) options.state = joulefarm::DefaultStateDir("controller");
  options.allow_plaintext = flags.allow_plaintext || config.allow_plaintext();
  options.version = JOULEFARM_VERSION;
  options.farm.instance = absl::StrCat("pid-", ::getpid());
  return options;
}

constexpr int kExitUsage = 2;
constexpr int kExitCannotStart = 1;

int Fail(const absl::Status& status, int code) {
  std::cerr << "joulefarm-controller: " << std::string(status.message()) << std::endl;
  return absl::IsInvalidArgument(status) ? kExitUsage : code;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "The controller of a Joulefarm: schedules jobs, keeps results.\n"
      "Runs with no file and no flag: gRPC on 127.0.0.1:7070, HTTP on 127.0.0.1:7071.",
      "joulefarm-controller"};
  app.footer(
      "Examples:\n"
      "  joulefarm-controller\n"
      "  joulefarm-controller --listen 0.0.0.0:7070 --allow-plaintext --state /srv/joulefarm\n"
      "  joulefarm-controller --config /etc/joulefarm/controller.yaml\n"
      "\n"
      "Flags win over the file. State is in /var/lib/joulefarm/controller for root, else in "
      "~/.local/state/joulefarm/controller:\n"
      "joulefarm.db (the results), artifacts/ (models by SHA-256), address (where it listens: "
      "gRPC, "
      "then HTTP).\n"
      "SIGTERM stops it in order; agents go on with what they run and report it later. `joulefarm "
      "doctor` says how it is.\n"
      "Exit codes: 0 stopped in order, 1 cannot start, 2 wrong flags or file.");
  Flags flags;
  app.add_option("--config", flags.config,
                 "YAML configuration file (see deploy/examples/controller.yaml)");
  app.add_option("--listen", flags.listen, "HOST:PORT for gRPC; port 0 takes a free one");
  app.add_option("--http", flags.http, "HOST:PORT for HTTP (read-only); port 0 takes a free one");
  app.add_option("--state", flags.state, "state directory: database, artifacts, address file");
  app.add_flag("--allow-plaintext", flags.allow_plaintext,
               "listen without TLS beyond this machine, on a network you trust");
  app.set_version_flag("--version", "joulefarm-controller " JOULEFARM_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  // gRPC's own log repeats in riddles what our errors say; the operator may ask for it.
  ::setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("controller"));
  spdlog::flush_on(spdlog::level::info);

  // Blocked before any thread exists, so that only the wait below sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  auto options = MakeOptions(flags);
  if (!options.ok()) return Fail(options.status(), kExitUsage);
  auto controller = joulefarm::controller::Controller::Start(*options);
  if (!controller.ok()) return Fail(controller.status(), kExitCannotStart);
  spdlog::info("joulefarm-controller {} listens on {} (gRPC) and {} (HTTP); results in {}",
               JOULEFARM_VERSION, (*controller)->grpc_address().ToString(),
               (*controller)->http_address().ToString(), (*controller)->database().string());
  joulefarm::NotifyServiceManager("READY=1");
  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("stopping on {}", signal == SIGTERM ? "SIGTERM" : "SIGINT");
  joulefarm::NotifyServiceManager("STOPPING=1");
  controller->reset();
  return 0;
}
