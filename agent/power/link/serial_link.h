// A serial line: CDC-ACM, a CH340, Bluetooth SPP. Raw, 8 data bits, no parity, one stop bit, no
// flow control, for this process alone. Reading it gives all that has arrived, however many reads
// of the system that takes.
//
// Threads: one. Ownership: a link owns its descriptor and closes it in its destructor.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/power/link/link.h"

namespace joulefarm::agent {

// PERMISSION_DENIED: with the cure. UNAVAILABLE: it is not there, or another process holds it, and
// which one if that can be seen. INVALID_ARGUMENT: no line has this baud rate.
absl::StatusOr<std::unique_ptr<Link>> OpenSerial(const std::string& path, int baud);

}  // namespace joulefarm::agent
