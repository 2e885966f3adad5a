#include "cli/trace/axis.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"

namespace joulefarm::cli {
namespace {

// The power of 1000 that brings a magnitude to 1 … 999.
ShownUnit Prefixed(absl::string_view name, absl::string_view unit, double magnitude) {
  struct Prefix {
    double least;
    const char* text;
  };
  static constexpr Prefix kPrefixes[] = {{1e9, "G"}, {1e6, "M"},  {1e3, "k"},
                                         {1, ""},    {1e-3, "m"}, {0, "µ"}};
  static constexpr double kFactors[] = {1e-9, 1e-6, 1e-3, 1, 1e3, 1e6};
  ShownUnit shown{std::string(name), std::string(unit), 1, true};
  if (magnitude <= 0 || !std::isfinite(magnitude)) return shown;
  for (std::size_t i = 0; i < std::size(kPrefixes); ++i) {
    if (magnitude < kPrefixes[i].least) continue;
    shown.unit = kPrefixes[i].text + std::string(unit);
    shown.factor = kFactors[i];
    break;
  }
  return shown;
}

}  // namespace

ShownUnit UnitFor(absl::string_view quantity, double magnitude) {
  if (quantity == "power_w" || quantity == "energy_counter_j")
    return Prefixed("power", "W", magnitude);
  if (quantity == "voltage_v") {
    ShownUnit shown = Prefixed("voltage", "V", magnitude);
    shown.from_zero = false;
    return shown;
  }
  if (quantity == "current_a") return Prefixed("current", "A", magnitude);
  if (quantity == "temperature_c") return {"temperature", "°C", 1, false};
  if (quantity == "utilisation") return {"utilisation", "%", 100, true};
  if (quantity == "cpu_time_s") return {"processors busy", "cores", 1, true};
  if (quantity == "memory_bytes") {
    if (magnitude >= 10.0 * (1U << 30)) return {"memory", "GiB", 1.0 / (1U << 30), true};
    return {"memory", "MiB", 1.0 / (1U << 20), true};
  }
  if (quantity == "frequency_hz") return Prefixed("clock", "Hz", magnitude);
  return {std::string(quantity), "", 1, false};
}

Axis MakeAxis(double low, double high, int most, bool snap) {
  if (!std::isfinite(low) || !std::isfinite(high)) low = high = 0;
  if (high < low) std::swap(low, high);
  if (high - low <= std::abs(high) * 1e-12) {
    // One value: some room around it.
    const double room = high == 0 ? 1 : std::abs(high) * 0.1;
    low -= low == 0 ? 0 : room;
    high += room;
  }
  const double rough = (high - low) / std::max(1, most - 1);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double round : {1.0, 2.0, 2.5, 5.0}) {
    if (round * power < rough * (1 - 1e-9)) continue;
    step = round * power;
    break;
  }
  Axis axis;
  const auto first =
      static_cast<long long>(snap ? std::floor(low / step + 1e-9) : std::ceil(low / step - 1e-9));
  const auto last =
      static_cast<long long>(snap ? std::ceil(high / step - 1e-9) : std::floor(high / step + 1e-9));
  for (long long i = first; i <= last; ++i) axis.ticks.push_back(static_cast<double>(i) * step);
  axis.low = snap && !axis.ticks.empty() ? axis.ticks.front() : low;
  axis.high = snap && !axis.ticks.empty() ? axis.ticks.back() : high;
  while (axis.decimals < 9) {
    const double scaled = step * std::pow(10, axis.decimals);
    if (std::abs(scaled - std::round(scaled)) < 1e-6 * scaled) break;
    ++axis.decimals;
  }
  return axis;
}

std::string TickText(const Axis& axis, double tick) {
  if (std::abs(tick) < (axis.high - axis.low) * 1e-9) tick = 0;
  return absl::StrFormat("%.*f", axis.decimals, tick);
}

}  // namespace joulefarm::cli
