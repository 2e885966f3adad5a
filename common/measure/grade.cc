#include "common/measure/grade.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace joulefarm {
namespace {

constexpr CodeDomain kSpeed = CodeDomain::kSpeed;
constexpr CodeDomain kEnergy = CodeDomain::kEnergy;
constexpr CodeDomain kBoth = CodeDomain::kBoth;

constexpr std::array kCodes = {
    CodeInfo{Code::kCacheHit, "cache_hit", kSpeed, v1::QUALITY_INVALID,
             "prompt tokens taken from a cache", "> 0"},
    CodeInfo{Code::kPromptShort, "prompt_short", kSpeed, v1::QUALITY_INVALID,
             "prompt tokens evaluated", "< tokens of the prompt"},
    CodeInfo{Code::kPromptUnverified, "prompt_unverified", kSpeed, v1::QUALITY_SUSPECT,
             "requests whose engine did not say how many prompt tokens it evaluated or took from a "
             "cache",
             "> 0"},
    CodeInfo{Code::kNoTokens, "no_tokens", kSpeed, v1::QUALITY_INVALID, "tokens of a request",
             "< 1"},
    CodeInfo{Code::kTokensShort, "tokens_short", kSpeed, v1::QUALITY_SUSPECT,
             "tokens of a request that neither an end of text nor a stop word ended",
             "< tokens asked for"},
    CodeInfo{Code::kTokenIndexMissing, "token_index_missing", kSpeed, v1::QUALITY_SUSPECT,
             "requests without the engine's own token index", "> 0"},
    CodeInfo{Code::kTimedCoverage, "timed_coverage", kSpeed, v1::QUALITY_VALID,
             "share of inter-token intervals that were seen one by one", "< 95 %"},
    CodeInfo{Code::kRequestsMissing, "requests_missing", kSpeed, v1::QUALITY_INVALID,
             "requests of the run", "< prompts"},
    CodeInfo{Code::kImpossibleStamps, "impossible_stamps", kSpeed, v1::QUALITY_INVALID,
             "requests whose stamps or indices run backward or lie outside the run", "> 0"},
    CodeInfo{Code::kOutputDiffers, "output_differs", kSpeed, v1::QUALITY_SUSPECT,
             "different outputs of greedy runs: of the attempt's own, or of the newest earlier "
             "accepted attempt with the same model, engine build, prompts and options "
             "(`output_differs:attempt 12`)",
             "> 1"},
    CodeInfo{Code::kBackgroundCpu, "background_cpu", kSpeed, v1::QUALITY_SUSPECT,
             "mean share of all cores that others than the engine used during the run, over at "
             "least its last second",
             "> 10 %"},
    CodeInfo{Code::kSuspended, "suspended", kBoth, v1::QUALITY_INVALID,
             "time the host slept between two clock snapshots around or inside the run",
             "> 100 ms"},
    CodeInfo{Code::kPhaseNotEnded, "phase_not_ended", kBoth, v1::QUALITY_SUSPECT,
             "a phase that a command began and did not end; it is taken to end with the run", ""},
    CodeInfo{Code::kThrottled, "throttled", kBoth, v1::QUALITY_SUSPECT,
             "rises of the processors' throttle counters during the run, or else the highest state "
             "of what slows processors down to cool them",
             "> 0"},
    CodeInfo{Code::kPowerRequired, "power_required", kEnergy, v1::QUALITY_INVALID,
             "provenance of the primary energy channel where the experiment requires power",
             "< measured"},
    CodeInfo{Code::kModelled, "modelled", kEnergy, v1::QUALITY_SUSPECT, "provenance of the channel",
             "< measured"},
    CodeInfo{Code::kEstimated, "estimated", kEnergy, v1::QUALITY_SUSPECT,
             "provenance of the channel", "< measured"},
    CodeInfo{Code::kSimulated, "simulated", kEnergy, v1::QUALITY_SUSPECT,
             "provenance of the channel", "< measured"},
    CodeInfo{Code::kReplayed, "replayed", kEnergy, v1::QUALITY_SUSPECT, "provenance of the channel",
             "< measured"},
    CodeInfo{Code::kPlanShortened, "plan_shortened", kEnergy, v1::QUALITY_SUSPECT,
             "a duration of the run plan", "< its default"},
    CodeInfo{Code::kPhaseOverlap, "phase_overlap", kEnergy, v1::QUALITY_SUSPECT,
             "time that two phases both claim, given to the earlier one", "> 0"},
    CodeInfo{Code::kSettleNotJudged, "settle_not_judged", kEnergy, v1::QUALITY_VALID,
             "what of the settling could not be judged: power that is not measured, a temperature "
             "that cannot be read",
             ""},
    CodeInfo{Code::kPortNotCut, "port_not_cut", kEnergy, v1::QUALITY_SUSPECT,
             "a USB port that its switch says is cut, and whose cut the power does not show, or "
             "nothing measures and the other half of the USB 3 port was not cut",
             ""},
    CodeInfo{Code::kBatteryInPath, "battery_in_path", kEnergy, v1::QUALITY_INVALID,
             "a channel of the whole device while its battery lies between it and the meter "
             "(power_path inline_battery_present), and what its battery gave could not be measured",
             ""},
    CodeInfo{Code::kBatteryCorrected, "battery_corrected", kEnergy, v1::QUALITY_SUSPECT,
             "energy of the battery's own gauge that was added to that of a meter before the "
             "battery",
             ""},
    CodeInfo{Code::kEngineElsewhere, "engine_elsewhere", kEnergy, v1::QUALITY_INVALID,
             "where the engine is: on another host than the one whose energy this is", ""},
    CodeInfo{Code::kTraceDamaged, "trace_damaged", kEnergy, v1::QUALITY_SUSPECT,
             "chunks of the channel that cannot be decoded and count as lost", "> 0"},
    CodeInfo{Code::kStreamBroken, "stream_broken", kEnergy, v1::QUALITY_INVALID,
             "a stream of samples was broken off by a bad frame", ""},
    CodeInfo{Code::kMeterLost, "meter_lost", kEnergy, v1::QUALITY_SUSPECT,
             "the meter on another agent that did not measure to the end, and why", ""},
    CodeInfo{Code::kMeterLeftOut, "meter_left_out", kEnergy, v1::QUALITY_SUSPECT,
             "the device's meter that the job, which did not require it, ran without, and why", ""},
    CodeInfo{Code::kNoSamples, "no_samples", kEnergy, v1::QUALITY_INVALID, "samples of the channel",
             "< 2"},
    CodeInfo{Code::kEdgeUncovered, "edge_uncovered", kEnergy, v1::QUALITY_INVALID,
             "time of the phase before the channel's first or after its last sample", "> 0"},
    CodeInfo{
        Code::kClipped, "clipped", kEnergy, v1::QUALITY_VALID,
        "time at the ends of the attempt that the channel does not cover and the row leaves out",
        "> 0"},
    CodeInfo{Code::kBaselineShort, "baseline_short", kEnergy, v1::QUALITY_VALID,
             "blocks of one second in a baseline that has one side, so that the net energy has no "
             "uncertainty",
             "< 2"},
    CodeInfo{Code::kGapAtEdge, "gap_at_edge", kEnergy, v1::QUALITY_INVALID,
             "sample periods of a gap that touches an edge of the phase", "> 5"},
    CodeInfo{Code::kGapCoverage, "gap_coverage", kEnergy, v1::QUALITY_INVALID,
             "share of the phase outside gaps of more than 5 sample periods", "< 99 %"},
    CodeInfo{Code::kGapFilled, "gap_filled", kEnergy, v1::QUALITY_VALID,
             "share of the phase inside gaps of more than 5 sample periods, filled and in the "
             "uncertainty",
             "> 0"},
    CodeInfo{Code::kLoss, "loss", kEnergy, v1::QUALITY_SUSPECT,
             "share of the expected samples that is missing", "> 1 %"},
    CodeInfo{Code::kDuplicateStamps, "duplicate_stamps", kEnergy, v1::QUALITY_SUSPECT,
             "share of the trace's samples left out because their stamp was not later than the one "
             "before",
             "> 1 %"},
    CodeInfo{Code::kFewSamples, "few_samples", kEnergy, v1::QUALITY_SUSPECT,
             "samples inside the phase", "< 10"},
    CodeInfo{
        Code::kSmoothing, "smoothing", kEnergy, v1::QUALITY_INVALID,
        "the time a gauge takes to refresh, or a meter averages over, times the steps of power at "
        "the phase's edges, of the energy",
        "> 5 %"},
    CodeInfo{Code::kNotDischarging, "not_discharging", kEnergy, v1::QUALITY_INVALID,
             "lowest power of a battery's channel in the phase: something else feeds the device",
             "<= 0"},
    CodeInfo{
        Code::kClock, "clock", kEnergy, v1::QUALITY_SUSPECT,
        "what the energy may be off by because the stamps of the phase's edges have a bound, of "
        "the energy",
        "> 1 %"},
    CodeInfo{Code::kClockUnknown, "clock_unknown", kEnergy, v1::QUALITY_INVALID,
             "what is missing to bring the channel's stamps to the clock of the device's host", ""},
    CodeInfo{Code::kClockViolated, "clock_violated", kEnergy, v1::QUALITY_INVALID,
             "how far apart what a host's clock exchanges say is, of a host between the meter and "
             "the device: some clock did not run as it should",
             "> 0"},
    CodeInfo{Code::kClockBreak, "clock_break", kEnergy, v1::QUALITY_VALID,
             "time of the trace that is left out because a clock was set, slewed or asleep, or a "
             "meter began to count anew",
             "> 0"},
    CodeInfo{Code::kGainUnknown, "gain_unknown", kEnergy, v1::QUALITY_SUSPECT,
             "the source does not state the uncertainty of its gain, so the energy has none", ""},
    CodeInfo{Code::kOffsetUnknown, "offset_unknown", kEnergy, v1::QUALITY_SUSPECT,
             "nobody states how far the source's zero is off, so the energy has no uncertainty",
             ""},
    CodeInfo{Code::kCable, "cable", kEnergy, v1::QUALITY_SUSPECT,
             "what the cable between meter and device takes (its stated resistance times the "
             "squared current), of the energy",
             "> 1 %"},
    CodeInfo{Code::kCounterCoarse, "counter_coarse", kEnergy, v1::QUALITY_SUSPECT,
             "half the width of the hard bounds, of the energy", "> 5 %"},
    CodeInfo{Code::kCounterPoll, "counter_poll", kEnergy, v1::QUALITY_INVALID,
             "share of the counter's range that the highest rate seen passes between two readings",
             "> 50 %"},
    CodeInfo{Code::kCounterReset, "counter_reset", kEnergy, v1::QUALITY_INVALID,
             "times the counter ran backward without being one that wraps", "> 0"},
};

constexpr bool InOrder() {
  for (std::size_t i = 0; i < kCodes.size(); ++i) {
    if (static_cast<std::size_t>(kCodes[i].code) != i) return false;
  }
  return kCodes.size() == static_cast<std::size_t>(Code::kCounterReset) + 1;
}
static_assert(InOrder(), "the table has one line per code, in the order of the enum");

}  // namespace

