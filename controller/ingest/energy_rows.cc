#include "controller/ingest/energy_rows.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/text/number.h"
#include "common/units/units.h"
#include "controller/ingest/baselines.h"
#include "controller/ingest/channel_energy.h"
#include "controller/ingest/host_values.h"

namespace joulefarm::controller {
namespace {

// What a row is about; absent sorts before present, so that sums come before their parts.
using RowKey = std::tuple<std::optional<int>, std::optional<int>, std::optional<v1::Phase>>;
struct Parts {
  std::vector<Interval> spans;
  std::int64_t bound_ns = 0;  // the widest of theirs

  void Add(const Interval& span, std::int64_t bound) {
    spans.push_back(span);
    bound_ns = std::max(bound_ns, bound);
  }
};
using RowParts = std::map<RowKey, Parts>;

constexpr std::nullopt_t kNone = std::nullopt;

RowParts PartsOf(const AttemptView& view) {
  RowParts rows;
  for (const PhaseSpan& phase : view.partition.spans) {
    rows[{phase.run, kNone, phase.phase}].Add(phase.span, phase.bound_ns);
    if (!phase.run) continue;
    if (phase.request)
      rows[{phase.run, phase.request, phase.phase}].Add(phase.span, phase.bound_ns);
    if (phase.phase == v1::PHASE_PREFILL || phase.phase == v1::PHASE_DECODE) {
      rows[{phase.run, kNone, kNone}].Add(phase.span, phase.bound_ns);
    }
  }
  // A program that reports no phases is measured from its run's start to its end.
  for (const auto& [number, run] : view.runs) {
    Parts& parts = rows[{number, kNone, kNone}];
    if (parts.spans.empty()) parts.Add(run.span(), 0);
  }
  rows[{kNone, kNone, kNone}].Add(view.span, 0);
  return rows;
}

// Of parts that several rows have, such as a run of one request, the energy is computed once.
class KnownEnergies {
 public:
  explicit KnownEnergies(ChannelEnergy& channel) : channel_(channel) {}

  const ChannelEnergy::Of& Integrate(const std::vector<Interval>& parts, std::int64_t bound_ns) {
    Key key{bound_ns, {}};
    for (const Interval& part : parts) key.second.emplace_back(part.start_ns, part.end_ns);
    const auto [known, is_new] = known_.try_emplace(std::move(key));
    if (is_new) known->second = channel_.Integrate(parts, bound_ns);
    return known->second;
  }

