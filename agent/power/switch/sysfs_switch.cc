#include "agent/power/switch/sysfs_switch.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/host/sysfs.h"
#include "agent/power/switch/hub_port.h"
#include "agent/process/unique_fd.h"

namespace joulefarm::agent {
namespace {

constexpr char kHubs[] = "sys/bus/usb/devices";

class SysfsSwitch : public PowerSwitch {
 public:
  SysfsSwitch(HostPaths paths, std::string hub) : paths_(std::move(paths)), hub_(std::move(hub)) {}

  absl::Status Set(int port, bool on) override {
    absl::StatusOr<std::vector<std::filesystem::path>> files = Files(port);
    if (!files.ok()) return files.status();
    for (const std::filesystem::path& file : *files) {
      const UniqueFd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
      if (!fd.valid() || write(fd.get(), on ? "0" : "1", 1) != 1) return Failed(file, "write");
    }
    const absl::StatusOr<bool> now = Get(port);
    if (!now.ok()) return now.status();
    if (*now == on) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("hub ", hub_, " took the command and port ", port,
                                            " is still ", on ? "off" : "on"));
  }

  // On while either half has power.
  absl::StatusOr<bool> Get(int port) override {
    absl::StatusOr<std::vector<std::filesystem::path>> files = Files(port);
    if (!files.ok()) return files.status();
    bool on = false;
    for (const std::filesystem::path& file : *files) {
      const absl::StatusOr<std::int64_t> disabled = ReadSysfsNumber(file);
      if (!disabled.ok()) return disabled.status();
      on = on || *disabled == 0;
    }
    return on;
  }

  std::string Doubt(int port) override { return UnknownPeer(paths_, {hub_, port}); }

 private:
  // Of the port, and of its other half.
  absl::StatusOr<std::vector<std::filesystem::path>> Files(int port) const {
    const std::filesystem::path folder = FolderOf(paths_, {hub_, port});
    std::error_code error;
    if (!std::filesystem::exists(folder, error)) {
      if (!std::filesystem::exists(paths_.Under(kHubs) / hub_, error)) {
        return absl::UnavailableError(absl::StrCat("hub ", hub_, " is not plugged in"));
      }
      return absl::InvalidArgumentError(absl::StrCat("hub ", hub_, " has no port ", port));
    }
    if (!std::filesystem::exists(folder / "disable", error)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the kernel has no ", (folder / "disable").string(),
                       ": it is older than 6.0; use kind hub instead of sysfs for this switch"));
    }
    std::vector<std::filesystem::path> files{folder / "disable"};
    if (std::filesystem::exists(folder / "peer" / "disable", error))
      files.push_back(folder / "peer" / "disable");
    return files;
  }

  static absl::Status Failed(const std::filesystem::path& file, const char* verb) {
    const absl::Status status =
        absl::ErrnoToStatus(errno, absl::StrCat("cannot ", verb, " ", file.string()));
    if (!absl::IsPermissionDenied(status)) return status;
    return absl::PermissionDeniedError(
        absl::StrCat(status.message(), "; run the agent as root, or let its user write there"));
  }

  const HostPaths paths_;
  const std::string hub_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PowerSwitch>> MakeSysfsSwitch(const HostPaths& paths,
                                                             const std::string& hub) {
  const std::filesystem::path devices = paths.Under(kHubs);
  std::error_code error;
  if (hub.empty() || absl::StrContains(hub, "/") ||
      !std::filesystem::exists(devices / hub, error)) {
    return absl::NotFoundError(
        absl::StrCat("there is no USB hub at place \"", hub, "\"; lsusb -t and ", devices.string(),
                     " show the places, such as 1-1, or usb1 for a root hub"));
  }
  return std::make_unique<SysfsSwitch>(paths, hub);
}

}  // namespace joulefarm::agent
