#include "agent/workload/throughput.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/host/page_cache.h"
#include "agent/process/boottime.h"
#include "agent/process/child_process.h"
#include "agent/process/oom.h"
#include "agent/workload/attempt.h"
#include "agent/workload/bench_output.h"
#include "agent/workload/bench_times.h"
#include "agent/workload/engine_failure.h"
#include "agent/workload/engine_log.h"

namespace joulefarm::agent {
namespace {

constexpr char kName[] = "llama-bench";
// How soon the attempt notices that the first repetition has begun.
constexpr std::int64_t kLoadPollNs = 20'000'000;

class ThroughputAttempt {
 public:
  ThroughputAttempt(WorkloadContext& context, const ThroughputLimits& limits,
                    const v1::Engine& engine)
      : attempt_(context),
        spec_(context.spec->throughput()),
        limits_(limits),
        program_(std::filesystem::path(engine.path()).parent_path() / kName),
        model_(std::filesystem::absolute(*context.model_path)),
        log_(context.recorder),
        oom_(context.root / "proc"),
        output_(attempt_, log_) {
    attempt_.facts().set_engine(engine.name());
    if (!engine.version().empty()) attempt_.facts().set_engine_version(engine.version());
  }

  WorkloadOutcome Execute() {
    if (attempt_.IdleUnloaded() == Wake::kStop) return Canceled();
    if (auto failure = Start()) return *failure;
    const std::optional<WorkloadOutcome> failure = Await();
    End();
    if (failure) {
      RecordLoad(std::nullopt);
      return *failure;
    }
    if (auto garbage = RecordResults()) return *garbage;
    return attempt_.Tail() == Wake::kStop ? Canceled() : Succeeded();
  }

 private:
  std::optional<WorkloadOutcome> Start() {
    attempt_.State(v1::ATTEMPT_STATE_PREPARING, "loading the model");
    v1::AttemptFacts& facts = attempt_.facts();
    if (const auto resident = ResidentShare(model_)) facts.set_load_state(LoadState(*resident));
    ProcessOptions options;
    options.argv = LlamaBenchArgv(program_, model_, spec_, attempt_.runs());
    // Options come from the experiment alone, where they are recorded.
    options.environment = {{"LLAMA_ARG_*", std::nullopt}};
    options.work_dir = attempt_.context().work_dir;
    options.on_line = [this](const OutputLine& line) { output_.Take(line); };
    for (const std::string& argument : options.argv) facts.add_engine_argv(argument);
    start_ns_ = BoottimeNs();
    auto child = ChildProcess::Start(std::move(options), attempt_.context().journal);
    if (!child.ok()) {
      attempt_.RecordFacts();
      return EngineNotStarted(kName, child.status(),
                              "it is looked for beside llama-server: install it there");
    }
    child_ = std::move(*child);
    attempt_.EngineIs(child_->pid());
    return std::nullopt;
  }

  // Until it has ended by itself, well or not. nullopt: well.
  std::optional<WorkloadOutcome> Await() {
    const std::int64_t prepare_ns = attempt_.spec().limits().prepare_ns();
    const std::int64_t prepare_by_ns = prepare_ns > 0 ? start_ns_ + prepare_ns : INT64_MAX;
    while (true) {
      const BenchOutput::Progress progress = output_.progress();
      const bool loaded = progress.first_repetition_ns.has_value();
      if (loaded) attempt_.StartRunLimit();
      const std::int64_t run_by_ns = attempt_.run_deadline_ns().value_or(INT64_MAX);
      const std::int64_t stall_by_ns = loaded ? progress.last_sign_ns + LongestTestNs() : INT64_MAX;
      const std::int64_t now_ns = BoottimeNs();
      const std::string during = loaded ? "in " + progress.during : "while loading the model";
      if (!loaded && now_ns >= prepare_by_ns) {
        return attempt_.LimitPassed(
            "prepare", prepare_ns, "while llama-bench was loading the model", child_->OutputTail());
      }
      if (now_ns >= run_by_ns) {
        return attempt_.LimitPassed("run", attempt_.spec().limits().run_ns(), during,
                                    child_->OutputTail());
      }
      if (now_ns >= stall_by_ns) {
        return TimedOut(absl::StrCat("llama-bench hangs ", during, ": nothing came for ",
                                     DurationText(LongestTestNs()), ".",
                                     LastOutput(child_->OutputTail())));
      }
      const std::int64_t next_ns =
          loaded ? std::min(run_by_ns, stall_by_ns) : std::min(now_ns + kLoadPollNs, prepare_by_ns);
      const Wake wake = child_->Wait(attempt_.stop(), next_ns);
      if (wake == Wake::kStop) return Canceled(child_->OutputTail());
      if (wake == Wake::kDeadline) continue;
      child_->Terminate(0);
      if (child_->exit_status()->success()) return std::nullopt;
      const BenchOutput::Progress last = output_.progress();
      return EngineEnded(kName, program_, *child_->exit_status(),
                         last.first_repetition_ns ? "in " + last.during : "while loading the model",
                         oom_, child_->OutputTail());
    }
  }

