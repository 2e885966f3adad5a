// A daemon's state directory: where it is by default, and that only one process uses it.
//
// Thread rule: any thread. Ownership: the lock lasts as long as the StateDir, and ends with the
// process however it ends.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm {

// /var/lib/joulefarm/NAME for root, else $XDG_STATE_HOME or ~/.local/state, then joulefarm/NAME.
std::filesystem::path DefaultStateDir(absl::string_view name);

class StateDir {
 public:
  // Makes the directory and locks it. FAILED_PRECONDITION when another process has it (named by its
  // pid), UNAVAILABLE when it cannot be made or written.
  static absl::StatusOr<std::unique_ptr<StateDir>> Lock(const std::filesystem::path& path);
  ~StateDir();
  StateDir(const StateDir&) = delete;
  StateDir& operator=(const StateDir&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  StateDir(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::filesystem::path path_;
  int fd_;
};

// How a state directory is, looked at without changing anything.
struct StateDirLook {
  enum class Kind { kMissing, kFree, kInUse, kNoAccess };
  Kind kind = Kind::kMissing;
  std::string pid;  // kInUse: of the process that has it, where it says so
};
StateDirLook LookAtStateDir(const std::filesystem::path& path);

// Replaces a small file as a whole: readers see the old or the new text. UNAVAILABLE with the path
// and the reason.
absl::Status ReplaceFile(const std::filesystem::path& path, absl::string_view text);

}  // namespace joulefarm
