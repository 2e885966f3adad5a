#include "agent/process/run_tool.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/process/boottime.h"
#include "agent/process/child_process.h"
#include "agent/process/stop_fd.h"
#include "agent/process/text.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kLongestNs = 30'000'000'000;
constexpr std::size_t kShownBytes = 400;

}  // namespace

absl::StatusOr<std::string> RunTool(std::vector<std::string> argv, ProcessJournal* journal) {
  const std::string command = absl::StrJoin(argv, " ");
  ProcessOptions options;
  options.argv = std::move(argv);
  auto child = ChildProcess::Start(std::move(options), journal);
  if (!child.ok()) {
    return absl::Status(child.status().code(),
                        absl::StrCat(command, ": ", child.status().message()));
  }
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

}  // namespace joulefarm::agent
