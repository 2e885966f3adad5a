#include "agent/power/link/program_link.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/process/boottime.h"
#include "agent/process/child_process.h"
#include "agent/process/spawn.h"
#include "agent/process/text.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
// To end by itself when it is told to.
constexpr std::int64_t kGraceNs = 500'000'000;
// No meter says as much between two looks; a program that does is none, and memory has an end.
constexpr std::size_t kMostLines = 10'000;
constexpr std::size_t kShownBytes = 200;

std::string Cure(absl::string_view name) {
  return absl::StrCat(
      "; install ", name,
      ", or state where it is in the meter's command (meters of the agent's configuration)");
}

class ProgramLink final : public Link {
 public:
  ProgramLink(std::vector<std::string> argv, ProcessJournal* journal)
      : argv_(std::move(argv)),
        name_(absl::StrJoin(argv_, " ")),
        journal_(journal),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~ProgramLink() override { End(kGraceNs); }
  ProgramLink(const ProgramLink&) = delete;
  ProgramLink& operator=(const ProgramLink&) = delete;

  absl::Status Write(absl::Span<const std::uint8_t> bytes, int /*timeout_ms*/) override {
    if (!bytes.empty()) return absl::InternalError(absl::StrCat(name_, " takes no input"));
    End(kGraceNs);
    {
      const std::lock_guard lock(mutex_);
      lines_.clear();
      error_.clear();
      flooded_ = false;
    }
    ended_.reset();
    ProcessOptions options;
    options.argv = argv_;
    options.on_line = [this](const OutputLine& line) { Take(line); };
    absl::StatusOr<std::unique_ptr<ChildProcess>> child =
        ChildProcess::Start(std::move(options), journal_);
    if (absl::IsNotFound(child.status())) {
      return absl::FailedPreconditionError(
          absl::StrCat(child.status().message(), Cure(argv_.empty() ? "a program" : argv_[0])));
    }
    if (!child.ok()) {
      return absl::Status(child.status().code(),
                          absl::StrCat(name_, ": ", child.status().message()));
    }
    child_ = *std::move(child);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t most, int timeout_ms) override {
    const std::int64_t deadline_ns = BoottimeNs() + timeout_ms * kNsPerMs;
    while (true) {
      {
        const std::lock_guard lock(mutex_);
        if (flooded_) {
          return absl::UnavailableError(
              absl::StrCat(name_, " prints more than ", kMostLines, " lines between two looks"));
        }
        if (!lines_.empty()) return Next(most);
      }
      // Ended, and all of it read.
      if (ended_) return *std::exchange(ended_, {});
      if (child_ != nullptr && child_->exit_status()) {
        // Its last lines come with this.
        End(0);
        continue;
      }
      if (!Wait(deadline_ns)) return absl::DeadlineExceededError(name_ + " says nothing");
    }
  }

  std::optional<std::int64_t> arrived_ns() const override { return arrived_ns_; }

 private:
  struct Line {
    std::string text;
    std::int64_t t_ns = 0;
  };

  // On the thread that reads the output.
  void Take(const OutputLine& line) {
    const std::lock_guard lock(mutex_);
    if (line.source == OutputSource::kStderr) {
      if (!line.text.empty()) error_ = std::string(line.text);
      return;
    }
    if (lines_.size() >= kMostLines) {
      flooded_ = true;
    } else {
      lines_.push_back({absl::StrCat(line.text, "\n"), line.t_ns});
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
  }

  // The first line, or as much of it as is wanted. Under the lock.
  std::vector<std::uint8_t> Next(std::size_t most) {
    Line& line = lines_.front();
    arrived_ns_ = line.t_ns;
    const std::size_t size = std::min(most, line.text.size());
    const auto end = line.text.begin() + static_cast<std::ptrdiff_t>(size);
    std::vector<std::uint8_t> bytes(line.text.begin(), end);
    line.text.erase(0, size);
    if (line.text.empty()) lines_.pop_front();
    return bytes;
  }

  // For a line or the program's end; false: neither in time.
  bool Wait(std::int64_t deadline_ns) {
    while (true) {
      std::array<pollfd, 2> fds = {pollfd{wake_.get(), POLLIN, 0},
                                   pollfd{child_ == nullptr ? -1 : child_->exit_fd(), POLLIN, 0}};
      const std::int64_t left_ns = std::max<std::int64_t>(0, deadline_ns - BoottimeNs());
      const int ready =
          poll(fds.data(), fds.size(), static_cast<int>((left_ns + kNsPerMs - 1) / kNsPerMs));
      if (ready < 0 && errno == EINTR) continue;
      if (ready <= 0) return false;
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t drained = read(wake_.get(), &count, sizeof count);
      return true;
    }
  }

  // With the whole family, and what it had printed is read.
  void End(std::int64_t grace_ns) {
    if (child_ == nullptr) return;
    child_->Terminate(grace_ns);
    const ExitStatus status = child_->exit_status().value_or(ExitStatus{});
    child_.reset();
    const std::lock_guard lock(mutex_);
    if (status.success()) {
      ended_ = absl::OutOfRangeError(absl::StrCat(name_, " has ended"));
      return;
    }
    ended_ = absl::UnavailableError(
        absl::StrCat(name_, ": ", status.ToString(),
                     error_.empty() ? "" : absl::StrCat(": ", PrintableTail(error_, kShownBytes))));
  }

  const std::vector<std::string> argv_;
  const std::string name_;
  ProcessJournal* const journal_;
  const UniqueFd wake_;
  std::optional<std::int64_t> arrived_ns_;
  std::optional<absl::Status> ended_;  // not told yet

  std::mutex mutex_;  // guards what follows
  std::deque<Line> lines_;
  std::string error_;  // the last line of stderr
  bool flooded_ = false;

  std::unique_ptr<ChildProcess> child_;  // last: its reader uses the others
};

}  // namespace

std::unique_ptr<Link> MakeProgramLink(std::vector<std::string> argv, ProcessJournal* journal) {
  return std::make_unique<ProgramLink>(std::move(argv), journal);
}

absl::Status CheckProgram(const std::string& name) {
  const char* path = getenv("PATH");
  const absl::Status found = FindProgram(name, path != nullptr ? path : "").status();
  if (found.ok()) return found;
  return absl::Status(found.code(), absl::StrCat(found.message(), Cure(name)));
}

}  // namespace joulefarm::agent