absl::Span<const CodeInfo> Codes() { return kCodes; }

const CodeInfo& Info(Code code) { return kCodes[static_cast<std::size_t>(code)]; }

Finding MakeFinding(Code code, std::string detail, v1::Domain domain) {
  const CodeInfo& info = Info(code);
  if (info.domain == CodeDomain::kSpeed) domain = v1::DOMAIN_SPEED;
  if (info.domain == CodeDomain::kEnergy) domain = v1::DOMAIN_ENERGY;
  return {domain, info.quality, std::string(info.name), std::move(detail)};
}

void AddFinding(std::vector<Finding>& findings, Finding finding) {
  const bool known = std::any_of(findings.begin(), findings.end(), [&](const Finding& other) {
    return other.domain == finding.domain && other.code == finding.code;
  });
  if (!known) findings.push_back(std::move(finding));
}

void AddFindings(std::vector<Finding>& findings, absl::Span<const Finding> more) {
  for (const Finding& finding : more) AddFinding(findings, finding);
}

v1::Quality Worst(absl::Span<const Finding> findings) {
  v1::Quality worst = v1::QUALITY_VALID;
  for (const Finding& finding : findings) worst = std::max(worst, finding.quality);
  return worst;
}

std::string Text(const Finding& finding) {
  return finding.detail.empty() ? finding.code : absl::StrCat(finding.code, ":", finding.detail);
}

std::string Percent(double share) { return absl::StrFormat("%.3g%%", share * 100); }

}  // namespace joulefarm
