#include "agent/workload/command.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "agent/process/boottime.h"
#include "agent/process/child_process.h"
#include "agent/process/oom.h"
#include "agent/workload/attempt.h"
#include "agent/workload/command_report.h"
#include "agent/workload/engine_log.h"

namespace joulefarm::agent {
namespace {

class CommandAttempt {
 public:
  explicit CommandAttempt(WorkloadContext& context)
      : attempt_(context),
        argv_(CommandArgv(context.spec->command(), context.model_path)),
        log_(context.recorder),
        oom_(context.root / "proc") {
    attempt_.facts().set_engine("command");
    for (const std::string& argument : argv_) attempt_.facts().add_engine_argv(argument);
  }

  WorkloadOutcome Execute() {
    if (attempt_.IdleUnloaded() == Wake::kStop) return Canceled();
    attempt_.RecordFacts();
    attempt_.StartRunLimit();
    for (int run = 0; run < attempt_.runs(); ++run) {
      if (attempt_.PauseBefore(run, v1::PHASE_PAUSE) == Wake::kStop) return Canceled();
      if (auto failure = ExecuteRun(run)) return *failure;
    }
    return attempt_.Tail() == Wake::kStop ? Canceled() : Succeeded();
  }

 private:
  std::optional<WorkloadOutcome> ExecuteRun(int run) {
    attempt_.State(v1::ATTEMPT_STATE_RUNNING, attempt_.RunName(run));
    CommandReport report(attempt_, log_, run);
    ProcessOptions options;
    options.argv = argv_;
    options.work_dir = attempt_.context().work_dir;
    options.on_line = [&report](const OutputLine& line) { report.Take(line); };
    const std::int64_t start_ns = BoottimeNs();
    auto child = ChildProcess::Start(std::move(options), attempt_.context().journal);
    if (!child.ok()) {
      return Failed(v1::FAILURE_CLASS_INFRA,
                    absl::StrCat("the command could not be started on this device: ",
                                 child.status().message(), "; install it or name its path"));
    }
    attempt_.EngineIs((*child)->pid());
    const Wake wake = (*child)->Wait(attempt_.stop(), attempt_.run_deadline_ns());
    const std::int64_t exit_ns = BoottimeNs();
    // The peak is read while the engine is still attached; a program that has ended keeps what the
    // samples saw.
    const bool ended = wake == Wake::kReady;
    (*child)->Terminate(ended ? 0 : kEngineGraceNs);
    const std::int64_t end_ns = report.Finish(exit_ns);
    if (ended && (*child)->exit_status()->success()) {
      // Before the sampler lets go of the program: it knows the peak.
      attempt_.RecordRun(run, start_ns, end_ns, report.output_sha256());
      attempt_.EngineWas(**child);
      return std::nullopt;
    }
    attempt_.EngineWas(**child);
    return Failure(run, wake, **child);
  }

  WorkloadOutcome Failure(int run, Wake wake, ChildProcess& child) {
    const std::string tail = child.OutputTail();
    const std::string during = absl::StrCat("in ", attempt_.RunName(run));
    switch (wake) {
      case Wake::kStop:
        return Canceled(tail);
      case Wake::kDeadline:
        return attempt_.LimitPassed("run", attempt_.spec().limits().run_ns(), during, tail);
      case Wake::kReady:
        break;
    }
    const ExitStatus status = child.exit_status().value_or(ExitStatus{});
    if (const auto evidence = oom_.Evidence(status, tail)) {
      return Failed(v1::FAILURE_CLASS_OOM,
                    absl::StrCat("the command ran out of memory ", during, " (", status.ToString(),
                                 "): ", *evidence, ".", LastOutput(tail)));
    }
    return Failed(v1::FAILURE_CLASS_USER, absl::StrCat("the command failed ", during, ": ",
                                                       status.ToString(), ".", LastOutput(tail)));
  }

  Attempt attempt_;
  const std::vector<std::string> argv_;
  EngineLog log_;
  OomWatch oom_;
};

}  // namespace

std::vector<std::string> CommandArgv(const v1::CommandSpec& spec,
                                     const std::optional<std::filesystem::path>& model) {
  std::vector<std::string> argv;
  for (const std::string& argument : spec.argv()) {
    argv.push_back(
        model ? absl::StrReplaceAll(argument,
                                    {{"{model.path}", std::filesystem::absolute(*model).string()}})
              : argument);
  }
  return argv;
}

WorkloadOutcome CommandWorkload::Run(WorkloadContext& context) {
  if (context.spec->command().argv().empty())
    return Failed(v1::FAILURE_CLASS_USER, "the command is empty");
  return CommandAttempt(context).Execute();
}

}  // namespace joulefarm::agent
