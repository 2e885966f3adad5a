#include "controller/ingest/baselines.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace joulefarm::controller {
namespace {

constexpr char kLoaded[] = "idle_loaded";
constexpr char kUnloaded[] = "idle_unloaded";

struct Around {
  std::optional<Interval> before;
  std::optional<Interval> after;
};

// Between the run and its neighbours; what lies beyond another run is that one's.
Around LoadedAround(const AttemptView& view, const Interval& run) {
  std::int64_t earliest_ns = view.span.start_ns;
  std::int64_t latest_ns = view.span.end_ns;
  for (const auto& [number, other] : view.runs) {
    const Interval span = other.span();
    if (span == run) continue;
    if (span.end_ns <= run.start_ns) earliest_ns = std::max(earliest_ns, span.end_ns);
    if (span.start_ns >= run.end_ns) latest_ns = std::min(latest_ns, span.start_ns);
  }
  Around around;
  for (const PhaseSpan& phase : view.partition.spans) {
    if (phase.phase != v1::PHASE_IDLE_LOADED || phase.run) continue;
    const Interval& span = phase.span;
    if (span.start_ns >= earliest_ns && span.end_ns <= run.start_ns) around.before = span;
    if (!around.after && span.start_ns >= run.end_ns && span.end_ns <= latest_ns)
      around.after = span;
  }
  return around;
}

std::optional<Interval> Unloaded(const AttemptView& view) {
  for (const PhaseSpan& phase : view.partition.spans) {
    if (phase.phase == v1::PHASE_IDLE_UNLOADED && !phase.run) return phase.span;
  }
  return std::nullopt;
}

}  // namespace

Baselines::Baselines(const AttemptView& view, IntegrateInterval integrate) {
  const std::optional<Baseline> unloaded = MeasureBaseline(Unloaded(view), std::nullopt, integrate);
  for (const auto& [number, run] : view.runs) {
    const Around around = LoadedAround(view, run.span());
    if (auto loaded = MeasureBaseline(around.before, around.after, integrate)) {
      by_run_.emplace(number, Named{kLoaded, *loaded});
    } else if (unloaded) {
      by_run_.emplace(number, Named{kUnloaded, *unloaded});
    }
  }
}

void Baselines::Apply(const Energy& energy, EnergyResult& row,
                      std::vector<Finding>& findings) const {
  if (!row.run) return;
  const auto found = by_run_.find(*row.run);
  if (found == by_run_.end()) return;
  const auto& [name, baseline] = found->second;
  const std::optional<NetEnergy> net = Net(energy, baseline);
  if (!net) return;
  row.baseline = name;
  row.energy_net_j = net->net_j;
  row.energy_net_u_j = net->net_u_j;
  row.parts.baseline_j = net->baseline_u_j;
  if (!baseline.u_w) {
    AddFinding(findings, MakeFinding(Code::kBaselineShort, absl::StrCat(baseline.blocks, "<2")));
  }
}

}  // namespace joulefarm::controller
