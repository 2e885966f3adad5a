#include "tests/e2e/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace joulefarm::e2e {
namespace {

constexpr auto kLookAgain = std::chrono::milliseconds(20);

std::vector<std::string> Environment(const Launch& launch) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable = *entry;
    if (launch.environment.count(variable.substr(0, variable.find('='))) == 0)
      result.push_back(variable);
  }
  for (const auto& [name, value] : launch.environment) {
    if (value) result.push_back(absl::StrCat(name, "=", *value));
  }
  return result;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

int OpenOutput(const std::filesystem::path& prefix, const char* suffix) {
  return open((prefix.string() + suffix).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

int ExitCode(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::vector<pid_t> Pids() {
  std::vector<pid_t> pids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    int pid = 0;
    if (absl::SimpleAtoi(entry.path().filename().string(), &pid)) pids.push_back(pid);
  }
  return pids;
}

bool IsMarked(pid_t pid, const std::string& mark) {
  const std::string environment =
      std::string(1, '\0') + ReadFile(absl::StrCat("/proc/", pid, "/environ"));
  return environment.find(std::string(1, '\0') + mark + std::string(1, '\0')) != std::string::npos;
}

}  // namespace

bool Eventually(const std::function<bool()>& condition, std::chrono::seconds deadline) {
  const auto until = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(kLookAgain);
  }
  return true;
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void WriteFile(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.flush();
  if (!file) ADD_FAILURE() << "cannot write " << path;
}

std::size_t CountLines(const std::filesystem::path& path) {
  const std::string text = ReadFile(path);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

Process::Process(Launch launch) : launch_(std::move(launch)) {
  std::vector<std::string> environment = Environment(launch_);
  const std::vector<char*> environment_pointers = Pointers(environment);
  std::vector<std::string> argv = launch_.argv;
  const std::vector<char*> argv_pointers = Pointers(argv);
  const std::string input = launch_.input.empty() ? "/dev/null" : launch_.input.string();
  const int in = open(input.c_str(), O_RDONLY | O_CLOEXEC);
  const int out = OpenOutput(launch_.out_prefix, ".out");
  const int err = OpenOutput(launch_.out_prefix, ".err");
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    execvpe(argv_pointers[0], argv_pointers.data(), environment_pointers.data());
    _exit(127);
  }
  for (const int fd : {in, out, err}) close(fd);
  if (pid_ < 0) {
    ADD_FAILURE() << "fork failed";
    code_ = -1;
    return;
  }
  pid_fd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
}

Process::~Process() {
  Kill9();
  if (pid_fd_ >= 0) close(pid_fd_);
}

bool Process::Running() { return !Wait(std::chrono::seconds(0)).has_value(); }

void Process::Signal(int number) const {
  if (!code_ && pid_ > 0) kill(pid_, number);
}

void Process::Kill9() {
  if (code_) return;
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  code_ = ExitCode(status);
}

std::optional<int> Process::Wait(std::chrono::seconds deadline) {
  if (code_) return code_;
  pollfd ended{pid_fd_, POLLIN, 0};
  const auto until = std::chrono::steady_clock::now() + deadline;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    const int ready = poll(&ended, 1, std::max(0, static_cast<int>(left.count())));
    if (ready > 0) break;
    if (ready == 0 || errno != EINTR) return std::nullopt;
  }
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  code_ = ExitCode(status);
  return code_;
}

Ended Process::Finish(std::chrono::seconds deadline) {
  const std::optional<int> code = Wait(deadline);
  if (!code) Kill9();
  return {code.value_or(-1), out(), err()};
}

std::string Process::out() const { return ReadFile(launch_.out_prefix.string() + ".out"); }
std::string Process::err() const { return ReadFile(launch_.out_prefix.string() + ".err"); }

bool IsAlive(pid_t pid) {
  const std::string stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  const std::size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && name_end + 2 < stat.size() && stat[name_end + 2] != 'Z' &&
         stat[name_end + 2] != 'X';
}

std::vector<std::string> FindMarked(const std::string& mark, const std::vector<pid_t>& except) {
  std::vector<std::string> found;
  for (const pid_t pid : Pids()) {
    if (std::find(except.begin(), except.end(), pid) != except.end() || !IsMarked(pid, mark))
      continue;
    std::string command = ReadFile(absl::StrCat("/proc/", pid, "/cmdline"));
    std::replace(command.begin(), command.end(), '\0', ' ');
    found.push_back(absl::StrCat(pid, " ", command));
  }
  return found;
}

void KillMarked(const std::string& mark) {
  // Whatever is killed may just have started another.
  Eventually(
      [&mark] {
        bool none = true;
        for (const pid_t pid : Pids()) {
          if (!IsMarked(pid, mark)) continue;
          kill(pid, SIGKILL);
          none = false;
        }
        return none;
      },
      std::chrono::seconds(10));
}

}  // namespace joulefarm::e2e
