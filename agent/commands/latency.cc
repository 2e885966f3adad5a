#include "agent/commands/latency.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/commands/keep_latency.h"
#include "agent/process/boottime.h"
#include "common/clock/tick_fit.h"
#include "common/time/wall_now.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kMostLatencyNs = 250'000'000;
// Around the pattern: more than the longest latency and half a busy time, and so long that ticks of
// a meter's own clock, of which ten come in a second, are enough for a fit (TickFitOptions).
constexpr std::int64_t kAroundNs = 2'000'000'000;
static_assert(kAroundNs > kMostLatencyNs + kPatternNs / 2);
constexpr std::int64_t kFewestPollNs = 1'000'000;
constexpr std::int64_t kBufferedPollNs = 20'000'000;
constexpr double kCover = 3;  // standard uncertainties that are taken for a bound
constexpr int kExitCannot = 1;
constexpr int kExitMisaligned = 3;

absl::Status Cannot(absl::string_view why) { return absl::FailedPreconditionError(why); }

// Every processor, as long as it is told to.
class BusyProcessors {
 public:
  BusyProcessors() {
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i)
      threads_.emplace_back([this](const std::stop_token& stop) { Run(stop); });
  }
  ~BusyProcessors() {
    for (std::jthread& thread : threads_) thread.request_stop();
    Set(false);
    generation_.fetch_add(1);
    generation_.notify_all();
  }
  BusyProcessors(const BusyProcessors&) = delete;
  BusyProcessors& operator=(const BusyProcessors&) = delete;

  void Set(bool busy) {
    busy_.store(busy);
    generation_.fetch_add(1);
    generation_.notify_all();
  }

 private:
  void Run(const std::stop_token& stop) {
    volatile double sink = 1;
    while (!stop.stop_requested()) {
      const int seen = generation_.load();
      while (busy_.load(std::memory_order_relaxed)) {
        for (int i = 0; i < 1000; ++i) sink = sink * 1.0000001 + 1e-9;
      }
      if (!stop.stop_requested()) generation_.wait(seen);
    }
  }

  std::atomic<bool> busy_{false};
  std::atomic<int> generation_{0};
  std::vector<std::jthread> threads_;
};

// One channel, sampled.
class Sampling {
 public:
  Sampling(PowerSource& source, int channel, const LatencyHooks& hooks)
      : source_(source),
        channel_(channel),
        hooks_(hooks),
        info_(source.channels()[static_cast<std::size_t>(channel)]) {
    poll_ns_ = kBufferedPollNs;
    if (!source.buffered() && info_.nominal_hz() > 0)
      poll_ns_ = std::max(kFewestPollNs, static_cast<std::int64_t>(1e9 / info_.nominal_hz()));
  }

  absl::Status Until(std::int64_t end_ns) {
    for (std::int64_t now_ns = hooks_.now_ns(); now_ns < end_ns; now_ns = hooks_.now_ns()) {
      std::vector<PowerReading> readings;
      std::int64_t lost = 0;
      const absl::Status polled = source_.Poll(readings, lost);
      if (!polled.ok()) return polled;
      for (const PowerReading& reading : readings) {
        if (reading.channel == channel_) readings_.push_back(reading);
      }
      for (const ClockPair& pair : source_.TakePairs())
        pairs_.push_back({pair.tick_ns, pair.arrived_ns, pair.restarted});
      hooks_.sleep(std::min(end_ns, now_ns + poll_ns_));
    }
    return absl::OkStatus();
  }

  // The stamps on this host's clock, and the power; widens `bound_ns` by what that may be off by.
  absl::Status Result(std::vector<std::int64_t>& t_ns, std::vector<double>& power_w,
                      std::int64_t& bound_ns) const {
    std::optional<TickFit> fit;
    if (!info_.clock().empty()) fit.emplace(pairs_);
    std::int64_t widest_ns = 0;
    std::optional<std::pair<std::int64_t, std::int64_t>> before;  // of a counter
    for (const PowerReading& reading : readings_) {
      std::int64_t at_ns = reading.t_ns;
      if (fit) {
        const std::optional<TickTime> time = fit->At(at_ns);
        if (!time) {
          return Cannot(fit->problems().empty() ? "its clock cannot be joined to this host's"
                                                : absl::StrCat("its clock: ", fit->problems()[0]));
        }
        at_ns = time->t_ns;
        widest_ns = std::max(widest_ns, time->bound_ns);
      }
      double value = static_cast<double>(reading.raw) * info_.scale();
      if (info_.quantity() == v1::QUANTITY_ENERGY_COUNTER_J) {
        const auto last = std::exchange(before, std::pair(at_ns, reading.raw));
        if (!last || at_ns <= last->first || reading.raw < last->second) continue;
        value = static_cast<double>(reading.raw - last->second) * info_.scale() /
                (static_cast<double>(at_ns - last->first) * 1e-9);
        at_ns = last->first + (at_ns - last->first) / 2;
      }
      if (!t_ns.empty() && at_ns <= t_ns.back()) continue;
      t_ns.push_back(at_ns);
      power_w.push_back(value);
    }
    bound_ns += widest_ns;
    return absl::OkStatus();
  }

