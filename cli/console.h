// The seams to the outside: streams, environment, time, Ctrl-C. main.cc supplies the real ones,
// tests their own.
//
// Thread rule: used from the main thread; `interrupted` may be called from any. Ownership: the
// streams outlive the console.
#pragma once

#include <chrono>
#include <functional>
#include <istream>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/output/text_table.h"

namespace joulefarm::cli {

struct Console {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  // Terminal cells per line; 0 when unknown. Asked each time, since windows change.
  std::function<int()> width = [] { return 0; };
  // Lines of the terminal; 0 when unknown.
  std::function<int()> height = [] { return 0; };

  std::function<std::optional<std::string>(const std::string& name)> environment =
      [](const std::string&) { return std::nullopt; };

  // Time that never steps back; for time-outs and elapsed time.
  std::function<std::chrono::steady_clock::time_point()> now = [] {
    return std::chrono::steady_clock::now();
  };
  // Returns early after Ctrl-C.
  std::function<void(std::chrono::nanoseconds)> sleep = [](std::chrono::nanoseconds) {};

  // From now on Ctrl-C sets `interrupted` instead of ending the process; a second one ends it.
  std::function<void()> catch_interrupt = [] {};
  std::function<bool()> interrupted = [] { return false; };

  // What this host's joulefarm-agent prints when it is run with these arguments (local_agent.h).
  std::function<absl::StatusOr<std::string>(const std::vector<std::string>& arguments)>
      run_local_agent = [](const std::vector<std::string>&) -> absl::StatusOr<std::string> {
    return absl::NotFoundError("no joulefarm-agent here");
  };

  // Errno of the first failed write to `out`; 0 when there was none. EPIPE is a reader that has
  // seen enough.
  std::function<int()> out_error = [] { return 0; };

  Look LookOfOut() const {
    return {out_is_terminal ? width() : 0, out_is_terminal && WantsColor()};
  }
  Look LookOfErr() const {
    return {err_is_terminal ? width() : 0, err_is_terminal && WantsColor()};
  }

 private:
  bool WantsColor() const {
    const std::optional<std::string> no_color = environment("NO_COLOR");
    const std::optional<std::string> term = environment("TERM");
    return (!no_color || no_color->empty()) && term != "dumb";
  }
};

}  // namespace joulefarm::cli
