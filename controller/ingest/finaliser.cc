#include "controller/ingest/finaliser.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "controller/ingest/attempt_view.h"
#include "controller/ingest/channel_trace.h"
#include "controller/ingest/energy_rows.h"
#include "controller/ingest/host_values.h"
#include "controller/ingest/reported_speed.h"

namespace joulefarm::controller {
namespace {

// "PHASE_IDLE_LOADED" as "idle_loaded"; the same for provenances.
std::string EnumWord(const std::string& name, absl::string_view prefix) {
  return absl::AsciiStrToLower(absl::string_view(name).substr(prefix.size()));
}

// Every run must give the same where nothing is drawn by chance: those of this attempt, and those
// of an earlier one that did the same work on the same engine build.
void AddOutputs(const AttemptData& data, const AttemptView& view, std::vector<Finding>& findings) {
  const v1::GenerateSpec& spec = data.spec.generate();
  const bool greedy = (spec.has_temperature() && spec.temperature() <= 0) ||
                      (spec.has_top_k() && spec.top_k() == 1);
  if (!greedy) return;
  std::set<std::string> outputs;
  for (const auto& [number, run] : view.runs) {
    if (run.done.has_output_sha256()) outputs.insert(run.done.output_sha256());
  }
  if (outputs.size() > 1) {
    AddFinding(findings, MakeFinding(Code::kOutputDiffers, absl::StrCat(outputs.size(), ">1")));
  } else if (outputs.size() == 1 && data.earlier_output &&
             data.earlier_output->sha256 != *outputs.begin()) {
    AddFinding(findings, MakeFinding(Code::kOutputDiffers,
                                     absl::StrCat("attempt ", data.earlier_output->fence)));
  }
}

void Report(absl::string_view about, const std::vector<Finding>& findings, RunResult& result) {
  for (const Finding& finding : findings)
    result.quality_reasons.push_back(absl::StrCat(about, " ", Text(finding)));
}

SpeedExpectation Expected(const v1::JobSpec& spec) {
  if (!spec.has_generate()) return {};
  const v1::GenerateSpec& generate = spec.generate();
  return {generate.prompts_size(), generate.max_tokens(),
          generate.ignore_eos() ? SpeedExpectation::EndOfText::kIgnored
                                : SpeedExpectation::EndOfText::kEnds};
}

void FillSpeed(const AttemptData& data, const AttemptView& view, const RunView& run,
               RunResult& result) {
  std::vector<Finding> findings;
  if (run.done.has_bench()) {
    const Speed speed = MeasureBench(run.done.bench());
    AddBackground(data.spec, view, run.span(), findings);
    result.speed_method = "bench";
    result.n_prompt = speed.n_prompt;
    result.n_gen = speed.n_gen;
    result.itps = speed.itps;
    result.otps = speed.otps;
  } else if (data.spec.has_generate() || !run.requests.empty()) {
    // A command has a speed of this kind only where it reported tokens.
    const Speed speed = MeasureSpeed(Expected(data.spec), run.done, run.requests);
    findings = speed.findings;
    AddOutputs(data, view, findings);
    AddBackground(data.spec, view, run.span(), findings);
    result.speed_method = "stream";
    result.n_prompt = speed.n_prompt;
    result.n_gen = speed.n_gen;
    result.ttft_ms = speed.ttft_ms;
    result.itps = speed.itps;
    result.otps = speed.otps;
    result.itl_p50_ms = speed.itl_p50_ms;
    result.itl_p99_ms = speed.itl_p99_ms;
    result.n_timed = speed.n_timed;
  }
  if (!result.speed_method && data.spec.has_command()) {
    FillReportedSpeed(data.metrics, result);
    if (result.speed_method) AddBackground(data.spec, view, run.span(), findings);
  }
  AddFindings(findings, SharedFindings(view, v1::DOMAIN_SPEED, run.done.run(), run.span()));
  // What a command reports of itself cannot be checked here, so nothing makes it VALID; reasons may
  // concern it all the same.
  if ((!result.speed_method || result.speed_method == "reported") && findings.empty()) return;
  result.speed_quality = Worst(findings);
  Report("speed", findings, result);
}

// Grades the run by its own row; what only a phase's row says is reported beside it.
void GradeEnergy(const AttemptData& data, const AttemptView& view,
                 const std::vector<EnergyRow>& rows, const RunView& run, RunResult& result) {
  std::vector<Finding> findings;
  bool energy = false;
  for (const EnergyRow& row : rows) {
    const EnergyResult& of = row.result;
    if (!row.primary || of.run != run.done.run() || of.request || of.phase) continue;
    energy = true;
    findings = row.findings;
  }
  if (!energy) {
    for (Finding& finding : SharedFindings(view, v1::DOMAIN_ENERGY, run.done.run(), run.span())) {
      // How the plan went says nothing about an energy nobody asked for.
      if (finding.code != Info(Code::kPlanShortened).name &&
          finding.code != Info(Code::kPhaseOverlap).name) {
        findings.push_back(std::move(finding));
      }
    }
  }
  const ChannelView* primary = PrimaryChannel(view);
  const bool measured = primary != nullptr && primary->info.provenance() == v1::PROVENANCE_MEASURED;
  if (data.spec.power() == v1::POWER_REQUIRE_REQUIRED && !measured) {
    const std::string have =
        primary == nullptr
            ? "none"
            : EnumWord(v1::Provenance_Name(primary->info.provenance()), "PROVENANCE_");
    AddFinding(findings, MakeFinding(Code::kPowerRequired, absl::StrCat(have, "<measured")));
  }
  if (!energy && findings.empty()) return;
  result.energy_quality = Worst(findings);
  Report("energy", findings, result);
  for (const EnergyRow& row : rows) {
    const EnergyResult& of = row.result;
    if (!row.primary || of.run != run.done.run() || of.request || !of.phase) continue;
    std::vector<Finding> own;
    for (const Finding& finding : row.findings) {
      const bool known = std::any_of(findings.begin(), findings.end(), [&](const Finding& other) {
        return other.code == finding.code;
      });
      if (!known) own.push_back(finding);
    }
    Report(absl::StrCat("energy.", EnumWord(v1::Phase_Name(*of.phase), "PHASE_")), own, result);
  }
}

ClockBound BoundOf(const AttemptView& view, const ChannelView& channel) {
  ClockBound bound{channel.source, channel.info.name(), channel.clock, !channel.clock_unknown};
  for (const PhaseSpan& phase : view.partition.spans) {
    if (phase.bound_ns > bound.parts.phase_ns.value_or(0)) bound.parts.phase_ns = phase.bound_ns;
  }
  return bound;
}

}  // namespace

AttemptResults Finalise(const AttemptData& data, Summaries summaries) {
  const AttemptView view = ViewAttempt(data);
  AttemptResults results;
  if (data.final.last_size() > 0) results.fence = data.final.last(0).fence();
  std::vector<EnergyRow> rows;
  const bool with_energy = data.spec.power() != v1::POWER_REQUIRE_NONE;
  for (const ChannelView& channel : view.channels) {
    if (!with_energy || !IsEnergy(channel.info)) continue;
    for (EnergyRow& row : EnergyRows(view, channel, summaries)) rows.push_back(std::move(row));
    results.clock_bounds.push_back(BoundOf(view, channel));
  }
  for (const ChannelView& channel : view.channels) {
    if (!channel.on_other_clock()) continue;
    for (std::size_t i = 0; i < channel.chunks.size(); ++i) {
      const AttemptData::Chunk& item = *channel.chunks[i];
      results.chunk_times.push_back({item.id, channel.ToPhases(i, item.chunk.t0_ns()),
                                     channel.ToPhases(i, item.chunk.t1_ns())});
    }
  }
  for (const auto& [number, run] : view.runs) {
    RunResult& result = results.runs.emplace_back();
    result.run = number;
    if (run.done.has_peak_rss_bytes())
      result.peak_rss_mib = static_cast<double>(run.done.peak_rss_bytes()) / kBytesPerMiB;
    FillSpeed(data, view, run, result);
    if (with_energy) GradeEnergy(data, view, rows, run, result);
  }
  FillHost(view, results.runs);
  for (EnergyRow& row : rows) results.energies.push_back(std::move(row.result));
  return results;
}

}  // namespace joulefarm::controller
