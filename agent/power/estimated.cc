#include "agent/power/estimated.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

constexpr double kGuessIdleW = 5;
constexpr double kGuessWPerCore = 10;
constexpr double kGuessU = 0.5;
constexpr double kScale = 1e-6;
// Processor time is counted in ticks of 10 ms.
constexpr std::int64_t kTickNs = 10'000'000;

}  // namespace

EstimatedPower::EstimatedPower(HostPaths paths, const EstimateSettings& settings)
    : paths_(std::move(paths)), cpu_times_(paths_) {
  const std::optional<CpuTimes> times = cpu_times_.Read();
  cores_ = times ? times->cores : 0;
  idle_w_ = settings.idle_w.value_or(kGuessIdleW);
  peak_w_ = std::max(idle_w_, settings.peak_w.value_or(idle_w_ + kGuessWPerCore * cores_));
  v1::ChannelInfo& channel = channels_.emplace_back();
  channel.set_name(kEstimatedChannel);
  channel.set_quantity(v1::QUANTITY_ENERGY_COUNTER_J);
  channel.set_scale(kScale);
  channel.set_nominal_hz(settings.nominal_hz);
  channel.set_scope(v1::SCOPE_DEVICE);
  channel.set_provenance(v1::PROVENANCE_ESTIMATED);
  channel.set_gain_u(settings.relative_u.value_or(kGuessU));
  channel.set_refresh_ns(kTickNs);
  const auto origin = [](const std::optional<double>& watts) {
    return watts ? "configured" : "a guess";
  };
  const bool guessed = !settings.idle_w || !settings.peak_w;
  channel.set_description(absl::StrCat(
      "not measured: estimated from the use of ", cores_, " cores between ", idle_w_, " W idle (",
      origin(settings.idle_w), ") and ", peak_w_, " W at full load (", origin(settings.peak_w), ")",
      guessed ? "; set estimated_power in the agent's configuration" : ""));
}

absl::Status EstimatedPower::Start() {
  start_ns_ = BoottimeNs();
  const std::optional<CpuTimes> times = cpu_times_.Read();
  if (!times || cores_ == 0) {
    return absl::UnavailableError(
        absl::StrCat("estimated power: cannot read ", (paths_.proc() / "stat").string()));
  }
  start_busy_s_ = times->busy_s;
  last_raw_ = 0;
  return absl::OkStatus();
}

absl::Status EstimatedPower::Poll(std::vector<PowerReading>& readings, std::int64_t& lost) {
  const std::int64_t t_ns = BoottimeNs();
  const std::optional<CpuTimes> times = cpu_times_.Read();
  if (!times) {
    ++lost;
    return absl::UnavailableError(
        absl::StrCat("estimated power: cannot read ", (paths_.proc() / "stat").string()));
  }
  const double seconds = static_cast<double>(t_ns - start_ns_) * 1e-9;
  const double joules =
      idle_w_ * seconds + (peak_w_ - idle_w_) * (times->busy_s - start_busy_s_) / cores_;
  // A counter never runs backward, even where the kernel's does (a core that goes offline).
  last_raw_ = std::max(last_raw_, static_cast<std::int64_t>(std::llround(joules / kScale)));
  readings.push_back(PowerReading{0, t_ns, last_raw_});
  return absl::OkStatus();
}

}  // namespace joulefarm::agent
