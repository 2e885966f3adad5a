// A trace to draw: two runs of a power channel with a warm-up, as an attempt records them.
//
// Thread rule: pure. Ownership: values.
#pragma once

#include "cli/trace/picture.h"

namespace joulefarm::cli {

inline TraceInfo SampleTraceInfo() {
  constexpr std::int64_t kMs = 1'000'000;
  TraceInfo info;
  info.job = "job-7";
  info.experiment = "exp-1";
  info.cell = "model=tiny<q8>,threads=2";
  info.device = "edge-7f3a";
  info.attempt = 9;
  info.channel = {"meter", 0, "power_w", "device", "measured", "", 1000, 0, std::nullopt};
  info.phases = {{"idle_unloaded", std::nullopt, 1000 * kMs, 2000 * kMs},
                 {"load", std::nullopt, 2000 * kMs, 2500 * kMs},
                 {"prefill", 0, 2500 * kMs, 2900 * kMs},
                 {"decode", 0, 2900 * kMs, 4500 * kMs},
                 {"idle_loaded", std::nullopt, 4500 * kMs, 5000 * kMs},
                 {"prefill", 1, 5000 * kMs, 5400 * kMs},
                 {"decode", 1, 5400 * kMs, 7000 * kMs}};
  info.runs = {{0, true, 2500 * kMs, 4500 * kMs}, {1, false, 5000 * kMs, 7000 * kMs}};
  info.first_ns = 1000 * kMs;
  info.last_ns = 7000 * kMs;
  info.samples = 6000;
  return info;
}

inline double SamplePower(const TraceInfo& info, std::int64_t t_ns) {
  const TracePhase* phase = info.PhaseAt(t_ns);
  const double ripple = (t_ns / 1'000'000) % 2 == 0 ? 0.8 : -0.8;
  if (phase == nullptr) return 2;
  if (phase->name == "prefill") return 14 + ripple;
  if (phase->name == "decode") return 9 + ripple;
  return 3;
}

inline Picture SamplePicture(int bins) {
  Picture picture;
  picture.info = SampleTraceInfo();
  CurveOptions options;
  options.from_ns = picture.info.Origin();
  options.to_ns = picture.info.last_ns;
  options.bins = bins;
  options.period_ns = picture.info.PeriodNs();
  CurveBuilder builder(options);
  for (std::int64_t t = options.from_ns; t < options.to_ns; t += 1'000'000)
    builder.Add(t, SamplePower(picture.info, t));
  picture.curve = builder.Finish();
  picture.origin_ns = options.from_ns;
  picture.unit = UnitFor(picture.info.channel.quantity, 14);
  return picture;
}

}  // namespace joulefarm::cli
