// One thing that was looked at on this host, and what to do about it.
//
// Thread rule: plain values.
#pragma once

#include <string>
#include <vector>

namespace joulefarm::agent {

enum class Level {
  kOk,
  kWarning,  // works, but less or worse than it could
  kBroken,   // something needed does not work
};

struct Finding {
  Level level = Level::kOk;
  std::string area;  // "engine", "sensor", "disk", "memory", "time", "state", "controller"
  std::string text;
  std::string cure;  // empty when nothing is to be done
};

using Findings = std::vector<Finding>;

}  // namespace joulefarm::agent
