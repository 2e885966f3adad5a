#include "cli/config.h"

#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/config/suggest.h"

namespace joulefarm::cli {
namespace {

std::string Where(absl::string_view file_name, const YAML::Mark& mark) {
  return absl::StrCat(file_name, ":", mark.line + 1, ":", mark.column + 1, ": ");
}

class ConfigReader {
 public:
  explicit ConfigReader(absl::string_view file_name) : file_name_(file_name) {}

  absl::StatusOr<Config> Read(const YAML::Node& root) {
    if (!root || root.IsNull()) return config_;
    const std::vector<std::string> keys{"controller", "contexts", "current"};
    absl::Status status =
        ForEach(root, "the file", keys, [&](const std::string& key, const YAML::Node& value) {
          if (key == "controller") return Text(value, key, config_.controller.emplace());
          if (key == "current") return Text(value, key, config_.current.emplace());
          return Contexts(value);
        });
    if (!status.ok()) return status;
    if (config_.current && config_.contexts.count(*config_.current) == 0) {
      return Error(root["current"],
                   absl::StrCat("there is no context ", Quoted(*config_.current),
                                Suggestion(*config_.current, Names(), "contexts")));
    }
    return config_;
  }

 private:
  absl::Status Error(const YAML::Node& node, absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(Where(file_name_, node.Mark()), what));
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& [name, address] : config_.contexts) names.push_back(name);
    return names;
  }

  // Calls `take` for each entry of a mapping; empty `keys` allows every key.
  template <typename Take>
  absl::Status ForEach(const YAML::Node& node, absl::string_view what,
                       const std::vector<std::string>& keys, Take take) const {
    if (!node.IsMap())
      return Error(node, absl::StrCat(what, " must be a mapping of keys to values"));
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      if (!keys.empty() && std::find(keys.begin(), keys.end(), key) == keys.end()) {
        return Error(entry.first,
                     absl::StrCat("unknown key ", Quoted(key), Suggestion(key, keys, "keys")));
      }
      if (!seen.insert(key).second)
        return Error(entry.first, absl::StrCat("key ", Quoted(key), " twice"));
      if (absl::Status status = take(key, entry.second); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status Text(const YAML::Node& node, absl::string_view key, std::string& out) const {
    if (!node.IsScalar()) return Error(node, absl::StrCat(key, " must be a text"));
    out = node.Scalar();
    return absl::OkStatus();
  }

  absl::Status Contexts(const YAML::Node& node) {
    return ForEach(node, "contexts", {}, [&](const std::string& name, const YAML::Node& context) {
      bool found = false;
      absl::Status status = ForEach(context, absl::StrCat("context ", Quoted(name)), {"controller"},
                                    [&](const std::string& key, const YAML::Node& value) {
                                      found = true;
                                      return Text(value, key, config_.contexts[name]);
                                    });
      if (!status.ok() || found) return status;
      return Error(context, absl::StrCat("context ", Quoted(name), " names no controller"));
    });
  }

  absl::string_view file_name_;
  Config config_;
};

std::optional<std::string> ConfigPath(const ControllerChoice& choice) {
  if (const auto base = choice.environment("XDG_CONFIG_HOME"); base && !base->empty()) {
    return *base + "/joulefarm/config.yaml";
  }
  if (const auto home = choice.environment("HOME"); home && !home->empty()) {
    return *home + "/.config/joulefarm/config.yaml";
  }
  return std::nullopt;
}

absl::StatusOr<Config> ReadConfig(const std::optional<std::string>& path) {
  if (!path) return Config{};
  errno = 0;
  std::ifstream file(*path);
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return Config{};
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", *path, ": ", std::strerror(errno)));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return ParseConfig(text.str(), *path);
}

absl::StatusOr<std::string> Checked(const std::string& address, absl::string_view origin) {
  const std::size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(
        origin, ": ", Quoted(address), " is no HOST:PORT, such as ", kDefaultController));
  }
  return address;
}

}  // namespace

absl::StatusOr<Config> ParseConfig(absl::string_view text, absl::string_view file_name) {
  try {
    return ConfigReader(file_name).Read(YAML::Load(std::string(text)));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(Where(file_name, error.mark), error.msg));
  }
}

absl::StatusOr<std::string> ResolveController(const ControllerChoice& choice) {
  if (choice.flag) return Checked(*choice.flag, "--controller");
  const std::optional<std::string> variable = choice.environment("JOULEFARM_CONTROLLER");
  const bool from_environment = !choice.context && variable && !variable->empty();
  if (from_environment) return Checked(*variable, "JOULEFARM_CONTROLLER");

  const std::optional<std::string> path = ConfigPath(choice);
  const absl::StatusOr<Config> config = ReadConfig(path);
  if (!config.ok()) return config.status();
  if (choice.context) {
    const auto found = config->contexts.find(*choice.context);
    if (found == config->contexts.end()) {
      std::vector<std::string> names;
      for (const auto& [name, address] : config->contexts) names.push_back(name);
      return absl::InvalidArgumentError(absl::StrCat(
          "--context: there is no context ", Quoted(*choice.context), " in ",
          path ? *path : "the config file", Suggestion(*choice.context, names, "contexts")));
    }
    return Checked(found->second, absl::StrCat("context ", found->first));
  }
  if (config->current)
    return Checked(config->contexts.at(*config->current),
                   absl::StrCat("context ", *config->current));
  if (config->controller) return Checked(*config->controller, *path);
  return std::string(kDefaultController);
}

}  // namespace joulefarm::cli
