// SPEC's PTDaemon, which reads power analysers: its lines, and it as a server (TCP, port 8888).
//
// Threads: see MeterDecoder and MeterDriver. Ownership: values.
#pragma once

#include "agent/power/meter/model.h"

namespace joulefarm::agent {

// A sample per line "Time,<month-day-year time>,Watts,…,Volts,…,Amps,…,PF,…,Mark,…". t_ns: the
// daemon's local time, as if it were UTC, since 1970; it jumps with daylight saving. -1 stands for
// "not known" and is absent. More: pf, and of analysers with several channels "ch1_w", "ch1_v",
// "ch1_a" and so on. Replies to commands are legal and give no sample.
//
// The driver says Hello and Identify, starts an untimed measurement of one sample a second
// ("Go,1000,0"), asks 40 times a second for those it has not seen ("RL") and ends with "Stop". A
// sample's stamp is the middle between the last question that it did not answer and the reply that
// it came in; where these are too far apart, or several came in one, it counts as lost. It leaves
// the analyser's ranges alone: set them before, MLPerf's rules say how.
MeterModel PtdaemonModel();

}  // namespace joulefarm::agent
