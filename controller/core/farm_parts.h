// What the farm keeps in mind beside its rows, and what its parts tell each other. Not stored.
//
// Threads: any. Ownership: values.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/events.h"
#include "controller/core/model.h"

namespace joulefarm::controller {

// An experiment and where its jobs stand.
struct ExperimentState {
  Experiment info;
  int queued = 0, active = 0, succeeded = 0, failed = 0, canceled = 0;
  std::set<std::string> active_jobs;
  std::vector<std::string> failed_jobs;  // or canceled; in order of ending
  std::map<std::string, std::set<std::string>>
      cell_failures;  // cell to devices that failed it for its own reasons
};

struct AgentSession {
  std::string agent_id;
  std::int64_t epoch = 0;
};

// An agent and what hangs on it.
struct AgentState {
  Agent info;
  SessionId session = 0;
  std::set<std::string> devices;
  std::set<std::string> resources;
  std::set<std::string> metered;  // devices, of any agent, whose meter hangs here
  std::set<Fence> attempts;       // not terminal, or LOST and still live
  std::set<Fence> helps;          // those it sends a further source of
  std::int64_t last_seen_boot_ns = 0;
  std::int64_t last_seen_written_boot_ns = 0;  // the stamp that was stored last
};

// Of a device: rest after refusals.
struct Rest {
  std::int64_t ready_at_boot_ns = 0;
  int refusals = 0;
};

// What an attempt said of itself, as it was stored last.
struct Told {
  std::string detail;
  std::int64_t boot_ns = 0;
};

// What jobs want beside a device; those that want the same wait in one queue.
struct Need {
  v1::PowerRequire power = v1::POWER_REQUIRE_UNSPECIFIED;
  std::string channel;
  double min_rate_hz = 0;
  bool cut_usb = false;
  auto operator<=>(const Need&) const = default;
};

using QueueKey = std::pair<int, std::int64_t>;  // priority, job number
using Queue = std::map<QueueKey, std::string>;  // to job id

// How long a resource cannot be had: until a job is over, until its agent has said something, or
// until somebody does something about it.
enum class Until { kWorkEnds, kPassed, kMended };

// Why a resource cannot be had now.
struct Trouble {
  std::string why;
  Until until = Until::kMended;
};

// What a device and a need come to: all of it is granted, or nothing.
struct Gang {
  std::vector<v1::GrantedResource> resources;
  std::string blocked;   // why nothing can be granted now; empty: it can
  bool by_work = false;  // and it is others' work that blocks it
  std::string left_out;  // the meter it goes without, and why; empty: none

  void Block(const char* waits_for, const Trouble& trouble) {
    blocked = waits_for + trouble.why;
    by_work = trouble.until == Until::kWorkEnds;
  }
};

}  // namespace joulefarm::controller