  std::int64_t LongestTestNs() const {
    return limits_.stall_ns +
           limits_.per_prompt_token_ns * (std::int64_t{spec_.n_prompt()} + spec_.n_depth()) +
           limits_.per_gen_token_ns * spec_.n_gen();
  }

  void End() { attempt_.EndEngine(*child_); }

  // The load, up to the first line that needs a loaded model or what began before that line.
  void RecordLoad(std::optional<std::int64_t> first_ns) {
    const std::optional<std::int64_t> loaded_ns = output_.progress().loaded_ns;
    std::int64_t end_ns = loaded_ns.value_or(BoottimeNs());
    if (first_ns) end_ns = std::max(start_ns_, std::min(end_ns, *first_ns));
    attempt_.RecordPhase(v1::PHASE_LOAD, start_ns_, end_ns);
    if (loaded_ns) attempt_.facts().set_load_ms(static_cast<double>(end_ns - start_ns_) / 1e6);
    for (const BenchResult& result : output_.results()) {
      // llama-server's version stands where it names the same build.
      const std::string number = result.build.substr(0, result.build.find(' '));
      if (!absl::StrContains(attempt_.facts().engine_version(), number))
        attempt_.facts().set_engine_version(result.build);
    }
    attempt_.RecordFacts();
  }

  // The results in the order of the repetitions, or what is wrong with them.
  std::optional<std::string> Durations(std::vector<std::int64_t>& durations_ns) const {
    if (!output_.garbage().empty()) return output_.garbage();
    const std::size_t tests = (spec_.n_prompt() > 0 ? 1U : 0U) + (spec_.n_gen() > 0 ? 1U : 0U);
    const std::size_t runs = static_cast<std::size_t>(attempt_.runs());
    if (output_.results().size() != tests || output_.repetitions().size() != tests * runs) {
      return absl::StrCat("it reported ", output_.results().size(), " of ", tests,
                          " results and announced ", output_.repetitions().size(), " of ",
                          tests * runs, " repetitions (--progress)");
    }
    for (const BenchResult& result : output_.results()) {
      const bool prompt = result.n_prompt > 0;
      const bool expected = prompt ? result.n_prompt == spec_.n_prompt() && result.n_gen == 0
                                   : result.n_gen == spec_.n_gen() && result.n_gen > 0;
      if (!expected || result.n_depth != spec_.n_depth() || result.samples_ns.size() != runs) {
        return absl::StrCat("a result is not of what was asked for: n_prompt ", result.n_prompt,
                            ", n_gen ", result.n_gen, ", n_depth ", result.n_depth, ", ",
                            result.samples_ns.size(), " samples");
      }
      for (std::size_t i = 0; i < runs; ++i) {
        const Repetition& repetition = output_.repetitions()[durations_ns.size()];
        const BenchTest test = prompt ? BenchTest::kPrompt : BenchTest::kGeneration;
        if (repetition.test != test || repetition.run != static_cast<int>(i)) {
          return absl::StrCat("its repetitions came in another order than its results");
        }
        durations_ns.push_back(result.samples_ns[i]);
      }
    }
    if (!FitIntoSpan(durations_ns, output_.done_ns() - start_ns_))
      return "its samples_ns say more time than it ran";
    return std::nullopt;
  }

  std::optional<WorkloadOutcome> RecordResults() {
    std::vector<std::int64_t> durations_ns;
    if (const std::optional<std::string> garbage = Durations(durations_ns)) {
      RecordLoad(std::nullopt);
      return Failed(v1::FAILURE_CLASS_USER,
                    absl::StrCat("llama-bench misbehaved: ", *garbage,
                                 "; use a llama.cpp that has --progress and -o jsonl.",
                                 LastOutput(child_->OutputTail())));
    }
    std::vector<RepetitionStamp> stamps;
    for (const Repetition& repetition : output_.repetitions()) stamps.push_back(repetition.stamp);
    const std::vector<RepetitionSpan> spans =
        PlaceRepetitions(stamps, durations_ns, output_.done_ns());
    RecordLoad(spans.front().start_ns);
    for (int run = 0; run < attempt_.runs(); ++run) RecordRun(run, spans);
    return std::nullopt;
  }

