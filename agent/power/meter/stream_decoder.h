// A decoder of frames in a serial line: keeps what is cut off by the end of a read, and gives out
// what was decoded before a refusal with the call after it.
//
// Threads: one per object. Ownership: values.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "agent/power/meter/decoder.h"

namespace joulefarm::agent {

class StreamDecoder : public MeterDecoder {
 public:
  absl::StatusOr<std::vector<MeterSample>> Decode(Bytes bytes) final;
  // Refuses what is no whole frame.
  absl::StatusOr<std::vector<MeterSample>> Finish() override;
  void Reset() override;

 protected:
  struct Taken {
    std::size_t bytes = 0;  // off the front; 0: more must arrive first
    absl::Status status;    // not OK: they were refused, and why; then at least one is taken
  };
  // Looks at the front of what has arrived (never empty) and appends the samples in it.
  virtual Taken Take(Bytes arrived, std::vector<MeterSample>& samples) = 0;

  // Refuses what is up to the next place behind the first byte where `begins` says that a frame may
  // begin.
  template <typename Begins>
  static Taken RefuseUpTo(Bytes arrived, Begins begins, absl::string_view why) {
    std::size_t at = 1;
    while (at < arrived.size() && !begins(arrived.subspan(at))) ++at;
    return {at, absl::DataLossError(why)};
  }

 private:
  std::vector<std::uint8_t> arrived_;
  std::vector<MeterSample> samples_;
};

// DATA_LOSS where one of them is not a number or beyond what the meter can measure.
absl::Status CheckRange(const MeterSample& sample, double max_voltage_v, double max_current_a);

}  // namespace joulefarm::agent
