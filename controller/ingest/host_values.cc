#include "controller/ingest/host_values.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "controller/ingest/channel_trace.h"

namespace joulefarm::controller {
namespace {

constexpr char kRssChannel[] = "engine.rss";
constexpr char kBackgroundChannel[] = "background.cpu";
constexpr char kCounterPrefix[] = "throttle.";
constexpr char kStatePrefix[] = "cooling.";
constexpr double kMostBackground = 0.10;
// The kernel counts processor time in steps of 10 ms: a shorter window says little.
constexpr std::int64_t kShortestBackgroundNs = 1'000'000'000;

void AddRises(const TraceSamples& samples, std::vector<Throttle>& throttles) {
  for (std::size_t i = 1; i < samples.raw.size(); ++i) {
    const std::int64_t rise = samples.raw[i] - samples.raw[i - 1];
    // A processor that goes offline takes its count with it.
    if (rise > 0) throttles.push_back({{samples.t_ns[i - 1], samples.t_ns[i]}, rise, 0});
  }
}

void AddStates(const TraceSamples& samples, std::vector<Throttle>& throttles) {
  const std::size_t n = samples.raw.size();
  for (std::size_t i = 0; i < n; ++i) {
    if (samples.raw[i] <= 0) continue;
    // It was so at some time since the sample before, and may have been until the next.
    const Interval around{samples.t_ns[i == 0 ? 0 : i - 1], samples.t_ns[std::min(i + 1, n - 1)]};
    throttles.push_back({around, 0, samples.raw[i]});
  }
}

// A server of somebody else's, which the agent neither started nor can sample.
bool RanAlready(const v1::GenerateSpec& spec) {
  return spec.engine() == "openai" && spec.server().empty();
}

bool IsElsewhere(const AttemptView& view) {
  return std::any_of(view.reasons.begin(), view.reasons.end(), [](const v1::Reason& reason) {
    return reason.code() == Info(Code::kEngineElsewhere).name;
  });
}

// The highest value in the parts and up to `reach_ns` around each.
std::optional<double> HighestWithin(const ChannelTrace& trace, double scale,
                                    const std::vector<Interval>& parts, std::int64_t reach_ns) {
  std::optional<double> highest;
  for (const Interval& part : parts) {
    const std::optional<double> value =
        HighestWithin(trace, scale, {part.start_ns - reach_ns, part.end_ns + reach_ns});
    if (value) highest = std::max(highest.value_or(*value), *value);
  }
  return highest;
}

}  // namespace

std::vector<Throttle> FindThrottles(const std::vector<ChannelView>& channels) {
  std::vector<Throttle> throttles;
  for (const ChannelView& channel : channels) {
    if (channel.source != 0) continue;  // another host
    if (absl::StartsWith(channel.info.name(), kCounterPrefix))
      AddRises(DecodeChannel(channel).samples, throttles);
    if (absl::StartsWith(channel.info.name(), kStatePrefix))
      AddStates(DecodeChannel(channel).samples, throttles);
  }
  return throttles;
}

void AddThrottles(const std::vector<Throttle>& throttles, const Interval& interval,
                  v1::Domain domain, std::vector<Finding>& findings) {
  std::int64_t times = 0;
  std::int64_t state = 0;
  for (const Throttle& throttle : throttles) {
    if (throttle.between.start_ns >= interval.end_ns ||
        throttle.between.end_ns <= interval.start_ns)
      continue;
    times += throttle.times;
    state = std::max(state, throttle.state);
  }
  if (times == 0 && state == 0) return;
  AddFinding(findings, MakeFinding(Code::kThrottled,
                                   times > 0 ? absl::StrCat(times, ">0")
                                             : absl::StrCat("state ", state, ">0"),
                                   domain));
}

void AddBackground(const v1::JobSpec& spec, const AttemptView& view, const Interval& run,
                   std::vector<Finding>& findings) {
  if (RanAlready(spec.generate()) && !IsElsewhere(view)) return;
  for (const ChannelView& channel : view.channels) {
    if (channel.source != 0 || channel.info.name() != kBackgroundChannel) continue;
    Interval window = run;
    window.start_ns = std::min(window.start_ns, window.end_ns - kShortestBackgroundNs);
    const auto share = MeanWithin(DecodeChannel(channel), channel.info.scale(), window);
    if (!share || *share <= kMostBackground) continue;
    AddFinding(findings, MakeFinding(Code::kBackgroundCpu,
                                     absl::StrCat(absl::StrFormat("%.3g", *share * 100), "%>10%")));
  }
}

void FillHost(const AttemptView& view, std::vector<RunResult>& results) {
  for (const ChannelView& channel : view.channels) {
    const bool temperature = channel.info.quantity() == v1::QUANTITY_TEMPERATURE_C;
    if (channel.source != 0 || (!temperature && channel.info.name() != kRssChannel)) continue;
    const ChannelTrace trace = DecodeChannel(channel);
    for (RunResult& result : results) {
      const std::vector<Interval>& parts = view.runs.at(result.run).parts;
      std::optional<double> highest = HighestWithin(trace, channel.info.scale(), parts, 0);
      const double hz = channel.info.nominal_hz();
      if (temperature && !highest && hz > 0) {
        highest =
            HighestWithin(trace, channel.info.scale(), parts, static_cast<std::int64_t>(1e9 / hz));
      }
      if (!highest) continue;
      std::optional<double>& into = temperature ? result.max_temp_c : result.peak_rss_mib;
      const double value = temperature ? *highest : *highest / kBytesPerMiB;
      into = std::max(into.value_or(value), value);
    }
  }
}

}  // namespace joulefarm::controller
