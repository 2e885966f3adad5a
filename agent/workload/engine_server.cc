#include "agent/workload/engine_server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/host/page_cache.h"
#include "agent/process/boottime.h"
#include "agent/process/spawn.h"
#include "agent/workload/engine_failure.h"
#include "common/units/units.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kHealthPollNs = 4'000'000;
constexpr std::int64_t kHealthAnswerNs = kNsPerSecond;
// How long whoever listens where nobody should may take to accept a connection.
constexpr std::int64_t kInUseNs = 2 * kNsPerSecond;
constexpr int kPortTries = 5;

bool SaysPortTaken(const std::string& output) {
  const std::string lower = absl::AsciiStrToLower(output);
  return absl::StrContains(lower, "couldn't bind") ||
         absl::StrContains(lower, "address already in use");
}

WorkloadOutcome PortInUse(const Endpoint& endpoint) {
  return Failed(
      v1::FAILURE_CLASS_INFRA,
      absl::StrCat(endpoint.host, " is already in use; stop what listens there or use {port}"));
}

}  // namespace

EngineServer::EngineServer(Attempt& attempt, ServerRecipe recipe)
    : attempt_(attempt),
      recipe_(std::move(recipe)),
      log_(attempt.context().recorder),
      oom_(attempt.context().root / "proc") {}

EngineServer::~EngineServer() { Stop(); }

void EngineServer::Stop() {
  if (!child_) return;
  attempt_.EndEngine(*child_);
  child_.reset();
}

std::optional<WorkloadOutcome> EngineServer::Load() {
  attempt_.State(v1::ATTEMPT_STATE_PREPARING, "loading the model");
  v1::AttemptFacts& facts = attempt_.facts();
  if (recipe_.model) {
    if (const auto resident = ResidentShare(*recipe_.model))
      facts.set_load_state(LoadState(*resident));
  }
  const std::int64_t prepare_ns = attempt_.spec().limits().prepare_ns();
  const std::int64_t deadline_ns = prepare_ns > 0 ? BoottimeNs() + prepare_ns : INT64_MAX;
  WorkloadOutcome failure;
  Start result = Start::kPortTaken;
  const int tries = recipe_.fixed_endpoint ? 1 : kPortTries;
  for (int i = 0; i < tries && result == Start::kPortTaken; ++i) {
    child_.reset();
    result = StartOnce(deadline_ns, failure);
  }
  const std::int64_t end_ns = BoottimeNs();
  if (start_ns_ > 0) attempt_.RecordPhase(v1::PHASE_LOAD, start_ns_, end_ns);
  if (result == Start::kHealthy) facts.set_load_ms(static_cast<double>(end_ns - start_ns_) / 1e6);
  attempt_.RecordFacts();
  if (result == Start::kHealthy) return std::nullopt;
  if (result == Start::kFailed) return failure;
  if (recipe_.fixed_endpoint) return PortInUse(endpoint_);
  return Failed(
      v1::FAILURE_CLASS_INFRA,
      absl::StrCat(recipe_.name, " found its port taken ", kPortTries,
                   " times; something on this host takes every free port.", LastOutput(tail())));
}