 private:
  using Key = std::pair<std::int64_t, std::vector<std::pair<std::int64_t, std::int64_t>>>;
  ChannelEnergy& channel_;
  std::map<Key, ChannelEnergy::Of> known_;
};

// The attempt without what the channel does not cover of an OTHER at either end: sampling begins
// after the attempt does and ends before.
Interval Window(const AttemptView& view, const Interval& covered) {
  Interval window = view.span;
  const std::vector<PhaseSpan>& spans = view.partition.spans;
  if (spans.empty() || covered.end_ns <= covered.start_ns) return window;
  const PhaseSpan& first = spans.front();
  const PhaseSpan& last = spans.back();
  if (first.phase == v1::PHASE_OTHER) {
    window.start_ns = std::clamp(covered.start_ns, first.span.start_ns, first.span.end_ns);
  }
  if (last.phase == v1::PHASE_OTHER) {
    window.end_ns =
        std::max(window.start_ns, std::clamp(covered.end_ns, last.span.start_ns, last.span.end_ns));
  }
  return window;
}

// Cuts the parts to the window; returns how much fell away.
std::int64_t Clip(const Interval& window, std::vector<Interval>& parts) {
  std::int64_t clipped = 0;
  for (Interval& part : parts) {
    const Interval whole = part;
    part.start_ns = std::clamp(whole.start_ns, window.start_ns, window.end_ns);
    part.end_ns = std::clamp(whole.end_ns, window.start_ns, window.end_ns);
    clipped += (whole.end_ns - whole.start_ns) - (part.end_ns - part.start_ns);
  }
  return clipped;
}

std::optional<Code> ProvenanceCode(v1::Provenance provenance) {
  switch (provenance) {
    case v1::PROVENANCE_MODELLED:
      return Code::kModelled;
    case v1::PROVENANCE_SIMULATED:
      return Code::kSimulated;
    case v1::PROVENANCE_REPLAYED:
      return Code::kReplayed;
    case v1::PROVENANCE_MEASURED:
      return std::nullopt;
    default:
      // A source that does not say where its numbers come from has not measured them.
      return Code::kEstimated;
  }
}

void Fill(const Energy& energy, EnergyResult& row) {
  row.duration_s = energy.duration_s;
  row.energy_j = energy.energy_j;
  row.energy_u_j = energy.energy_u_j;
  row.parts.gain_j = energy.parts.gain_j;
  row.parts.offset_j = energy.parts.offset_j;
  row.parts.clock_j = energy.parts.clock_j;
  row.parts.counter_j = energy.parts.counter_j;
  row.parts.gap_j = energy.parts.gap_j;
  row.parts.cable_j = energy.parts.cable_j;
  row.energy_lo_j = energy.lo_j;
  row.energy_hi_j = energy.hi_j;
  row.mean_w = energy.mean_w;
  row.peak_w = energy.peak_w;
}

// Something else feeds a device whose battery gives nothing.
void GradeBattery(const v1::ChannelInfo& info, const ChannelTrace& trace,
                  const std::vector<Interval>& parts, EnergyRow& row) {
  std::optional<double> lowest;
  for (const Interval& part : parts) {
    // The highest of a channel upside down.
    if (const auto value = HighestWithin(trace, -info.scale(), part))
      lowest = std::min(lowest.value_or(-*value), -*value);
  }
  if (!lowest || *lowest > 0) return;
  AddFinding(row.findings, MakeFinding(Code::kNotDischarging,
                                       absl::StrCat(absl::StrFormat("%.3g W", *lowest), "<=0")));
}

// Of several batteries one may rest.
bool IsWholeBattery(const v1::ChannelInfo& info) {
  return info.scope() == v1::SCOPE_BATTERY && info.quantity() == v1::QUANTITY_POWER_W &&
         info.parent().empty();
}

Finding FromAgent(const v1::Reason& reason, v1::Domain domain) {
  // A reason without a grade is still a reason to doubt.
  const v1::Quality quality =
      reason.quality() == v1::QUALITY_UNSPECIFIED ? v1::QUALITY_SUSPECT : reason.quality();
  return {domain, quality, reason.code(), reason.detail()};
}

}  // namespace

bool IsEnergy(const v1::ChannelInfo& info) {
  return info.quantity() == v1::QUANTITY_POWER_W ||
         info.quantity() == v1::QUANTITY_ENERGY_COUNTER_J;
}

const ChannelView* PrimaryChannel(const AttemptView& view) {
  const auto primary = std::find_if(
      view.channels.begin(), view.channels.end(),
      [](const ChannelView& channel) { return channel.info.primary() && IsEnergy(channel.info); });
  return primary == view.channels.end() ? nullptr : &*primary;
}

std::vector<Finding> SharedFindings(const AttemptView& view, v1::Domain domain,
                                    std::optional<int> run, const Interval& interval) {
  std::vector<Finding> findings;
  for (const v1::Reason& reason : view.reasons) {
    const bool about = reason.domain() == domain || reason.domain() == v1::DOMAIN_UNSPECIFIED;
    if (about && (!reason.has_run() || (run && reason.run() == *run)))
      AddFinding(findings, FromAgent(reason, domain));
  }
  for (const Suspend& suspend : view.suspends) {
    if (suspend.between.start_ns >= interval.end_ns || suspend.between.end_ns <= interval.start_ns)
      continue;
    AddFinding(
        findings,
        MakeFinding(Code::kSuspended,
                    absl::StrCat(SecondsText(static_cast<double>(suspend.slept_ns) * kSecondsPerNs),
                                 ">0.1 s"),
                    domain));
  }
  if (run) AddThrottles(view.throttles, interval, domain, findings);
  if (domain != v1::DOMAIN_ENERGY) return findings;
  // Every duration counts, not only the first.
  for (const std::string& shortened : view.shortened) {
    findings.push_back(MakeFinding(Code::kPlanShortened, shortened));
  }
  if (view.partition.overlap_ns > 0) {
    AddFinding(findings,
               MakeFinding(Code::kPhaseOverlap,
                           absl::StrCat(SecondsText(static_cast<double>(view.partition.overlap_ns) *
                                                    kSecondsPerNs),
                                        ">0")));
  }
  return findings;
}

std::vector<EnergyRow> EnergyRows(const AttemptView& view, const ChannelView& channel,
                                  Summaries summaries) {
  ChannelEnergy integrator(view, channel, summaries);
  const Interval window = Window(view, integrator.CoveredTime());
  KnownEnergies known(integrator);
  const Baselines baselines(view, [&](const Interval& interval) {
    const ChannelEnergy::Of& of = known.Integrate({interval}, 0);
    return of.uncorrected ? Energy() : of.energy;
  });
  const bool primary = &channel == PrimaryChannel(view);
  ChannelTrace battery;
  if (IsWholeBattery(channel.info)) battery = DecodeChannel(channel);
  std::vector<EnergyRow> rows;
  for (auto& [key, parts] : PartsOf(view)) {
    EnergyRow row;
    row.primary = primary;
    EnergyResult& result = row.result;
    result.source = channel.source;
    result.channel = channel.info.name();
    std::tie(result.run, result.request, result.phase) = key;
    std::vector<Interval> clipped = parts.spans;
    const bool may_clip = !result.run && (!result.phase || *result.phase == v1::PHASE_OTHER);
    const std::int64_t left_out = may_clip ? Clip(window, clipped) : 0;
    result.start_ns = clipped.front().start_ns;
    result.end_ns = clipped.back().end_ns;
    const ChannelEnergy::Of& of = known.Integrate(clipped, parts.bound_ns);
    Fill(of.energy, result);
    result.mean_v = of.mean_v;
    row.findings = channel.findings;
    AddFindings(row.findings, of.energy.findings);
    if (!of.uncorrected) baselines.Apply(of.energy, result, row.findings);
    if (left_out > 0)
      AddFinding(
          row.findings,
          MakeFinding(
              Code::kClipped,
              absl::StrCat(SecondsText(static_cast<double>(left_out) * kSecondsPerNs), ">0")));
    if (integrator.damaged() > 0) {
      AddFinding(row.findings,
                 MakeFinding(Code::kTraceDamaged, absl::StrCat(integrator.damaged(), ">0")));
    }
    if (const std::optional<Code> code = ProvenanceCode(channel.info.provenance())) {
      AddFinding(row.findings, MakeFinding(*code, ""));
    }
    if (IsWholeBattery(channel.info)) GradeBattery(channel.info, battery, clipped, row);
    for (Finding& finding :
         SharedFindings(view, v1::DOMAIN_ENERGY, result.run, {result.start_ns, result.end_ns})) {
      row.findings.push_back(std::move(finding));
    }
    result.quality = Worst(row.findings);
    for (const Finding& finding : row.findings) result.reasons.push_back(Text(finding));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace joulefarm::controller
