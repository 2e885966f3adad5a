// What a 5 kHz meter says of a machine that answers prompts: the same samples every time.
//
// Threads: one per object. Ownership: values. Stamps are ns, raw values times kSignalScale are W.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace joulefarm::bench {

inline constexpr std::int64_t kSignalHz = 5000;
inline constexpr std::int64_t kSignalPeriodNs = 1'000'000'000 / kSignalHz;
// 0.1 mW: below half of what the converter of such a meter resolves (0.1 mA at 4 V), and below its
// noise. Finer steps would only store the noise of the last bits.
inline constexpr double kSignalScale = 1e-4;

struct SignalOptions {
  double noise_mw = 6;         // rms, white; of a Monsoon's coarse range 1 to 2 mA at 4 V
  double stamp_jitter_us = 0;  // rms; 0: stamps of the meter's own clock, which counts samples
};

class Signal {
 public:
  explicit Signal(const SignalOptions& options = {}) : options_(options) {}

  std::pair<std::int64_t, std::int64_t> Next();

  // Begin and end of each prompt's prefill and decode so far.
  struct Run {
    std::int64_t prefill_ns = 0;
    std::int64_t decode_ns = 0;
    std::int64_t end_ns = 0;
  };
  const std::vector<Run>& runs() const { return runs_; }
  static std::string Describe(const SignalOptions& options);

 private:
  enum class State { kIdle, kPrefill, kDecode };
  void NextState();
  double LoadW();

  SignalOptions options_;
  std::mt19937_64 random_{42};
  std::normal_distribution<double> normal_;
  State state_ = State::kDecode;
  std::int64_t left_ = 0;  // samples of the state
  std::int64_t token_left_ = 0;
  std::int64_t token_ = 1;  // samples of this token
  double token_w_ = 0;
  double clock_w_ = 0;  // what the governor's frequency adds, changes now and then
  std::int64_t clock_left_ = 0;
  std::int64_t t_ns_ = 1'000'000'000'000;
  std::vector<Run> runs_;
};

}  // namespace joulefarm::bench
