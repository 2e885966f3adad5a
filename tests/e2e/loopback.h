// Sockets of a test on 127.0.0.1.
//
// Threads: any. Ownership: the caller's descriptors.
#pragma once

#include <string>

namespace joulefarm::e2e {

// Listens on a free port; `address` is HOST:PORT then. A failure of it is one of the test.
int ListenOnLoopback(std::string& address);

// To HOST:PORT, whose host is taken for 127.0.0.1; -1: nobody is there. `buffer_bytes`: of the
// kernel's buffers for it, where it is above 0.
int ConnectOnLoopback(const std::string& address, int buffer_bytes = 0);

}  // namespace joulefarm::e2e
