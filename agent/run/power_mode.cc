#include "agent/run/power_mode.h"

#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/process/run_tool.h"
#include "agent/process/text.h"

namespace joulefarm::agent {
namespace {

constexpr std::size_t kShownBytes = 400;
constexpr absl::string_view kNamePrefix = "NV Power Mode:";

}  // namespace

absl::StatusOr<PowerMode> ParsePowerMode(absl::string_view output) {
  PowerMode mode;
  bool named = false;
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (absl::ConsumePrefix(&line, kNamePrefix)) {
      absl::string_view name = absl::StripAsciiWhitespace(line);
      absl::ConsumePrefix(&name, "MODE_");
      mode.name = Printable(name, kShownBytes);
      named = true;
    } else if (named && absl::SimpleAtoi(line, &mode.number)) {
      return mode;
    }
  }
  return absl::DataLossError(
      absl::StrCat("nvpmodel -q does not name a power mode: ", PrintableTail(output, kShownBytes)));
}

PowerModeTool::PowerModeTool(const HostPaths& paths) : program_(paths.Under("usr/sbin/nvpmodel")) {}

bool PowerModeTool::exists() const {
  std::error_code error;
  return std::filesystem::exists(program_, error);
}

absl::StatusOr<std::string> PowerModeTool::Run(const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv{std::filesystem::absolute(program_).string()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunTool(std::move(argv));
}

absl::StatusOr<PowerMode> PowerModeTool::Query() const {
  const absl::StatusOr<std::string> output = Run({"-q"});
  if (!output.ok()) return output.status();
  return ParsePowerMode(*output);
}

absl::Status PowerModeTool::Set(int number) const {
  const absl::StatusOr<std::string> output = Run({"-m", absl::StrCat(number)});
  if (!output.ok()) return output.status();
  const absl::StatusOr<PowerMode> now = Query();
  if (!now.ok()) return now.status();
  if (now->number == number) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("nvpmodel -m ", number, " left the board in mode ", now->number, " (", now->name,
                   "); some modes need a restart: ", PrintableTail(*output, kShownBytes)));
}

}  // namespace joulefarm::agent
