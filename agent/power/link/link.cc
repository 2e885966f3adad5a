#include "agent/power/link/link.h"

namespace joulefarm::agent {

absl::Status Link::Control(const ControlRequest& /*request*/, std::vector<std::uint8_t>& /*data*/,
                           int /*timeout_ms*/) {
  return absl::UnimplementedError("this link has no control transfers");
}

}  // namespace joulefarm::agent
