#include "agent/power/switch/hub_port.h"

#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/host/sysfs.h"

namespace joulefarm::agent {
namespace {

constexpr char kUsbDevices[] = "sys/bus/usb/devices";
constexpr char kPort[] = "-port";
constexpr double kHalfOfUsb3 = 2.1;

std::optional<HubPort> ParsePortName(const std::string& name) {
  const std::size_t at = name.rfind(kPort);
  HubPort port;
  if (at == std::string::npos || at == 0 ||
      !absl::SimpleAtoi(name.substr(at + std::string(kPort).size()), &port.port) || port.port < 1)
    return std::nullopt;
  port.hub = name.substr(0, at);
  return port;
}

}  // namespace

std::string TitleOf(const HubPort& port) {
  return absl::StrCat("port ", port.port, " of hub ", port.hub);
}

std::string PlaceOf(const HubPort& port) {
  absl::string_view bus = port.hub;
  if (absl::ConsumePrefix(&bus, "usb")) return absl::StrCat(bus, "-", port.port);
  return absl::StrCat(port.hub, ".", port.port);
}

std::filesystem::path FolderOf(const HostPaths& paths, const HubPort& port) {
  absl::string_view bus = port.hub;
  const bool is_root = absl::ConsumePrefix(&bus, "usb");
  return paths.Under(kUsbDevices) / absl::StrCat(is_root ? absl::StrCat(bus, "-0") : port.hub,
                                                 ":1.0/", port.hub, kPort, port.port);
}

absl::StatusOr<std::optional<HubPort>> PeerOf(const HostPaths& paths, const HubPort& port) {
  std::error_code error;
  const std::filesystem::path link = FolderOf(paths, port) / "peer";
  // Where it leads, also when that has just gone.
  const std::filesystem::path target = std::filesystem::read_symlink(link, error);
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory)
    return std::optional<HubPort>();
  const std::optional<HubPort> peer =
      error ? std::nullopt : ParsePortName(target.filename().string());
  if (peer) return peer;
  return absl::DataLossError(absl::StrCat("the other half of ", TitleOf(port),
                                          " is not known: ", link.string(), " ",
                                          error ? error.message() : "leads to no port of a hub"));
}

std::string UnknownPeer(const HostPaths& paths, const HubPort& port) {
  const absl::StatusOr<std::optional<HubPort>> peer = PeerOf(paths, port);
  if (!peer.ok()) return std::string(peer.status().message());
  const absl::StatusOr<double> version = UsbVersionOf(paths, port.hub);
  if (*peer || !version.ok() || *version < kHalfOfUsb3) return "";
  return absl::StrCat("hub ", port.hub,
                      " is half of a USB 3 hub, and the kernel does not name the ",
                      "other half of port ", port.port, ", which may keep the power on");
}

absl::StatusOr<double> UsbVersionOf(const HostPaths& paths, const std::string& hub) {
  const absl::StatusOr<std::string> version =
      ReadSysfsText(paths.Under(absl::StrCat(kUsbDevices, "/", hub, "/version")));
  if (!version.ok()) return version.status();
  double number = 0;
  if (absl::SimpleAtod(*version, &number)) return number;
  return absl::DataLossError(absl::StrCat("hub ", hub, " has USB version ", *version));
}

}  // namespace joulefarm::agent