  // Its prompt test and its generation test, which may be far apart.
  void RecordRun(int run, const std::vector<RepetitionSpan>& spans) {
    v1::Event event;
    v1::RunDone& done = *event.mutable_run();
    done.set_run(run);
    done.set_warmup(attempt_.warmup(run));
    v1::BenchTimes& bench = *done.mutable_bench();
    if (spec_.has_n_depth()) bench.set_n_depth(spec_.n_depth());
    for (std::size_t i = 0; i < spans.size(); ++i) {
      const Repetition& repetition = output_.repetitions()[i];
      if (repetition.run != run) continue;
      const RepetitionSpan& span = spans[i];
      if (!done.start_ns()) done.set_start_ns(span.start_ns);
      done.set_end_ns(span.end_ns);
      const bool prompt = repetition.test == BenchTest::kPrompt;
      if (prompt) {
        bench.set_n_prompt(spec_.n_prompt());
        bench.set_prompt_ns(span.end_ns - span.start_ns);
      } else {
        bench.set_n_gen(spec_.n_gen());
        bench.set_gen_ns(span.end_ns - span.start_ns);
      }
      if (repetition.peak_rss_bytes) {
        done.set_peak_rss_bytes(std::max(done.peak_rss_bytes(), *repetition.peak_rss_bytes));
      }
      RecordTest(run, prompt ? v1::PHASE_PREFILL : v1::PHASE_DECODE, span);
    }
    attempt_.Record(std::move(event));
  }

  void RecordTest(int run, v1::Phase phase, const RepetitionSpan& span) {
    v1::Event event;
    v1::PhaseDone& done = *event.mutable_phase();
    done.set_phase(phase);
    done.set_start_ns(span.start_ns);
    done.set_end_ns(span.end_ns);
    done.set_run(run);
    done.set_bound_ns(span.bound_ns);
    attempt_.Record(std::move(event));
    if (span.fits) return;
    v1::Event doubt;
    v1::Reason& reason = *doubt.mutable_reason();
    reason.set_run(run);
    reason.set_quality(v1::QUALITY_INVALID);
    reason.set_code("impossible_stamps");
    attempt_.Record(std::move(doubt));
  }

  Attempt attempt_;
  const v1::ThroughputSpec& spec_;
  const ThroughputLimits& limits_;
  const std::filesystem::path program_;
  const std::filesystem::path model_;  // absolute: it runs in the attempt's directory
  EngineLog log_;
  OomWatch oom_;
  BenchOutput output_;
  std::unique_ptr<ChildProcess> child_;
  std::int64_t start_ns_ = 0;
};

}  // namespace

std::vector<std::string> LlamaBenchArgv(const std::filesystem::path& program,
                                        const std::filesystem::path& model,
                                        const v1::ThroughputSpec& spec, int repetitions) {
  std::vector<std::string> argv = {program.string(), "-m", model.string()};
  const auto add = [&argv](const char* option, std::string value) {
    argv.emplace_back(option);
    argv.push_back(std::move(value));
  };
  add("-p", absl::StrCat(spec.n_prompt()));
  add("-n", absl::StrCat(spec.n_gen()));
  if (spec.has_n_depth()) add("-d", absl::StrCat(spec.n_depth()));
  if (spec.has_threads()) add("-t", absl::StrCat(spec.threads()));
  if (spec.has_batch()) add("-b", absl::StrCat(spec.batch()));
  if (spec.has_ubatch()) add("-ub", absl::StrCat(spec.ubatch()));
  if (spec.has_cache_type_k()) add("-ctk", spec.cache_type_k());
  if (spec.has_cache_type_v()) add("-ctv", spec.cache_type_v());
  if (spec.has_gpu_layers()) add("-ngl", absl::StrCat(spec.gpu_layers()));
  if (spec.has_flash_attn()) add("-fa", spec.flash_attn());
  add("-r", absl::StrCat(repetitions));
  add("-o", "jsonl");
  argv.emplace_back("--no-warmup");
  argv.emplace_back("--progress");
  return argv;
}

WorkloadOutcome ThroughputWorkload::Run(WorkloadContext& context) {
  if (!context.model_path)
    return Failed(v1::FAILURE_CLASS_USER, "a throughput workload needs a model");
  const v1::ThroughputSpec& spec = context.spec->throughput();
  if (spec.n_prompt() <= 0 && spec.n_gen() <= 0)
    return Failed(v1::FAILURE_CLASS_USER, "n_prompt and n_gen are both 0: there is nothing to do");
  const v1::Engine* engine = FindLlamaCpp(context);
  if (engine == nullptr) return LlamaCppMissing(context);
  return ThroughputAttempt(context, limits_, *engine).Execute();
}

}  // namespace joulefarm::agent
