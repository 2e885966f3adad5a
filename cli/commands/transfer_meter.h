// How far a file is, while it is hashed, pushed or downloaded.
//
// Thread rule: one thread. Ownership: the console outlives it. Draws only where stderr is a
// terminal, on one line that goes away at the end.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "cli/console.h"
#include "cli/view/progress.h"

namespace joulefarm::cli {

// "pushing  ████████░░░░░░░░  61 %  12.3 MB of 22.1 MB  110 MB/s  00:05 left"; `start` was there
// before.
class TransferMeter {
 public:
  TransferMeter(Console& console, std::string verb, std::int64_t total, std::int64_t start = 0);

  // So many bytes are there now; redraws a few times a second.
  void At(std::int64_t bytes);

 private:
  Console& console_;
  const std::string verb_;
  const std::int64_t total_;
  const std::int64_t start_;
  const std::chrono::steady_clock::time_point begun_;
  std::chrono::steady_clock::time_point drawn_;
  LiveDisplay display_;
};

}  // namespace joulefarm::cli
