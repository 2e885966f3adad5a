#include "agent/power/switch/command_switch.h"

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "agent/process/run_tool.h"

namespace joulefarm::agent {
namespace {

class CommandSwitch : public PowerSwitch {
 public:
  CommandSwitch(CommandSwitchSettings settings, ProcessJournal* journal)
      : settings_(std::move(settings)), journal_(journal) {}

  absl::Status Set(int port, bool on) override {
    // Power comes back also where nothing can be written any more.
    const absl::StatusOr<std::string> ran =
        on ? Run(settings_.on, port, nullptr) : Run(settings_.off, port, journal_);
    if (!ran.ok()) return ran.status();
    set_[port] = on;
    if (settings_.status.empty()) return absl::OkStatus();
    const absl::StatusOr<bool> now = Get(port);
    if (!now.ok()) return now.status();
    if (*now == on) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(absl::StrJoin(settings_.status, " "),
                                            " says that port ", port, " is still ",
                                            on ? "off" : "on"));
  }

  absl::StatusOr<bool> Get(int port) override {
    if (settings_.status.empty()) {
      const auto known = set_.find(port);
      if (known != set_.end()) return known->second;
      return absl::UnimplementedError("the switch has no status command");
    }
    const absl::StatusOr<std::string> output = Run(settings_.status, port, nullptr);
    if (!output.ok()) return output.status();
    for (absl::string_view line : absl::StrSplit(*output, '\n')) {
      const std::string word = absl::AsciiStrToLower(absl::StripAsciiWhitespace(line));
      if (word == "on" || word == "off") return word == "on";
    }
    return absl::DataLossError(
        absl::StrCat(absl::StrJoin(settings_.status, " "), " printed neither on nor off"));
  }

 private:
  static absl::StatusOr<std::string> Run(const std::vector<std::string>& argv, int port,
                                         ProcessJournal* journal) {
    std::vector<std::string> filled;
    for (const std::string& word : argv)
      filled.push_back(absl::StrReplaceAll(word, {{"{port}", absl::StrCat(port)}}));
    return RunTool(std::move(filled), journal);
  }

  const CommandSwitchSettings settings_;
  ProcessJournal* const journal_;
  std::map<int, bool> set_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PowerSwitch>> MakeCommandSwitch(CommandSwitchSettings settings,
                                                               ProcessJournal* journal) {
  if (settings.on.empty() || settings.off.empty()) {
    return absl::InvalidArgumentError(
        "a switch of kind command needs `on` and `off`, each a program with its arguments");
  }
  return std::make_unique<CommandSwitch>(std::move(settings), journal);
}

}  // namespace joulefarm::agent
