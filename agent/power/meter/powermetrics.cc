#include "agent/power/meter/powermetrics.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "agent/power/meter/program_driver.h"
#include "agent/power/meter/text_decoder.h"

namespace joulefarm::agent {
namespace {

constexpr char kHeader[] = "*** Sampled system activity";
constexpr double kMostMw = 1e6;

const double* Find(const MeterSample& sample, absl::string_view name) {
  for (const auto& [other, value] : sample.more) {
    if (other == name) return &value;
  }
  return nullptr;
}

// "CPU Power" as "cpu_w", "Combined Power (CPU + GPU + ANE)" as "combined_w"; empty: no power.
std::string NameOf(absl::string_view title) {
  const std::size_t parts = title.find(" (");
  title = title.substr(0, parts);
  if (!absl::ConsumeSuffix(&title, " Power")) return "";
  return absl::StrCat(absl::AsciiStrToLower(absl::StrReplaceAll(title, {{" ", "_"}, {"-", "_"}})),
                      "_w");
}

absl::Status Check(const MeterSample& sample, bool /*negate*/) {
  if (sample.power_w) return absl::OkStatus();
  return absl::DataLossError(
      "neither \"Package Power\" nor \"Combined Power\" in what powermetrics prints; run it with "
      "--samplers cpu_power,gpu_power");
}

class PowermetricsDecoder : public TextDecoder {
 public:
  absl::StatusOr<std::vector<MeterSample>> Finish() override {
    absl::StatusOr<std::vector<MeterSample>> samples = TextDecoder::Finish();
    if (samples.ok()) End(*samples);
    return samples;
  }
  void Reset() override {
    TextDecoder::Reset();
    open_ = MeterSample();
    headers_ = false;
  }

 protected:
  absl::Status Line(absl::string_view line, std::vector<MeterSample>& samples) override {
    line = absl::StripAsciiWhitespace(line);
    if (absl::StartsWith(line, kHeader)) {
      End(samples);
      headers_ = true;
      if (const std::optional<double> elapsed_s = Elapsed(line))
        open_.more.emplace_back("elapsed_s", *elapsed_s);
      return absl::OkStatus();
    }
    const std::size_t colon = line.find(": ");
    if (colon == absl::string_view::npos) return absl::OkStatus();
    const std::string name = NameOf(line.substr(0, colon));
    if (name.empty()) return absl::OkStatus();
    absl::string_view value = line.substr(colon + 2);
    const bool unit = absl::ConsumeSuffix(&value, " mW");
    const std::optional<double> mw = Decimal(value);
    if (!unit || !mw || *mw < 0 || *mw > kMostMw)
      return absl::DataLossError(absl::StrCat("no power in mW: ", Shown(line)));
    if (!headers_ && name == "cpu_w" && Find(open_, name) != nullptr) End(samples);
    if (Find(open_, name) == nullptr) open_.more.emplace_back(name, *mw / 1e3);
    return absl::OkStatus();
  }

 private:
  // "(1003.45ms elapsed)"
  static std::optional<double> Elapsed(absl::string_view header) {
    const std::size_t end = header.rfind("ms elapsed)");
    if (end == absl::string_view::npos) return std::nullopt;
    const std::size_t begin = header.rfind('(', end);
    if (begin == absl::string_view::npos) return std::nullopt;
    const std::optional<double> ms = Decimal(header.substr(begin + 1, end - begin - 1));
    if (!ms || *ms <= 0) return std::nullopt;
    return *ms / 1e3;
  }
  void End(std::vector<MeterSample>& samples) {
    MeterSample sample = std::exchange(open_, MeterSample());
    const double* whole = Find(sample, "package_w");
    if (whole == nullptr) whole = Find(sample, "combined_w");
    if (whole != nullptr) sample.power_w = *whole;
    const bool only_time = sample.more.size() == 1 && sample.more[0].first == "elapsed_s";
    if (!sample.more.empty() && !only_time) samples.push_back(std::move(sample));
  }

  MeterSample open_;
  bool headers_ = false;
};

}  // namespace

MeterModel PowermetricsModel() {
  MeterModel model;
  model.name = "powermetrics";
  model.title = "macOS powermetrics";
  model.max_rate_hz = 10;
  model.kind = SampleKind::kAveraged;
  model.smoothing_periods = 1;
  model.refresh_periods = PrintingDriver::kLatestPeriods - 1;
  model.reach = MeterReach::kPackage;
  // Its manual: "estimated and may be inaccurate".
  model.modelled = true;
  model.measures_voltage = false;
  model.resolution_w = 1e-3;
  model.make_decoder = [] { return std::make_unique<PowermetricsDecoder>(); };
  model.tested = "program output";
  ReadFromProgram(model, {.command = {"powermetrics", "--samplers", "cpu_power,gpu_power", "-i",
                                      "{interval_ms}"},
                          .once_per_reading = false,
                          .check = Check});
  return model;
}

}  // namespace joulefarm::agent
