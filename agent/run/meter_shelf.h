// The meters of this host, as the controller leases them.
//
// Threads: any. Ownership: what is opened belongs to the caller and outlives the shelf.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/power/power_source.h"
#include "joulefarm/v1/device.pb.h"

namespace joulefarm::agent {

class MeterShelf {
 public:
  virtual ~MeterShelf() = default;
  // What is here now; opens nothing.
  virtual std::vector<v1::ResourceAnnouncement> Look() = 0;
  // Not started yet. UNAVAILABLE: why it cannot be used now, with the cure.
  virtual absl::StatusOr<std::unique_ptr<PowerSource>> Open(const std::string& resource_id) = 0;
};

}  // namespace joulefarm::agent
