#include "agent/power/usb_place.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace joulefarm::agent {
namespace {

constexpr char kDevices[] = "/dev/";

// "3-1.2", and neither "usb3" nor the interface "3-1.2:1.0".
bool IsPlace(const std::string& name) {
  const std::size_t dash = name.find('-');
  if (dash == 0 || dash == std::string::npos || dash + 1 == name.size()) return false;
  const auto digit = [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); };
  const auto after = name.begin() + static_cast<std::ptrdiff_t>(dash);
  return std::all_of(name.begin(), after, digit) &&
         std::all_of(after + 1, name.end(), [&](char c) { return digit(c) || c == '.'; });
}

}  // namespace

absl::StatusOr<std::optional<std::string>> UsbPlaceOf(const HostPaths& paths,
                                                      const UsbDevice& device) {
  if (!device.path.empty()) return std::optional<std::string>(device.path);
  if (!absl::StartsWith(device.node, kDevices)) return std::optional<std::string>();
  std::error_code error;
  // Of a link in /dev/serial, where it leads.
  const std::filesystem::path node =
      std::filesystem::canonical(paths.Under(device.node.substr(1)), error);
  const std::string name = (error ? std::filesystem::path(device.node) : node).filename().string();
  if (absl::StartsWith(name, "rfcomm")) return std::optional<std::string>();
  for (const char* kind : {"tty", "hidraw"}) {
    const std::filesystem::path hardware = std::filesystem::canonical(
        paths.Under(absl::StrCat("sys/class/", kind, "/", name, "/device")), error);
    if (error) continue;
    std::optional<std::string> place;
    for (const std::filesystem::path& part : hardware) {
      if (IsPlace(part.string())) place = part.string();
    }
    return place;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("where the meter at ", device.node,
                   " hangs is not known: /sys/class/tty does not have it; plug it in, or take it "
                   "out of the agent's configuration"));
}

}  // namespace joulefarm::agent
