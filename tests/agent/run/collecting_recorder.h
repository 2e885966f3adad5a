// Keeps what is recorded, for tests to look at.
//
// Threads: as Recorder; read it when nobody records any more. Ownership: values.
#pragma once

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "agent/workload/recorder.h"

namespace joulefarm::agent {

class CollectingRecorder : public Recorder {
 public:
  void Log(const std::string& source, std::string text) override {
    const std::lock_guard lock(mutex_);
    logs.push_back(source + ": " + std::move(text));
  }
  void Record(v1::Event event) override {
    const std::lock_guard lock(mutex_);
    events.push_back(std::move(event));
  }
  void Record(v1::Metric metric) override {
    const std::lock_guard lock(mutex_);
    metrics.push_back(std::move(metric));
  }
  void Record(v1::TokenBatch) override {}
  void Record(v1::Stream, v1::TraceChunk) override {}

  // All facts merged as the store merges them.
  v1::AttemptFacts Facts() const {
    v1::AttemptFacts facts;
    for (const v1::Event& event : events) {
      if (event.has_facts()) facts.MergeFrom(event.facts());
    }
    return facts;
  }

  std::vector<std::string> logs;
  std::vector<v1::Event> events;
  std::vector<v1::Metric> metrics;

 private:
  std::mutex mutex_;
};

}  // namespace joulefarm::agent
