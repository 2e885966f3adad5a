#include "agent/power/simulated.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/power/found_power.h"

namespace joulefarm::agent {
namespace {

constexpr double kScale = 1e-6;
constexpr double kMostHz = 5'000;
constexpr double kMostW = 100'000;
constexpr double kNsPerS = 1e9;
constexpr double kBufferS = 10;

bool IsPower(double watts) { return watts >= 0 && watts <= kMostW; }

std::string Describe(const SimulatedSettings& settings) {
  std::string text = absl::StrCat("simulated, nothing is measured: ", settings.watts, " W");
  if (!settings.busy_watts) return text;
  if (settings.period_ns)
    return absl::StrCat(text, " and ", *settings.busy_watts, " W, each for half of every ",
                        static_cast<double>(*settings.period_ns) / kNsPerS, " s");
  return absl::StrCat(text, " to ", *settings.busy_watts, " W, as the processors are busy");
}

}  // namespace

absl::Status CheckSimulated(const SimulatedSettings& settings) {
  const auto wrong = [](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("simulated power: ", what));
  };
  if (!IsPower(settings.watts) || (settings.busy_watts && !IsPower(*settings.busy_watts)))
    return wrong("watts have to be between 0 and 100000");
  if (!(settings.rate_hz > 0) || settings.rate_hz > kMostHz)
    return wrong("the rate has to be above 0 and at most 5000 Hz");
  if (settings.period_ns && !settings.busy_watts) return wrong("a period needs busy_watts");
  if (settings.period_ns &&
      static_cast<double>(*settings.period_ns) * settings.rate_hz < 2 * kNsPerS)
    return wrong("the period has to be two samples at least");
  return absl::OkStatus();
}

SimulatedPower::SimulatedPower(HostPaths paths, const SimulatedSettings& settings, Clock now)
    : paths_(std::move(paths)), cpu_times_(paths_), settings_(settings), now_(std::move(now)) {
  v1::ChannelInfo& channel =
      channels_.emplace_back(PowerChannel(kSimulatedChannel, v1::QUANTITY_POWER_W, kScale,
                                          settings.rate_hz, v1::SCOPE_DEVICE, Describe(settings)));
  channel.set_provenance(v1::PROVENANCE_SIMULATED);
  // It is what it says: that no meter would be so is what its provenance says.
  channel.set_gain_u(0);
  channel.set_offset_u(0);
}

absl::Status SimulatedPower::Start() {
  if (absl::Status right = CheckSimulated(settings_); !right.ok()) return right;
  start_ns_ = now_();
  made_ = 0;
  busy_ = 0;
  times_.reset();
  return LookAtProcessors();
}

absl::Status SimulatedPower::Poll(std::vector<PowerReading>& readings, std::int64_t& lost) {
  absl::Status looked = LookAtProcessors();
  const std::int64_t now_ns = now_();
  const auto behind = static_cast<std::int64_t>(static_cast<double>(now_ns - start_ns_) / kNsPerS *
                                                settings_.rate_hz);
  // Rounding may have the last of them a little ahead, or one more be there.
  std::int64_t due = std::max(made_, behind - 1);
  while (StampNs(due) <= now_ns) ++due;
  const auto most = std::max<std::int64_t>(1, std::llround(kBufferS * settings_.rate_hz));
  if (due - made_ > most) {
    lost += due - most - made_;
    made_ = due - most;
  }
  for (; made_ < due; ++made_) {
    const std::int64_t t_ns = StampNs(made_);
    readings.push_back({0, t_ns, std::llround(Watts(t_ns - start_ns_) / kScale)});
  }
  return looked;
}

std::int64_t SimulatedPower::StampNs(std::int64_t sample) const {
  return start_ns_ + std::llround(static_cast<double>(sample) * kNsPerS / settings_.rate_hz);
}

double SimulatedPower::Watts(std::int64_t since_start_ns) const {
  if (!settings_.busy_watts) return settings_.watts;
  if (!settings_.period_ns)
    return settings_.watts + (*settings_.busy_watts - settings_.watts) * busy_;
  const bool first_half = since_start_ns % *settings_.period_ns < *settings_.period_ns / 2;
  return first_half ? settings_.watts : *settings_.busy_watts;
}

absl::Status SimulatedPower::LookAtProcessors() {
  if (!settings_.busy_watts || settings_.period_ns) return absl::OkStatus();
  const std::optional<CpuTimes> times = cpu_times_.Read();
  if (!times)
    return absl::UnavailableError(
        absl::StrCat("simulated power: cannot read ", (paths_.proc() / "stat").string()));
  if (times_) {
    const std::optional<double> share = BusyShare(*times_, *times);
    // No tick has gone by since: it is as it was.
    if (!share) return absl::OkStatus();
    busy_ = *share;
  }
  times_ = times;
  return absl::OkStatus();
}

}  // namespace joulefarm::agent
