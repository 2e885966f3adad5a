// Cuts the power of the device's USB port for the time of an attempt. That it was on is on disk
// before it is cut, so that it comes back on every way out and by the next agent process after a
// crash.
//
// Threads: one. Ownership: owns the journal file while something is cut; `processes`
// outlives it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "agent/host/host_paths.h"
#include "agent/power/switch/switches.h"

namespace joulefarm::agent {

using SwitchOpener = std::function<absl::StatusOr<std::unique_ptr<PowerSwitch>>(
    const HostPaths&, const SwitchSettings&, ProcessJournal*)>;

// FAILED_PRECONDITION: one of `meters`, places on this host's USB, loses power with the port. Other
// errors: where all of the port is is not known.
absl::Status CheckCarriesNone(const HostPaths& paths, const SwitchedPort& port,
                              absl::Span<const std::string> meters);

class PortCut {
 public:
  // `journal` is a file in the agent's state directory; `processes`, which may be null, is that of
  // OpenSwitch.
  PortCut(HostPaths paths, std::filesystem::path journal, ProcessJournal* processes,
          SwitchOpener open = OpenSwitch);
  // Gives power back.
  ~PortCut();
  PortCut(const PortCut&) = delete;
  PortCut& operator=(const PortCut&) = delete;

  // `meters`: places on this host's USB of the meters that measure; a port that carries one of them
  // is refused (see CheckCarriesNone). A port that was off already stays so in the end. On an error
  // it has power, or Restore says that it has none.
  absl::Status Cut(const SwitchedPort& port, absl::Span<const std::string> meters);
  // True while something is cut by this.
  bool cut() const { return cut_.has_value(); }
  // Of what was cut last: PowerSwitch::Doubt.
  const std::string& doubt() const { return doubt_; }
  // An error says what is still without power; it stays in the journal, to be tried again. Repeated
  // calls do nothing. A switch that another process holds is waited for, a few seconds.
  absl::Status Restore();
  // What an earlier process did not give back. FAILED_PRECONDITION where the journal cannot be
  // read. The text says what was done, for the log; empty: nothing was to be done.
  absl::StatusOr<std::string> RestoreLeft();

 private:
  absl::StatusOr<PowerSwitch*> Switch(const SwitchedPort& port);
  absl::Status SwitchOn();

  const HostPaths paths_;
  const std::filesystem::path journal_;
  ProcessJournal* const processes_;
  const SwitchOpener open_;
  std::optional<SwitchedPort> cut_;  // as in the journal
  std::string doubt_;
  std::unique_ptr<PowerSwitch> switch_;
};

}  // namespace joulefarm::agent
