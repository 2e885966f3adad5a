#include "agent/workload/generate.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"
#include "agent/workload/attempt.h"
#include "agent/workload/completion.h"
#include "agent/workload/engine_failure.h"
#include "agent/workload/generate_engine.h"
#include "agent/workload/recorder.h"
#include "common/sha256/sha256.h"

namespace joulefarm::agent {
namespace {

// How long after its connection broke an engine may take to be gone.
constexpr std::int64_t kCrashNs = 1'000'000'000;

class GenerateAttempt {
 public:
  // `llama`: nullptr for a server that speaks OpenAI's API.
  GenerateAttempt(WorkloadContext& context, const GenerateLimits& limits, const v1::Engine* llama)
      : attempt_(context),
        spec_(context.spec->generate()),
        limits_(limits),
        engine_(llama != nullptr ? MakeLlamaEngine(attempt_, spec_, *llama)
                                 : MakeOpenAiEngine(attempt_, spec_)) {}

  WorkloadOutcome Execute() {
    // With a server that runs already nothing is unloaded, and what it uses is no background.
    if (!engine_->external() && attempt_.IdleUnloaded() == Wake::kStop) return Canceled();
    if (auto failure = engine_->Load()) return *failure;
    attempt_.StartRunLimit();
    for (int run = 0; run < attempt_.runs(); ++run) {
      if (attempt_.PauseBefore(run, v1::PHASE_IDLE_LOADED) == Wake::kStop) return Canceled();
      if (auto failure = ExecuteRun(run)) return *failure;
    }
    if (attempt_.PauseBefore(attempt_.runs(), v1::PHASE_IDLE_LOADED) == Wake::kStop)
      return Canceled();
    engine_->Stop();
    return attempt_.Tail() == Wake::kStop ? Canceled() : Succeeded();
  }

 private:
  std::optional<WorkloadOutcome> ExecuteRun(int run) {
    attempt_.State(v1::ATTEMPT_STATE_RUNNING, attempt_.RunName(run));
    attempt_.TakePeakRss();
    Sha256 digest;
    bool has_ids = false;
    const std::int64_t start_ns = BoottimeNs();
    for (int request = 0; request < spec_.prompts_size(); ++request) {
      const std::string& prompt = spec_.prompts(request).text();
      CompletionLimits limits;
      limits.deadline_ns = attempt_.run_deadline_ns();
      limits.stall_ns = limits_.stall_ns;
      limits.on_speed = attempt_.context().on_speed;
      limits.first_token_ns = limits_.stall_ns + limits_.stall_per_prompt_byte_ns *
                                                     static_cast<std::int64_t>(prompt.size());
      const CompletionResult result = engine_->Stream(prompt, limits);
      RecordRequest(run, request, result.completion);
      if (result.end != StreamEnd::kDone) return Failure(run, request, result, limits);
      for (const std::int32_t id : result.completion.ids) digest.Update(absl::StrCat(id, "\n"));
      digest.Update("\n");
      has_ids = has_ids || !result.completion.ids.empty();
    }
    const std::int64_t end_ns = BoottimeNs();
    if (auto ended = engine_->Ended(absl::StrCat("in ", attempt_.RunName(run)))) return ended;
    attempt_.RecordRun(run, start_ns, end_ns,
                       has_ids ? std::optional(digest.HexDigest()) : std::nullopt);
    return std::nullopt;
  }

