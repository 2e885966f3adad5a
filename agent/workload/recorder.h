// Where everything an attempt observes goes: into streams of frames that survive a crash.
//
// Thread rule: every method may be called from any thread. Ownership: the caller's objects are
// moved in. Stamps are CLOCK_BOOTTIME of this host, nanoseconds.
#pragma once

#include <string>

#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

// Keeps a batch of tokens well below a frame's 64 KiB.
inline constexpr int kTokensPerBatch = 2000;

class Recorder {
 public:
  virtual ~Recorder() = default;
  // One line; `source` is "agent" or "engine".
  virtual void Log(const std::string& source, std::string text) = 0;
  virtual void Record(v1::Event event) = 0;
  virtual void Record(v1::Metric metric) = 0;
  virtual void Record(v1::TokenBatch tokens) = 0;
  // `stream` is STREAM_POWER or STREAM_HOST. The channel must have been declared by an Event before
  // its first chunk.
  virtual void Record(v1::Stream stream, v1::TraceChunk chunk) = 0;
};

}  // namespace joulefarm::agent
