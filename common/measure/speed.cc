#include "common/measure/speed.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "common/stats/stats.h"
#include "common/units/units.h"

namespace joulefarm {
namespace {

constexpr double kLeastTimedCoverage = 0.95;
constexpr std::size_t kLeastForP99 = 100;
constexpr double kMsPerNs = 1e-6;

bool ImpossibleStamps(const v1::RunDone& run, const v1::RequestDone& done) {
  if (done.t_req_ns() < run.start_ns() || done.t_req_ns() > run.end_ns()) return true;
  if (done.has_t_first_ns() && done.t_first_ns() < done.t_req_ns()) return true;
  if (done.has_t_first_ns() && done.has_t_last_ns() && done.t_last_ns() < done.t_first_ns())
    return true;
  if (done.has_t_last_ns() && done.t_last_ns() > run.end_ns()) return true;
  if (done.has_idx_first() && done.has_idx_last() && done.idx_last() < done.idx_first())
    return true;
  return done.has_idx_last() && done.has_n_gen() && done.idx_last() > done.n_gen();
}

void GradePrompt(const v1::RequestDone& done, std::vector<Finding>& findings) {
  if (done.has_n_cached() && done.n_cached() != 0) {
    AddFinding(findings, MakeFinding(Code::kCacheHit, absl::StrCat(done.n_cached(), ">0")));
  }
  if (done.has_n_prompt() && done.has_n_evaluated() && done.n_evaluated() < done.n_prompt()) {
    AddFinding(findings, MakeFinding(Code::kPromptShort,
                                     absl::StrCat(done.n_evaluated(), "<", done.n_prompt())));
  }
}

bool PromptUnverified(const v1::RequestDone& done) {
  return !done.has_n_prompt() || !done.has_n_evaluated() || !done.has_n_cached();
}

bool TokenIndexMissing(const v1::RequestDone& done) {
  return done.has_t_first_ns() &&
         (!done.has_n_gen() || !done.has_idx_first() || !done.has_idx_last());
}

void GradeTokens(const SpeedExpectation& expected, const v1::RequestDone& done,
                 std::vector<Finding>& findings) {
  if (!done.has_t_first_ns() || !done.has_t_last_ns() || (done.has_n_gen() && done.n_gen() == 0)) {
    AddFinding(findings, MakeFinding(Code::kNoTokens, "0<1"));
    return;
  }
  const bool may_end = expected.end_of_text == SpeedExpectation::EndOfText::kEnds &&
                       (done.stop() == "eos" || done.stop() == "word");
  if (done.has_n_gen() && done.n_gen() < expected.max_tokens && !may_end) {
    AddFinding(findings, MakeFinding(Code::kTokensShort,
                                     absl::StrCat(done.n_gen(), "<", expected.max_tokens)));
  }
}

void AddCount(Code code, int requests, std::vector<Finding>& findings) {
  if (requests > 0) AddFinding(findings, MakeFinding(code, absl::StrCat(requests, ">0")));
}

// A sum that is absent as soon as one part is.
template <typename Part>
std::optional<std::int64_t> SumOf(absl::Span<const RequestTrace> requests, Part part) {
  if (requests.empty()) return std::nullopt;
  std::int64_t sum = 0;
  for (const RequestTrace& request : requests) {
    const std::optional<std::int64_t> value = part(request.done);
    if (!value) return std::nullopt;
    sum += *value;
  }
  return sum;
}

std::optional<double> Ttft(absl::Span<const RequestTrace> requests) {
  const std::optional<std::int64_t> sum =
      SumOf(requests, [](const v1::RequestDone& done) -> std::optional<std::int64_t> {
        // Equal stamps came with one read: how far apart the two were is not known.
        if (!done.has_t_first_ns() || done.t_first_ns() <= done.t_req_ns()) return std::nullopt;
        return done.t_first_ns() - done.t_req_ns();
      });
  if (!sum) return std::nullopt;
  return static_cast<double>(*sum) * kMsPerNs / static_cast<double>(requests.size());
}

std::optional<double> Itps(absl::Span<const RequestTrace> requests) {
  std::int64_t tokens = 0;
  double ms = 0;
  for (const RequestTrace& request : requests) {
    if (!request.done.has_n_evaluated() || !request.done.has_prompt_ms()) return std::nullopt;
    tokens += request.done.n_evaluated();
    ms += request.done.prompt_ms();
  }
  if (tokens <= 0 || !(ms > 0)) return std::nullopt;
  return static_cast<double>(tokens) * 1000 / ms;
}

std::optional<double> Otps(absl::Span<const RequestTrace> requests) {
  std::int64_t tokens = 0;
  std::int64_t ns = 0;
  for (const RequestTrace& request : requests) {
    const v1::RequestDone& done = request.done;
    if (!done.has_t_first_ns() || !done.has_t_last_ns()) return std::nullopt;
    if (done.has_idx_first() && done.has_idx_last()) {
      tokens += done.idx_last() - done.idx_first();
    } else if (!done.has_idx_first() && !done.has_idx_last() && done.has_n_gen()) {
      // Taken to be one token in the first event; token_index_missing says so.
      tokens += std::max(0, done.n_gen() - 1);
    } else {
      return std::nullopt;
    }
    ns += done.t_last_ns() - done.t_first_ns();
  }
  if (tokens <= 0 || ns <= 0) return std::nullopt;
  return static_cast<double>(tokens) / (static_cast<double>(ns) * kSecondsPerNs);
}

std::vector<double> TokenIntervalsMs(absl::Span<const RequestTrace> requests) {
  std::vector<double> intervals;
  for (const RequestTrace& request : requests) {
    const std::size_t n = std::min(request.idx.size(), request.t_ns.size());
    for (std::size_t i = 1; i < n; ++i) {
      const std::int64_t ns = request.t_ns[i] - request.t_ns[i - 1];
      if (request.idx[i] - 1 == request.idx[i - 1] && ns >= 0)
        intervals.push_back(static_cast<double>(ns) * kMsPerNs);
    }
  }
  return intervals;
}

void MeasureTokenLatency(absl::Span<const RequestTrace> requests, Speed& speed) {
  const std::vector<double> intervals = TokenIntervalsMs(requests);
  speed.n_timed = static_cast<std::int64_t>(intervals.size());
  const std::optional<std::int64_t> all =
      SumOf(requests, [](const v1::RequestDone& done) -> std::optional<std::int64_t> {
        if (!done.has_n_gen()) return std::nullopt;
        return std::max(0, done.n_gen() - 1);
      });
  if (!all || *all == 0) return;
  const double coverage = static_cast<double>(speed.n_timed) / static_cast<double>(*all);
  if (coverage < kLeastTimedCoverage) {
    AddFinding(speed.findings,
               MakeFinding(Code::kTimedCoverage,
                           absl::StrCat(Percent(coverage), "<", Percent(kLeastTimedCoverage))));
    return;
  }
  speed.itl_p50_ms = Percentile(intervals, 0.5);
  if (intervals.size() >= kLeastForP99) speed.itl_p99_ms = Percentile(intervals, 0.99);
}

}  // namespace

Speed MeasureSpeed(const SpeedExpectation& expected, const v1::RunDone& run,
                   absl::Span<const RequestTrace> requests) {
  Speed speed;
  if (static_cast<int>(requests.size()) < expected.prompts) {
    AddFinding(speed.findings, MakeFinding(Code::kRequestsMissing,
                                           absl::StrCat(requests.size(), "<", expected.prompts)));
  }
  int unverified = 0;
  int without_index = 0;
  int impossible = 0;
  for (const RequestTrace& request : requests) {
    GradePrompt(request.done, speed.findings);
    GradeTokens(expected, request.done, speed.findings);
    unverified += PromptUnverified(request.done) ? 1 : 0;
    without_index += TokenIndexMissing(request.done) ? 1 : 0;
    impossible += ImpossibleStamps(run, request.done) ? 1 : 0;
  }
  AddCount(Code::kPromptUnverified, unverified, speed.findings);
  AddCount(Code::kTokenIndexMissing, without_index, speed.findings);
  AddCount(Code::kImpossibleStamps, impossible, speed.findings);
  speed.n_prompt = SumOf(requests, [](const v1::RequestDone& done) -> std::optional<std::int64_t> {
    if (!done.has_n_prompt()) return std::nullopt;
    return done.n_prompt();
  });
  speed.n_gen = SumOf(requests, [](const v1::RequestDone& done) -> std::optional<std::int64_t> {
    if (!done.has_n_gen()) return std::nullopt;
    return done.n_gen();
  });
  if (impossible > 0) return speed;
  speed.ttft_ms = Ttft(requests);
  speed.itps = Itps(requests);
  speed.otps = Otps(requests);
  if (speed.otps) speed.tpot_ms = 1000 / *speed.otps;
  MeasureTokenLatency(requests, speed);
  return speed;
}

Speed MeasureBench(const v1::BenchTimes& bench) {
  Speed speed;
  const auto rate = [](std::int64_t tokens, std::int64_t ns) -> std::optional<double> {
    if (tokens <= 0 || ns <= 0) return std::nullopt;
    return static_cast<double>(tokens) / (static_cast<double>(ns) * kSecondsPerNs);
  };
  if (bench.has_n_prompt()) speed.n_prompt = bench.n_prompt();
  if (bench.has_n_gen()) speed.n_gen = bench.n_gen();
  if (bench.has_prompt_ns()) speed.itps = rate(bench.n_prompt(), bench.prompt_ns());
  if (bench.has_gen_ns()) speed.otps = rate(bench.n_gen(), bench.gen_ns());
  if (speed.otps) speed.tpot_ms = 1000 / *speed.otps;
  return speed;
}

}  // namespace joulefarm
