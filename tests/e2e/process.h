// A real program started by a test: its output in files, its end waited for with a deadline.
//
// Thread rule: one thread, which must outlive the program (it is killed when that thread ends).
// Ownership: the object owns the program; destroying it kills and reaps it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace joulefarm::e2e {

// Generous: only a hang reaches it, also with sanitizers on a loaded machine.
inline constexpr std::chrono::seconds kPatience{90};

// Looks again and again until the condition holds; false when it does not within the deadline.
bool Eventually(const std::function<bool()>& condition, std::chrono::seconds deadline = kPatience);

std::string ReadFile(const std::filesystem::path& path);
void WriteFile(const std::filesystem::path& path, const std::string& text);
std::size_t CountLines(const std::filesystem::path& path);

// How a program ended and what it said. A signal counts as 128 + its number, as in a shell.
struct Ended {
  int code = -1;
  std::string out;
  std::string err;
};

struct Launch {
  std::vector<std::string> argv;
  // Added to the test's own environment; without a value the variable is removed.
  std::map<std::string, std::optional<std::string>> environment;
  // Standard output goes to OUT_PREFIX.out, standard error to OUT_PREFIX.err; both are appended to.
  std::filesystem::path out_prefix;
  // Standard input; empty: /dev/null.
  std::filesystem::path input;
};

class Process {
 public:
  explicit Process(Launch launch);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool Running();
  void Signal(int number) const;
  // SIGKILL, and until it is gone.
  void Kill9();
  // The exit code; nullopt when it has not ended within the deadline.
  std::optional<int> Wait(std::chrono::seconds deadline = kPatience);
  // Waits, and kills what has not ended by then (code -1).
  Ended Finish(std::chrono::seconds deadline = kPatience);
  std::string out() const;
  std::string err() const;

 private:
  Launch launch_;
  pid_t pid_ = -1;
  int pid_fd_ = -1;
  std::optional<int> code_;
};

// Whether a process with this number runs (one that is only waited for by its parent does not).
bool IsAlive(pid_t pid);

// "PID COMMAND LINE" of every process whose environment holds `mark` (NAME=VALUE), except those
// listed.
std::vector<std::string> FindMarked(const std::string& mark, const std::vector<pid_t>& except);
// Ends them, whatever they are.
void KillMarked(const std::string& mark);

}  // namespace joulefarm::e2e
