// A trace as a picture needs it: samples gathered in bins of equal time while they stream by.
//
// Thread rule: one thread. Ownership: values. Memory is that of the bins, however many samples.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace joulefarm::cli {

struct CurveOptions {
  std::int64_t from_ns = 0;
  std::int64_t to_ns = 0;  // after from_ns
  int bins = 1;
  // The usual time between samples; 0: not known. More than five of it is a gap.
  std::int64_t period_ns = 0;
  // Readings of a counter: bins hold its rate per second instead of the value.
  bool counter = false;
  std::optional<double> wrap;  // of the counter, in its unit
};

// What fell into one bin.
struct CurveBin {
  std::int64_t n = 0;  // samples; for counters 1 when the rate is known
  double min = 0;
  double max = 0;
  double mean = 0;
  // Samples are missing between the one before and the first of this bin.
  bool gap_before = false;
};

struct Curve {
  std::int64_t from_ns = 0;
  std::int64_t to_ns = 0;
  std::vector<CurveBin> bins;
  std::int64_t samples = 0;  // inside the time

  double BinNs() const {
    return static_cast<double>(to_ns - from_ns) / static_cast<double>(bins.size());
  }
  // Some bin holds more than a picture of it can tell apart.
  bool IsEnvelope() const;
  // The lowest and highest value; absent for an empty curve.
  std::optional<double> Lowest() const;
  std::optional<double> Highest() const;
};

// How many bins suit: at most `most`, and for a counter none shorter than two readings, so that a
// late reading does not look like a dip and a peak.
int SensibleBins(int most, std::int64_t span_ns, std::int64_t period_ns, std::int64_t refresh_ns,
                 bool counter);

class CurveBuilder {
 public:
  explicit CurveBuilder(const CurveOptions& options);
  // Samples in order of time, also those outside: a counter needs its reading before.
  void Add(std::int64_t t_ns, double value);
  Curve Finish();

 private:
  struct Rate {
    double amount = 0;
    double covered_ns = 0;
  };
  void AddSample(std::int64_t t_ns, double value);
  void AddStep(std::int64_t t_ns, double value);

  CurveOptions options_;
  Curve curve_;
  std::vector<Rate> rates_;
  std::optional<std::int64_t> last_ns_;
  double last_ = 0;
};

}  // namespace joulefarm::cli
