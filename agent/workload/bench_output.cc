#include "agent/workload/bench_output.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/process/text.h"

namespace joulefarm::agent {
namespace {

// A result of 10 000 repetitions has about 300 KiB; longer lines arrive in pieces.
constexpr std::size_t kLongestResult = std::size_t{8} * 1024 * 1024;

}  // namespace

void BenchOutput::Take(const OutputLine& line) {
  if (line.source == OutputSource::kStdout) {
    TakeStdout(line);
    return;
  }
  log_.Take(line.text);
  // For every line, so that the next one's bound is not that of the whole silence before it.
  const std::int64_t earliest_ns = bound_.Earliest(line.t_ns);
  const std::optional<BenchProgress> progress = ParseBenchProgress(line.text);
  if (!progress) return;
  ClosePeak();
  if (progress->what == BenchProgress::What::kRepetition) {
    repetitions_.push_back(
        {progress->test, progress->repetition, {earliest_ns, line.t_ns}, std::nullopt});
  }
  TakeProgress(*progress, line);
}

void BenchOutput::TakeProgress(const BenchProgress& progress, const OutputLine& line) {
  const bool repetition = progress.what == BenchProgress::What::kRepetition;
  {
    const std::lock_guard lock(mutex_);
    progress_.last_sign_ns = line.t_ns;
    if (progress.what != BenchProgress::What::kStarting && !progress_.loaded_ns)
      progress_.loaded_ns = line.t_ns;
    if (!repetition) return;
    if (!progress_.first_repetition_ns) progress_.first_repetition_ns = line.t_ns;
    progress_.during =
        absl::StrCat(attempt_.RunName(progress.repetition),
                     progress.test == BenchTest::kPrompt ? ", prompt test" : ", generation test");
  }
  attempt_.State(v1::ATTEMPT_STATE_RUNNING, this->progress().during);
}

void BenchOutput::TakeStdout(const OutputLine& line) {
  log_.Take(line.text);
  if (!garbage_.empty()) return;
  if (pending_.empty() && !absl::StartsWith(line.text, "{")) {
    garbage_ = absl::StrCat("it printed what is no result: ", Printable(line.text, kExcerptBytes));
    return;
  }
  absl::StrAppend(&pending_, line.text);
  absl::StatusOr<BenchResult> result = ParseBenchResult(pending_);
  if (!result.ok()) {
    // Perhaps the rest of a long line is still to come.
    const bool piece = line.text.size() == OutputReader::kLongestLine;
    if (!piece || pending_.size() > kLongestResult)
      garbage_ = std::string(result.status().message());
    return;
  }
  pending_.clear();
  results_.push_back(*std::move(result));
  done_ns_ = line.t_ns;
  ClosePeak();
}

void BenchOutput::ClosePeak() {
  const std::optional<std::int64_t> peak = attempt_.TakePeakRss();
  if (!repetitions_.empty() && !repetitions_.back().peak_rss_bytes)
    repetitions_.back().peak_rss_bytes = peak;
}

BenchOutput::Progress BenchOutput::progress() const {
  const std::lock_guard lock(mutex_);
  return progress_;
}

}  // namespace joulefarm::agent
