// Which samples a request for a trace means.
//
// Thread rule: the connection's thread. Ownership: values.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "joulefarm/v1/farm_service.pb.h"

struct sqlite3;

namespace joulefarm::controller {

struct TraceSource {
  std::int64_t attempt = 0;
  std::string channel;
  std::int64_t source = 0;
};

// The job's accepted attempt, or else its newest, or the one that is named; the primary energy
// channel, or the one that is named. INVALID_ARGUMENT: neither job nor attempt. NOT_FOUND says
// what there is instead. Others as SqliteStatus.
absl::StatusOr<TraceSource> FindTrace(sqlite3* handle, const v1::GetTraceRequest& request);

}  // namespace joulefarm::controller
