#include "common/measure/energy.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/measure/energy_parts.h"

namespace joulefarm {
namespace {

constexpr double kMostDuplicates = 0.01;
constexpr double kMostClock = 0.01;

// Calls `take` for every sample whose stamp is later than all before; returns how many are not.
template <typename Take>
std::int64_t EachRising(absl::Span<const std::int64_t> t_ns, absl::Span<const std::int64_t> raw,
                        Take take) {
  const std::size_t n = std::min(t_ns.size(), raw.size());
  std::int64_t left_out = 0;
  bool first = true;
  std::int64_t last_ns = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (!first && t_ns[i] <= last_ns) {
      ++left_out;
      continue;
    }
    first = false;
    last_ns = t_ns[i];
    take(t_ns[i], raw[i]);
  }
  return left_out;
}

std::int64_t MedianInterval(const std::vector<std::int64_t>& t_ns) {
  if (t_ns.size() < 2) return 0;
  std::vector<std::int64_t> intervals(t_ns.size() - 1);
  for (std::size_t i = 0; i < intervals.size(); ++i) intervals[i] = t_ns[i + 1] - t_ns[i];
  const auto middle = intervals.begin() + static_cast<std::ptrdiff_t>(intervals.size() / 2);
  std::nth_element(intervals.begin(), middle, intervals.end());
  return *middle;
}

// raw - before without overflow, for raw >= before.
double Rise(std::int64_t before, std::int64_t raw) {
  return static_cast<double>(static_cast<std::uint64_t>(raw) - static_cast<std::uint64_t>(before));
}

}  // namespace

PowerTrace MakePowerTrace(absl::Span<const std::int64_t> t_ns, absl::Span<const std::int64_t> raw,
                          double scale, double nominal_hz) {
  PowerTrace trace;
  trace.t_ns.reserve(t_ns.size());
  trace.power_w.reserve(t_ns.size());
  trace.duplicates = EachRising(t_ns, raw, [&](std::int64_t t, std::int64_t value) {
    trace.t_ns.push_back(t);
    trace.power_w.push_back(static_cast<double>(value) * scale);
  });
  trace.period_ns = nominal_hz > 0 ? std::llround(1e9 / nominal_hz) : MedianInterval(trace.t_ns);
  return trace;
}

CounterTrace MakeCounterTrace(absl::Span<const std::int64_t> t_ns,
                              absl::Span<const std::int64_t> raw, double scale,
                              std::optional<std::int64_t> wrap_raw, std::int64_t refresh_ns) {
  CounterTrace trace;
  trace.refresh_ns = std::max<std::int64_t>(0, refresh_ns);
  if (wrap_raw) trace.wrap_j = static_cast<double>(*wrap_raw) * scale;
  std::int64_t before = 0;
  double total = 0;  // raw units since the first reading
  trace.duplicates = EachRising(t_ns, raw, [&](std::int64_t t, std::int64_t value) {
    if (!trace.t_ns.empty()) {
      double rise = 0;
      if (value >= before) {
        rise = Rise(before, value);
      } else if (wrap_raw && before <= *wrap_raw && value >= 0) {
        rise = Rise(before, *wrap_raw) + static_cast<double>(value);
      } else {
        trace.resets.push_back(trace.t_ns.size());
      }
      total += rise;
      // What a reading shows may have come together since one refresh before the last.
      const double seconds =
          static_cast<double>(t - trace.t_ns.back() + trace.refresh_ns) * kSecondsPerNs;
      trace.highest_w = std::max(trace.highest_w, rise * scale / seconds);
    }
    before = value;
    trace.t_ns.push_back(t);
    trace.energy_j.push_back(total * scale);
  });
  return trace;
}

std::int64_t DurationNs(absl::Span<const Interval> parts) {
  std::int64_t ns = 0;
  for (const Interval& part : parts) ns += part.end_ns - part.start_ns;
  return ns;
}

void Refuse(Code code, std::string detail, Energy& energy) {
  AddFinding(energy.findings, MakeFinding(code, std::move(detail)));
}

std::int64_t UncoveredNs(absl::Span<const Interval> parts, const Interval& covered) {
  std::int64_t ns = 0;
  for (const Interval& part : parts) {
    const std::int64_t start = std::clamp(part.start_ns, covered.start_ns, covered.end_ns);
    const std::int64_t end = std::clamp(part.end_ns, covered.start_ns, covered.end_ns);
    ns += (part.end_ns - part.start_ns) - (end - start);
  }
  return ns;
}

void Complete(const SourceErrors& errors, std::int64_t duplicates, std::size_t samples,
              Energy& energy) {
  if (duplicates > 0) {
    const double share = static_cast<double>(duplicates) /
                         static_cast<double>(samples + static_cast<std::size_t>(duplicates));
    if (share > kMostDuplicates) {
      AddFinding(energy.findings,
                 MakeFinding(Code::kDuplicateStamps,
                             absl::StrCat(Percent(share), ">", Percent(kMostDuplicates))));
    }
  }
  if (!energy.energy_j) return;
  if (energy.duration_s > 0) energy.mean_w = *energy.energy_j / energy.duration_s;
  EnergyParts& parts = energy.parts;
  if (errors.gain_u) parts.gain_j = *errors.gain_u * std::abs(*energy.energy_j);
  if (const double clock_j = parts.clock_j.value_or(0);
      clock_j > kMostClock * std::abs(*energy.energy_j)) {
    const double share = *energy.energy_j == 0 ? 1 : clock_j / std::abs(*energy.energy_j);
    AddFinding(energy.findings,
               MakeFinding(Code::kClock, absl::StrCat(Percent(share), ">", Percent(kMostClock))));
  }
  if (errors.offset_u_w) parts.offset_j = *errors.offset_u_w * energy.duration_s;
  // Of a source that does not state its gain nothing else is expected.
  if (!errors.gain_u) {
    AddFinding(energy.findings, MakeFinding(Code::kGainUnknown, ""));
  } else if (parts.offset_unknown) {
    AddFinding(energy.findings, MakeFinding(Code::kOffsetUnknown, ""));
  }
  SumParts(energy);
}

void SumParts(Energy& energy) {
  const EnergyParts& parts = energy.parts;
  energy.energy_u_j = std::nullopt;
  if (!parts.gain_j || parts.offset_unknown) return;
  double squares = 0;
  for (const std::optional<double>& part :
       {parts.gain_j, parts.offset_j, parts.clock_j, parts.counter_j, parts.gap_j, parts.cable_j}) {
    squares += part.value_or(0) * part.value_or(0);
  }
  energy.energy_u_j = std::sqrt(squares);
}

}  // namespace joulefarm
