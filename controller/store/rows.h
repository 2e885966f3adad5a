// Writing of rows: one function per kind of thing. All run inside the caller's transaction.
//
// Thread rule: the store thread. Ownership: arguments are only read. Errors: throw
// SQLite::Exception.
#pragma once

#include <cstdint>
#include <string>

#include "controller/store/session.h"
#include "controller/store/store.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::controller {

// control_rows.cc: the farm's state.
void WriteRow(Session& session, const Experiment& experiment);
void WriteRow(Session& session, const Job& job);
void WriteRow(Session& session, const Attempt& attempt);
void WriteRow(Session& session, const AttemptReason& reason);
void WriteRow(Session& session, const Device& device);
void WriteRow(Session& session, const Resource& resource);
void WriteRow(Session& session, const Agent& agent);
void WriteRow(Session& session, const FarmEvent& event);
void WriteRow(Session& session, const Artifact& artifact);
void WriteRow(Session& session, const EpochTaken& taken);
void WriteRow(Session& session, const FenceBumped& bumped);

// result_rows.cc: replaces what an earlier finalisation of the attempt wrote, and marks it as
// finalised.
void WriteRow(Session& session, const AttemptResults& results);

// Where a row of a frame came from.
struct Place {
  std::int64_t fence = 0;
  int source = 0;
  std::int64_t seq = 0;
};

// stream_rows.cc: decodes a payload of any stream but FINAL into its tables. Returns what is wrong
// with the payload, empty when nothing is; the caller then undoes what was written.
std::string WritePayload(Session& session, const Place& place, v1::Stream stream,
                         const std::string& payload);

// event_rows.cc: one event of the event stream, the `index`th of its frame.
void WriteEvent(Session& session, const Place& place, std::int64_t index, const v1::Event& event);

// meter_rows.cc: what has to do with clocks, meters and power ports.
void WriteClockExchange(Session& session, const Place& place, std::int64_t index,
                        const v1::ClockExchange& exchange);
void WriteMeterTicks(Session& session, const Place& place, std::int64_t index,
                     const v1::MeterTicks& ticks);
void WriteMeter(Session& session, const Place& place, const v1::MeterRecord& meter);
void WriteMeterStats(Session& session, const Place& place, const v1::MeterStats& stats);
void WritePortSwitched(Session& session, const Place& place, std::int64_t index, std::int64_t t_ns,
                       const v1::PortSwitched& port);

}  // namespace joulefarm::controller
