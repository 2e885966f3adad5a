// Tells systemd how a daemon is, without libsystemd.
//
// Thread rule: any thread. The protocol is sd_notify(3): a datagram to the socket named by
// $NOTIFY_SOCKET.
#pragma once

#include "absl/strings/string_view.h"

namespace joulefarm {

// "READY=1", "STOPPING=1", "STATUS=…". Nothing happens when no service manager listens.
void NotifyServiceManager(absl::string_view state);

}  // namespace joulefarm
