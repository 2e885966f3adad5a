// Runs the CLI inside a test, with streams, environment and time of its own.
//
// Thread rule: one thread; `interrupt` may be set from any. Ownership: owns its streams. Time
// stands still but for sleeps.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "cli/app.h"

namespace joulefarm::cli {

struct CliOutcome {
  int exit = -1;
  std::string out;
  std::string err;
};

class CliRunner {
 public:
  // Talks to this controller unless the arguments say otherwise; empty: the environment does not
  // name one.
  explicit CliRunner(const std::string& controller) {
    if (!controller.empty()) environment["JOULEFARM_CONTROLLER"] = controller;
  }

  CliOutcome Run(const std::vector<std::string>& arguments) {
    std::istringstream in(input);
    std::ostringstream out;
    std::ostringstream err;
    Console console{in, out, err};
    console.in_is_terminal = terminal;
    console.out_is_terminal = terminal;
    console.err_is_terminal = terminal;
    console.width = [this] { return width; };
    console.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = environment.find(name);
      if (found == environment.end()) return std::nullopt;
      return found->second;
    };
    console.now = [this] { return now; };
    console.sleep = [this](std::chrono::nanoseconds duration) {
      now += duration;
      ++sleeps;
      if (on_sleep) on_sleep();
    };
    console.interrupted = [this] { return interrupt.load(); };
    if (local_agent) {
      console.run_local_agent = [this](const std::vector<std::string>& asked) {
        agent_arguments = asked;
        return absl::StatusOr<std::string>(*local_agent);
      };
    }
    console.out_error = [this] { return out_error; };
    CliOutcome outcome;
    outcome.exit = RunCli(arguments, console);
    outcome.out = out.str();
    outcome.err = err.str();
    return outcome;
  }

  std::string input;
  bool terminal = false;
  int width = 200;
  int out_error = 0;
  std::map<std::string, std::string> environment;
  std::chrono::steady_clock::time_point now{};
  int sleeps = 0;
  // What joulefarm-agent prints; absent: there is none here.
  std::optional<std::string> local_agent;
  std::vector<std::string> agent_arguments;
  std::function<void()> on_sleep;
  std::atomic<bool> interrupt{false};
};

}  // namespace joulefarm::cli
