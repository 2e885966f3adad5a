#include "agent/process/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <stop_token>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/process/boottime.h"
#include "agent/process/leftover.h"
#include "agent/process/spawn.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kKillWaitNs = 5'000'000'000;
constexpr std::int64_t kOutputWaitNs = 1'000'000'000;
constexpr std::int64_t kPollNs = 2'000'000;

std::vector<std::string> Environment(const ProcessOptions& options) {
  std::vector<std::string> environment;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const absl::string_view entry(*variable);
    const absl::string_view name = entry.substr(0, entry.find('='));
    const bool changed =
        name == kChildMarkerName || std::any_of(options.environment.begin(),
                                                options.environment.end(), [&](const auto& change) {
                                                  absl::string_view pattern = change.first;
                                                  if (absl::ConsumeSuffix(&pattern, "*"))
                                                    return absl::StartsWith(name, pattern);
                                                  return name == pattern;
                                                });
    if (!changed) environment.emplace_back(entry);
  }
  for (const auto& [name, value] : options.environment) {
    if (value) environment.push_back(absl::StrCat(name, "=", *value));
  }
  return environment;
}

struct OutputPipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

absl::StatusOr<OutputPipe> MakeOutputPipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  return OutputPipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(ProcessOptions options,
                                                                  ProcessJournal* journal) {
  if (options.argv.empty()) return absl::InvalidArgumentError("no program is named");
  const char* path = getenv("PATH");
  auto program = FindProgram(options.argv[0], path != nullptr ? path : "");
  if (!program.ok()) return program.status();
  auto out = MakeOutputPipe();
  if (!out.ok()) return out.status();
  auto err = MakeOutputPipe();
  if (!err.ok()) return err.status();
  SpawnRequest request;
  request.program = std::move(*program);
  request.argv = options.argv;
  request.environment = Environment(options);
  request.work_dir = options.work_dir;
  request.stdout_fd = out->write_end.get();
  request.stderr_fd = err->write_end.get();
  auto spawned = Spawn(request, journal);
  if (!spawned.ok()) return spawned.status();
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, spawned->pid, 0)));
  auto reader = std::make_unique<OutputReader>(std::move(out->read_end), std::move(err->read_end),
                                               std::move(options.on_line));
  std::unique_ptr<ChildProcess> child(new ChildProcess(
      spawned->pid, spawned->start_ticks, std::move(pidfd), std::move(reader), journal));
  if (!child->pidfd_.valid())
    return absl::ErrnoToStatus(errno, "pidfd_open");  // the destructor cleans up
  return child;
}

ChildProcess::ChildProcess(pid_t pid, std::uint64_t start_ticks, UniqueFd pidfd,
                           std::unique_ptr<OutputReader> reader, ProcessJournal* journal)
    : pid_(pid),
      start_ticks_(start_ticks),
      pidfd_(std::move(pidfd)),
      reader_(std::move(reader)),
      journal_(journal) {}

ChildProcess::~ChildProcess() { Terminate(0); }

Wake ChildProcess::Wait(const StopFd& stop, std::optional<std::int64_t> deadline_ns) {
  if (exit_status()) return Wake::kReady;
  const Wake wake = stop.WaitFor(pidfd_.get(), POLLIN, deadline_ns);
  if (wake == Wake::kReady) exit_status();
  return wake;
}

std::optional<ExitStatus> ChildProcess::exit_status() {
  if (status_) return status_;
  // The leader is looked at but not reaped before its family is gone: until then its number, which
  // names the process group, cannot be given to anybody else.
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      info.si_pid == 0) {
    return std::nullopt;
  }
  ExitStatus status;
  if (info.si_code == CLD_EXITED) {
    status.code = info.si_status;
  } else {
    status.signal = info.si_status;
    status.by_agent = signalled_;
  }
  status_ = status;
  return status_;
}

bool ChildProcess::SignalFamily(int signal) {
  // The group as a whole first: it may grow faster than it can be listed.
  if (signal != 0) kill(-pid_, signal);
  const std::vector<ProcStat> living = LivingMembers("/proc", pid_, start_ticks_, seen_);
  for (const ProcStat& member : living) {
    if (signal != 0 && member.group != pid_) SignalProcess(member, signal);
  }
  return !living.empty();
}

void ChildProcess::Terminate(std::int64_t grace_ns) {
  if (terminated_) return;
  terminated_ = true;
  const StopFd never{std::stop_token{}};
  if (!exit_status()) signalled_ = true;
  bool alive = SignalFamily(grace_ns > 0 ? SIGTERM : 0);
  const std::int64_t kill_at_ns = BoottimeNs() + grace_ns;
  while (alive && BoottimeNs() < kill_at_ns) {
    if (status_) {
      never.SleepUntil(std::min(kill_at_ns, BoottimeNs() + kPollNs));
    } else {
      Wait(never, kill_at_ns);
    }
    alive = SignalFamily(0);
  }
  const std::int64_t give_up_ns = BoottimeNs() + kKillWaitNs;
  while (alive && BoottimeNs() < give_up_ns) {
    SignalFamily(SIGKILL);
    never.SleepUntil(BoottimeNs() + kPollNs);
    alive = SignalFamily(0);
  }
  all_gone_ = !alive;
  exit_status();
  if (all_gone_) Reap();
  reader_->WaitForEnd(BoottimeNs() + kOutputWaitNs);
  reader_->Stop();
  if (all_gone_ && journal_ != nullptr) journal_->Ended(pid_);
}

void ChildProcess::Reap() {
  // Members that became our children (AdoptOrphans) first, the leader last: its number names the
  // group.
  for (const auto& [member, start_ticks] : seen_) {
    if (member == pid_) continue;
    const std::optional<ProcStat> stat = ReadProcStat("/proc", member);
    if (stat && stat->start_ticks == start_ticks && stat->parent == getpid())
      waitpid(member, nullptr, WNOHANG);
  }
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  while (waitpid(-pid_, nullptr, WNOHANG) > 0) {
  }
}

void AdoptOrphans() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

}  // namespace joulefarm::agent
