#include "agent/workload/attempt.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/host/cpu_times.h"
#include "agent/host/facts.h"
#include "agent/process/boottime.h"
#include "agent/process/text.h"
#include "common/units/units.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kBackgroundNs = kNsPerSecond / 4;
constexpr std::size_t kOutputBytes = 4096;

// What an experiment that says nothing gets.
constexpr std::int64_t kDefaultSettleNs = 30 * kNsPerSecond;
constexpr std::int64_t kDefaultIdleNs = 10 * kNsPerSecond;
constexpr std::int64_t kDefaultPauseNs = 2 * kNsPerSecond;
constexpr std::int64_t kDefaultTailNs = 5 * kNsPerSecond;

}  // namespace

WorkloadOutcome Succeeded() { return {v1::OUTCOME_SUCCEEDED, v1::FAILURE_CLASS_UNSPECIFIED, ""}; }

WorkloadOutcome Failed(v1::FailureClass failure_class, std::string reason) {
  return {v1::OUTCOME_FAILED, failure_class, std::move(reason)};
}

WorkloadOutcome TimedOut(std::string reason) {
  return {v1::OUTCOME_TIMED_OUT, v1::FAILURE_CLASS_TIMEOUT, std::move(reason)};
}

WorkloadOutcome Canceled() {
  return {v1::OUTCOME_CANCELED, v1::FAILURE_CLASS_UNSPECIFIED, "stopped"};
}

WorkloadOutcome Canceled(absl::string_view tail) {
  return {v1::OUTCOME_CANCELED, v1::FAILURE_CLASS_UNSPECIFIED,
          absl::StrCat("stopped.", LastOutput(tail))};
}

std::string LastOutput(absl::string_view tail) {
  const std::string text = PrintableTail(tail, kOutputBytes);
  return text.empty() ? "\nIt printed nothing." : absl::StrCat("\nLast output:\n", text);
}

std::string DurationText(std::int64_t ns) {
  if (ns % kNsPerSecond == 0) return absl::StrCat(ns / kNsPerSecond, "s");
  if (ns < kNsPerSecond) return absl::StrCat(static_cast<double>(ns) / 1e6, "ms");
  return absl::StrCat(static_cast<double>(ns) / 1e9, "s");
}

Attempt::Attempt(WorkloadContext& context) : context_(context), stop_(context.stop) {
  const HostPaths paths(context.root);
  const v1::DeviceFacts host = ReadFacts(paths);
  if (host.has_os_version()) facts_.set_os_version(host.os_version());
  if (host.has_kernel()) facts_.set_kernel(host.kernel());
  if (auto governor = Governor(paths)) facts_.set_governor(*governor);
  if (!context.agent_version.empty()) facts_.set_agent_version(context.agent_version);
  if (wants_power()) NoteShortened();
}

void Attempt::NoteShortened() {
  const v1::PlanSpec& plan = spec().plan();
  const auto note = [this](const char* name, std::int64_t ns, std::int64_t default_ns) {
    if (ns < default_ns)
      facts_.add_shortened(
          absl::StrCat(name, "=", DurationText(ns), "<", DurationText(default_ns)));
  };
  note("settle", plan.settle_ns(), kDefaultSettleNs);
  note("idle", plan.idle_ns(), kDefaultIdleNs);
  note("pause", plan.pause_ns(), kDefaultPauseNs);
  note("tail", plan.tail_ns(), kDefaultTailNs);
}

std::string Attempt::RunName(int run) const {
  return absl::StrCat("run ", run + 1, " of ", runs(), warmup(run) ? " (warm-up)" : "");
}

Wake Attempt::WaitAs(v1::Phase phase, std::int64_t ns) {
  if (ns <= 0) return stop_.stop_requested() ? Wake::kStop : Wake::kDeadline;
  const std::int64_t start_ns = BoottimeNs();
  const Wake wake = stop_.SleepUntil(start_ns + ns);
  RecordPhase(phase, start_ns, BoottimeNs());
  return wake;
}

