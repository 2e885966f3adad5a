#include "deploy/benchmarks/observer_figure.h"

#include <cstdio>
#include <vector>

#include "absl/status/statusor.h"
#include "common/stats/stats.h"
#include "deploy/benchmarks/figures.h"
#include "deploy/benchmarks/observer_effect.h"

namespace joulefarm::bench {
namespace {

constexpr double kLimitPct = 0.5;

nlohmann::ordered_json ToJson(const LossInterval& interval) {
  return {{"mean_pct", interval.mean_pct}, {"ci95_pct", {interval.low_pct, interval.high_pct}}};
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "joulefarm-bench: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int MeasureObserver(const ObserverSetting& setting, const std::string& what) {
  const absl::StatusOr<ObserverTrace> trace = RunObserver(setting);
  if (!trace.ok()) return Fail(trace.status());
  const absl::StatusOr<ObserverEffect> effect = JudgeObserver(trace->blocks, kLimitPct);
  if (!effect.ok()) return Fail(effect.status());
  std::vector<double> unsampled;
  for (const ObserverBlock& block : trace->blocks) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      if (!IsSampled(i)) unsampled.push_back(block[i]);
    }
  }
  const nlohmann::ordered_json detail = {
      {"verdict", ToString(effect->verdict)},
      {"reason", effect->reason},
      {"limit_pct", kLimitPct},
      {"ci95_pct", {effect->loss.low_pct, effect->loss.high_pct}},
      {"control_aa", ToJson(effect->control)},
      {"blocks", trace->blocks.size()},
      {"order", "A A B B B B A A; inner six: the comparison; outer A against inner A: the control"},
      {"interval", effect->method == kBootstrap
                       ? "block bootstrap of log-ratios, whole blocks drawn again, seeded"
                       : effect->method},
      {"unsampled_otps_median", *Median(unsampled)},
      {"tokens_per_segment", trace->tokens},
      {"sampled_s", trace->sampled_s},
      {"agent_cpu_pct_while_sampled", 100 * trace->agent_cpu_s / trace->sampled_s},
      {"what", what}};
  PrintFigure("observer.otps_loss_pct", effect->loss.mean_pct, "%", detail);
  return 0;
}

}  // namespace joulefarm::bench
