#include "cli/compare/verdict.h"

#include <cmath>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

// Smaller changes are not told from none.
constexpr double kLeastChange = 0.001;

// 1: more is better, -1: less is better, 0: neither.
int WantedOf(const std::string& family) {
  if (family == "otps" || family == "itps") return 1;
  static const std::set<std::string> kLess{"ttft_ms",
                                           "itl_p50_ms",
                                           "load_ms",
                                           "peak_rss_mib",
                                           "energy_j",
                                           "j_per_prompt_token",
                                           "j_per_decode_token",
                                           "j_per_output_token_e2e"};
  return kLess.count(family) > 0 ? -1 : 0;
}

// "is 12 % faster", "takes 8 % less energy". A time that is halved is a speed that doubled, so
// times are said to be less, not faster.
std::string Words(const std::string& family, double change) {
  const bool more = change > 0;
  const std::string size = absl::StrCat(SignificantReal(std::abs(change) * 100, 2), " %");
  if (family == "otps" || family == "itps")
    return absl::StrCat("is ", size, more ? " faster" : " slower");
  const char* what = absl::EndsWith(family, "_ms")                                ? " time"
                     : family == "peak_rss_mib"                                   ? " memory"
                     : family == "energy_j" || absl::StartsWith(family, "j_per_") ? " energy"
                                                                                  : "";
  return absl::StrCat(*what == 0 ? "is " : "takes ", size, more ? " more" : " less", what);
}

std::string Signed(double change) {
  return absl::StrCat(change < 0 ? "-" : "+", SignificantReal(std::abs(change) * 100, 2), " %");
}

}  // namespace

std::string FamilyOf(std::string metric) {
  for (const char* label : {"_est", "_sim"}) {
    const std::size_t at = metric.find(label);
    if (at == std::string::npos) continue;
    const std::size_t end = at + 4;
    if (end == metric.size() || metric[end] == '_') metric.erase(at, 4);
  }
  return metric;
}

Finding FindingOf(const Comparison& row) {
  if (!row.difference) return Finding::kTooFew;
  const Difference& difference = *row.difference;
  if (difference.low == 0 && difference.high == 0) return Finding::kSame;
  if (difference.low <= 0 && difference.high >= 0) return Finding::kNotShown;
  const bool small = row.a.mean != 0 && std::abs(difference.value / row.a.mean) < kLeastChange;
  return small ? Finding::kNegligible : Finding::kDiffers;
}

Better BetterOf(const Comparison& row) {
  const int wanted = WantedOf(FamilyOf(row.metric));
  if (wanted == 0 || FindingOf(row) != Finding::kDiffers) return Better::kNeither;
  return (row.difference->value > 0) == (wanted > 0) ? Better::kB : Better::kA;
}

std::string Verdict(const Comparison& row) {
  const double scale = std::abs(row.a.mean);
  switch (FindingOf(row)) {
    case Finding::kTooFew:
      return absl::StrCat("too few ",
                          row.stat_unit_a == row.stat_unit_b ? row.stat_unit_a + "s" : "values",
                          " to tell (", row.a.n, " and ", row.b.n, ", 3 needed)");
    case Finding::kSame:
      return "the same";
    case Finding::kNotShown:
      if (scale == 0) return "no difference shown";
      return absl::StrCat("no difference shown (", Signed(row.difference->low / scale), " … ",
                          Signed(row.difference->high / scale), ")");
    case Finding::kNegligible:
      return "no difference worth the name (below 0.1 %)";
    case Finding::kDiffers:
      break;
  }
  if (scale == 0) return "B differs from A";
  return absl::StrCat("B ", Words(FamilyOf(row.metric), row.difference->value / scale));
}

}  // namespace joulefarm::cli
