#include "agent/workload/llama_server.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/host/page_cache.h"
#include "agent/process/boottime.h"
#include "agent/workload/completion_client.h"
#include "agent/workload/engine_failure.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kHealthPollNs = 4'000'000;
constexpr std::int64_t kHealthAnswerNs = kSecond;
constexpr std::int64_t kGraceNs = kSecond / 2;
constexpr int kPortTries = 5;
constexpr char kName[] = "llama-server";

// The server keeps prompts in memory beside its slots unless told not to, which takes time and
// memory inside a run. Set through the environment because older builds refuse the option but pass
// over the variable.
constexpr char kCacheRamName[] = "LLAMA_ARG_CACHE_RAM";

bool SaysPortTaken(const std::string& output) {
  const std::string lower = absl::AsciiStrToLower(output);
  return absl::StrContains(lower, "couldn't bind") ||
         absl::StrContains(lower, "address already in use");
}

}  // namespace

std::vector<std::string> LlamaServerArgv(const std::filesystem::path& program,
                                         const std::filesystem::path& model,
                                         const v1::GenerateSpec& spec, std::uint16_t port) {
  std::vector<std::string> argv = {program.string(),   "-m",        model.string(),
                                   "--host",           "127.0.0.1", "--port",
                                   absl::StrCat(port), "-np",       "1"};
  const auto add = [&argv](const char* option, std::string value) {
    argv.emplace_back(option);
    argv.push_back(std::move(value));
  };
  if (spec.has_ctx()) add("-c", absl::StrCat(spec.ctx()));
  if (spec.has_threads()) add("-t", absl::StrCat(spec.threads()));
  if (spec.has_batch()) add("-b", absl::StrCat(spec.batch()));
  if (spec.has_ubatch()) add("-ub", absl::StrCat(spec.ubatch()));
  if (spec.has_gpu_layers()) add("-ngl", absl::StrCat(spec.gpu_layers()));
  if (spec.has_flash_attn()) add("-fa", spec.flash_attn());
  if (spec.has_cache_type_k()) add("-ctk", spec.cache_type_k());
  if (spec.has_cache_type_v()) add("-ctv", spec.cache_type_v());
  return argv;
}

