// A meter and a clock that only a test moves: each step takes as long and brings as much as it is
// told.
//
// Threads: one. Ownership: outlives its openers and their drivers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "agent/power/meter/model.h"
#include "agent/power/metered_source.h"

namespace joulefarm::agent {

inline MeterSample Sample(std::optional<double> voltage_v, std::optional<double> current_a,
                          std::optional<double> power_w = {}) {
  MeterSample sample;
  sample.voltage_v = voltage_v;
  sample.current_a = current_a;
  sample.power_w = power_w;
  return sample;
}

struct QuietMeter {
  QuietMeter() {
    model.name = "quiet";
    model.title = "Quiet meter";
    model.max_rate_hz = 100;
    model.max_voltage_v = 30;
    model.max_current_a = 5;
    model.make_driver = [this] { return std::make_unique<Driver>(*this); };
  }
  QuietMeter(const QuietMeter&) = delete;
  QuietMeter& operator=(const QuietMeter&) = delete;

  MeteredSource::Opener Opener() {
    return [this]() -> absl::StatusOr<std::unique_ptr<Link>> {
      if (!open.ok()) return open;
      return std::make_unique<NoLink>();
    };
  }
  std::function<std::int64_t()> Now() {
    return [this] { return now_ns; };
  }

  MeterModel model;
  absl::Status open;
  std::int64_t now_ns = 1'000'000'000;
  std::int64_t step_ns = 10'000'000;
  // The sample of each step; one without values: none.
  std::function<MeterSample(int step)> sample = [](int) { return Sample(5, 0.002); };
  int step_fails_at = -1;
  int stopped = 0;

 private:
  class NoLink : public Link {
   public:
    absl::Status Write(absl::Span<const std::uint8_t>, int) override { return absl::OkStatus(); }
    absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t, int) override {
      return absl::DeadlineExceededError("nothing");
    }
  };
  class Driver : public MeterDriver {
   public:
    explicit Driver(QuietMeter& meter) : meter_(meter) {}
    absl::StatusOr<MeterIdentity> Start(Link&, double) override { return MeterIdentity(); }
    absl::Status Step(Link&, MeterBatch& batch) override {
      meter_.now_ns += meter_.step_ns;
      if (step_ == meter_.step_fails_at) return absl::UnavailableError("it was unplugged");
      batch.arrived_ns = meter_.now_ns;
      const MeterSample sample = meter_.sample(step_++);
      if (sample.voltage_v || sample.current_a || sample.power_w) batch.samples.push_back(sample);
      return absl::OkStatus();
    }
    void Stop(Link&) override { ++meter_.stopped; }

   private:
    QuietMeter& meter_;
    int step_ = 0;
  };
};

}  // namespace joulefarm::agent
