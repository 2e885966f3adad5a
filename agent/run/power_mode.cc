#include "agent/run/power_mode.h"

#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/process/boottime.h"
#include "agent/process/child_process.h"
#include "agent/process/stop_fd.h"
#include "agent/process/text.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kLongestNs = 30'000'000'000;
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
  ProcessOptions options;
  options.argv = {std::filesystem::absolute(program_).string()};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  const std::string command = absl::StrCat("nvpmodel ", absl::StrJoin(arguments, " "));
  auto child = ChildProcess::Start(std::move(options), nullptr);
  if (!child.ok()) {
    return absl::Status(child.status().code(),
                        absl::StrCat(command, ": ", child.status().message()));
  }
  // Not to be broken off by a stop: what was changed has to be known.
  const StopFd never{std::stop_token()};
  const Wake wake = (*child)->Wait(never, BoottimeNs() + kLongestNs);
  (*child)->Terminate(0);
  std::string output = (*child)->OutputTail();
  if (wake != Wake::kReady) {
    return absl::DeadlineExceededError(absl::StrCat(command, " did not end"));
  }
  const ExitStatus status = (*child)->exit_status().value_or(ExitStatus{});
  if (!status.success()) {
    return absl::FailedPreconditionError(
        absl::StrCat(command, ": ", status.ToString(), ": ", PrintableTail(output, kShownBytes)));
  }
  return output;
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