 private:
  PowerSource& source_;
  const int channel_;
  const LatencyHooks& hooks_;
  const v1::ChannelInfo& info_;
  std::int64_t poll_ns_ = 0;
  std::vector<PowerReading> readings_;
  std::vector<TickPair> pairs_;
};

std::string Ms(double ns) { return absl::StrFormat("%.3g ms", ns * 1e-6); }

}  // namespace

absl::StatusOr<LatencyReport> MeasureLatency(PowerSource& source, int channel,
                                             const LatencyHooks& hooks) {
  if (const absl::Status started = source.Start(); !started.ok()) return started;
  const v1::ChannelInfo& info = source.channels()[static_cast<std::size_t>(channel)];
  Sampling sampling(source, channel, hooks);
  std::vector<Interval> busy;
  absl::Status sampled = sampling.Until(hooks.now_ns() + kAroundNs);
  for (int time = 0; time < kPatternTimes && sampled.ok(); ++time) {
    Interval& one = busy.emplace_back();
    one.start_ns = hooks.now_ns();
    hooks.set_load(true);
    sampled = sampling.Until(one.start_ns + kPatternNs);
    one.end_ns = hooks.now_ns();
    hooks.set_load(false);
    if (sampled.ok() && time + 1 < kPatternTimes) sampled = sampling.Until(one.end_ns + kPatternNs);
  }
  if (sampled.ok()) sampled = sampling.Until(hooks.now_ns() + kAroundNs);
  if (!sampled.ok()) return sampled;
  LatencyReport report;
  report.channel = info.name();
  report.stated_ns =
      static_cast<double>(info.latency_ns()) + static_cast<double>(info.smoothing_ns()) / 2;
  report.bound_ns = info.stamp_bound_ns();
  const std::int64_t stamps_ns = report.bound_ns;
  std::vector<std::int64_t> t_ns;
  std::vector<double> power_w;
  const absl::Status placed = sampling.Result(t_ns, power_w, report.bound_ns);
  if (!placed.ok()) return placed;
  const absl::StatusOr<PatternFit> fit = FitPattern(t_ns, power_w, busy, kMostLatencyNs);
  if (!fit.ok()) return fit.status();
  report.found = *fit;
  report.constant_ns = fit->latency_ns - static_cast<double>(info.smoothing_ns()) / 2;
  report.constant_u_ns = kCover * fit->u_ns + static_cast<double>(report.bound_ns - stamps_ns);
  // Where in the round trip the answers were taken: what it took, not what it may take.
  if (const std::optional<MeterReport> meter = source.Meter())
    report.constant_u_ns += static_cast<double>(meter->counts.half_round_trip_ns.value_or(0));
  report.bound_ns += info.latency_u_ns();
  report.misaligned =
      CheckAlignment(*fit, static_cast<std::int64_t>(report.stated_ns), report.bound_ns);
  return report;
}

int ShowLatency(const HostPaths& paths, const PowerSettings& settings,
                const LatencyRequest& request, std::ostream& out, std::ostream& err) {
  const std::string& channel = request.channel;
  PowerWish wish;
  wish.every_meter = true;
  wish.channel = channel;
  const PowerSelection selection = SelectPower(wish, paths, settings);
  const auto place =
      channel.empty() ? FindPrimary(selection.sources, selection.ranking)
                      : FindPrimary(selection.sources, absl::Span<const std::string>(&channel, 1));
  if (!place) {
    err << "there is no channel " << (channel.empty() ? "to measure with" : channel)
        << "; joulefarm-agent meters lists what there is\n";
    for (const std::string& obstacle : selection.obstacles) err << obstacle << "\n";
    return kExitCannot;
  }
  absl::StatusOr<LatencyReport> report;
  {
    BusyProcessors processors;
    LatencyHooks hooks;
    hooks.now_ns = BoottimeNs;
    hooks.sleep = [](std::int64_t until_ns) {
      std::this_thread::sleep_for(std::chrono::nanoseconds(until_ns - BoottimeNs()));
    };
    hooks.set_load = [&processors](bool busy) { processors.Set(busy); };
    report = MeasureLatency(*selection.sources[place->source], place->channel, hooks);
  }
  if (!report.ok()) {
    err << "the latency cannot be measured: " << report.status().message() << "\n";
    return kExitCannot;
  }
  out << report->channel << ": stamps are " << Ms(report->found.latency_ns) << " ± "
      << Ms(report->found.u_ns) << " late (a load of " << kPatternTimes << " x "
      << kPatternNs / 1'000'000 << absl::StrFormat(" ms, %.3g W", report->found.step_w)
      << absl::StrFormat(", correlation %.2f)\n", report->found.correlation)
      << "known of it: " << Ms(report->stated_ns) << " ± "
      << Ms(static_cast<double>(report->bound_ns)) << ", "
      << (report->misaligned.empty() ? std::string("in agreement")
                                     : absl::StrCat("and they disagree: ", report->misaligned))
      << "\n";
  if (const std::optional<MeterReport> meter = selection.sources[place->source]->Meter())
    return KeepLatency(*report, *meter, {request.file, request.force}, WallNowNs(), out, err);
  out << "nothing is kept of a sensor of this host\n";
  return report->misaligned.empty() ? 0 : kExitMisaligned;
}

}  // namespace joulefarm::agent
