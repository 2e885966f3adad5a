#include "agent/power/meter/check_settings.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "agent/power/meter/registry.h"

namespace joulefarm::agent {
namespace {

constexpr char kInterval[] = "{interval_ms}";

std::string NamesOf(bool (*which)(const MeterModel&)) {
  std::vector<std::string> names;
  for (const MeterModel& model : MeterModels()) {
    if (which(model)) names.push_back(model.name);
  }
  return absl::StrJoin(names, ", ");
}

absl::Status Wrong(absl::string_view text) { return absl::InvalidArgumentError(text); }

absl::Status CheckProgramKeys(const MeterModel& model, const MeterSettings& settings) {
  if (!model.program) {
    if (settings.command.empty()) return absl::OkStatus();
    return Wrong(absl::StrCat("command: ", model.title, " is no program; only these are: ",
                              NamesOf([](const MeterModel& of) { return of.program.has_value(); }),
                              "; take it out"));
  }
  const bool asks_for_rate =
      std::any_of(settings.command.begin(), settings.command.end(),
                  [](const std::string& word) { return absl::StrContains(word, kInterval); });
  if (!settings.command.empty() && !model.program->once_per_reading && !asks_for_rate &&
      settings.rate_hz <= 0) {
    return Wrong(absl::StrCat("command: nothing says how often it prints; write ", kInterval,
                              " where it takes the time between two lines, or state rate_hz"));
  }
  return absl::OkStatus();
}

absl::Status CheckSupply(const MeterModel& model, const MeterSettings& settings) {
  const bool source = settings.mode == "source_meter";
  if (!settings.mode.empty() && !(model.supply && model.supply->only_as_source)) {
    return Wrong(absl::StrCat("mode: ", model.title,
                              " has no modes, only these have: ", NamesOf([](const MeterModel& of) {
                                return of.supply && of.supply->only_as_source;
                              }),
                              "; take it out"));
  }
  if (!settings.supply_v) {
    if (settings.supply_u_v)
      return Wrong("supply_u_v: of which voltage? State supply_v, too, or take it out");
    if (source) {
      return Wrong(absl::StrCat("supply_v: as a source meter ", model.title,
                                " feeds the device, and nothing says with how much; state "
                                "supply_v, ",
                                model.supply->least_v, " to ", model.supply->most_v, " V"));
    }
    if (!model.needs_supply_v) return absl::OkStatus();
    return Wrong(
        absl::StrCat("supply_v: ", model.title,
                     " measures no voltage, so there is no power without one; state what "
                     "the device is fed with as supply_v (V)",
                     model.supply ? ", and mode: source_meter where it does that itself" : ""));
  }
  if (!model.needs_supply_v && !model.supply) {
    return Wrong(absl::StrCat("supply_v: ", model.title,
                              model.measures_voltage ? " measures the voltage" : " says the power",
                              " and feeds nothing; take it out"));
  }
  if (settings.supply_u_v && !model.needs_supply_v)
    return Wrong(absl::StrCat("supply_u_v: ", model.title, " measures the voltage; take it out"));
  const double v = *settings.supply_v;
  if (model.needs_supply_v && v <= 0)
    return Wrong("supply_v: nothing runs on no voltage; state what the device is fed with (V)");
  if (!model.supply || (model.supply->only_as_source && !source)) return absl::OkStatus();
  if (v == 0 && model.supply->off_is_zero) return absl::OkStatus();
  if (v >= model.supply->least_v && v <= model.supply->most_v) return absl::OkStatus();
  return Wrong(absl::StrCat("supply_v: ", v, " V is not within the ", model.supply->least_v, " to ",
                            model.supply->most_v, " V that ", model.title,
                            " can feed a device with; state another"));
}

}  // namespace

absl::Status CheckSettings(const MeterModel& model, const MeterSettings& settings) {
  if (absl::Status program = CheckProgramKeys(model, settings); !program.ok()) return program;
  if (!settings.usb_pass_through.empty() && !model.has_usb_pass_through) {
    return Wrong(absl::StrCat("usb_pass_through: ", model.title, " has none, only these have: ",
                              NamesOf([](const MeterModel& of) { return of.has_usb_pass_through; }),
                              "; take it out"));
  }
  return CheckSupply(model, settings);
}

std::vector<std::string> CommandOf(const MeterModel& model, const MeterSettings& settings) {
  if (!model.program) return {};
  const double hz =
      settings.rate_hz > 0 ? std::min(settings.rate_hz, model.max_rate_hz) : model.max_rate_hz;
  const std::string interval_ms = absl::StrCat(std::llround(1e3 / hz));
  const std::vector<std::string>& words =
      settings.command.empty() ? model.program->command : settings.command;
  std::vector<std::string> command;
  std::transform(words.begin(), words.end(), std::back_inserter(command),
                 [&](const std::string& word) {
                   return absl::StrReplaceAll(word, {{kInterval, interval_ms}});
                 });
  return command;
}

std::string ProgramNode(const MeterModel& model, const MeterSettings& settings) {
  if (!model.program) return "";
  const std::string what =
      settings.command.empty() ? model.program->command[0] : absl::StrJoin(settings.command, " ");
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) return what;
  return absl::StrCat(what, "@", host.data());
}

}  // namespace joulefarm::agent
