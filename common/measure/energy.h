// Energy of phases from power samples or from cumulative counters, each with an uncertainty by
// component and with the reasons why it may not be trusted. docs/measurement.md has the formulas.
//
// Threads: pure functions. Ownership: traces own their columns and are borrowed for a call; results
// are values. Stamps are ns on CLOCK_BOOTTIME; power is positive when the device draws it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "common/measure/grade.h"
#include "common/measure/phases.h"

namespace joulefarm {

// What is known about a source's errors.
struct SourceErrors {
  std::optional<double> gain_u;      // relative standard uncertainty of the gain
  std::optional<double> offset_u_w;  // standard uncertainty of the zero offset, W; of power
  // The stamps are off by at most this from the clock of the phases; 0 on one host.
  std::int64_t clock_bound_ns = 0;
  // And between two of them by at most this share of the time.
  double clock_rate = 0;
};

// Samples that a source says it lost somewhere in an interval.
struct KnownLoss {
  Interval where;
  std::int64_t samples = 0;
};

// Two neighbours of a trace between which samples are left out, and what integrating over those
// gives. Nothing is missing there.
struct Stretch {
  std::size_t first = 0;     // index of the first sample; the last is the one after it
  std::int64_t samples = 0;  // of the first to before the last
  double w_ns = 0;           // integral of the power
  double w2_ns = 0;          // integral of its square
  double step2_w2_ns2 = 0;   // sum of (difference * interval)^2
  double noise2_w2_ns2 = 0;  // sum of the smaller of two neighbours of those
  double lowest_w = 0;       // first and last included
  double highest_w = 0;
};

// Power, W, at strictly rising stamps.
struct PowerTrace {
  std::vector<std::int64_t> t_ns;
  std::vector<double> power_w;
  std::int64_t period_ns =
      0;  // nominal; the median interval where none is stated; 0: fewer than 2 samples
  std::int64_t duplicates = 0;  // samples left out because their stamp did not rise
  // A sample may show the power of up to this long before its stamp (a gauge that refreshes slowly,
  // a meter that averages).
  std::int64_t hold_ns = 0;
  // A gauge that said the same all the time: of when its power was is nothing known.
  bool never_refreshed = false;
  std::vector<KnownLoss> losses;
  // Of the whole trace, where this is the part of it that some integral needs.
  std::int64_t samples_elsewhere = 0;
  // By index. A part that is integrated neither begins nor ends inside of one.
  std::vector<Stretch> stretches;
  SourceErrors errors;
};

// Cumulative energy since the first reading, J, at strictly rising stamps; wraps are undone.
struct CounterTrace {
  std::vector<std::int64_t> t_ns;
  std::vector<double> energy_j;
  std::int64_t refresh_ns = 0;  // a reading may be this old when it is taken
  std::optional<double> wrap_j;
  // The highest mean power between two readings, W.
  double highest_w = 0;
  // readings[i] is less than readings[i - 1] although nothing wrapped.
  std::vector<std::size_t> resets;
  std::int64_t duplicates = 0;
  SourceErrors errors;
};

// value = raw * scale. Samples whose stamp does not rise are left out and counted. `nominal_hz` 0:
// not stated.
PowerTrace MakePowerTrace(absl::Span<const std::int64_t> t_ns, absl::Span<const std::int64_t> raw,
                          double scale, double nominal_hz);
// `wrap_raw`: the counter goes from there to 0.
CounterTrace MakeCounterTrace(absl::Span<const std::int64_t> t_ns,
                              absl::Span<const std::int64_t> raw, double scale,
                              std::optional<std::int64_t> wrap_raw, std::int64_t refresh_ns);

// Standard uncertainties (k = 1), J. Absent: the component does not apply.
struct EnergyParts {
  std::optional<double> gain_j;
  std::optional<double> offset_j;
  std::optional<double> clock_j;
  std::optional<double>
      counter_j;  // of a counter's edges, or of what may have happened between two power samples
  std::optional<double> gap_j;
  std::optional<double> cable_j;  // lost between the meter and the device
  // Of power whose source does not state its zero; counters have none.
  bool offset_unknown = false;
};

struct Energy {
  double duration_s = 0;
  std::optional<double> energy_j;
  std::optional<double> energy_u_j;  // all parts; absent when gain's or zero's is not known
  EnergyParts parts;
  std::optional<double> lo_j;  // hard bounds of counters
  std::optional<double> hi_j;
  std::optional<double> mean_w;
  std::optional<double> peak_w;  // highest sample; never of a counter
  // Integral of the squared power, W2 s; of a counter that of its mean, which is the least.
  std::optional<double> w2_s;
  std::vector<Finding> findings;
};

// Energy over intervals that do not overlap, as one quantity: edges between parts that touch are no
// edges.
// Where samples may be late by hold_ns, that is judged against the energy together with
// `beside_j`, of which this one is a part.
Energy IntegratePower(const PowerTrace& trace, absl::Span<const Interval> parts,
                      double beside_j = 0);
Energy IntegrateCounter(const CounterTrace& trace, absl::Span<const Interval> parts);

// Sums up energy_u_j anew from the parts; absent without those of the gain and the zero.
void SumParts(Energy& energy);

// The energy of a device behind a cable of `ohm` (there and back) whose voltage of `volts` is
// sensed before it. The energy stays that of the sense point; what the cable takes of it, R * I^2 *
// T, becomes part of its uncertainty.
void AddCable(double ohm, double volts, Energy& energy);

// What a device draws from a meter in its supply and from its own battery together: `battery` is
// positive out of it. An absent energy of either leaves none.
Energy WithBattery(const Energy& supply, const Energy& battery);

// The time for which IntegratePower or IntegrateCounter can give a value; empty (0, 0): none.
Interval Covered(const PowerTrace& trace);
Interval Covered(const CounterTrace& trace);

}  // namespace joulefarm