  void RecordRequest(int run, int request, const Completion& completion) {
    v1::Event event;
    v1::RequestDone& done = *event.mutable_request();
    done.set_run(run);
    done.set_request(request);
    done.set_t_req_ns(completion.t_req_ns);
    if (completion.n_prompt) done.set_n_prompt(*completion.n_prompt);
    if (completion.n_evaluated) done.set_n_evaluated(*completion.n_evaluated);
    if (completion.n_cached) done.set_n_cached(*completion.n_cached);
    if (completion.prompt_ms) done.set_prompt_ms(*completion.prompt_ms);
    if (completion.n_gen) done.set_n_gen(*completion.n_gen);
    done.set_stop(completion.stop);
    if (!completion.arrivals.empty()) {
      const Arrival& first = completion.arrivals.front();
      const Arrival& last = completion.arrivals.back();
      done.set_t_first_ns(first.t_ns);
      if (first.index) done.set_idx_first(*first.index);
      done.set_t_last_ns(last.t_ns);
      if (last.index) done.set_idx_last(*last.index);
      // An arrival without an index says nothing of tokens.
      if (last.index) RecordTokens(run, request, completion);
      attempt_.RecordPhase(v1::PHASE_PREFILL, completion.t_req_ns, first.t_ns, run, request);
      if (last.t_ns > first.t_ns)
        attempt_.RecordPhase(v1::PHASE_DECODE, first.t_ns, last.t_ns, run, request);
    }
    attempt_.Record(std::move(event));
  }

  void RecordTokens(int run, int request, const Completion& completion) {
    const std::size_t count = std::max(completion.arrivals.size(), completion.ids.size());
    constexpr std::size_t kBatch = kTokensPerBatch;
    for (std::size_t begin = 0; begin < count; begin += kBatch) {
      v1::TokenBatch batch;
      batch.set_run(run);
      batch.set_request(request);
      for (std::size_t i = begin; i < std::min(begin + kBatch, completion.arrivals.size()); ++i) {
        batch.add_idx(completion.arrivals[i].index.value_or(0));
        batch.add_t_ns(completion.arrivals[i].t_ns);
      }
      for (std::size_t i = begin; i < std::min(begin + kBatch, completion.ids.size()); ++i) {
        batch.add_id(completion.ids[i]);
      }
      attempt_.context().recorder->Record(std::move(batch));
    }
  }

  WorkloadOutcome Failure(int run, int request, const CompletionResult& result,
                          const CompletionLimits& limits) {
    const std::string during = absl::StrCat("in ", attempt_.RunName(run), ", prompt ", request + 1,
                                            " of ", spec_.prompts_size());
    switch (result.end) {
      case StreamEnd::kStop:
        return Canceled(engine_->tail());
      case StreamEnd::kDeadline:
        return attempt_.LimitPassed("run", attempt_.spec().limits().run_ns(), during,
                                    engine_->tail());
      case StreamEnd::kStalled:
        return TimedOut(
            absl::StrCat(engine_->name(), " hangs ", during, ": ", result.detail, " for ",
                         DurationText(result.completion.arrivals.empty() ? limits.first_token_ns
                                                                         : limits.stall_ns),
                         " (", result.completion.arrivals.size(), " token events came before).",
                         LastOutput(engine_->tail())));
      case StreamEnd::kRefused:
        return engine_->Broken(during, absl::StrCat("it refused the request: ", result.detail), 0);
      case StreamEnd::kLost:
        return engine_->Broken(during, result.detail, kCrashNs);
      case StreamEnd::kGarbage:
      case StreamEnd::kDone:
        break;
    }
    return engine_->Broken(during, result.detail, 0);
  }

  Attempt attempt_;
  const v1::GenerateSpec& spec_;
  const GenerateLimits& limits_;
  const std::unique_ptr<GenerateEngine> engine_;
};

}  // namespace

WorkloadOutcome GenerateWorkload::Run(WorkloadContext& context) {
  const bool openai = context.spec->generate().engine() == "openai";
  if (!openai && !context.model_path)
    return Failed(v1::FAILURE_CLASS_USER, "a generate workload needs a model");
  if (context.spec->generate().prompts().empty())
    return Failed(v1::FAILURE_CLASS_USER, "there is no prompt to generate from");
  if (openai) return GenerateAttempt(context, limits_, nullptr).Execute();
  const v1::Engine* engine = FindLlamaCpp(context);
  if (engine == nullptr) return LlamaCppMissing(context);
  return GenerateAttempt(context, limits_, engine).Execute();
}

}  // namespace joulefarm::agent
