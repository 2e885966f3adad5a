#include "agent/workload/bench_times.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/process/text.h"
#include "agent/workload/json_member.h"

namespace joulefarm::agent {
namespace {

using Json = nlohmann::json;

// How far durations may exceed the time between the lines before something is wrong: llama-bench
// measures with a clock of its own, which may be slewed meanwhile.
constexpr std::int64_t kClockSlackNs = 1'000'000;
constexpr std::int64_t kClockSlackPart = 1000;

// "7/9" at the front of `text`, taken off.
bool ConsumeCount(absl::string_view& text, int& number) {
  const std::size_t slash = text.find('/');
  if (slash == absl::string_view::npos || !absl::SimpleAtoi(text.substr(0, slash), &number)) {
    return false;
  }
  text.remove_prefix(slash + 1);
  const std::size_t end = text.find_first_not_of("0123456789");
  text.remove_prefix(std::min(end, text.size()));
  return true;
}

}  // namespace

std::optional<BenchProgress> ParseBenchProgress(absl::string_view line) {
  int number = 0;
  if (!absl::ConsumePrefix(&line, "llama-bench: benchmark ") || !ConsumeCount(line, number) ||
      !absl::ConsumePrefix(&line, ": ")) {
    return std::nullopt;
  }
  BenchProgress progress;
  if (line == "starting") return progress;
  if (absl::ConsumePrefix(&line, "warmup ")) {
    progress.what = BenchProgress::What::kWarmup;
    return progress;
  }
  if (absl::ConsumePrefix(&line, "depth run ")) {
    progress.what = BenchProgress::What::kDepth;
    return progress;
  }
  progress.what = BenchProgress::What::kRepetition;
  if (absl::ConsumePrefix(&line, "generation run ")) {
    progress.test = BenchTest::kGeneration;
  } else if (!absl::ConsumePrefix(&line, "prompt run ")) {
    return std::nullopt;
  }
  if (!ConsumeCount(line, number) || number < 1) return std::nullopt;
  progress.repetition = number - 1;
  return progress;
}

absl::StatusOr<BenchResult> ParseBenchResult(absl::string_view line) {
  const auto garbage = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": ", Printable(line, kExcerptBytes)));
  };
  const Json json = ParseJson(line);
  if (json.is_discarded() || !json.is_object()) return garbage("not a JSON object");
  BenchResult result;
  const auto n_prompt = Count(json, "n_prompt");
  const auto n_gen = Count(json, "n_gen");
  const auto samples = json.find("samples_ns");
  if (!n_prompt || !n_gen || samples == json.end() || !samples->is_array()) {
    return garbage("no n_prompt, n_gen and samples_ns");
  }
  result.n_prompt = *n_prompt;
  result.n_gen = *n_gen;
  result.n_depth = Count(json, "n_depth").value_or(0);
  for (const Json& sample : *samples) {
    if (!sample.is_number_integer() || sample.get<std::int64_t>() <= 0) {
      return garbage("a sample that is no time");
    }
    result.samples_ns.push_back(sample.get<std::int64_t>());
  }
  const auto commit = json.find("build_commit");
  if (const auto number = Count(json, "build_number");
      number && commit != json.end() && commit->is_string()) {
    result.build = absl::StrCat(*number, " (", Printable(commit->get<std::string>(), 100), ")");
  }
  return result;
}

bool FitIntoSpan(const std::vector<std::int64_t>& durations_ns, std::int64_t span_ns) {
  std::int64_t left_ns = span_ns + kClockSlackNs + span_ns / kClockSlackPart;
  for (const std::int64_t duration_ns : durations_ns) {
    // Counted down: any sum of them may overflow.
    if (duration_ns > left_ns) return false;
    left_ns -= duration_ns;
  }
  return true;
}

std::vector<RepetitionSpan> PlaceRepetitions(const std::vector<RepetitionStamp>& stamps,
                                             const std::vector<std::int64_t>& durations_ns,
                                             std::int64_t done_ns) {
  std::vector<RepetitionSpan> spans(stamps.size());
  std::int64_t end_by_ns = done_ns;
  for (std::size_t i = stamps.size(); i-- > 0;) {
    spans[i].start_ns = std::min(stamps[i].arrival_ns, end_by_ns - durations_ns[i]);
    spans[i].end_ns = spans[i].start_ns + durations_ns[i];
    end_by_ns = spans[i].start_ns;
  }
  std::int64_t not_before_ns = INT64_MIN;
  for (std::size_t i = 0; i < stamps.size(); ++i) {
    const std::int64_t earliest_ns = std::max(stamps[i].earliest_ns, not_before_ns);
    const std::int64_t width_ns = spans[i].start_ns - earliest_ns;
    spans[i].bound_ns = std::abs(width_ns);
    spans[i].fits = -width_ns <= kClockSlackNs + durations_ns[i] / kClockSlackPart;
    not_before_ns = earliest_ns + durations_ns[i];
  }
  return spans;
}

}  // namespace joulefarm::agent
