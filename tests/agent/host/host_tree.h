// A directory that stands for a host's root.
//
// Threads: one. Ownership: removes the directory at the end.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "agent/host/host_paths.h"

namespace joulefarm::agent {

class HostTree {
 public:
  HostTree()
      : root_(testing::TempDir() +
              absl::StrCat("/jf_host_", getpid(), "_",
                           testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(root_);
  }
  ~HostTree() { std::filesystem::remove_all(root_); }
  HostTree(const HostTree&) = delete;
  HostTree& operator=(const HostTree&) = delete;

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::binary) << text;
  }
  void Remove(const std::string& path) { std::filesystem::remove_all(root_ / path); }
  const std::filesystem::path& root() const { return root_; }
  HostPaths paths() const { return HostPaths(root_); }

 private:
  std::filesystem::path root_;
};

}  // namespace joulefarm::agent
