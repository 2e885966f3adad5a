// What drivers over a serial line share: reading into a decoder, and silence before a conversation.
//
// Threads: one. Ownership: none; everything is lent for the call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "agent/power/link/link.h"
#include "agent/power/meter/decoder.h"
#include "agent/power/meter/driver.h"

namespace joulefarm::agent {

// Decodes what arrived on a serial line into `batch`, the rest behind every refusal included. An
// error: the device must not be used now (FAILED_PRECONDITION).
absl::Status DecodeInto(MeterDecoder& decoder, Bytes bytes, MeterBatch& batch);

// One read of at most `most` bytes within `timeout_ms`, stamped and decoded into `batch`. OK with
// nothing arrived.
absl::Status ReadInto(Link& link, std::size_t most, int timeout_ms, MeterDecoder& decoder,
                      MeterBatch& batch);

// Throws away what has arrived, until nothing comes for `quiet_ms`. DATA_LOSS: it does not end.
absl::Status DrainLine(Link& link, int quiet_ms);

}  // namespace joulefarm::agent
