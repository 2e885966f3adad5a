// Which meter a source is, and how it did so far.
//
// Threads: any. Ownership: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/power/meter/settings.h"

namespace joulefarm::agent {

struct MeterCounts {
  std::int64_t samples = 0;       // given out
  std::int64_t lost = 0;          // known to be missing, for whatever reason
  std::int64_t rejected = 0;      // frames refused: checksum, length, magic, not the one asked for
  std::int64_t out_of_range = 0;  // samples beyond what the model can measure
  std::int64_t out_of_order = 0;  // samples whose tick did not rise
  std::int64_t overflowed = 0;    // samples nobody collected in time
  std::int64_t reopened = 0;      // times the meter was opened again
  // Values per second that differ from the one before; absent: fewer than two came.
  std::optional<double> distinct_hz;
  // Half the longest round trip of an asked sample; absent: it is not asked.
  std::optional<std::int64_t> half_round_trip_ns;
};

struct MeterReport {
  std::string id;        // "meter:km003c:SERIAL", the same wherever it is plugged in (ResourceIdOf)
  std::string local_id;  // what is kept of it here is kept under that (IdOf)
  std::string model;     // as in MeterModel
  std::string title;
  std::string place;  // on the bus, such as "USB port 3-1.2"
  // Absent: it does not say.
  std::optional<std::string> serial;
  std::optional<std::string> firmware;
  MeterSettings settings;
  MeterCounts counts;
  std::string trouble;  // the last, for people; empty: none
};

}  // namespace joulefarm::agent
