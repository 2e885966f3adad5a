// How meters that are a program's output are read: a program that goes on printing, or one that is
// run for each reading.
//
// Threads: see MeterDriver. Ownership: values; drivers own their decoders.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "agent/power/meter/driver.h"
#include "agent/power/meter/model.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {

// What a driver takes of its model and of what is stated.
struct ProgramMeter {
  std::unique_ptr<MeterDecoder> decoder;
  double max_rate_hz = 0;
  std::function<absl::Status(const MeterSample&, bool negate)> check;  // see MeterProgram
  bool negate = false;
};

// Lines that come together are one saying, of one instant: the arrival of its last line. The value
// was read after the saying before, so a saying that comes more than kLatestPeriods after that is
// not used, and of several samples in one only the last (the program keeps lines back, or this host
// stood still).
class PrintingDriver : public MeterDriver {
 public:
  static constexpr double kLatestPeriods = 1.5;

  explicit PrintingDriver(ProgramMeter meter, std::function<std::int64_t()> now = BoottimeNs)
      : meter_(std::move(meter)), now_(std::move(now)) {}

  absl::StatusOr<MeterIdentity> Start(Link& link, double rate_hz) override;
  absl::Status Step(Link& link, MeterBatch& batch) override;
  void Stop(Link& link) override;

 private:
  const ProgramMeter meter_;
  const std::function<std::int64_t()> now_;
  std::int64_t latest_ns_ = 0;
  std::int64_t said_ns_ = 0;  // the last saying, whatever it was; first, the program's start
  absl::Status ended_;        // why the program ended, not told yet
};

// A reading is the program's whole output, and its stamp the middle between start and last line;
// refused where these are more than kLongestRunNs apart.
class RunDriver : public MeterDriver {
 public:
  static constexpr std::int64_t kLongestRunNs = 1'000'000'000;

  explicit RunDriver(ProgramMeter meter, std::function<std::int64_t()> now = BoottimeNs)
      : meter_(std::move(meter)), now_(std::move(now)) {}

  absl::StatusOr<MeterIdentity> Start(Link& link, double rate_hz) override;
  absl::Status Step(Link& link, MeterBatch& batch) override;
  void Stop(Link& link) override;

 private:
  // Takes what there is of the output until a step's end; true: that was all of it.
  absl::StatusOr<bool> ReadOn(Link& link, MeterBatch& batch);

  const ProgramMeter meter_;
  const std::function<std::int64_t()> now_;
  std::int64_t period_ns_ = 0;
  std::int64_t next_ns_ = 0;
  bool runs_ = false;
  MeterBatch taken_;  // of the run under way
};

// Makes a model with a decoder one that is read from a program.
void ReadFromProgram(MeterModel& model, MeterProgram program);

}  // namespace joulefarm::agent
