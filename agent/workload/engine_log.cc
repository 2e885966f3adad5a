#include "agent/workload/engine_log.h"

#include <string>
#include <utility>

#include "agent/process/text.h"

namespace joulefarm::agent {

void EngineLog::Take(absl::string_view line) {
  if (lines_ > kMostLines) return;
  std::string text = Printable(line, kLongestLine);
  ++lines_;
  bytes_ += static_cast<std::int64_t>(text.size());
  if (lines_ <= kMostLines && bytes_ <= kMostBytes) {
    recorder_->Log("engine", std::move(text));
    return;
  }
  lines_ = kMostLines + 1;
  recorder_->Log("agent", "the engine prints too much: its further output is not logged");
}

}  // namespace joulefarm::agent
