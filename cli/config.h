// Which controller to talk to: flag, context, environment, config file, default.
//
// Thread rule: pure but for reading the file. Ownership: values.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm::cli {

inline constexpr char kDefaultController[] = "127.0.0.1:7070";

// ~/.config/joulefarm/config.yaml.
struct Config {
  std::optional<std::string> controller;
  std::map<std::string, std::string> contexts;  // name → controller
  std::optional<std::string> current;           // a name in contexts
};

// INVALID_ARGUMENT with file:line:column for anything that is not as docs/cli.md says.
absl::StatusOr<Config> ParseConfig(absl::string_view text, absl::string_view file_name);

// What the command line and the environment say about the controller.
struct ControllerChoice {
  std::optional<std::string> flag;     // --controller
  std::optional<std::string> context;  // --context
  std::function<std::optional<std::string>(const std::string&)> environment;
};

// HOST:PORT. In this order: --controller, --context, JOULEFARM_CONTROLLER, the file's current
// context, the file's controller, the default. The file is read only when it can matter; one that
// is not there is no error. INVALID_ARGUMENT for an unknown context, a broken file or an address
// that is not HOST:PORT.
absl::StatusOr<std::string> ResolveController(const ControllerChoice& choice);

}  // namespace joulefarm::cli
