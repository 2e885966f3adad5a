// One power source of an attempt: its channels' samples into chunks, and of a meter what it is, the
// instants of its clock and how it did into events.
//
// Threads: one at a time. Ownership: owns the source and its writers; encoder and recorder outlive
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "agent/host/channel_writer.h"
#include "agent/power/power_source.h"
#include "agent/workload/recorder.h"

namespace joulefarm::agent {

class SampledSource {
 public:
  struct Options {
    std::int64_t chunk_ns = 0;  // how much time a chunk covers at most
    // Of sources that state no rate, and of those that sample by themselves.
    std::int64_t period_ns = 0;
    std::string agent_id;  // for records of meters
  };
  // The source has been started.
  SampledSource(std::unique_ptr<PowerSource> power, Options options, TraceEncoder* encoder,
                Recorder* recorder);

  const std::vector<v1::ChannelInfo>& channels() const { return power_->channels(); }
  // How often it is sampled.
  std::int64_t period_ns() const { return period_ns_; }
  // After so long its readings show everything up to now.
  std::int64_t settle_ns() const;

  // Says what the meter is.
  void Declare();
  // Polls it; the readings are those of this poll.
  absl::Span<const PowerReading> Sample();
  // Hands out what it has.
  void Flush();
  // The same for the last time, how the meter did, and how many samples a source that makes them
  // has made.
  void End();

 private:
  void RecordTicks();
  template <typename Fill>
  void Record(const Fill& fill);

  std::unique_ptr<PowerSource> power_;
  const Options options_;
  Recorder* recorder_;
  std::int64_t period_ns_ = 0;
  std::vector<std::unique_ptr<ChannelWriter>> writers_;
  std::vector<PowerReading> readings_;
  std::vector<ClockPair> pairs_;
  bool failing_ = false;
};

}  // namespace joulefarm::agent
