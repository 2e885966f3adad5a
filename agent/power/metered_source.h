// A meter as a power source: a thread of its own talks to it, opens it again when it was unplugged,
// is silent or sends garbage, and keeps what came until it is collected. Nothing waits for the
// meter but that thread, and Start for its first sample.
//
// Threads: see PowerSource; Meter() from any. Ownership: owns its thread, which owns link and
// driver.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/power/meter/model.h"
#include "agent/power/meter/report.h"
#include "agent/power/meter_readings.h"
#include "agent/power/power_source.h"

namespace joulefarm::agent {

class MeteredSource : public PowerSource {
 public:
  using Opener = std::function<absl::StatusOr<std::unique_ptr<Link>>()>;

  // What it is and where.
  struct Identity {
    std::string id;             // as MeterReport::id
    std::string local_id = {};  // likewise
    std::string place;
    std::optional<std::string> serial = {};
    // Of a meter that is known not to be one.
    v1::Provenance provenance = v1::PROVENANCE_MEASURED;
    // The serial number does not say which one it is.
    bool shares_serial = false;
  };
  struct Timing {
    // For Start: until the first sample; at least two and a half of its periods, up to
    // half a minute.
    std::int64_t first_sample_ns = 3'000'000'000;
    // Without a sample for so long, it is opened again; at least five of its periods.
    std::int64_t silence_ns = 1'000'000'000;
    // Between two attempts to open it: doubled from the first to the most.
    std::int64_t back_off_ns = 100'000'000;
    std::int64_t most_back_off_ns = 5'000'000'000;
    // Readings that wait to be collected, and pairs of ticks but for those of a restart.
    std::size_t most_waiting = 32'768;
  };

  // `model` outlives it (it is the registry's). `name`: of the power channel.
  MeteredSource(const MeterModel& model, MeterSettings settings, const std::string& name,
                Identity identity, Opener open)
      : MeteredSource(model, std::move(settings), name, std::move(identity), std::move(open),
                      Timing()) {}
  MeteredSource(const MeterModel& model, MeterSettings settings, const std::string& name,
                Identity identity, Opener open, Timing timing);
  ~MeteredSource() override;
  MeteredSource(const MeteredSource&) = delete;
  MeteredSource& operator=(const MeteredSource&) = delete;

  // With parts of the power from Start on, which waits for the sample that names them.
  const std::vector<v1::ChannelInfo>& channels() const override { return readings_.channels(); }
  absl::Status Start() override;
  // An error: it does not work now, or did not at some time since the last call.
  absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t& lost) override;
  bool buffered() const override { return true; }
  std::vector<ClockPair> TakePairs() override;
  std::optional<MeterReport> Meter() const override;

 private:
  void Run(const std::stop_token& stop);
  // Opens the meter and samples until it fails; OK: stopped.
  absl::Status Converse(const std::stop_token& stop);
  absl::Status Steps(const std::stop_token& stop, Link& link, MeterDriver& driver);
  void HandOver(const MeterBatch& batch);
  std::int64_t PeriodsNs(double periods) const;
  std::int64_t SilenceNs() const;
  std::int64_t FirstSampleNs() const;

  const MeterModel& model_;
  const Identity identity_;
  const Opener open_;
  const Timing timing_;
  MeterReadings readings_;       // but for channels(), the thread's
  bool started_before_ = false;  // the thread's: the meter has been had since Start

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable_any changed_;
  std::vector<PowerReading> waiting_;
  std::vector<ClockPair> pairs_;
  std::int64_t lost_ = 0;
  MeterReport report_;
  bool works_ = false;    // samples come
  bool any_ = false;      // a sample came since Start
  absl::Status trouble_;  // not told by Poll yet, or as long as it does not work
  int failures_ = 0;      // in a row

  std::jthread thread_;  // last: the others are there as long as it runs
};

}  // namespace joulefarm::agent
