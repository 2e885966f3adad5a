#include "deploy/benchmarks/query.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

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
constexpr int kRounds = 15;

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

}  // namespace

int MeasurePhaseEnergies(const std::filesystem::path& folder) {
  const std::unique_ptr<BenchFarm> farm = BenchFarm::Start(folder);
  if (farm == nullptr) return 1;
  farm->DeclareChannel();
  Signal signal;
  const std::int64_t first_ns = signal.Next().first;
  for (std::string& batch : MakeBatches(signal, kSamples))
    farm->Upload(v1::STREAM_POWER, std::move(batch));
  v1::EventBatch events;
  const int runs = AddRuns(signal, first_ns + kSignalPeriodNs, events);
  farm->Upload(v1::STREAM_EVENT, events.SerializeAsString());
  farm->End(first_ns, first_ns + 3'600'000'000'000);

  const auto reader = controller::AttemptReader::Open(farm->database());
  if (!reader.ok()) {
    std::fprintf(stderr, "joulefarm-bench: %s\n", std::string(reader.status().message()).c_str());
    return 1;
  }
  std::vector<double> all_ms, reading_ms, every_sample_ms;
  std::size_t rows = 0;
  std::size_t differ = 0;
  for (int round = 0; round < kRounds; ++round) {
    auto start = std::chrono::steady_clock::now();
    const auto stored = (*reader)->Read(farm->fence());
    if (!stored.ok()) {
      std::fprintf(stderr, "joulefarm-bench: %s\n", std::string(stored.status().message()).c_str());
      return 1;
    }
    reading_ms.push_back(MsSince(start));
    rows = controller::Finalise(stored->data).energies.size();
    all_ms.push_back(MsSince(start));
    start = std::chrono::steady_clock::now();
    const std::vector<controller::Recomputed> again = controller::Recompute(*stored);
    every_sample_ms.push_back(MsSince(start));
    differ = static_cast<std::size_t>(
        std::count_if(again.begin(), again.end(),
                      [](const controller::Recomputed& row) { return !row.differs.empty(); }));
    if (again.size() != rows || rows == 0) {
      std::fprintf(stderr, "joulefarm-bench: %zu energies stored, %zu computed\n", again.size(),
                   rows);
      return 1;
    }
  }
  PrintFigure(
      "query.phase_energy_18m_ms", *Median(all_ms), "ms",
      {{"samples", kSamples},
       {"runs", runs},
       {"energies", rows},
       {"rounds", kRounds},
       {"min_ms", *std::min_element(all_ms.begin(), all_ms.end())},
       {"max_ms", *std::max_element(all_ms.begin(), all_ms.end())},
       {"of_that_reading_ms", *Median(reading_ms)},
       {"decoding_every_sample_instead_ms", *Median(every_sample_ms)},
       {"energies_that_differ", differ},
       {"signal", Signal::Describe({})},
       {"path",
        "an attempt is read back from the database (page cache warm) and every row of table "
        "energy computed, chunks wholly inside a phase by their stored integral; decoding "
        "every sample instead gives the same bits"}});
  return differ == 0 ? 0 : 1;
}

}  // namespace joulefarm::bench
