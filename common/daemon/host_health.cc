#include "common/daemon/host_health.h"

#include <sys/statvfs.h>
#include <sys/timex.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace joulefarm {

absl::StatusOr<DiskSpace> SpaceAt(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path place = std::filesystem::absolute(path, error);
  while (!std::filesystem::exists(place, error) && place.has_relative_path())
    place = place.parent_path();
  struct statvfs disk {};
  if (::statvfs(place.c_str(), &disk) != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot look at the disk of ", place.string(), ": ", std::strerror(errno)));
  }
  return DiskSpace{static_cast<std::int64_t>(disk.f_bavail * disk.f_frsize),
                   static_cast<std::int64_t>(disk.f_blocks * disk.f_frsize)};
}

std::optional<TimeSync> ReadTimeSync() {
  timex kernel{};
  const int state = ::adjtimex(&kernel);
  if (state < 0) return std::nullopt;
  TimeSync sync;
  sync.synchronised = state != TIME_ERROR && (kernel.status & STA_UNSYNC) == 0;
  if (sync.synchronised) sync.max_error_s = static_cast<double>(kernel.maxerror) * 1e-6;
  static constexpr std::array<std::pair<const char*, const char*>, 5> kSigns{
      {{"/run/systemd/timesync/synchronized", "systemd-timesyncd"},
       {"/run/chrony/chronyd.pid", "chrony"},
       {"/run/chronyd.pid", "chrony"},
       {"/run/ntpd.pid", "ntpd"},
       {"/var/run/ntpd.pid", "ntpd"}}};
  std::error_code ignored;
  for (const auto& [file, service] : kSigns) {
    if (sync.service.empty() && std::filesystem::exists(file, ignored)) sync.service = service;
  }
  return sync;
}

}  // namespace joulefarm
