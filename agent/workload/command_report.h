// Takes up what a command's program reports about one run and turns it into records.
//
// Threads: Take from the output reader's thread; Finish and output_sha256 from the attempt's, after
// the output has ended. Ownership: the attempt and the log outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/process/output_reader.h"
#include "agent/workload/attempt.h"
#include "agent/workload/engine_log.h"
#include "agent/workload/json_lines.h"
#include "common/sha256/sha256.h"

namespace joulefarm::agent {

// At most one phase is open: phases partition a run, so a begin ends the one before it. All stamps
// are the arrival of the line. With tokens and a declared prefill the run also gets its RequestDone
// (t_req = that prefill's begin).
class CommandReport {
 public:
  CommandReport(Attempt& attempt, EngineLog& log, int run)
      : attempt_(attempt), log_(log), run_(run) {}

  void Take(const OutputLine& line);
  // The program was seen to have ended at `end_ns`. Returns the end of the run: that, or the
  // arrival of the last report where its output was read only afterwards. A phase still open is
  // closed there, and a reason says so.
  std::int64_t Finish(std::int64_t end_ns);
  // Over the ids of all tokens; nullopt when there was none.
  std::optional<std::string> output_sha256();

 private:
  void TakeReport(const PhaseLine& line, std::int64_t t_ns);
  void TakeReport(const MetricLine& line, std::int64_t t_ns);
  void TakeReport(const TokenLine& line, std::int64_t t_ns);
  void ClosePhase(std::int64_t t_ns);
  void FlushTokens();
  void RecordRequest();

  Attempt& attempt_;
  EngineLog& log_;
  const int run_;
  struct OpenPhase {
    v1::Phase phase;
    std::int64_t start_ns;
  };
  std::optional<OpenPhase> open_;
  std::optional<std::int64_t> prefill_ns_;
  std::int64_t last_report_ns_ = 0;
  std::int32_t tokens_ = 0;
  std::int64_t first_token_ns_ = 0;
  std::int64_t last_token_ns_ = 0;
  v1::TokenBatch batch_;
  Sha256 digest_;
};

}  // namespace joulefarm::agent
