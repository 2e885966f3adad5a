// The meters on the buses of this host.
//
// Threads: any. Ownership: values.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/host/host_paths.h"
#include "agent/power/meter/settings.h"
#include "agent/run/meter_shelf.h"

namespace joulefarm::agent {

class HostMeters : public MeterShelf {
 public:
  // Of another tree of files than this host's own, nothing is here.
  HostMeters(const HostPaths& paths, MeterConfig config)
      : live_(paths.live()), config_(std::move(config)) {}

  std::vector<v1::ResourceAnnouncement> Look() override;
  absl::StatusOr<std::unique_ptr<PowerSource>> Open(const std::string& resource_id) override;

 private:
  const bool live_;
  const MeterConfig config_;
};

}  // namespace joulefarm::agent
