// A small file of procfs that is read again and again: it stays open, because opening it takes
// longer than reading it.
//
// What was opened of /proc/PID stays that of the process it was opened for: once that is gone it
// reads nothing, whoever has its number next. Files elsewhere may be replaced under their name, so
// those are opened for every reading.
//
// Threads: one at a time. Ownership: owns its descriptor and the text.
#pragma once

#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {

class KeptFile {
 public:
  explicit KeptFile(std::filesystem::path path) : path_(std::move(path)) {}

  // The whole text, at most 1 MiB, until the next call; nullopt: it cannot be read just now.
  std::optional<absl::string_view> Read();

 private:
  bool Open();

  std::filesystem::path path_;
  UniqueFd file_;
  bool kept_ = false;
  std::vector<char> text_;
};

}  // namespace joulefarm::agent
