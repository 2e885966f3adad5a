#include "deploy/benchmarks/query.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/stats/stats.h"
#include "controller/ingest/finaliser.h"
#include "controller/ingest/recompute.h"
#include "controller/store/attempt_reader.h"
#include "deploy/benchmarks/bench_farm.h"
#include "deploy/benchmarks/figures.h"
#include "deploy/benchmarks/ingest.h"
#include "deploy/benchmarks/signal.h"

namespace joulefarm::bench {
namespace {

constexpr std::int64_t kSamples = kSignalHz * 3600;
constexpr std::int64_t kHourNs = 3'600'000'000'000;
constexpr int kRounds = 15;
constexpr char kMeterClock[] = "meter:bench";

double MsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

void AddPhase(v1::Phase phase, int run, std::int64_t start_ns, std::int64_t end_ns,
              v1::EventBatch& events) {
  v1::Event& event = *events.add_events();
  event.set_t_ns(end_ns);
  event.mutable_phase()->set_phase(phase);
  if (phase != v1::PHASE_IDLE_LOADED) {
    event.mutable_phase()->set_run(run);
    event.mutable_phase()->set_request(0);
  }
  event.mutable_phase()->set_start_ns(start_ns);
  event.mutable_phase()->set_end_ns(end_ns);
}

// A run per prompt of the signal, with the idle before it.
int AddRuns(const Signal& signal, std::int64_t first_ns, v1::EventBatch& events) {
  int run = 0;
  std::int64_t idle_ns = first_ns;
  for (const Signal::Run& of : signal.runs()) {
    if (of.end_ns == 0) break;
    // Phases begin and end between samples, as they do.
    AddPhase(v1::PHASE_IDLE_LOADED, run, idle_ns, of.prefill_ns + 61'003, events);
    AddPhase(v1::PHASE_PREFILL, run, of.prefill_ns + 61'003, of.decode_ns + 90'001, events);
    AddPhase(v1::PHASE_DECODE, run, of.decode_ns + 90'001, of.end_ns + 17'017, events);
    v1::Event& done = *events.add_events();
    done.set_t_ns(of.end_ns);
    done.mutable_run()->set_run(run++);
    done.mutable_run()->set_start_ns(of.prefill_ns + 61'003);
    done.mutable_run()->set_end_ns(of.end_ns + 17'017);
    idle_ns = of.end_ns + 17'017;
  }
  return run;
}

// Ten readings of the meter's clock a second, which runs 20 ppm fast; they arrive 0.2 to 1 ms
// later.
void UploadTicks(std::int64_t first_ns, BenchFarm& farm) {
  constexpr std::int64_t kEveryNs = 100'000'000;
  constexpr int kPerFrame = 600;
  std::mt19937_64 random(7);
  v1::EventBatch events;
  for (std::int64_t after_ns = 0; after_ns <= kHourNs; after_ns += kEveryNs) {
    if (events.events_size() == 0) events.add_events()->set_t_ns(first_ns + after_ns);
    v1::MeterTicks& ticks = *events.mutable_events(0)->mutable_meter_ticks();
    ticks.set_clock(kMeterClock);
    ticks.add_tick_ns(first_ns + after_ns);
    ticks.add_arrived_ns(first_ns + after_ns - after_ns / 50'000 + 200'000 +
                         static_cast<std::int64_t>(random() % 800'000));
    if (ticks.tick_ns_size() < kPerFrame && after_ns + kEveryNs <= kHourNs) continue;
    farm.Upload(v1::STREAM_EVENT, events.SerializeAsString());
    events.Clear();
  }
}

struct Times {
  std::vector<double> all_ms, reading_ms, every_sample_ms;
  int runs = 0;
  std::size_t rows = 0;
  std::size_t valid = 0;
  std::size_t differ = 0;
};

bool Fail(const absl::Status& status) {
  std::fprintf(stderr, "joulefarm-bench: %s\n", std::string(status.message()).c_str());
  return false;
}

bool Measure(const std::filesystem::path& folder, const std::string& clock, Times& times) {
  std::filesystem::create_directories(folder);
  const std::unique_ptr<BenchFarm> farm = BenchFarm::Start(folder);
  if (farm == nullptr) return false;
  farm->DeclareChannel(clock);
  Signal signal;
  const std::int64_t first_ns = signal.Next().first;
  for (std::string& batch : MakeBatches(signal, kSamples))
    farm->Upload(v1::STREAM_POWER, std::move(batch));
  v1::EventBatch events;
  times.runs = AddRuns(signal, first_ns + kSignalPeriodNs, events);
  farm->Upload(v1::STREAM_EVENT, events.SerializeAsString());
  if (!clock.empty()) UploadTicks(first_ns, *farm);
  farm->End(first_ns, first_ns + kHourNs);

  const auto reader = controller::AttemptReader::Open(farm->database());
  if (!reader.ok()) return Fail(reader.status());
  for (int round = 0; round < kRounds; ++round) {
    auto start = std::chrono::steady_clock::now();
    const auto stored = (*reader)->Read(farm->fence());
    if (!stored.ok()) return Fail(stored.status());
    times.reading_ms.push_back(MsSince(start));
    const controller::AttemptResults results = controller::Finalise(stored->data);
    times.all_ms.push_back(MsSince(start));
    times.rows = results.energies.size();
    times.valid = static_cast<std::size_t>(std::count_if(
        results.energies.begin(), results.energies.end(),
        [](const controller::EnergyResult& row) { return row.energy_j.has_value(); }));
    start = std::chrono::steady_clock::now();
    const std::vector<controller::Recomputed> again = controller::Recompute(*stored);
    times.every_sample_ms.push_back(MsSince(start));
    times.differ = static_cast<std::size_t>(
        std::count_if(again.begin(), again.end(),
                      [](const controller::Recomputed& row) { return !row.differs.empty(); }));
    if (again.size() != times.rows || times.rows == 0)
      return Fail(absl::InternalError("other energies are stored than are computed"));
  }
  return true;
}

}  // namespace

int MeasurePhaseEnergies(const std::filesystem::path& folder) {
  Times host;
  Times meter;
  if (!Measure(folder / "host", "", host) || !Measure(folder / "meter", kMeterClock, meter))
    return 1;
  PrintFigure(
      "query.phase_energy_18m_ms", *Median(meter.all_ms), "ms",
      {{"samples", kSamples},
       {"runs", meter.runs},
       {"energies", meter.rows},
       {"energies_with_a_value", meter.valid},
       {"rounds", kRounds},
       {"min_ms", *std::min_element(meter.all_ms.begin(), meter.all_ms.end())},
       {"max_ms", *std::max_element(meter.all_ms.begin(), meter.all_ms.end())},
       {"of_that_reading_ms", *Median(meter.reading_ms)},
       {"with_stamps_of_the_host_ms", *Median(host.all_ms)},
       {"decoding_every_sample_instead_ms", *Median(meter.every_sample_ms)},
       {"energies_that_differ", meter.differ + host.differ},
       {"signal", Signal::Describe({})},
       {"path",
        "an attempt is read back from the database (page cache warm), the meter's clock is "
        "fitted to the host's, and every row of table energy computed, chunks wholly inside "
        "a phase by their stored integral; decoding every sample instead gives the same "
        "bits"}});
  return meter.differ + host.differ == 0 ? 0 : 1;
}

}  // namespace joulefarm::bench
