#include "common/config/duration.h"

#include <array>
#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/config/suggest.h"

namespace joulefarm {
namespace {

struct Unit {
  absl::string_view name;
  std::uint64_t ns;
};
constexpr std::array<Unit, 6> kUnits = {{{"h", 3'600'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"s", 1'000'000'000},
                                         {"ms", 1'000'000},
                                         {"us", 1'000},
                                         {"ns", 1}}};
constexpr auto kMaxNs = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

absl::Status NotADuration(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(Quoted(text), " is not a duration: ", why,
                                                 "; write it like 250ms, 30s, 10m, 24h or 1h30m"));
}

std::optional<std::uint64_t> Multiply(std::uint64_t a, std::uint64_t b) {
  if (a != 0 && b > kMaxNs / a) return std::nullopt;
  return a * b;
}

// Takes digits off the front. nullopt past kMaxNs.
std::optional<std::uint64_t> TakeDigits(absl::string_view* rest) {
  std::uint64_t value = 0;
  while (!rest->empty() && absl::ascii_isdigit(static_cast<unsigned char>(rest->front()))) {
    const auto shifted = Multiply(value, 10);
    if (!shifted.has_value()) return std::nullopt;
    value = *shifted + static_cast<std::uint64_t>(rest->front() - '0');
    if (value > kMaxNs) return std::nullopt;
    rest->remove_prefix(1);
  }
  return value;
}

// The unit at the front as an index into kUnits; kUnits.size() when there is none.
size_t TakeUnit(absl::string_view* rest) {
  size_t length = 0;
  while (length < rest->size() &&
         absl::ascii_isalpha(static_cast<unsigned char>((*rest)[length]))) {
    ++length;
  }
  const absl::string_view name = rest->substr(0, length);
  for (size_t i = 0; i < kUnits.size(); ++i) {
    if (kUnits[i].name == name) {
      rest->remove_prefix(length);
      return i;
    }
  }
  return kUnits.size();
}

// The digits after a decimal point times the unit, exactly; nullopt when that is not whole.
std::optional<std::uint64_t> Fraction(absl::string_view digits, std::uint64_t unit_ns) {
  std::uint64_t sum = 0;
  for (const char digit : digits) {
    const auto value = static_cast<std::uint64_t>(digit - '0');
    if (unit_ns % 10 != 0) {
      if (value != 0) return std::nullopt;
      continue;
    }
    unit_ns /= 10;
    sum += value * unit_ns;
  }
  return sum;
}

}  // namespace

absl::StatusOr<std::int64_t> ParseDuration(absl::string_view text) {
  absl::string_view rest = text;
  if (rest.empty()) return NotADuration(text, "it is empty");
  if (rest.front() == '-') return NotADuration(text, "it is negative");
  std::uint64_t total = 0;
  size_t next_unit = 0;
  while (!rest.empty()) {
    const size_t before = rest.size();
    const auto whole = TakeDigits(&rest);
    if (!whole.has_value()) return NotADuration(text, "it is too long");
    if (rest.size() == before) return NotADuration(text, "a number was expected");
    absl::string_view fraction;
    if (!rest.empty() && rest.front() == '.') {
      rest.remove_prefix(1);
      size_t length = 0;
      while (length < rest.size() &&
             absl::ascii_isdigit(static_cast<unsigned char>(rest[length]))) {
        ++length;
      }
      if (length == 0) return NotADuration(text, "digits are missing after the point");
      fraction = rest.substr(0, length);
      rest.remove_prefix(length);
    }
    if (rest.empty()) return NotADuration(text, "the unit is missing");
    const size_t unit = TakeUnit(&rest);
    if (unit == kUnits.size()) return NotADuration(text, "its unit is none of h, m, s, ms, us, ns");
    if (unit < next_unit) return NotADuration(text, "units go from large to small, each once");
    next_unit = unit + 1;
    const auto part = Multiply(*whole, kUnits[unit].ns);
    const auto below = Fraction(fraction, kUnits[unit].ns);
    if (!below.has_value()) return NotADuration(text, "it is finer than a nanosecond");
    if (!part.has_value() || *part > kMaxNs - total || *below > kMaxNs - total - *part) {
      return NotADuration(text, "it is too long");
    }
    total += *part + *below;
  }
  return static_cast<std::int64_t>(total);
}

std::string FormatDuration(std::int64_t duration_ns) {
  if (duration_ns == 0) return "0s";
  // Unsigned, so that the smallest number has a magnitude too.
  auto left = static_cast<std::uint64_t>(duration_ns);
  std::string out;
  if (duration_ns < 0) {
    left = 0 - left;
    out = "-";
  }
  for (const Unit& unit : kUnits) {
    if (left >= unit.ns) absl::StrAppend(&out, left / unit.ns, unit.name);
    left %= unit.ns;
  }
  return out;
}

}  // namespace joulefarm
