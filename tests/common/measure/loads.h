// Loads whose energy is known exactly, and samples of them: for proofs of integration.
//
// Threads: one. Ownership: values. Times are ns, power is W.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace joulefarm {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  double Uniform(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(engine_);
  }
  double Normal(double sigma) { return std::normal_distribution<double>(0, sigma)(engine_); }
  std::int64_t Whole(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(engine_);
  }
  bool Chance(double share) { return Uniform(0, 1) < share; }

 private:
  std::mt19937_64 engine_;
};

// Power that is constant between steps.
class StepLoad {
 public:
  explicit StepLoad(double first_w) : at_ns_{INT64_MIN / 4}, power_w_{first_w}, energy_{0} {}

  // At a later time than all before.
  void StepTo(double t_ns, double power_w) {
    energy_.push_back(
        at_ns_.size() == 1 ? 0 : energy_.back() + power_w_.back() * (t_ns - at_ns_.back()));
    at_ns_.push_back(t_ns);
    power_w_.push_back(power_w);
  }

  double Power(double t_ns) const { return power_w_[Index(t_ns)]; }

  // From the first step on, J; before it the first power goes on backward.
  double Energy(double start_ns, double end_ns) const {
    return (Primitive(end_ns) - Primitive(start_ns)) * 1e-9;
  }

  std::int64_t Steps(double start_ns, double end_ns) const {
    return static_cast<std::int64_t>(Index(end_ns)) - static_cast<std::int64_t>(Index(start_ns));
  }
  // Of all steps in the time, W.
  double SumOfSteps(double start_ns, double end_ns) const {
    double sum = 0;
    for (std::size_t i = Index(start_ns) + 1; i <= Index(end_ns); ++i)
      sum += std::abs(power_w_[i] - power_w_[i - 1]);
    return sum;
  }

 private:
  std::size_t Index(double t_ns) const {
    return static_cast<std::size_t>(std::upper_bound(at_ns_.begin(), at_ns_.end(), t_ns) -
                                    at_ns_.begin()) -
           1;
  }
  double Primitive(double t_ns) const {
    const std::size_t i = Index(t_ns);
    // The first power counts from the first step.
    const double from_ns = i == 0 ? at_ns_[std::min<std::size_t>(1, at_ns_.size() - 1)] : at_ns_[i];
    return energy_[i] + power_w_[i] * (t_ns - from_ns);
  }

  std::vector<double> at_ns_;
  std::vector<double> power_w_;
  std::vector<double> energy_;  // up to each step, W ns
};

// Bursts at random times: the load of an engine that is asked now and then.
inline StepLoad RandomBursts(Random& random, double until_ns, double shortest_ns, double longest_ns,
                             double low_w, double high_w) {
  StepLoad load(low_w);
  bool high = false;
  for (double t_ns = random.Uniform(0, longest_ns); t_ns < until_ns;
       t_ns += random.Uniform(shortest_ns, longest_ns)) {
    high = !high;
    load.StepTo(t_ns, high ? high_w : low_w);
  }
  return load;
}

}  // namespace joulefarm
