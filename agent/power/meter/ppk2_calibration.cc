#include "agent/power/meter/ppk2_calibration.h"

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace joulefarm::agent {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
// Of one count: the reference over the converter's steps and the amplifier before it.
constexpr double kVoltsPerCount = 1.8 / 163840;
constexpr int kAdcSteps = 4;
constexpr double kMostVddMv = 5000;
constexpr std::size_t kHighest = Ppk2Calibration::kRanges - 1;
constexpr double kWeight = 0.18;
constexpr double kSlowWeight = 0.06;
constexpr int kStandIn = 3;
constexpr int kTooWild = 2;

Ppk2Calibration::PerRange* Find(Ppk2Calibration& calibration, absl::string_view name) {
  const std::pair<absl::string_view, Ppk2Calibration::PerRange*> known[] = {
      {"R", &calibration.r},  {"GS", &calibration.gs}, {"GI", &calibration.gi},
      {"O", &calibration.o},  {"S", &calibration.s},   {"I", &calibration.i},
      {"UG", &calibration.ug}};
  for (const auto& [key, values] : known) {
    if (key == name) return values;
  }
  return nullptr;
}

double Number(absl::string_view text) {
  double value = 0;
  // "-nan" is what it sends for what it does not have.
  return absl::SimpleAtod(text, &value) && std::isfinite(value) ? value : kNone;
}

// What it cannot supply is no voltage of it, and without one no current is known.
double SupplyMv(absl::string_view text) {
  const double value = Number(text);
  return value >= 0 && value <= kMostVddMv ? value : kNone;
}

}  // namespace

Ppk2Calibration::Ppk2Calibration() : vdd_mv(kNone) {
  for (PerRange* values : {&r, &gs, &gi, &o, &s, &i, &ug}) values->fill(kNone);
}

Ppk2Calibration ParsePpk2Calibration(absl::string_view text) {
  Ppk2Calibration calibration;
  for (const absl::string_view line : absl::StrSplit(text, absl::ByAnyChar("\r\n"))) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    const absl::string_view key = absl::StripAsciiWhitespace(parts.first);
    const absl::string_view value = absl::StripAsciiWhitespace(parts.second);
    int whole = 0;
    if (key == "VDD") calibration.vdd_mv = SupplyMv(value);
    if (key == "mode" && absl::SimpleAtoi(value, &whole)) calibration.mode = whole;
    if (key == "HW" && absl::SimpleAtoi(value, &whole)) calibration.hardware = whole;
    if (key.size() < 2) continue;
    const std::size_t range = static_cast<std::size_t>(key.back() - '0');
    Ppk2Calibration::PerRange* values = Find(calibration, key.substr(0, key.size() - 1));
    if (values != nullptr && range < values->size()) (*values)[range] = Number(value);
  }
  return calibration;
}

double Ppk2Amperes(const Ppk2Calibration& calibration, std::size_t range, std::uint32_t adc) {
  const double x = (kAdcSteps * static_cast<double>(adc) - calibration.o[range]) * kVoltsPerCount /
                   calibration.r[range];
  const double offset = calibration.s[range] * calibration.vdd_mv / 1000 + calibration.i[range];
  return calibration.ug[range] * (x * (calibration.gs[range] * x + calibration.gi[range]) + offset);
}

double Ppk2SpikeFilter::Filter(std::size_t range, double amperes) {
  if (!average_) {
    average_ = slow_average_ = amperes;
    range_ = range;
  }
  if (range != range_) standing_in_ = kStandIn;
  range_ = range;
  // The first two of the highest range are too wild even for the averages.
  if (range != kHighest || standing_in_ <= kStandIn - kTooWild) {
    *average_ += kWeight * (amperes - *average_);
    slow_average_ += kSlowWeight * (amperes - slow_average_);
  }
  if (standing_in_ == 0) return amperes;
  --standing_in_;
  return range == kHighest ? slow_average_ : *average_;
}

}  // namespace joulefarm::agent
