// HOST:PORT as people write it.
//
// Thread rule: pure functions.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace joulefarm {

struct HostPort {
  std::string host;  // without brackets
  int port = 0;      // 0: any free one

  // "host:port", IPv6 in brackets.
  std::string ToString() const;
};

// "HOST:PORT" or "[IPv6]:PORT". INVALID_ARGUMENT says what is wrong with the text.
absl::StatusOr<HostPort> ParseHostPort(absl::string_view text);

// True for localhost, 127.0.0.0/8 and ::1.
bool IsLoopback(absl::string_view host);

// Refuses to speak without TLS beyond this machine unless the operator allowed it.
// FAILED_PRECONDITION.
absl::Status CheckPlaintext(const HostPort& address, bool allow_plaintext);

}  // namespace joulefarm
