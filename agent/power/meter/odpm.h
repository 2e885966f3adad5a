// energy_value of a Pixel's on-device power monitor (ODPM): energy counters of its rails.
//
// Threads: see MeterDecoder. Ownership: values.
#pragma once

#include "agent/power/meter/model.h"

namespace joulefarm::agent {

// A sample per reading of the file: the line "t=<ms>" and the lines "CH<n>(T=<ms>)[<rail>],
// <energy>" below it. t_ns: BOOTTIME of the phone; T is how long the rail has been counted, and no
// time. Without a line "t=" the sample has no t_ns and ends where a rail comes again. More:
// "<rail>_j", cumulative. No rail is the whole phone, so there is no power_w. Lines of
// enabled_rails, "CH0[<rail>]:<subsystem>", are legal and say nothing.
MeterModel OdpmModel();

}  // namespace joulefarm::agent
