// farm.idle_submit_start_*: how long an idle farm takes from the call of submit to the attempt's
// begin.
//
// Threads: blocks. Ownership: none.
#pragma once

#include <string>

namespace joulefarm::bench {

// `controller` is HOST:PORT of a farm with one idle agent on this host: the stamps of both ends are
// this host's BOOTTIME. 0: all went well.
int MeasureSubmitStart(const std::string& controller, int count);

}  // namespace joulefarm::bench
