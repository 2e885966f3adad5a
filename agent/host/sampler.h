// Samples the host, the engine and the power sources while an attempt runs, on a thread of its own.
//
// Threads: Start and Stop on one thread; everything else from any. Ownership: owns its sources and
// its thread; the recorder outlives it.
#pragma once

#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "agent/host/channel_writer.h"
#include "agent/host/cpu_times.h"
#include "agent/host/host_paths.h"
#include "agent/host/host_sensors.h"
#include "agent/host/live_reading.h"
#include "agent/host/power_history.h"
#include "agent/host/process_tree.h"
#include "agent/host/sampled_source.h"
#include "agent/power/registry.h"
#include "agent/workload/recorder.h"

namespace joulefarm::agent {

struct SamplerOptions {
  HostPaths paths;
  // Of the host's channels, and of power sources that do not state a rate; the others have their
  // own.
  std::int64_t period_ns = 100'000'000;
  // Of temperatures and clocks.
  std::int64_t sensor_period_ns = 1'000'000'000;
  // How much time a chunk covers at most, and how often all channels' chunks are handed out
  // together.
  std::int64_t chunk_ns = 1'000'000'000;
  std::vector<std::unique_ptr<PowerSource>> power;
  // Names of energy channels, best first: the first whose source starts is declared primary.
  std::vector<std::string> ranking;
  // Why the meter that results were to be reported from is not among these.
  absl::Status meter_left_out;
  // Of this agent, for records of meters.
  std::string agent_id;
};

// Channels of stream HOST: host.cpu and background.cpu (share of all cores over the period that
// ends at the stamp), engine.cpu (cumulative s over all engines attached) and engine.rss (bytes);
// those of the engine only while one is attached; and those of HostSensors. Of stream POWER: what
// the sources offer.
class Sampler {
 public:
  Sampler(SamplerOptions options, Recorder* recorder);
  // Stops.
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // Declares the channels and takes the first sample before it returns, so that what follows is
  // covered. A source that does not start is logged and left out. Where it is the meter that leads
  // the ranking, no other sensor passes for it: only the estimate is left, and the reason
  // meter_left_out says so.
  void Start();
  // After Start: why that meter did not start, or was left out before.
  const absl::Status& meter_status() const { return meter_status_; }
  // Takes a last sample that shows the counters as they were at the call (it waits for the slowest
  // refresh), hands out what is left and ends the thread.
  void Stop();

  // The engine's process group leader, or nullopt when it is about to go or gone.
  void Attach(std::optional<pid_t> leader);

  // Peak resident set of the attached engine's process tree since the last call (or since Attach),
  // bytes: the greatest of the samples, of a reading made now, and of the leader's high-water mark
  // if it rose meanwhile.
  std::optional<std::int64_t> TakePeakRss();

  // How it stands, means being of about the last second. Before Start nothing is known.
  LiveReading Live();
  // The primary channel's power over the last `window_ns`, at most a minute; see PowerHistory.
  std::vector<PowerPoint> RecentPower(std::int64_t window_ns);

 private:
  // When something is sampled next.
  struct Beat {
    struct Now {
      bool due = false;
      std::int64_t lost = 0;  // deadlines passed over
    };
    std::int64_t period_ns = 0;
    std::int64_t next_ns = 0;
    Now Due(std::int64_t now_ns);
  };
  struct Source {
    std::unique_ptr<SampledSource> power;
    Beat beat;
  };
  struct Timed {
    std::int64_t t_ns = 0;
    CpuTimes times;
  };

  void Loop(std::stop_token stop, std::promise<void> sampled);
  std::int64_t LongestRefreshNs() const;
  // Samples on until everything up to the call has shown.
  void AwaitLate();
  void StartSources();
  void LeaveOutMeter(const absl::Status& why);
  void Sample(Source& source);
  void SampleHost(std::int64_t lost);
  void SampleSensors();
  void SampleEverything(std::int64_t lost);
  void NoteHost(const std::optional<CpuTimes>& times, std::int64_t t_ns,
                std::optional<std::int64_t> rss_bytes);
  std::unique_ptr<ChannelWriter> MakeWriter(const v1::ChannelInfo& channel, v1::Stream stream);
  // Hands out what all channels have.
  void Flush();
  void FlushIfDue();
  // Reads the engine's tree and remembers the peak. Called with mutex_ held.
  std::optional<ProcessTree::Sample> ReadEngine();
  void Declare(const v1::ChannelInfo& channel);

  SamplerOptions options_;
  Recorder* recorder_;
  absl::Status meter_status_;
  TraceEncoder encoder_;  // used on the sampling thread only
  std::vector<Source> sources_;
  std::optional<ChannelPlace> primary_;  // in sources_
  std::unique_ptr<HostSensors> sensors_;
  std::vector<std::unique_ptr<ChannelWriter>> sensor_writers_;
  ChannelWriter host_cpu_;
  ChannelWriter background_cpu_;
  ChannelWriter engine_cpu_;
  ChannelWriter engine_rss_;

  std::mutex mutex_;  // guards what follows
  std::optional<ProcessTree> engine_;
  double ended_cpu_s_ = 0;   // of engines detached
  double engine_cpu_s_ = 0;  // of the one attached
  std::optional<std::int64_t> peak_bytes_;
  std::int64_t high_water_bytes_ = 0;  // at the last TakePeakRss

  std::mutex live_mutex_;  // guards what follows
  std::optional<PowerHistory> power_;
  std::deque<Timed> cpu_;  // of the last second
  std::optional<double> hottest_c_;
  std::optional<double> fastest_hz_;
  std::optional<std::int64_t> rss_bytes_;

  // The thread's own.
  Beat flush_;
  CpuTimesReader cpu_times_;
  std::optional<CpuTimes> last_times_;
  double last_engine_cpu_s_ = 0;
  std::jthread thread_;
};

}  // namespace joulefarm::agent
