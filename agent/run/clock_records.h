// What an attempt's streams say of the host's clocks, whoever measures.
//
// Threads: any. Ownership: the recorder is borrowed for the call.
#pragma once

#include <chrono>

#include "agent/workload/recorder.h"

namespace joulefarm::agent {

// What happened last lies between two bursts of clock exchanges, where the controller answers.
inline constexpr std::chrono::milliseconds kLastBurst{1000};

// All clocks of the host, read as one. Once as an attempt begins and once as it ends.
void RecordClocks(Recorder& recorder);

}  // namespace joulefarm::agent
