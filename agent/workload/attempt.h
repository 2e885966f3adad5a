// What every workload does around its runs: the waits of the plan, the phases and facts it records,
// and the words in which an attempt fails.
//
// Threads: the attempt's own thread. Ownership: the context outlives it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/process/child_process.h"
#include "agent/process/stop_fd.h"
#include "agent/workload/workload.h"

namespace joulefarm::agent {

WorkloadOutcome Succeeded();
WorkloadOutcome Failed(v1::FailureClass failure_class, std::string reason);
WorkloadOutcome TimedOut(std::string reason);
WorkloadOutcome Canceled();
// With the last output of the engine that was stopped: a limit may have stopped it.
WorkloadOutcome Canceled(absl::string_view tail);

// "\nLast output:\n…", or that there was none. At most 4 KiB of it.
std::string LastOutput(absl::string_view tail);

// "30s", "500ms", "1.5s".
std::string DurationText(std::int64_t ns);

// Between SIGTERM and SIGKILL.
inline constexpr std::int64_t kEngineGraceNs = 500'000'000;

class Attempt {
 public:
  explicit Attempt(WorkloadContext& context);

  WorkloadContext& context() { return context_; }
  const v1::JobSpec& spec() const { return *context_.spec; }
  const StopFd& stop() const { return stop_; }
  // Warm-ups come first.
  int runs() const { return spec().warmup() + spec().repetitions(); }
  bool warmup(int run) const { return run < spec().warmup(); }
  // "run 2 of 4 (warm-up)".
  std::string RunName(int run) const;

  // The wait with nothing loaded, during which the background CPU is measured. Also where the plan
  // skips it, the background is looked at for a quarter of a second.
  Wake IdleUnloaded();
  // The plan's pause before `run` (== runs(): after the last), recorded as `phase`. None before
  // warm-ups, and without power only between runs.
  Wake PauseBefore(int run, v1::Phase phase);
  Wake Tail();

  // To be completed by the workload, then recorded once.
  v1::AttemptFacts& facts() { return facts_; }
  void RecordFacts();

  void State(v1::AttemptState state, const std::string& text);
  void EngineIs(std::optional<pid_t> leader);
  // Of a terminated engine: says that it is gone. Processes that hang in the kernel are logged and
  // remain the engine, so that the device is not taken for clean.
  void EngineWas(const ChildProcess& engine);
  // Terminates the engine with the usual grace first.
  void EndEngine(ChildProcess& engine);
  std::optional<std::int64_t> TakePeakRss();

  void Record(v1::Event event);
  void RecordPhase(v1::Phase phase, std::int64_t start_ns, std::int64_t end_ns,
                   std::optional<int> run = std::nullopt,
                   std::optional<int> request = std::nullopt);
  void RecordRun(int run, std::int64_t start_ns, std::int64_t end_ns,
                 const std::optional<std::string>& output_sha256);
  void RecordNote(const std::string& name, const std::string& text);

  // Begins the limit `run` at the first call.
  void StartRunLimit();
  std::optional<std::int64_t> run_deadline_ns() const { return run_deadline_ns_; }
  // Of the limits `run` and `prepare`.
  WorkloadOutcome LimitPassed(absl::string_view name, std::int64_t limit_ns,
                              const std::string& during, const std::string& tail) const;

 private:
  bool wants_power() const { return spec().power() != v1::POWER_REQUIRE_NONE; }
  void NoteShortened();
  // Waits `ns` and records it as a phase.
  Wake WaitAs(v1::Phase phase, std::int64_t ns);

  WorkloadContext& context_;
  const StopFd stop_;
  v1::AttemptFacts facts_;
  std::optional<std::int64_t> run_deadline_ns_;
};

}  // namespace joulefarm::agent
