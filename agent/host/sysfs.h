// Reading the small text files of sysfs.
//
// Threads: pure functions of the file system. Ownership: results own their data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm::agent {

// The file's text without surrounding white space, made printable. NOT_FOUND, PERMISSION_DENIED,
// UNAVAILABLE (the device did not answer: EAGAIN, ENODEV, ENODATA, EIO, …), each naming the file.
absl::StatusOr<std::string> ReadSysfsText(const std::filesystem::path& file);
// The same as a whole number. DATA_LOSS: empty, or no number.
absl::StatusOr<std::int64_t> ReadSysfsNumber(const std::filesystem::path& file);

// Entries of `dir` whose name is `prefix` followed by a decimal number, ordered by it; none where
// there is no such directory.
struct Numbered {
  int number = 0;
  std::filesystem::path path;
};
std::vector<Numbered> ListNumbered(const std::filesystem::path& dir, absl::string_view prefix);

}  // namespace joulefarm::agent
