// A power that is known at every instant of the true clock, and what it adds up to.
//
// Threads: a value.
#pragma once

#include <cmath>
#include <cstdint>

namespace joulefarm::e2e {

// A sine: it is nowhere constant for long, and sampling it costs next to nothing.
struct Waveform {
  std::int64_t start_ns = 0;
  double mean_w = 0;
  double swing_w = 0;  // to either side
  double period_s = 1;

  double At(std::int64_t t_ns) const { return mean_w + swing_w * std::sin(Angle(t_ns)); }
  double Energy(std::int64_t from_ns, std::int64_t to_ns) const {
    const double swung_j = swing_w / Omega() * (std::cos(Angle(from_ns)) - std::cos(Angle(to_ns)));
    return mean_w * static_cast<double>(to_ns - from_ns) * 1e-9 + swung_j;
  }
  // The sum of all its ups and downs, W: what Σ|ΔP| is of steps.
  double Travel(std::int64_t from_ns, std::int64_t to_ns) const {
    const double from = Angle(from_ns);
    const double to = Angle(to_ns);
    // Its highest and lowest points are at odd multiples of π/2.
    double sum = 0;
    double at = from;
    for (double turn = (std::floor(from / kPi - 0.5) + 1.5) * kPi; turn < to; turn += kPi) {
      sum += std::abs(std::sin(turn) - std::sin(at));
      at = turn;
    }
    return swing_w * (sum + std::abs(std::sin(to) - std::sin(at)));
  }
  // What trapezoids of at most `interval_s` are off by at most.
  double IntegrationBound(std::int64_t from_ns, std::int64_t to_ns, double interval_s) const {
    const double duration_s = static_cast<double>(to_ns - from_ns) * 1e-9;
    return duration_s * interval_s * interval_s / 12 * swing_w * Omega() * Omega();
  }

 private:
  static constexpr double kPi = 3.14159265358979323846;
  double Omega() const { return 2 * kPi / period_s; }
  double Angle(std::int64_t t_ns) const {
    return Omega() * static_cast<double>(t_ns - start_ns) * 1e-9;
  }
};

}  // namespace joulefarm::e2e