std::string CompletionBody(const v1::GenerateSpec& spec, const std::string& prompt) {
  nlohmann::ordered_json body = {
      {"prompt", prompt},      {"n_predict", spec.max_tokens()}, {"stream", true},
      {"cache_prompt", false}, {"timings_per_token", true},      {"return_tokens", true}};
  if (spec.has_temperature()) body["temperature"] = spec.temperature();
  if (spec.has_top_k()) body["top_k"] = spec.top_k();
  if (spec.has_top_p()) body["top_p"] = spec.top_p();
  if (spec.has_ignore_eos()) body["ignore_eos"] = spec.ignore_eos();
  if (spec.has_seed()) body["seed"] = spec.seed();
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

LlamaServer::LlamaServer(Attempt& attempt, const v1::GenerateSpec& spec,
                         std::filesystem::path program)
    : attempt_(attempt),
      spec_(spec),
      program_(std::move(program)),
      model_(std::filesystem::absolute(*attempt.context().model_path)),
      log_(attempt.context().recorder),
      oom_(attempt.context().root / "proc") {}

LlamaServer::~LlamaServer() { Stop(); }

void LlamaServer::Stop() {
  if (!child_) return;
  child_->Terminate(kGraceNs);
  if (child_->all_gone()) {
    attempt_.EngineIs(std::nullopt);
  } else {
    // Not said to be gone: the device is not clean.
    attempt_.context().recorder->Log(
        "agent", "processes of the engine could not be killed; they hang in the kernel");
  }
  child_.reset();
}

std::optional<WorkloadOutcome> LlamaServer::Load() {
  attempt_.State(v1::ATTEMPT_STATE_PREPARING, "loading the model");
  v1::AttemptFacts& facts = attempt_.facts();
  if (const auto resident = ResidentShare(model_)) facts.set_load_state(LoadState(*resident));
  const std::int64_t prepare_ns = attempt_.spec().limits().prepare_ns();
  const std::int64_t deadline_ns = prepare_ns > 0 ? BoottimeNs() + prepare_ns : INT64_MAX;
  WorkloadOutcome failure;
  Start result = Start::kPortTaken;
  for (int i = 0; i < kPortTries && result == Start::kPortTaken; ++i) {
    child_.reset();
    result = StartOnce(deadline_ns, failure);
  }
  const std::int64_t end_ns = BoottimeNs();
  if (start_ns_ > 0) attempt_.RecordPhase(v1::PHASE_LOAD, start_ns_, end_ns);
  if (result == Start::kHealthy) facts.set_load_ms(static_cast<double>(end_ns - start_ns_) / 1e6);
  attempt_.RecordFacts();
  if (result == Start::kHealthy) return std::nullopt;
  if (result == Start::kFailed) return failure;
  return Failed(
      v1::FAILURE_CLASS_INFRA,
      absl::StrCat("llama-server found its port taken ", kPortTries,
                   " times; something on this host takes every free port.", LastOutput(tail())));
}

LlamaServer::Start LlamaServer::StartOnce(std::int64_t deadline_ns, WorkloadOutcome& failure) {
  absl::StatusOr<ReservedPort> port = ReservedPort::Reserve();
  if (!port.ok()) {
    failure = Failed(v1::FAILURE_CLASS_INFRA, std::string(port.status().message()));
    return Start::kFailed;
  }
  port_ = std::move(*port);
  ProcessOptions options;
  options.argv = LlamaServerArgv(program_, model_, spec_, port_->port());
  // Options come from the experiment alone, where they are recorded.
  options.environment = {{"LLAMA_ARG_*", std::nullopt}, {kCacheRamName, "0"}};
  options.work_dir = attempt_.context().work_dir;
  options.on_line = [this](const OutputLine& line) { log_.Take(line.text); };
  v1::AttemptFacts& facts = attempt_.facts();
  facts.clear_engine_argv();
  facts.add_engine_argv(absl::StrCat(kCacheRamName, "=0"));
  for (const std::string& argument : options.argv) facts.add_engine_argv(argument);
  start_ns_ = BoottimeNs();
  auto child = ChildProcess::Start(std::move(options), attempt_.context().journal);
  if (!child.ok()) {
    failure = EngineNotStarted(kName, child.status());
    return Start::kFailed;
  }
  child_ = std::move(*child);
  attempt_.EngineIs(child_->pid());
  const Start result = AwaitHealth(deadline_ns, failure);
  if (result == Start::kPortTaken) Stop();
  return result;
}

LlamaServer::Start LlamaServer::AwaitHealth(std::int64_t deadline_ns, WorkloadOutcome& failure) {
  const std::string during = "while loading the model";
  while (true) {
    const std::int64_t now_ns = BoottimeNs();
    if (now_ns >= deadline_ns) {
      failure = attempt_.LimitPassed("prepare", attempt_.spec().limits().prepare_ns(),
                                     "while llama-server was loading the model", tail());
      return Start::kFailed;
    }
    const HealthResult answer =
        AskHealth(port_->port(), std::min(deadline_ns, now_ns + kHealthAnswerNs), attempt_.stop());
    // The child is looked at after the answer, so that an answer never comes from somebody else on
    // its port.
    const Wake wake = child_->Wait(attempt_.stop(),
                                   answer.health == Health::kOk ? 0 : BoottimeNs() + kHealthPollNs);
    if (wake == Wake::kStop) {
      failure = Canceled(tail());
      return Start::kFailed;
    }
    if (wake == Wake::kReady) {
      child_->Terminate(0);
      if (SaysPortTaken(tail())) return Start::kPortTaken;
      failure = EngineEnded(kName, program_, *child_->exit_status(), during, oom_, tail());
      return Start::kFailed;
    }
    if (answer.health == Health::kOk) return Start::kHealthy;
    if (answer.health == Health::kGarbage) {
      failure = Broken(during, answer.detail, 0);
      return Start::kFailed;
    }
  }
}

WorkloadOutcome LlamaServer::Broken(const std::string& during, const std::string& symptom,
                                    std::int64_t wait_ns) {
  const Wake wake = child_->Wait(attempt_.stop(), BoottimeNs() + wait_ns);
  if (wake == Wake::kStop) return Canceled(tail());
  if (wake == Wake::kReady) {
    child_->Terminate(0);
    return EngineEnded(kName, program_, *child_->exit_status(), during, oom_, tail());
  }
  return Failed(v1::FAILURE_CLASS_USER, absl::StrCat("llama-server misbehaved ", during, ": ",
                                                     symptom, LastOutput(tail())));
}

}  // namespace joulefarm::agent