Wake Attempt::IdleUnloaded() {
  const std::int64_t idle_ns = wants_power() ? spec().plan().idle_ns() : 0;
  State(v1::ATTEMPT_STATE_PREPARING,
        idle_ns > 0 ? "idle before loading" : "looking at the background");
  const HostPaths paths(context_.root);
  const std::optional<CpuTimes> before = ReadCpuTimes(paths);
  Wake wake = Wake::kDeadline;
  if (idle_ns > 0) wake = WaitAs(v1::PHASE_IDLE_UNLOADED, idle_ns);
  if (wake != Wake::kStop && idle_ns < kBackgroundNs) {
    wake = stop_.SleepUntil(BoottimeNs() + kBackgroundNs - std::max<std::int64_t>(idle_ns, 0));
  }
  const std::optional<CpuTimes> after = ReadCpuTimes(paths);
  if (before && after) {
    if (const auto busy = BusyShare(*before, *after)) facts_.set_background_cpu(*busy);
  }
  return wake;
}

Wake Attempt::PauseBefore(int run, v1::Phase phase) {
  const bool after_last = run == runs();
  const bool between = run > 0 && !after_last;
  const bool measured = after_last || !warmup(run);
  const bool wanted = measured && (between || wants_power());
  return WaitAs(phase, wanted ? spec().plan().pause_ns() : 0);
}

Wake Attempt::Tail() { return WaitAs(v1::PHASE_TAIL, wants_power() ? spec().plan().tail_ns() : 0); }

void Attempt::RecordFacts() {
  v1::Event event;
  *event.mutable_facts() = facts_;
  Record(std::move(event));
}

void Attempt::State(v1::AttemptState state, const std::string& text) {
  if (context_.on_state) context_.on_state(state, text);
}

void Attempt::EngineIs(std::optional<pid_t> leader) {
  if (context_.on_engine) context_.on_engine(leader);
}

void Attempt::EngineWas(const ChildProcess& engine) {
  if (engine.all_gone()) return EngineIs(std::nullopt);
  context_.recorder->Log("agent",
                         "processes of the engine could not be killed; they hang in the kernel");
}

void Attempt::EndEngine(ChildProcess& engine) {
  engine.Terminate(kEngineGraceNs);
  EngineWas(engine);
}

std::optional<std::int64_t> Attempt::TakePeakRss() {
  return context_.take_peak_rss ? context_.take_peak_rss() : std::nullopt;
}

void Attempt::Record(v1::Event event) {
  if (event.t_ns() == 0) event.set_t_ns(BoottimeNs());
  context_.recorder->Record(std::move(event));
}

void Attempt::RecordPhase(v1::Phase phase, std::int64_t start_ns, std::int64_t end_ns,
                          std::optional<int> run, std::optional<int> request) {
  v1::Event event;
  v1::PhaseDone& done = *event.mutable_phase();
  done.set_phase(phase);
  done.set_start_ns(start_ns);
  done.set_end_ns(end_ns);
  if (run) done.set_run(*run);
  if (request) done.set_request(*request);
  Record(std::move(event));
}

void Attempt::RecordRun(int run, std::int64_t start_ns, std::int64_t end_ns,
                        const std::optional<std::string>& output_sha256) {
  const std::optional<std::int64_t> peak = TakePeakRss();
  v1::Event event;
  v1::RunDone& done = *event.mutable_run();
  done.set_run(run);
  done.set_warmup(warmup(run));
  done.set_start_ns(start_ns);
  done.set_end_ns(end_ns);
  if (output_sha256) done.set_output_sha256(*output_sha256);
  if (peak) done.set_peak_rss_bytes(*peak);
  Record(std::move(event));
}

void Attempt::RecordNote(const std::string& name, const std::string& text) {
  v1::Event event;
  event.mutable_note()->set_name(name);
  event.mutable_note()->set_text(text);
  Record(std::move(event));
}

void Attempt::StartRunLimit() {
  if (!run_deadline_ns_ && spec().limits().run_ns() > 0)
    run_deadline_ns_ = BoottimeNs() + spec().limits().run_ns();
}

WorkloadOutcome Attempt::LimitPassed(absl::string_view name, std::int64_t limit_ns,
                                     const std::string& during, const std::string& tail) const {
  return TimedOut(absl::StrCat("limit '", name, "' (", DurationText(limit_ns), ") passed ", during,
                               "; raise limits.", name, " in the experiment if it needs longer.",
                               LastOutput(tail)));
}

}  // namespace joulefarm::agent
