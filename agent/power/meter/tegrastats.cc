#include "agent/power/meter/tegrastats.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/power/jetson_boards.h"
#include "agent/power/meter/program_driver.h"
#include "agent/power/meter/text_decoder.h"

namespace joulefarm::agent {
namespace {

constexpr double kMilli = 1e-3;
// No module takes more; beyond it the line is damaged.
constexpr std::uint32_t kMostMw = 1'000'000;
// Zones of domains that are off say -256.
constexpr double kOffC = -100;

struct Rail {
  absl::string_view name;
  double power_w = 0;
};

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

// "1383/1383", "3913mW/3922mW", "3913mW/3922mW/3900mW" or "3913mW": the first number, in mW.
std::optional<std::uint32_t> RailMw(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '/');
  if (parts.size() > 3) return std::nullopt;
  std::optional<std::uint32_t> first;
  for (absl::string_view part : parts) {
    const bool unit = absl::ConsumeSuffix(&part, "mW");
    std::uint32_t mw = 0;
    // A number alone without a unit is a clock: "NVENC 716".
    if (part.empty() || !IsDigit(part[0]) || !absl::SimpleAtoi(part, &mw) ||
        (!unit && parts.size() == 1))
      return std::nullopt;
    if (!first) first = mw;
  }
  return first;
}

bool IsRailName(absl::string_view token) {
  if (token.empty() || !absl::ascii_isupper(static_cast<unsigned char>(token[0]))) return false;
  for (const char c : token) {
    if (!absl::ascii_isupper(static_cast<unsigned char>(c)) && !IsDigit(c) && c != '_')
      return false;
  }
  return true;
}

// Names that nothing but a rail has: without a value the line is damaged.
bool MustBeRail(absl::string_view token) {
  return IsRailName(token) && (absl::StartsWith(token, "VDD") || absl::StartsWith(token, "VIN") ||
                               absl::StartsWith(token, "POM_") || token == "SYS5V");
}

// "GPU@28C"; nullopt: none.
std::optional<std::pair<absl::string_view, double>> Temperature(absl::string_view token) {
  if (!absl::ConsumeSuffix(&token, "C")) return std::nullopt;
  const std::size_t at = token.find('@');
  if (at == absl::string_view::npos || at == 0 || token.find('[') != absl::string_view::npos)
    return std::nullopt;
  const std::optional<double> degrees = Decimal(token.substr(at + 1));
  if (!degrees) return std::nullopt;
  return std::pair(token.substr(0, at), *degrees);
}

// "9%@1300", "12%@[1300,1300]" or "1%": the share, per cent.
std::optional<double> Percent(absl::string_view text) {
  const std::size_t sign = text.find('%');
  if (sign == absl::string_view::npos || sign == 0) return std::nullopt;
  return Decimal(text.substr(0, sign));
}

// "[5%@1224,off,3%@1224]" or "[17%,13%]@408": the mean of the cores that are on.
std::optional<double> CpuPercent(absl::string_view text) {
  const std::size_t end = text.find(']');
  if (!absl::ConsumePrefix(&text, "[") || end == absl::string_view::npos) return std::nullopt;
  double sum = 0;
  int on = 0;
  for (const absl::string_view core : absl::StrSplit(text.substr(0, end - 1), ',')) {
    if (core == "off") continue;
    const std::optional<double> percent = Percent(core);
    if (!percent) return std::nullopt;
    sum += *percent;
    ++on;
  }
  if (on == 0) return std::nullopt;
  return sum / on;
}

// "1923/3964MB": the first.
std::optional<double> Megabytes(absl::string_view text) {
  if (!absl::ConsumeSuffix(&text, "MB")) return std::nullopt;
  return Decimal(text.substr(0, text.find('/')));
}

std::optional<double> Value(const std::vector<Rail>& rails, absl::string_view name) {
  for (const Rail& rail : rails) {
    if (rail.name == name) return rail.power_w;
  }
  return std::nullopt;
}

// The board's power, and which rails are parts of it.
void AddUp(const std::vector<Rail>& rails, MeterSample& sample) {
  for (const absl::string_view input : kJetsonInputRails) {
    sample.power_w = Value(rails, input);
    if (!sample.power_w) continue;
    // All others hang on it, but another board's input would not.
    for (const Rail& rail : rails) {
      if (std::find(kJetsonInputRails.begin(), kJetsonInputRails.end(), rail.name) ==
          kJetsonInputRails.end())
        sample.parts.emplace_back(rail.name, rail.power_w);
    }
    return;
  }
  for (const std::vector<absl::string_view>& board : JetsonSummedBoards()) {
    double sum = 0;
    std::vector<std::pair<std::string, double>> parts;
    for (const absl::string_view part : board) {
      const std::optional<double> power_w = Value(rails, part);
      if (!power_w) break;
      sum += *power_w;
      parts.emplace_back(part, *power_w);
    }
    if (parts.size() < board.size()) continue;
    sample.power_w = sum;
    sample.parts = std::move(parts);
    return;
  }
}

absl::Status Check(const MeterSample& sample, bool /*negate*/) {
  if (sample.power_w) return absl::OkStatus();
  return absl::DataLossError(
      "no rail in the line is known to be the whole board's, nor do they add up to it: this board "
      "has no power here (docs/meters.md)");
}

class TegrastatsDecoder : public TextDecoder {
 protected:
  absl::Status Line(absl::string_view line, std::vector<MeterSample>& samples) override {
    MeterSample sample;
    std::vector<Rail> rails;
    const std::vector<absl::string_view> tokens =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const absl::string_view token = tokens[i];
      const absl::string_view next = i + 1 < tokens.size() ? tokens[i + 1] : absl::string_view();
      if (const auto temperature = Temperature(token)) {
        if (temperature->first != "PMIC" && temperature->second > kOffC)
          sample.more.emplace_back(absl::StrCat(temperature->first, "_c"), temperature->second);
      } else if (std::optional<std::uint32_t> mw = RailMw(next); mw && IsRailName(token)) {
        if (*mw > kMostMw)
          return absl::DataLossError(absl::StrCat("rail ", token, " cannot take ", *mw, " mW"));
        if (Value(rails, token))
          return absl::DataLossError(
              absl::StrCat("rail ", token, " is there twice: two lines in one?"));
        // Divided, not multiplied: the number that people would write.
        rails.push_back({token, *mw / 1e3});
        sample.more.emplace_back(absl::StrCat(token, "_w"), rails.back().power_w);
      } else if (MustBeRail(token)) {
        return absl::DataLossError(
            absl::StrCat("rail ", token, " has no value, but ", Shown(next)));
      } else {
        Load(token, next, sample);
      }
    }
    if (sample.more.empty())
      return absl::DataLossError(absl::StrCat("no line of tegrastats: ", Shown(line)));
    AddUp(rails, sample);
    samples.push_back(std::move(sample));
    return absl::OkStatus();
  }

