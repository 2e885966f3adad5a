// What every command shares: the console, the global options, the connection, and how errors are
// told.
//
// Thread rule: one thread. Ownership: the console outlives the session; the session owns the
// client.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/client.h"
#include "cli/console.h"
#include "cli/exit_code.h"

namespace joulefarm::cli {

class Session {
 public:
  explicit Session(Console& console) : console_(console) {}

  // Set by the command line before the action runs.
  std::optional<std::string> controller;
  std::optional<std::string> context;
  // What the chosen command does; returns the exit code.
  std::function<int()> action;

  Console& console() { return console_; }

  // The client of the chosen controller; connects with its first call. INVALID_ARGUMENT when the
  // choice makes no sense.
  absl::StatusOr<FarmClient*> Client();

  // Prints "error: …" and returns the exit code.
  int Fail(const absl::Status& status);
  // The same for what failed on this machine, a file for instance: names no controller.
  int FailHere(const absl::Status& status);
  // The same for a mistake on the command line or in a local file: exit code 2.
  int FailUsage(absl::string_view message);

  // "joulefarm ARGUMENTS" as the operator would type it to reach the same controller.
  std::string Hint(absl::string_view arguments) const;

 private:
  Console& console_;
  std::unique_ptr<FarmClient> client_;
};

}  // namespace joulefarm::cli
