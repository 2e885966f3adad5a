// What the spool hands out.
//
// Thread rule: plain values. Ownership: values.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "joulefarm/v1/lease.pb.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

// An attempt that was granted and is not yet uploaded whole.
struct HeldRecord {
  v1::Grant grant;
  // Its Final is in the spool. False after a crash: it was to be executed or was executing.
  bool finished = false;
};

// A child process as it was journalled; with the boot id and the start time its pid cannot mean
// another.
struct JournaledProcess {
  std::string boot_id;
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;
};

// A frame with its place in the order of arrival. Ids grow and are never used again while the spool
// is open.
struct StoredFrame {
  std::int64_t id = 0;
  v1::Frame frame;
};

}  // namespace joulefarm::agent
