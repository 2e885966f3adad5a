// The one place that knows where the kernel's files are: below a root that tests, and people with a
// tree somebody sent, can move.
//
// Threads: a value. Ownership: none.
#pragma once

#include <filesystem>
#include <utility>

#include "absl/strings/string_view.h"

namespace joulefarm::agent {

class HostPaths {
 public:
  explicit HostPaths(std::filesystem::path root = "/") : root_(std::move(root)) {}

  // False: a tree of files, about which system calls say nothing.
  bool live() const { return root_ == "/"; }
  // `path` without a leading slash, such as "sys/class/hwmon".
  std::filesystem::path Under(absl::string_view path) const {
    return root_ / std::filesystem::path(path.begin(), path.end());
  }
  std::filesystem::path proc() const { return root_ / "proc"; }

 private:
  std::filesystem::path root_;
};

}  // namespace joulefarm::agent