 private:
  static void Load(absl::string_view token, absl::string_view next, MeterSample& sample) {
    const auto add = [&](const char* name, const std::optional<double>& value) {
      if (value) sample.more.emplace_back(name, *value);
    };
    if (token == "RAM") add("ram_mb", Megabytes(next));
    if (token == "SWAP") add("swap_mb", Megabytes(next));
    if (token == "CPU" || token == "cpu") add("cpu_pct", CpuPercent(next));
    if (token == "GR3D_FREQ" || token == "GR3D") add("gr3d_pct", Percent(next));
    if (token == "EMC_FREQ" || token == "EMC") add("emc_pct", Percent(next));
  }
};

}  // namespace

MeterModel TegrastatsModel() {
  MeterModel model;
  model.name = "tegrastats";
  model.title = "NVIDIA tegrastats";
  model.max_rate_hz = 10;
  // Its values were read after the line before; see PrintingDriver.
  model.refresh_periods = PrintingDriver::kLatestPeriods;
  model.reach = MeterReach::kBoard;
  model.measures_voltage = false;
  model.resolution_w = kMilli;
  model.gain_u = 0.05;
  model.make_decoder = [] { return std::make_unique<TegrastatsDecoder>(); };
  model.tested = "program output";
  ReadFromProgram(model, {.command = {"tegrastats", "--interval", "{interval_ms}"},
                          .once_per_reading = false,
                          .check = Check});
  return model;
}

}  // namespace joulefarm::agent