EngineServer::Start EngineServer::StartOnce(std::int64_t deadline_ns, WorkloadOutcome& failure) {
  absl::StatusOr<ReservedPort> port = ReservedPort::Reserve();
  if (!port.ok()) {
    failure = Failed(v1::FAILURE_CLASS_INFRA, std::string(port.status().message()));
    return Start::kFailed;
  }
  port_ = std::move(*port);
  ProcessOptions options;
  auto endpoint = recipe_.endpoint(port_->port());
  if (!endpoint.ok()) {
    failure = Failed(v1::FAILURE_CLASS_USER, std::string(endpoint.status().message()));
    return Start::kFailed;
  }
  endpoint_ = *std::move(endpoint);
  if (recipe_.fixed_endpoint) {
    if (auto in_use = InUse()) {
      failure = *std::move(in_use);
      return Start::kFailed;
    }
  }
  options.argv = recipe_.argv(port_->port());
  options.environment = recipe_.environment;
  const absl::StatusOr<std::filesystem::path> program =
      FindProgram(options.argv.empty() ? "" : options.argv.front(), attempt_.context().engine_dirs,
                  attempt_.context().engine_search);
  if (program.ok()) {
    program_ = *program;
    options.argv.front() = program_.string();
  }
  options.work_dir = attempt_.context().work_dir;
  options.on_line = [this](const OutputLine& line) { log_.Take(line.text); };
  v1::AttemptFacts& facts = attempt_.facts();
  facts.clear_engine_argv();
  for (const auto& [name, value] : recipe_.environment) {
    if (value) facts.add_engine_argv(absl::StrCat(name, "=", *value));
  }
  for (const std::string& argument : options.argv) facts.add_engine_argv(argument);
  if (!program.ok()) {
    failure = EngineNotStarted(recipe_.name, program.status(), recipe_.cure);
    return Start::kFailed;
  }
  start_ns_ = BoottimeNs();
  auto child = ChildProcess::Start(std::move(options), attempt_.context().journal);
  if (!child.ok()) {
    failure = EngineNotStarted(recipe_.name, child.status(), recipe_.cure);
    return Start::kFailed;
  }
  child_ = std::move(*child);
  attempt_.EngineIs(child_->pid());
  const Start result = AwaitHealth(deadline_ns, failure);
  if (result == Start::kPortTaken) Stop();
  return result;
}

std::optional<WorkloadOutcome> EngineServer::InUse() const {
  TcpConnection connection;
  switch (connection.Connect(endpoint_, BoottimeNs() + kInUseNs, attempt_.stop())) {
    case TcpConnection::Result::kOk:
      return PortInUse(endpoint_);
    case TcpConnection::Result::kStop:
      return Canceled();
    default:
      return std::nullopt;
  }
}

EngineServer::Start EngineServer::AwaitHealth(std::int64_t deadline_ns, WorkloadOutcome& failure) {
  const std::string during = "while loading the model";
  while (true) {
    const std::int64_t now_ns = BoottimeNs();
    if (now_ns >= deadline_ns) {
      failure = attempt_.LimitPassed("prepare", attempt_.spec().limits().prepare_ns(),
                                     absl::StrCat("while ", recipe_.name, " was loading the model"),
                                     tail());
      return Start::kFailed;
    }
    const HealthResult answer =
        AskHealth(endpoint_, recipe_.health_target, std::min(deadline_ns, now_ns + kHealthAnswerNs),
                  attempt_.stop());
    const bool well =
        answer.health == Health::kOk || (recipe_.target_may_be_unknown && answer.status == 404);
    // The child is looked at after the answer, so that an answer never comes from somebody else on
    // its port.
    const Wake wake = child_->Wait(attempt_.stop(), well ? 0 : BoottimeNs() + kHealthPollNs);
    if (wake == Wake::kStop) {
      failure = Canceled(tail());
      return Start::kFailed;
    }
    if (wake == Wake::kReady) {
      child_->Terminate(0);
      if (SaysPortTaken(tail())) return Start::kPortTaken;
      failure = EngineEnded(recipe_.name, program_, *child_->exit_status(), during, oom_, tail());
      return Start::kFailed;
    }
    if (well) {
      health_body_ = answer.body;
      return Start::kHealthy;
    }
    if (answer.health == Health::kGarbage) {
      failure = Broken(during, answer.detail, 0);
      return Start::kFailed;
    }
  }
}

std::optional<WorkloadOutcome> EngineServer::Ended(const std::string& during) {
  if (child_->Wait(attempt_.stop(), 0) != Wake::kReady) return std::nullopt;
  child_->Terminate(0);
  return EngineEnded(recipe_.name, program_, *child_->exit_status(), during, oom_, tail());
}

WorkloadOutcome EngineServer::Broken(const std::string& during, const std::string& symptom,
                                     std::int64_t wait_ns) {
  const Wake wake = child_->Wait(attempt_.stop(), BoottimeNs() + wait_ns);
  if (wake == Wake::kStop) return Canceled(tail());
  if (wake == Wake::kReady) {
    child_->Terminate(0);
    return EngineEnded(recipe_.name, program_, *child_->exit_status(), during, oom_, tail());
  }
  return Failed(v1::FAILURE_CLASS_USER, absl::StrCat(recipe_.name, " misbehaved ", during, ": ",
                                                     symptom, LastOutput(tail())));
}

}  // namespace joulefarm::agent
