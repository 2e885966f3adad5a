#include "agent/process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/process/leftover.h"
#include "agent/process/proc_stat.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {
namespace {

// Room for any marker, padded with zero bytes.
using MarkerBytes = std::array<char, 48>;

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// A copy out of the way of the numbers the child gives to its own descriptors.
absl::StatusOr<UniqueFd> HighCopy(int fd) {
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 16));
  if (!copy.valid()) return absl::ErrnoToStatus(errno, "duplicating a descriptor");
  return copy;
}

// Everything the child needs, allocated before the fork: afterwards only async-signal-safe calls
// are allowed.
struct ChildImage {
  const char* program;
  char* const* argv;
  char* const* environment;
  char* marker;  // the marker's bytes inside `environment`
  const char* work_dir;
  int input, output, error, go, report;
  pid_t parent;
};

[[noreturn]] void Report(int fd, int error) {
  [[maybe_unused]] const ssize_t written = write(fd, &error, sizeof error);
  _exit(127);
}

[[noreturn]] void RunChild(const ChildImage& image) {
  constexpr int kGo = 3;
  constexpr int kReport = 4;
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != image.parent) _exit(127);
  // A thread that samples may be in a hurry; what it starts shall not press upon what is measured.
  if (getpriority(PRIO_PROCESS, 0) < 0) setpriority(PRIO_PROCESS, 0, 0);
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) signal(signal_number, SIG_DFL);
  dup2(image.input, 0);
  dup2(image.output, 1);
  dup2(image.error, 2);
  dup2(image.go, kGo);
  dup2(image.report, kReport);
  fcntl(kReport, F_SETFD, FD_CLOEXEC);
  // Nothing of the agent stays open, neither in the program nor while waiting for the word to go.
  syscall(SYS_close_range, kReport + 1, ~0U, 0);
  MarkerBytes marker;
  std::size_t got = 0;
  while (got < marker.size()) {
    const ssize_t n = read(kGo, marker.data() + got, marker.size() - got);
    if (n <= 0 && errno != EINTR) _exit(127);
    if (n == 0) _exit(127);
    if (n > 0) got += static_cast<std::size_t>(n);
  }
  close(kGo);
  memcpy(image.marker, marker.data(), marker.size());
  if (image.work_dir != nullptr && chdir(image.work_dir) != 0) Report(kReport, errno);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(image.program, image.argv, image.environment);
  Report(kReport, errno);
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

void KillAndReap(pid_t pid) {
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// Lets the waiting child go and learns whether its exec worked.
absl::Status Release(const SpawnRequest& request, pid_t pid, std::uint64_t start_ticks, Pipe& go,
                     Pipe& report) {
  MarkerBytes marker{};
  const std::string text = ChildMarker(pid, start_ticks);
  memcpy(marker.data(), text.data(), std::min(text.size(), marker.size() - 1));
  report.write_end.Reset();
  if (write(go.write_end.get(), marker.data(), marker.size()) !=
      static_cast<ssize_t>(marker.size())) {
    return absl::ErrnoToStatus(errno, "releasing the child");
  }
  int error = 0;
  ssize_t n = 0;
  while ((n = read(report.read_end.get(), &error, sizeof error)) < 0 && errno == EINTR) {
  }
  if (n == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(error, absl::StrCat("cannot execute ", request.program.string()));
}

}  // namespace

absl::StatusOr<Spawned> Spawn(const SpawnRequest& request, ProcessJournal* journal) {
  auto go = MakePipe();
  if (!go.ok()) return go.status();
  auto report = MakePipe();
  if (!report.ok()) return report.status();
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null.valid()) return absl::ErrnoToStatus(errno, "/dev/null");
  std::vector<UniqueFd> high;
  for (int fd : {null.get(), request.stdout_fd, request.stderr_fd, go->read_end.get(),
                 report->write_end.get()}) {
    auto copy = HighCopy(fd);
    if (!copy.ok()) return copy.status();
    high.push_back(std::move(*copy));
  }
  std::vector<std::string> argv = request.argv;
  std::vector<std::string> environment = request.environment;
  const std::string marker_name = absl::StrCat(kChildMarkerName, "=");
  environment.push_back(marker_name + std::string(MarkerBytes{}.size(), '\0'));
  const std::vector<char*> argv_pointers = Pointers(argv);
  const std::vector<char*> environment_pointers = Pointers(environment);
  const ChildImage image{request.program.c_str(),
                         argv_pointers.data(),
                         environment_pointers.data(),
                         environment.back().data() + marker_name.size(),
                         request.work_dir.empty() ? nullptr : request.work_dir.c_str(),
                         high[0].get(),
                         high[1].get(),
                         high[2].get(),
                         high[3].get(),
                         high[4].get(),
                         getpid()};
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "fork");
  if (pid == 0) RunChild(image);
  setpgid(pid, pid);  // both sides do it, so that it is done whoever comes first
  high.clear();
  const std::optional<ProcStat> stat = ReadProcStat("/proc", pid);
  absl::Status status =
      stat ? absl::OkStatus()
           : absl::InternalError("/proc does not show the new child; is it mounted?");
  bool journalled = false;
  if (status.ok() && journal != nullptr) {
    status = journal->Started(pid, stat->start_ticks);
    journalled = status.ok();
  }
  if (status.ok()) status = Release(request, pid, stat->start_ticks, *go, *report);
  if (!status.ok()) {
    KillAndReap(pid);
    if (journalled) journal->Ended(pid);
    return status;
  }
  return Spawned{pid, stat->start_ticks};
}

absl::StatusOr<std::filesystem::path> FindProgram(absl::string_view name, absl::string_view path) {
  std::vector<std::filesystem::path> directories;
  for (absl::string_view directory : absl::StrSplit(path, ':', absl::SkipEmpty()))
    directories.emplace_back(std::string(directory));
  return FindProgram(name, directories, absl::StrCat("PATH (", path, ")"));
}

absl::StatusOr<std::filesystem::path> FindProgram(
    absl::string_view name, const std::vector<std::filesystem::path>& directories,
    absl::string_view looked_in) {
  const auto executable = [](const std::filesystem::path& file) {
    std::error_code error;
    return std::filesystem::is_regular_file(file, error) && access(file.c_str(), X_OK) == 0;
  };
  if (name.empty()) return absl::InvalidArgumentError("no program is named");
  if (name.find('/') != absl::string_view::npos) {
    const std::filesystem::path file{std::string(name)};
    if (executable(file)) return std::filesystem::absolute(file);
    return absl::NotFoundError(absl::StrCat(name, " is not an executable file"));
  }
  for (const std::filesystem::path& directory : directories) {
    const std::filesystem::path file = directory / std::string(name);
    if (executable(file)) return std::filesystem::absolute(file);
  }
  return absl::NotFoundError(absl::StrCat("program '", name, "' is not in ", looked_in));
}

}  // namespace joulefarm::agent
