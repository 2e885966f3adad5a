#include <CLI/App.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/commands/commands.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

struct DeviceSetOptions {
  std::vector<std::string> ids;
  std::string reason;
};

// "edge-7f3a: DRAINING, at work on job-7".
std::string Standing(const v1::SetDeviceResponse& now) {
  std::string text(absl::StripPrefix(v1::DeviceAdmin_Name(now.admin()), "DEVICE_ADMIN_"));
  if (now.health() != v1::DEVICE_HEALTH_GOOD) {
    absl::StrAppend(&text, ", ",
                    absl::StripPrefix(v1::DeviceHealth_Name(now.health()), "DEVICE_HEALTH_"));
  }
  if (!now.job().empty()) absl::StrAppend(&text, ", at work on ", OneLine(now.job()));
  return text;
}

int RunSet(Session& session, const DeviceSetOptions& options, v1::SetDeviceRequest request) {
  const auto client = session.Client();
  if (!client.ok()) return session.Fail(client.status());
  int exit = kExitOk;
  request.set_reason(options.reason);
  for (const std::string& id : options.ids) {
    request.set_device_id(id);
    const auto now = (*client)->SetDevice(request);
    if (!now.ok()) {
      exit = session.Fail(now.status());
    } else {
      session.console().out << id << ": " << Standing(*now) << '\n';
    }
  }
  return exit;
}

void AddOne(CLI::App& group, Session& session, const char* name, const char* what,
            const char* footer, const v1::SetDeviceRequest& request) {
  auto options = std::make_shared<DeviceSetOptions>();
  CLI::App* command =
      AddCommand(group, name, what,
                 absl::StrCat("  joulefarm device ", name, " edge-7f3a\n  joulefarm device ", name,
                              " edge-7f3a phone-2 --reason \"new battery\""),
                 footer);
  command->add_option("DEVICE", options->ids, "device ids")->required();
  command->add_option("--reason", options->reason, "for whoever asks why")->type_name("TEXT");
  command->callback([=, &session] {
    session.action = [=, &session] { return RunSet(session, *options, request); };
  });
}

}  // namespace

void AddDeviceSet(CLI::App& group, Session& session) {
  v1::SetDeviceRequest request;
  request.set_admin(v1::DEVICE_ADMIN_MAINTENANCE);
  AddOne(group, session, "cordon", "Give devices no new jobs; what waits for them waits",
         "A job that runs goes on. Taken back with uncordon.", request);
  request.set_admin(v1::DEVICE_ADMIN_DRAINING);
  AddOne(group, session, "drain",
         "Empty devices: no new jobs, and what may run elsewhere goes there",
         "A job that runs goes on; the device is DRAINING until it has ended and then MAINTENANCE. "
         "Jobs pinned to the device (devices.count: all) wait. Taken back with uncordon.",
         request);
  request.set_admin(v1::DEVICE_ADMIN_ENABLED);
  AddOne(group, session, "uncordon", "Take devices back into service after cordon or drain", "",
         request);
  request.clear_admin();
  request.set_health(v1::DEVICE_HEALTH_QUARANTINED);
  AddOne(group, session, "quarantine",
         "Distrust devices: no new jobs, and what may run elsewhere goes there",
         "A job that runs goes on. Taken back with unquarantine.", request);
  request.set_health(v1::DEVICE_HEALTH_GOOD);
  AddOne(group, session, "unquarantine", "Trust devices again, whatever their jobs said",
         "Also of a SUSPECT device; its health check is canceled.", request);
}

}  // namespace joulefarm::cli
