// A line to a server over TCP, such as PTDaemon.
//
// Threads: one. Ownership: owns its socket.
#pragma once

#include <memory>
#include <string>

#include "agent/power/link/link.h"

namespace joulefarm::agent {

// Connects to "HOST:PORT", or "HOST" with the port given ("[::1]:8888" for IPv6). UNAVAILABLE:
// nobody listens there, or the name is not known; DEADLINE_EXCEEDED: no answer within the time
// (looking the name up is not bounded by it); INVALID_ARGUMENT: no address.
absl::StatusOr<std::unique_ptr<Link>> ConnectTcp(const std::string& address, int default_port,
                                                 int timeout_ms);

}  // namespace joulefarm::agent
