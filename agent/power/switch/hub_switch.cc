#include "agent/power/switch/hub_switch.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace joulefarm::agent {
namespace {

constexpr int kTimeoutMs = 1000;
constexpr std::uint8_t kToPort = 0x23;  // class request to "other"
constexpr std::uint8_t kFromPort = 0xA3;
constexpr std::uint8_t kFromHub = 0xA0;  // class request from the device
constexpr std::uint8_t kGetStatus = 0;
constexpr std::uint8_t kClearFeature = 1;
constexpr std::uint8_t kSetFeature = 3;
constexpr std::uint8_t kGetDescriptor = 6;
constexpr std::uint16_t kPortPower = 8;
// Descriptor: length, type, ports, characteristics (2 bytes); bits 0 and 1 say how it switches.
constexpr std::size_t kDescriptorHead = 5;
constexpr int kPerPort = 1;

class HubSwitch : public PowerSwitch {
 public:
  HubSwitch(HubKind kind, std::string title, OpenHub open)
      : kind_(kind), title_(std::move(title)), open_(std::move(open)) {}

  absl::Status Set(int port, bool on) override {
    absl::StatusOr<std::unique_ptr<Link>> link = OpenFor(port);
    if (!link.ok()) return link.status();
    std::vector<std::uint8_t> none;
    const absl::Status set = (*link)->Control(
        {kToPort, on ? kSetFeature : kClearFeature, kPortPower, static_cast<std::uint16_t>(port)},
        none, kTimeoutMs);
    if (!set.ok()) return Named(set);
    const absl::StatusOr<bool> now = Read(**link, port);
    if (!now.ok()) return now.status();
    if (*now == on) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat(title_, " took the command and port ", port, " is still ", on ? "off" : "on"));
  }

  absl::StatusOr<bool> Get(int port) override {
    absl::StatusOr<std::unique_ptr<Link>> link = OpenFor(port);
    if (!link.ok()) return link.status();
    return Read(**link, port);
  }

 private:
  // Open, and known to switch this port for itself.
  absl::StatusOr<std::unique_ptr<Link>> OpenFor(int port) const {
    absl::StatusOr<std::unique_ptr<Link>> link = open_();
    if (!link.ok()) return Named(link.status());
    std::vector<std::uint8_t> head(kDescriptorHead);
    const std::uint16_t type = kind_ == HubKind::kUsb2 ? 0x29 : 0x2A;
    const absl::Status read = (*link)->Control(
        {kFromHub, kGetDescriptor, static_cast<std::uint16_t>(type << 8), 0}, head, kTimeoutMs);
    if (!read.ok()) return Named(read);
    if (head.size() < kDescriptorHead) {
      return absl::DataLossError(absl::StrCat(title_, " gives no hub descriptor"));
    }
    if (port < 1 || port > head[2]) {
      return absl::InvalidArgumentError(
          absl::StrCat(title_, " has ports 1 to ", head[2], ", not ", port));
    }
    if ((head[3] & 3) != kPerPort) {
      return absl::FailedPreconditionError(
          absl::StrCat(title_, " cannot switch the power of single ports; use another hub"));
    }
    return link;
  }

  absl::StatusOr<bool> Read(Link& link, int port) const {
    std::vector<std::uint8_t> status(4);
    const absl::Status read = link.Control(
        {kFromPort, kGetStatus, 0, static_cast<std::uint16_t>(port)}, status, kTimeoutMs);
    if (!read.ok()) return Named(read);
    if (status.size() < 2) {
      return absl::DataLossError(absl::StrCat(title_, " gives no status of port ", port));
    }
    // PORT_POWER: bit 8 of a USB 2 hub's status, bit 9 of a USB 3 hub's.
    const int bit = kind_ == HubKind::kUsb2 ? 0 : 1;
    return (status[1] >> bit & 1) != 0;
  }

  absl::Status Named(const absl::Status& status) const {
    return absl::Status(status.code(), absl::StrCat(title_, ": ", status.message()));
  }

  const HubKind kind_;
  const std::string title_;
  const OpenHub open_;
};

}  // namespace

std::unique_ptr<PowerSwitch> MakeHubSwitch(HubKind kind, std::string title, OpenHub open) {
  return std::make_unique<HubSwitch>(kind, std::move(title), std::move(open));
}

}  // namespace joulefarm::agent
