#include "deploy/benchmarks/observer_effect.h"

#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/stats/stats.h"

namespace joulefarm::bench {
namespace {

double LossPct(double log_ratio) { return -100 * std::expm1(log_ratio); }

// The interval's lower log-ratio is the greater loss.
LossInterval LossOf(absl::Span<const double> log_ratios, const MeanInterval& interval) {
  return {LossPct(*Mean(log_ratios)), LossPct(interval.high), LossPct(interval.low)};
}

void Judge(std::size_t blocks, double limit_pct, ObserverEffect& effect) {
  const LossInterval& control = effect.control;
  const bool biased = control.low_pct > 0 || control.high_pct < 0;
  const double bias_pct = biased ? std::abs(control.mean_pct) : 0;
  const double low_pct = effect.loss.low_pct - bias_pct;
  const double high_pct = effect.loss.high_pct + bias_pct;
  const auto say = [&](ObserverVerdict verdict, absl::string_view reason) {
    effect.verdict = verdict;
    effect.reason = absl::StrCat(
        reason, biased ? "; it was widened by what the control shows, where nothing differs" : "");
  };
  if (blocks < kObserverLeastBlocks) {
    say(ObserverVerdict::kInconclusive,
        absl::StrCat("fewer than ", kObserverLeastBlocks, " blocks, whatever the interval"));
  } else if (low_pct > limit_pct) {
    say(ObserverVerdict::kFail, "the whole interval is above the limit");
  } else if (high_pct - low_pct > 2 * limit_pct) {
    say(ObserverVerdict::kInconclusive, "the interval is wider than twice the limit");
  } else if (high_pct > limit_pct) {
    say(ObserverVerdict::kInconclusive, "the limit lies inside the interval");
  } else {
    say(ObserverVerdict::kPass, "the interval's upper end is at most the limit");
  }
}

}  // namespace

std::string ToString(ObserverVerdict verdict) {
  switch (verdict) {
    case ObserverVerdict::kPass:
      return "pass";
    case ObserverVerdict::kFail:
      return "fail";
    case ObserverVerdict::kInconclusive:
      break;
  }
  return "inconclusive";
}

absl::StatusOr<ObserverEffect> JudgeObserver(absl::Span<const ObserverBlock> blocks,
                                             double limit_pct, std::uint64_t seed) {
  std::vector<double> sampled;
  std::vector<double> control;
  for (const ObserverBlock& block : blocks) {
    std::array<double, kObserverSegments> logs{};
    for (std::size_t i = 0; i < block.size(); ++i) {
      if (!(block[i] > 0) || !std::isfinite(block[i]))
        return absl::InvalidArgumentError(
            absl::StrCat("observer: a speed of ", block[i], " tokens/s; it has to be above 0"));
      logs[i] = std::log(block[i]);
    }
    const double inner = (logs[1] + logs[6]) / 2;
    sampled.push_back((logs[2] + logs[3] + logs[4] + logs[5]) / 4 - inner);
    control.push_back(inner - (logs[0] + logs[7]) / 2);
  }
  const std::optional<MeanInterval> sampled_ci = MeanInterval95(sampled, seed);
  const std::optional<MeanInterval> control_ci = MeanInterval95(control, seed);
  if (!sampled_ci || !control_ci)
    return absl::InvalidArgumentError(
        absl::StrCat("observer: ", blocks.size(), " blocks; an interval needs three and a verdict ",
                     kObserverLeastBlocks));
  ObserverEffect effect;
  effect.loss = LossOf(sampled, *sampled_ci);
  effect.control = LossOf(control, *control_ci);
  effect.method = std::string(sampled_ci->method);
  Judge(blocks.size(), limit_pct, effect);
  return effect;
}

}  // namespace joulefarm::bench
