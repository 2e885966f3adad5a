#include "agent/power/switch/ykush.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace joulefarm::agent {
namespace {

constexpr std::size_t kReportBytes = 64;
constexpr std::size_t kLegacyBytes = 6;
constexpr int kExternalPort = 4;  // of the YKUSH3
constexpr int kReplyMs = 1000;
constexpr int kMostStray = 64;  // what the kernel keeps

constexpr std::uint8_t kDown = 0x00;
constexpr std::uint8_t kUp = 0x10;
constexpr std::uint8_t kStatus = 0x20;
constexpr std::uint8_t kOk = 0x01;

absl::StatusOr<std::vector<std::uint8_t>> Command(YkushModel model, int port, std::uint8_t what) {
  if (port < 1 || port > YkushPorts(model)) {
    return absl::InvalidArgumentError(
        absl::StrCat("port ", port, " of a hub with the ports 1 to ", YkushPorts(model)));
  }
  std::vector<std::uint8_t> report(model == YkushModel::kYkushLegacy ? kLegacyBytes : kReportBytes);
  report[0] = static_cast<std::uint8_t>(what | port);
  return report;
}

class Ykush : public PowerSwitch {
 public:
  Ykush(YkushModel model, OpenLink open) : model_(model), open_(std::move(open)) {}

  absl::Status Set(int port, bool on) override {
    const auto command = YkushSet(model_, port, on);
    if (!command.ok()) return command.status();
    const auto reply = Exchange(*command);
    if (!reply.ok()) return reply.status();
    if (const absl::Status taken = YkushTaken(*reply); !taken.ok()) return taken;
    const absl::StatusOr<bool> now = Get(port);
    if (!now.ok()) return now.status();
    if (*now == on) return absl::OkStatus();
    return absl::InternalError(
        absl::StrFormat("the hub took the command to switch port %d %s, and says that it is %s",
                        port, on ? "on" : "off", *now ? "on" : "off"));
  }

  absl::StatusOr<bool> Get(int port) override {
    const auto command = YkushAsk(model_, port);
    if (!command.ok()) return command.status();
    const auto reply = Exchange(*command);
    if (!reply.ok()) return reply.status();
    return YkushIsOn(port, *reply);
  }

 private:
  absl::StatusOr<std::vector<std::uint8_t>> Exchange(const std::vector<std::uint8_t>& command) {
    const absl::StatusOr<std::unique_ptr<Link>> link = open_();
    if (!link.ok()) return link.status();
    // An answer to somebody else's command would be taken for ours.
    for (int i = 0; i < kMostStray && (*link)->Read(kReportBytes, 0).ok(); ++i) {
    }
    if (const absl::Status status = (*link)->Write(command, kReplyMs); !status.ok()) return status;
    auto reply = (*link)->Read(kReportBytes, kReplyMs);
    if (absl::IsDeadlineExceeded(reply.status())) {
      return absl::UnavailableError(absl::StrFormat(
          "the hub did not answer command %02x within %d ms", command[0], kReplyMs));
    }
    return reply;
  }

  const YkushModel model_;
  const OpenLink open_;
};

}  // namespace

std::optional<YkushModel> FindYkush(const UsbDevice& device) {
  if (device.vendor != 0x04D8) return std::nullopt;
  switch (device.product) {
    case 0xF2F7:
      return YkushModel::kYkush;
    case 0xF11B:
      return YkushModel::kYkush3;
    case 0xF0CD:
      return YkushModel::kYkushXs;
    // Microchip's example id: many other devices have it.
    case 0x0042:
      if (absl::string_view(device.product_name).find("YKUSH") != absl::string_view::npos) {
        return YkushModel::kYkushLegacy;
      }
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

int YkushPorts(YkushModel model) {
  switch (model) {
    case YkushModel::kYkush3:
      return kExternalPort;
    case YkushModel::kYkushXs:
      return 1;
    case YkushModel::kYkush:
    case YkushModel::kYkushLegacy:
      break;
  }
  return 3;
}

absl::StatusOr<std::vector<std::uint8_t>> YkushSet(YkushModel model, int port, bool on) {
  return Command(model, port, on ? kUp : kDown);
}

absl::StatusOr<std::vector<std::uint8_t>> YkushAsk(YkushModel model, int port) {
  return Command(model, port, kStatus);
}

absl::Status YkushTaken(absl::Span<const std::uint8_t> reply) {
  if (reply.empty()) return absl::DataLossError("the hub's reply is empty");
  if (reply[0] == kOk) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat("the hub answers %02x instead of 01", reply[0]));
}

absl::StatusOr<bool> YkushIsOn(int port, absl::Span<const std::uint8_t> reply) {
  if (const absl::Status taken = YkushTaken(reply); !taken.ok()) return taken;
  if (reply.size() < 2) return absl::DataLossError("the hub's reply ends before the state");
  if (reply[1] == (kUp | port)) return true;
  if (reply[1] == (kDown | port)) return false;
  return absl::DataLossError(
      absl::StrFormat("the hub answers state %02x, which is not one of port %d", reply[1], port));
}

std::unique_ptr<PowerSwitch> MakeYkush(YkushModel model, OpenLink open) {
  return std::make_unique<Ykush>(model, std::move(open));
}

}  // namespace joulefarm::agent
