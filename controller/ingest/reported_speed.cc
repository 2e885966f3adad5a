#include "controller/ingest/reported_speed.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace joulefarm::controller {
namespace {

struct Place {
  const char* name;
  std::initializer_list<absl::string_view> units;
  std::optional<double> RunResult::*value;
};

constexpr std::initializer_list<absl::string_view> kRates = {"", "1/s", "tok/s", "tokens/s"};
constexpr std::initializer_list<absl::string_view> kTimes = {"", "ms"};
const Place kPlaces[] = {{"ttft_ms", kTimes, &RunResult::ttft_ms},
                         {"itps", kRates, &RunResult::itps},
                         {"otps", kRates, &RunResult::otps},
                         {"itl_p50_ms", kTimes, &RunResult::itl_p50_ms},
                         {"itl_p99_ms", kTimes, &RunResult::itl_p99_ms}};

// Absent when nothing was reported, or something of it is no such number.
std::optional<double> MeanOf(absl::Span<const v1::Metric> metrics, int run, const Place& place) {
  double sum = 0;
  int count = 0;
  for (const v1::Metric& metric : metrics) {
    if (!metric.has_run() || metric.run() != run || metric.name() != place.name) continue;
    const bool known =
        std::find(place.units.begin(), place.units.end(), metric.unit()) != place.units.end();
    if (!known || !std::isfinite(metric.value()) || metric.value() < 0) return std::nullopt;
    sum += metric.value();
    ++count;
  }
  return count == 0 ? std::nullopt : std::optional(sum / count);
}

}  // namespace

void FillReportedSpeed(absl::Span<const v1::Metric> metrics, RunResult& result) {
  for (const Place& place : kPlaces) {
    const std::optional<double> mean = MeanOf(metrics, result.run, place);
    if (!mean) continue;
    result.*place.value = mean;
    result.speed_method = "reported";
  }
}

}  // namespace joulefarm::controller
