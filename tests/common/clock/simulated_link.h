// A host whose clock's rate wanders against its controller's, and the exchanges between them over a
// link with delays that are constant, jitter and spike, each way for itself.
//
// Threads: none. Ownership: values; the same seed gives the same link.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "common/clock/clock_segments.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm {

struct LinkModel {
  double seconds = 60;
  double rho = kMostPeerRate;  // the rate wanders within
  double fixed_rate = 0;       // all the time, instead of wandering, where it is not 0
  double there_ms = 0.1;       // constant part of the delay to the controller
  double back_ms = 0.1;        // and from it
  double uniform_ms = 0;       // jitter up to this
  double exponential_ms = 0.1;
  double spike_share = 0;
  double spike_ms = 0;  // mean
  double processing_ms = 0.02;
  int suspends = 0;
  double longest_sleep_s = 10;
  double clock_jump_ms = 50;  // what the clock may be off by after it slept
  double start_s = 1000;      // of the own clock
  double offset_s = 54321;    // of the controller's to it at first
  int burst = 8;
  double period_s = 2;
  std::string boot_id = "controller";
};

class SimulatedLink {
 public:
  SimulatedLink(const LinkModel& model, std::uint64_t seed) : model_(model), random_(seed) {
    MakeSleeps();
    MakeOffset();
    MakeExchanges();
  }

  std::int64_t start_ns() const { return start_ns_; }
  std::int64_t end_ns() const { return start_ns_ + Ns(model_.seconds); }
  // Controller's less own clock at an instant of the own.
  double TrueOffset(std::int64_t t_ns) const {
    const double s = static_cast<double>(t_ns - start_ns_) * 1e-9;
    const double step = s / kStepS;
    const auto last = static_cast<double>(offset_ns_.size() - 2);
    const double i = std::clamp(std::floor(step), 0.0, last);
    const auto index = static_cast<std::size_t>(i);
    double offset = offset_ns_[index] + (step - i) * (offset_ns_[index + 1] - offset_ns_[index]);
    for (const Sleep& sleep : sleeps_) {
      if (t_ns >= sleep.end_ns) offset += sleep.jump_ns;
    }
    return offset;
  }
  // The own instant of an instant of the controller's; of links without sleeps.
  double OwnTime(double controller_ns) const {
    double own = controller_ns - TrueOffset(start_ns_);
    for (int turn = 0; turn < 20; ++turn)
      own = controller_ns - TrueOffset(static_cast<std::int64_t>(std::llround(own)));
    return own;
  }
  const std::vector<v1::ClockExchange>& exchanges() const { return exchanges_; }
  const std::vector<v1::ClockSnapshot>& snapshots() const { return snapshots_; }
  std::mt19937_64& random() { return random_; }

 private:
  struct Sleep {
    std::int64_t start_ns;
    std::int64_t end_ns;
    double jump_ns;
  };
  static constexpr double kStepS = 0.25;
  static std::int64_t Ns(double seconds) { return std::llround(seconds * 1e9); }
  double Uniform(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  }

  void MakeSleeps() {
    start_ns_ = Ns(model_.start_s);
    for (int i = 0; i < model_.suspends; ++i) {
      const std::int64_t start = start_ns_ + Ns(Uniform(1, model_.seconds - 1));
      const std::int64_t end = start + Ns(Uniform(0.5, model_.longest_sleep_s));
      const bool overlaps = std::any_of(sleeps_.begin(), sleeps_.end(), [&](const Sleep& other) {
        return start <= other.end_ns && end >= other.start_ns;
      });
      if (overlaps) continue;
      sleeps_.push_back({start, end, Uniform(-1, 1) * model_.clock_jump_ms * 1e6});
    }
  }

  void MakeOffset() {
    double rate = Uniform(-model_.rho, model_.rho);
    double offset = model_.offset_s * 1e9;
    for (double s = 0; s < model_.seconds + model_.longest_sleep_s * 2 + 10; s += kStepS) {
      offset_ns_.push_back(offset);
      if (Uniform(0, 1) < 0.1) rate = Uniform(-model_.rho, model_.rho);
      offset += (model_.fixed_rate != 0 ? model_.fixed_rate : rate) * kStepS * 1e9;
    }
  }

  double DelayNs(double constant_ms) {
    double ms = constant_ms + Uniform(0, 1) * model_.uniform_ms;
    if (model_.exponential_ms > 0)
      ms += std::exponential_distribution<double>(1 / model_.exponential_ms)(random_);
    if (Uniform(0, 1) < model_.spike_share)
      ms += std::exponential_distribution<double>(1 / model_.spike_ms)(random_);
    return ms * 1e6;
  }

  // The own clock goes on while the host sleeps, but nothing happens on it.
  std::int64_t Awake(std::int64_t t_ns) const {
    for (const Sleep& sleep : sleeps_) {
      if (t_ns >= sleep.start_ns && t_ns < sleep.end_ns) return sleep.end_ns + 1'000'000;
    }
    return t_ns;
  }

  std::int64_t PeerAt(std::int64_t own_ns) const {
    return own_ns + static_cast<std::int64_t>(std::llround(TrueOffset(own_ns)));
  }

  void Snapshot(std::int64_t t_ns) {
    std::int64_t slept = 0;
    for (const Sleep& sleep : sleeps_) {
      if (t_ns >= sleep.end_ns) slept += sleep.end_ns - sleep.start_ns;
    }
    v1::ClockSnapshot& snapshot = snapshots_.emplace_back();
    snapshot.set_boottime_ns(t_ns);
    snapshot.set_monotonic_ns(t_ns - slept);
    snapshot.set_monotonic_raw_ns(t_ns - slept);
  }

  void MakeExchanges() {
    std::int64_t t1 = start_ns_;
    for (std::int64_t due = start_ns_; due <= end_ns(); due += Ns(model_.period_s)) {
      t1 = std::max(t1, Awake(due));
      Snapshot(t1);
      for (int i = 0; i < model_.burst; ++i) {
        t1 = Awake(t1);
        const std::int64_t there = t1 + std::llround(DelayNs(model_.there_ms));
        const std::int64_t answered = there + Ns(model_.processing_ms * 1e-3);
        const std::int64_t t4 = Awake(answered + std::llround(DelayNs(model_.back_ms)));
        v1::ClockExchange& exchange = exchanges_.emplace_back();
        exchange.set_t1_ns(t1);
        exchange.set_t2_ns(PeerAt(there));
        exchange.set_t3_ns(PeerAt(answered));
        exchange.set_t4_ns(t4);
        exchange.set_peer_boot_id(model_.boot_id);
        exchange.set_peer_raw_ns(exchange.t3_ns());
        t1 = t4 + 10'000;
      }
    }
    Snapshot(std::max(t1, Awake(end_ns())));
  }

  LinkModel model_;
  std::mt19937_64 random_;
  std::int64_t start_ns_ = 0;
  std::vector<Sleep> sleeps_;
  std::vector<double> offset_ns_;  // without the jumps
  std::vector<v1::ClockExchange> exchanges_;
  std::vector<v1::ClockSnapshot> snapshots_;
};

}  // namespace joulefarm
