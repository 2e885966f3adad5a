#include "agent/run/clock_records.h"

#include <utility>

#include "agent/host/clock.h"

namespace joulefarm::agent {

void RecordClocks(Recorder& recorder) {
  v1::Event event;
  *event.mutable_clock() = ReadClocks();
  event.set_t_ns(event.clock().boottime_ns());
  recorder.Record(std::move(event));
}

}  // namespace joulefarm::agent
