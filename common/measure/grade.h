// Grades: why a number may not be trusted as it stands. Every reason is a code with its value and
// its limit; all codes this program gives are in one table, which docs/quality.md repeats for
// people.
//
// Threads: pure functions over plain values. Ownership: values; the table is constant.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm {

enum class Code {
  kCacheHit,
  kPromptShort,
  kPromptUnverified,
  kNoTokens,
  kTokensShort,
  kTokenIndexMissing,
  kTimedCoverage,
  kRequestsMissing,
  kImpossibleStamps,
  kOutputDiffers,
  kBackgroundCpu,
  kSuspended,
  kPhaseNotEnded,
  kThrottled,
  kPowerRequired,
  kModelled,
  kEstimated,
  kSimulated,
  kReplayed,
  kPlanShortened,
  kPhaseOverlap,
  kSettleNotJudged,
  kPortNotCut,
  kBatteryInPath,
  kBatteryCorrected,
  kEngineElsewhere,
  kTraceDamaged,
  kStreamBroken,
  kMeterLost,
  kMeterLeftOut,
  kNoSamples,
  kEdgeUncovered,
  kClipped,
  kBaselineShort,
  kGapAtEdge,
  kGapCoverage,
  kGapFilled,
  kLoss,
  kDuplicateStamps,
  kFewSamples,
  kSmoothing,
  kNotDischarging,
  kClock,
  kClockUnknown,
  kClockViolated,
  kClockBreak,
  kGainUnknown,
  kOffsetUnknown,
  kCable,
  kCounterCoarse,
  kCounterPoll,
  kCounterReset,
};

// What a code may be about.
enum class CodeDomain { kSpeed, kEnergy, kBoth };

struct CodeInfo {
  Code code;
  absl::string_view name;  // as stored
  CodeDomain domain;
  v1::Quality quality;  // what it lowers a grade to; VALID: a note that explains an absent value
  absl::string_view statistic;  // what is looked at
  absl::string_view limit;      // empty: none
};

// Every code, in the order of the enum.
absl::Span<const CodeInfo> Codes();
const CodeInfo& Info(Code code);

// One reason.
struct Finding {
  v1::Domain domain = v1::DOMAIN_UNSPECIFIED;
  v1::Quality quality = v1::QUALITY_UNSPECIFIED;
  std::string code;
  std::string detail;  // "4.1%>1%"; empty where there is no limit

  bool operator==(const Finding&) const = default;
};

// `domain` is needed for codes that may be about both; for the others it is the code's own.
Finding MakeFinding(Code code, std::string detail, v1::Domain domain = v1::DOMAIN_UNSPECIFIED);

// Adds it unless the same code of the same domain is there already: the first of its kind stands
// for all.
void AddFinding(std::vector<Finding>& findings, Finding finding);
void AddFindings(std::vector<Finding>& findings, absl::Span<const Finding> more);

// The worst of them; VALID for none. Findings without a grade are notes.
v1::Quality Worst(absl::Span<const Finding> findings);

// "estimated", "loss:2.3%>1%".
std::string Text(const Finding& finding);

// A share as per cent with three digits: "0.5%".
std::string Percent(double share);

}  // namespace joulefarm
