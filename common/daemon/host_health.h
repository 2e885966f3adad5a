// What every daemon needs of the host it is on: room on the disk and a clock that is right.
//
// Thread rule: any thread; calls do not block. Ownership: values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace joulefarm {

struct DiskSpace {
  std::int64_t available_bytes = 0;  // for processes without privileges
  std::int64_t total_bytes = 0;
};

// Of the file system that holds the path, or would: of its nearest ancestor that exists.
absl::StatusOr<DiskSpace> SpaceAt(const std::filesystem::path& path);

struct TimeSync {
  bool synchronised = false;
  // What the kernel says the clock may be wrong by at most, seconds; absent when not synchronised.
  std::optional<double> max_error_s;
  // "systemd-timesyncd", "chrony", "ntpd", or empty when none of them was seen.
  std::string service;
};

// The kernel's clock discipline (adjtimex), and who seems to steer it. Nullopt where the kernel
// does not tell.
std::optional<TimeSync> ReadTimeSync();

}  // namespace joulefarm
