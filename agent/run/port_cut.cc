#include "agent/run/port_cut.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/process/proc_stat.h"
#include "agent/spool/durable_file.h"

namespace joulefarm::agent {
namespace {

using nlohmann::json;

// Everything that is needed to give power back, also when the configuration has changed meanwhile.
std::string JournalText(const SwitchedPort& port) {
  const SwitchSettings& of = port.power_switch;
  const json text = {{"port", port.port},     {"name", of.name},
                     {"kind", of.kind},       {"serial", of.serial},
                     {"place", of.place},     {"on", of.command.on},
                     {"off", of.command.off}, {"status", of.command.status}};
  return text.dump(2) + "\n";
}

std::optional<SwitchedPort> ParseJournal(const std::string& text) {
  try {
    const json from = json::parse(text);
    return SwitchedPort{{from.at("name"),
                         from.at("kind"),
                         from.at("serial"),
                         from.at("place"),
                         {from.at("on"), from.at("off"), from.at("status")}},
                        from.at("port")};
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

std::string Title(const SwitchedPort& port) {
  return absl::StrCat("port ", port.port, " of switch ", port.power_switch.name);
}

}  // namespace

absl::Status CheckCarriesNone(const HostPaths& paths, const SwitchedPort& port,
                              absl::Span<const std::string> meters) {
  const absl::StatusOr<std::vector<std::string>> places = PlacesOfPort(paths, port);
  if (!places.ok()) return places.status();
  for (const std::string& meter : meters) {
    if (!IsBelow(meter, *places)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(Title(port), " carries the meter at ", meter,
                     "; plug the meter in elsewhere, or take usb_port out of the agent's "
                     "configuration"));
  }
  return absl::OkStatus();
}

PortCut::PortCut(HostPaths paths, std::filesystem::path journal, ProcessJournal* processes,
                 SwitchOpener open)
    : paths_(std::move(paths)),
      journal_(std::move(journal)),
      processes_(processes),
      open_(std::move(open)) {}

PortCut::~PortCut() { Restore().IgnoreError(); }

absl::StatusOr<PowerSwitch*> PortCut::Switch(const SwitchedPort& port) {
  if (switch_ == nullptr) {
    absl::StatusOr<std::unique_ptr<PowerSwitch>> opened =
        open_(paths_, port.power_switch, processes_);
    if (!opened.ok()) return opened.status();
    switch_ = *std::move(opened);
  }
  return switch_.get();
}

absl::Status PortCut::Cut(const SwitchedPort& port, absl::Span<const std::string> meters) {
  // What is still in the journal must not be forgotten over what is cut now.
  if (const auto left = RestoreLeft(); !left.ok()) return left.status();
  if (const absl::Status allowed = CheckCarriesNone(paths_, port, meters); !allowed.ok())
    return allowed;
  absl::StatusOr<PowerSwitch*> power_switch = Switch(port);
  if (!power_switch.ok()) return power_switch.status();
  const absl::StatusOr<bool> on = (*power_switch)->Get(port.port);
  // A switch that cannot be asked is taken to be on: better power twice than never again.
  if (on.ok() && !*on) return absl::OkStatus();
  if (!on.ok() && !absl::IsUnimplemented(on.status())) return on.status();
  if (const absl::Status kept = WriteDurably(journal_, JournalText(port)); !kept.ok()) return kept;
  cut_ = port;
  const absl::Status status = (*power_switch)->Set(port.port, false);
  if (status.ok()) {
    doubt_ = (*power_switch)->Doubt(port.port);
    return status;
  }
  const absl::Status restored = Restore();
  if (restored.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), "; ", restored.message()));
}

absl::Status PortCut::SwitchOn() {
  constexpr int kTries = 30;
  constexpr std::chrono::milliseconds kPause(100);
  for (int tried = 1;; ++tried) {
    const absl::StatusOr<PowerSwitch*> power_switch = Switch(*cut_);
    const absl::Status status =
        power_switch.ok() ? (*power_switch)->Set(cut_->port, true) : power_switch.status();
    if (status.ok()) return status;
    switch_ = nullptr;  // it may have been plugged in again
    if (!absl::IsResourceExhausted(status) || tried == kTries) return status;
    std::this_thread::sleep_for(kPause);
  }
}

absl::Status PortCut::Restore() {
  if (!cut_) return absl::OkStatus();
  if (const absl::Status status = SwitchOn(); !status.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(Title(*cut_),
                                                      " is still without power: ", status.message(),
                                                      "; the agent tries again at its next start"));
  }
  // Until then it counts as cut: whoever asks again may still remove it.
  if (absl::Status removed = RemoveDurably(journal_); !removed.ok()) return removed;
  cut_.reset();
  switch_ = nullptr;
  return absl::OkStatus();
}

absl::StatusOr<std::string> PortCut::RestoreLeft() {
  std::error_code error;
  if (!cut_ && !std::filesystem::exists(journal_, error)) return std::string();
  if (!cut_) {
    const std::optional<std::string> text = ReadSmallFile(journal_);
    if (text) cut_ = ParseJournal(*text);
    if (!cut_) {
      return absl::FailedPreconditionError(
          absl::StrCat(journal_.string(),
                       " cannot be read, so a USB port may be without power since an earlier run; "
                       "switch it on by hand and remove the file"));
    }
  }
  const std::string title = Title(*cut_);
  if (const absl::Status status = Restore(); !status.ok()) return status;
  return absl::StrCat("gave power back to ", title, ", which an earlier run had cut");
}

}  // namespace joulefarm::agent
