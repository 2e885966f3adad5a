#include "cli/trace/picture.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/output/text.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {
namespace {

constexpr PhaseStyle kStyles[] = {{"idle_unloaded", "idle, nothing loaded", 'u', 250, "#BBBBBB"},
                                  {"load", "load", 'L', 166, "#D55E00"},
                                  {"idle_loaded", "idle, model loaded", 'i', 115, "#009E73"},
                                  {"prefill", "prefill", 'P', 214, "#E69F00"},
                                  {"decode", "decode", 'D', 74, "#56B4E9"},
                                  {"pause", "pause", 'p', 228, "#F0E442"},
                                  {"tail", "tail", 't', 175, "#CC79A7"},
                                  {"other", "other", '.', 255, "#EEEEEE"}};

// "~ " and "sim ": as tables mark what is not measured.
std::string Mark(absl::string_view provenance) {
  if (provenance == "estimated" || provenance == "modelled") return "~ ";
  if (provenance == "simulated" || provenance == "replayed") return "sim ";
  return "";
}

std::string Period(double ns) {
  if (ns >= 1e9) return absl::StrCat(SignificantReal(ns / 1e9, 2), " s");
  if (ns >= 1e6) return absl::StrCat(SignificantReal(ns / 1e6, 2), " ms");
  return absl::StrCat(SignificantReal(ns / 1e3, 2), " µs");
}

}  // namespace

const PhaseStyle& StyleOfPhase(absl::string_view phase) {
  for (const PhaseStyle& style : kStyles) {
    if (style.phase == phase) return style;
  }
  return kStyles[std::size(kStyles) - 1];
}

std::vector<const PhaseStyle*> PhasesWithin(const TraceInfo& info, std::int64_t from_ns,
                                            std::int64_t to_ns) {
  std::vector<const PhaseStyle*> found;
  for (const PhaseStyle& style : kStyles) {
    const bool occurs =
        std::any_of(info.phases.begin(), info.phases.end(), [&](const TracePhase& phase) {
          return &StyleOfPhase(phase.name) == &style && phase.start_ns < to_ns &&
                 phase.end_ns > from_ns;
        });
    if (occurs) found.push_back(&style);
  }
  return found;
}

Axis Picture::TimeAxis(int most) const {
  return MakeAxis(Seconds(curve.from_ns), Seconds(curve.to_ns), most, /*snap=*/false);
}

Axis Picture::ValueAxis(int most) const {
  double low = Shown(curve.Lowest().value_or(0));
  double high = Shown(curve.Highest().value_or(0));
  if (unit.from_zero) {
    low = std::min(0.0, low);
    high = std::max(0.0, high);
  }
  return MakeAxis(low, high, most, /*snap=*/true);
}

std::string Picture::ValueLabel() const {
  const std::string& provenance = info.channel.provenance;
  const std::string mark = Mark(provenance);
  return absl::StrCat(mark, unit.name, unit.unit.empty() ? "" : " in ", unit.unit,
                      mark.empty() ? "" : absl::StrCat(" (", provenance, ")"));
}

std::string Picture::TimeLabel() const {
  return run ? absl::StrCat("s since run ", run->run, " began") : "s since the attempt began";
}

std::string Picture::Title() const {
  std::vector<std::string> parts{info.device};
  if (!info.cell.empty()) parts.push_back(CellWords(info.cell));
  return OneLine(absl::StrJoin(parts, " · "));
}

std::string Picture::Subtitle() const {
  const TraceChannel& channel = info.channel;
  std::vector<std::string> parts{absl::StrCat("channel ", channel.name)};
  if (!channel.scope.empty()) parts.push_back(absl::StrCat("scope ", channel.scope));
  if (!channel.provenance.empty()) {
    const bool measured = channel.provenance == "measured";
    parts.push_back(absl::StrCat(channel.provenance, measured ? "" : ", not measured"));
  }
  parts.push_back(absl::StrCat(info.experiment, ", ", info.job, ", attempt ", info.attempt));
  if (run) parts.push_back(absl::StrCat(run->warmup ? "warm-up run " : "run ", run->run));
  return OneLine(absl::StrJoin(parts, " · "));
}

std::vector<std::string> Picture::Notes() const {
  std::vector<std::string> notes;
  const std::int64_t period_ns = info.PeriodNs();
  std::string count = absl::StrCat(curve.samples, curve.samples == 1 ? " sample" : " samples");
  if (period_ns > 0)
    absl::StrAppend(&count, ", one every ", Period(static_cast<double>(period_ns)));
  notes.push_back(count);
  if (info.channel.IsCounter()) {
    notes.push_back(absl::StrCat("a counter: drawn is its difference over ", Period(curve.BinNs()),
                                 ", the mean over that time"));
  } else if (curve.IsEnvelope()) {
    notes.push_back(absl::StrCat("each point stands for ", Period(curve.BinNs()),
                                 ": lowest to highest sample, and their mean"));
  }
  if (info.lost > 0) {
    notes.push_back(absl::StrCat(info.lost, info.lost == 1 ? " sample" : " samples",
                                 run ? " of the whole attempt" : "",
                                 info.lost == 1 ? " was lost" : " were lost"));
  }
  return notes;
}

}  // namespace joulefarm::cli
