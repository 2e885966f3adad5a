#include "common/daemon/address.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace joulefarm {

std::string HostPort::ToString() const {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port)
                                      : absl::StrCat(host, ":", port);
}

absl::StatusOr<HostPort> ParseHostPort(absl::string_view text) {
  const auto wrong = [text](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not HOST:PORT: ", what));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return wrong("there is no ':'");
  absl::string_view host = text.substr(0, colon);
  HostPort address;
  if (!absl::SimpleAtoi(text.substr(colon + 1), &address.port) || address.port < 0 ||
      address.port > 65535) {
    return wrong("the port must be a number from 0 to 65535");
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (absl::StrContains(host, ':')) {
    return wrong("an IPv6 address goes in brackets");
  }
  if (host.empty()) return wrong("the host is empty");
  address.host = std::string(host);
  return address;
}

bool IsLoopback(absl::string_view host) {
  return host == "localhost" || host == "::1" || absl::StartsWith(host, "127.");
}

absl::Status CheckPlaintext(const HostPort& address, bool allow_plaintext) {
  if (allow_plaintext || IsLoopback(address.host)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(address.ToString(),
                   " is not on this machine and the connection is not encrypted: on a network you "
                   "trust give --allow-plaintext, otherwise tunnel it (for instance ssh -L)"));
}

}  // namespace joulefarm
