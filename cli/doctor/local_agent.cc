#include "cli/doctor/local_agent.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace joulefarm::cli {
namespace {

constexpr char kName[] = "joulefarm-agent";
constexpr auto kLimit = std::chrono::seconds(60);
constexpr std::size_t kMostOutput = 1 << 20;

bool IsExecutable(const std::filesystem::path& file) {
  std::error_code error;
  return std::filesystem::is_regular_file(file, error) && ::access(file.c_str(), X_OK) == 0;
}

std::optional<std::filesystem::path> Find(const std::string& path) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error && IsExecutable(self.parent_path() / kName)) return self.parent_path() / kName;
  for (const absl::string_view folder : absl::StrSplit(path, ':', absl::SkipEmpty())) {
    const auto file = std::filesystem::path(std::string(folder)) / kName;
    if (IsExecutable(file)) return file;
  }
  return std::nullopt;
}

// Reads until the other end is closed. False when the time is up or it says too much.
bool ReadAll(int fd, std::string& out) {
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  std::array<char, 16384> buffer{};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || out.size() > kMostOutput) return false;
    pollfd readable{fd, POLLIN, 0};
    const int ready = ::poll(&readable, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n == 0;
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace

absl::StatusOr<std::string> RunLocalAgent(const std::vector<std::string>& arguments,
                                          const std::string& path) {
  const std::optional<std::filesystem::path> program = Find(path);
  if (!program) return absl::NotFoundError("no joulefarm-agent here");
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
    return absl::UnavailableError(absl::StrCat("cannot make a pipe: ", std::strerror(errno)));
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::string file = program->string();
  std::vector<std::string> words = arguments;
  std::vector<char*> argv{file.data()};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, file.c_str(), &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  std::string out;
  const bool ended = failed == 0 && ReadAll(pipe[0], out);
  ::close(pipe[0]);
  if (failed != 0)
    return absl::UnavailableError(absl::StrCat("cannot run ", file, ": ", std::strerror(failed)));
  if (!ended) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) return absl::UnavailableError(absl::StrCat(file, " doctor did not end in time"));
  if (!WIFEXITED(status)) return absl::UnavailableError(absl::StrCat(file, " doctor crashed"));
  return out;
}

}  // namespace joulefarm::cli
