#include "agent/power/take_tare.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace joulefarm::agent {
namespace {

// Between the zero errors that makers of such meters state (below 10 mA) and what a phone or a
// board draws when it sleeps (tens of mA).
constexpr double kMostA = 0.02;
constexpr double kMostOfRange = 0.01;
constexpr double kMostW = 0.05;
constexpr double kMostOffsets = 10;
// Of those.
constexpr double kMostSd = 0.25;
constexpr double kMostDrift = 0.1;
constexpr std::int64_t kFewestPerHalf = 2;
constexpr std::int64_t kFirstSampleNs = 3'000'000'000;
constexpr double kFirstPeriods = 5;
// Below it the supply is off, and what the current stands for in watts says nothing.
constexpr double kLeastV = 1;

// Mean and spread of what was added.
struct Moments {
  std::int64_t count = 0;
  double mean = 0;
  double squares = 0;  // of distances from the mean

  void Add(double value) {
    ++count;
    const double before = value - mean;
    mean += before / static_cast<double>(count);
    squares += before * (value - mean);
  }
  double Sd() const { return count > 1 ? std::sqrt(squares / static_cast<double>(count - 1)) : 0; }
};

struct Halves {
  Moments all;
  Moments first;
  Moments second;

  void Add(double value, bool late) {
    all.Add(value);
    (late ? second : first).Add(value);
  }
};

// Servers are those of analysers of the mains: volts times amperes is not their power.
bool Alternating(const MeterModel& model) { return model.link == LinkKind::kTcp; }

bool Within(const std::optional<double>& value, double most) {
  return !value || (std::isfinite(*value) && (most <= 0 || std::abs(*value) <= most));
}

class Sampled {
 public:
  explicit Sampled(const MeterModel& model) : model_(model) {}

  bool any() const { return current_.all.count + power_.all.count > 0; }

  void Add(const MeterSample& sample, bool late) {
    if (!Within(sample.voltage_v, model_.max_voltage_v) ||
        !Within(sample.current_a, model_.max_current_a) ||
        !Within(sample.power_w, model_.max_voltage_v * model_.max_current_a))
      return;
    if (sample.voltage_v) voltage_.Add(*sample.voltage_v);
    if (sample.power_w) power_.Add(*sample.power_w, late);
    const bool current =
        !Alternating(model_) && sample.current_a && (sample.voltage_v || !sample.power_w);
    if (current) {
      current_.Add(*sample.current_a, late);
    } else if (sample.power_w) {
      only_power_ = true;
    }
  }

  absl::StatusOr<TareSamples> Result(double seconds) const {
    const Halves& halves = only_power_ ? power_ : current_;
    if (std::min(halves.first.count, halves.second.count) < kFewestPerHalf) {
      return absl::UnavailableError(
          absl::StrFormat("%d samples in %g s are too few to tell whether it is steady; take more "
                          "with --seconds, or see what joulefarm-agent meters says of it",
                          halves.all.count, seconds));
    }
    TareSamples samples;
    samples.tare.model = model_.name;
    (only_power_ ? samples.tare.power_w : samples.tare.current_a) = halves.all.mean;
    samples.tare.sd = halves.all.Sd();
    samples.tare.samples = halves.all.count;
    if (voltage_.count > 0 && std::abs(voltage_.mean) >= kLeastV)
      samples.tare.voltage_v = voltage_.mean;
    samples.drift = halves.second.mean - halves.first.mean;
    return samples;
  }

 private:
  const MeterModel& model_;
  Moments voltage_;
  Halves current_;
  Halves power_;
  bool only_power_ = false;
};

}  // namespace

absl::StatusOr<TareSamples> SampleTare(const MeterModel& model, const MeterSettings& settings,
                                       const MeteredSource::Opener& open, double seconds,
                                       const std::function<std::int64_t()>& now_ns) {
  absl::StatusOr<std::unique_ptr<Link>> link = open();
  if (!link.ok()) return link.status();
  // As it is when it measures: one that feeds the device does so then, too.
  const std::unique_ptr<MeterDriver> driver = DriverOf(model, settings, /*again=*/false);
  if (const auto started = driver->Start(**link, settings.rate_hz); !started.ok())
    return started.status();
  const double period_ns = model.max_rate_hz > 0 ? 1e9 / model.max_rate_hz : 0;
  const std::int64_t started_ns = now_ns();
  const std::int64_t first_by_ns =
      started_ns + std::max(kFirstSampleNs, static_cast<std::int64_t>(kFirstPeriods * period_ns));
  const auto span_ns = static_cast<std::int64_t>(seconds * 1e9);
  Sampled sampled(model);
  std::int64_t first_ns = 0;
  absl::Status ended;
  while (ended.ok()) {
    MeterBatch batch;
    ended = driver->Step(**link, batch);
    const std::int64_t at_ns = now_ns();
    const bool first = !sampled.any();
    if (first) first_ns = at_ns;
    for (const MeterSample& sample : batch.samples)
      sampled.Add(sample, at_ns - first_ns >= span_ns / 2);
    if (!sampled.any()) {
      if (at_ns > first_by_ns) ended = absl::DeadlineExceededError("no sample came in time");
    } else if (at_ns - first_ns >= span_ns) {
      break;
    }
  }
  driver->Stop(**link);
  if (!ended.ok()) return ended;
  return sampled.Result(seconds);
}

std::string WhyNoTare(const MeterModel& model, const TareSamples& samples) {
  const MeterTare& tare = samples.tare;
  const char* unit = tare.current_a ? "A" : "W";
  double most = std::max(kMostW, kMostOffsets * model.offset_u_w.value_or(0));
  if (tare.current_a) {
    most = model.max_current_a > 0 ? std::min(kMostA, kMostOfRange * model.max_current_a) : kMostA;
  }
  const double mean = tare.current_a ? *tare.current_a : tare.power_w.value_or(0);
  if (std::abs(mean) > most) {
    return absl::StrFormat(
        "it says %.4g %s in mean, beyond the %.3g %s that are an offset of this model: take "
        "whatever draws power off the meter",
        mean, unit, most, unit);
  }
  if (const double sd = tare.sd.value_or(0); sd > kMostSd * most) {
    return absl::StrFormat(
        "it is not steady: a standard deviation of %.3g %s, more than %.3g %s: take whatever draws "
        "power off the meter",
        sd, unit, kMostSd * most, unit);
  }
  if (std::abs(samples.drift) > kMostDrift * most) {
    return absl::StrFormat(
        "it is not steady: the second half differs from the first by %.3g %s, more than %.3g %s: "
        "let the meter warm up",
        samples.drift, unit, kMostDrift * most, unit);
  }
  return "";
}

}  // namespace joulefarm::agent
