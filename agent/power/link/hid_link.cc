#include "agent/power/link/hid_link.h"

#include <fcntl.h>
#include <hidapi/hidapi.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/power/link/hid_bus.h"

namespace joulefarm::agent {
namespace {

// hidapi's messages are ASCII.
std::string Text(const wchar_t* message) {
  std::string text;
  for (; message != nullptr && *message != L'\0'; ++message) {
    text.push_back(*message < 0x80 ? static_cast<char>(*message) : '?');
  }
  return text;
}

absl::Status OpenError(const std::string& node, int error) {
  const std::string what = absl::StrCat("cannot open ", node, ": ", std::strerror(error));
  switch (error) {
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(what,
                       "; install deploy/udev/60-joulefarm-hid.rules, put the agent's user "
                       "into the group joulefarm, and plug the device in again"));
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return absl::UnavailableError(what);
    default:
      return absl::InternalError(what);
  }
}

class HidLink : public Link {
 public:
  HidLink(std::string node, int lock, hid_device* device)
      : node_(std::move(node)), lock_(lock), device_(device) {}
  ~HidLink() override {
    hid_close(device_);
    close(lock_);
  }
  HidLink(const HidLink&) = delete;
  HidLink& operator=(const HidLink&) = delete;

  // The kernel waits up to five seconds for a device that does not take a report.
  absl::Status Write(absl::Span<const std::uint8_t> bytes, int /*timeout_ms*/) override {
    // Report id 0: the device has none.
    std::vector<std::uint8_t> report = {0};
    report.insert(report.end(), bytes.begin(), bytes.end());
    errno = 0;
    const int written = hid_write(device_, report.data(), report.size());
    if (written < 0) return Error("write to", errno);
    if (static_cast<std::size_t>(written) != report.size()) {
      return absl::InternalError(
          absl::StrCat(node_, " took ", written, " of ", report.size(), " bytes of a report"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t most, int timeout_ms) override {
    if (most == 0) return absl::InvalidArgumentError("a read of no bytes");
    std::vector<std::uint8_t> report(most);
    errno = 0;
    const int size = hid_read_timeout(device_, report.data(), most, std::max(timeout_ms, 0));
    // A signal: there was nothing until then.
    if (size == 0 || (size < 0 && errno == EINTR)) {
      return absl::DeadlineExceededError(absl::StrCat("nothing from ", node_));
    }
    if (size < 0) return Error("read from", errno);
    report.resize(static_cast<std::size_t>(size));
    return report;
  }

 private:
  absl::Status Error(absl::string_view what, int error) {
    const std::string message =
        absl::StrCat("cannot ", what, " ", node_, ": ", Text(hid_error(device_)));
    switch (error) {
      // hidapi sees the hang-up of a device that was unplugged without an error number.
      case 0:
      case ENODEV:
      case ENXIO:
      case EIO:
      case EPIPE:
      case EPROTO:
      case ESHUTDOWN:
        return absl::UnavailableError(message);
      case ETIMEDOUT:
      case EAGAIN:
        return absl::DeadlineExceededError(message);
      default:
        return absl::InternalError(message);
    }
  }

  const std::string node_;
  const int lock_;
  hid_device* const device_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Link>> OpenHid(const std::string& node) {
  // hidapi does not show its descriptor, and every reader gets all reports: without a lock of ours
  // two agents would both start and keep the meter alive.
  const int lock = open(node.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (lock < 0) return OpenError(node, errno);
  if (flock(lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close(lock);
    return HeldError(node, "another process of Joulefarm",
                     absl::StrCat("end that (sudo fuser -v ", node, " says which one it is)"));
  }
  const std::lock_guard<std::mutex> held(HidapiMutex());
  errno = 0;
  hid_device* const device = hid_open_path(node.c_str());
  if (device == nullptr) {
    const int error = errno;
    close(lock);
    if (error != 0) return OpenError(node, error);
    return absl::InternalError(absl::StrCat("cannot open ", node, ": ", Text(hid_error(nullptr))));
  }
  return std::make_unique<HidLink>(node, lock, device);
}

}  // namespace joulefarm::agent
