// PTDaemon's lines.
//
// Threads: any. Ownership: values.
#pragma once

#include "agent/power/meter/ptdaemon.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::ptdaemon {

// As MLPerf's tests have it; the mark's name is left out there.
inline constexpr char kLine[] =
    "Time,01-22-2021 15:05:14.313,Watts,22.970000,Volts,227.370000,Amps,0.204340,PF,0.494400,"
    "Mark,notset";

inline MutationCase Case() {
  return {.make = PtdaemonModel().make_decoder,
          .frames = {LineOf(kLine), LineOf("Time,12-23-2020 10:26:09.769,Watts,32.81,Volts,228.98,"
                                           "Amps,0.27562,PF,0.5199,Mark,m")},
          .stream = true,
          .max_voltage_v = 1e4,
          .max_current_a = 1e4};
}

}  // namespace joulefarm::agent::ptdaemon
