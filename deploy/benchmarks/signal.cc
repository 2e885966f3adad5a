#include "deploy/benchmarks/signal.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace joulefarm::bench {
namespace {

constexpr double kIdleW = 1.3;
constexpr double kPrefillW = 9.2;
constexpr double kDecodeW = 5.6;

std::int64_t Samples(double seconds) {
  return std::llround(seconds * static_cast<double>(kSignalHz));
}

}  // namespace

// Idle for 5 to 10 s, prefill for 0.4 to 1.5 s, decode for 8 to 20 s.
void Signal::NextState() {
  std::uniform_real_distribution<double> share(0, 1);
  const double x = share(random_);
  switch (state_) {
    case State::kDecode:
      if (!runs_.empty()) runs_.back().end_ns = t_ns_;
      state_ = State::kIdle;
      left_ = Samples(5 + 5 * x);
      break;
    case State::kIdle:
      runs_.push_back({t_ns_, 0, 0});
      state_ = State::kPrefill;
      left_ = Samples(0.4 + 1.1 * x);
      break;
    case State::kPrefill:
      runs_.back().decode_ns = t_ns_;
      state_ = State::kDecode;
      left_ = Samples(8 + 12 * x);
      break;
  }
}

// Tokens of about 40 ms each dip between layers and sampling; idling wakes up now and then; the
// frequency moves every second or so.
double Signal::LoadW() {
  if (clock_left_-- <= 0) {
    clock_left_ = std::uniform_int_distribution<std::int64_t>(Samples(0.3), Samples(2))(random_);
    clock_w_ = 0.4 * normal_(random_);
  }
  if (token_left_ <= 0) {
    token_ = std::uniform_int_distribution<std::int64_t>(Samples(0.035), Samples(0.045))(random_);
    token_left_ = token_;
    token_w_ = 0.15 * normal_(random_);
  }
  const double part = 1 - static_cast<double>(token_left_--) / static_cast<double>(token_);
  switch (state_) {
    case State::kIdle:
      return kIdleW + (part < 0.05 && token_w_ > 0.1 ? 0.8 : 0);
    case State::kPrefill:
      return kPrefillW + clock_w_ + 0.3 * part;
    case State::kDecode:
      break;
  }
  return kDecodeW + clock_w_ + token_w_ + (part < 0.08 ? -1.8 : 0.25 * part);
}

std::pair<std::int64_t, std::int64_t> Signal::Next() {
  if (left_-- <= 0) NextState();
  const double watts = LoadW() + options_.noise_mw * 1e-3 * normal_(random_);
  t_ns_ += kSignalPeriodNs;
  std::int64_t stamp_ns = t_ns_;
  if (options_.stamp_jitter_us > 0) {
    const auto jitter_ns =
        static_cast<std::int64_t>(options_.stamp_jitter_us * 1e3 * normal_(random_));
    stamp_ns += std::clamp<std::int64_t>(jitter_ns, -kSignalPeriodNs / 3, kSignalPeriodNs / 3);
  }
  return {stamp_ns, std::llround(watts / kSignalScale)};
}

std::string Signal::Describe(const SignalOptions& options) {
  char text[240];
  std::snprintf(text, sizeof text,
                "5 kHz power in 0.1 mW: idle, prefill and token by token decode of 1.3 to 9.5 W, "
                "white noise of %.3g mW rms, stamps %s",
                options.noise_mw,
                options.stamp_jitter_us > 0 ? "of the host with 2 us rms of jitter"
                                            : "of the meter's own clock");
  return text;
}

}  // namespace joulefarm::bench
