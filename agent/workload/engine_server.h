// An engine's server as a child process: its start until it is healthy, its end.
//
// Threads: the attempt's own thread. Ownership: owns the child; the attempt outlives it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/process/child_process.h"
#include "agent/process/oom.h"
#include "agent/workload/attempt.h"
#include "agent/workload/engine_log.h"
#include "agent/workload/http.h"
#include "agent/workload/tcp.h"

namespace joulefarm::agent {

// How a server is started and asked.
struct ServerRecipe {
  std::string name;  // as people know it, such as "llama-server"
  std::string cure;  // what to do where its program is missing
  // A program without a slash is looked for where the agent looks for engines.
  std::function<std::vector<std::string>(std::uint16_t port)> argv;
  // Changes to the environment; those that set something are recorded with the command line.
  std::vector<std::pair<std::string, std::optional<std::string>>> environment;
  std::function<absl::StatusOr<Endpoint>(std::uint16_t port)> endpoint;
  // The endpoint does not depend on the port, so that somebody else may be there already.
  bool fixed_endpoint = false;
  std::string health_target;  // "/health"
  // Also a server that does not know the target is well: it answers.
  bool target_may_be_unknown = false;
  std::optional<std::filesystem::path> model;  // for the state of the page cache before the load
};

class EngineServer {
 public:
  EngineServer(Attempt& attempt, ServerRecipe recipe);
  // Stops.
  ~EngineServer();
  EngineServer(const EngineServer&) = delete;
  EngineServer& operator=(const EngineServer&) = delete;

  // Starts the server and polls its health until it is well; records the load phase and completes
  // the attempt's facts (argv, load_ms, load_state). nullopt: ready. A port that was taken
  // meanwhile is replaced by another; a fixed endpoint where somebody listens already is INFRA.
  std::optional<WorkloadOutcome> Load();
  // Ends the server and everything it started.
  void Stop();

  const Endpoint& endpoint() const { return endpoint_; }
  // The outcome when it has ended by itself, also where somebody else answers in its place.
  std::optional<WorkloadOutcome> Ended(const std::string& during);
  // What it said when it was well.
  const std::string& health_body() const { return health_body_; }
  std::string tail() const { return child_ ? child_->OutputTail() : std::string(); }

  // The outcome after the server broke `during` (such as "in run 2 of 4"): crashed (USER or OOM) if
  // it ends within `wait_ns`, otherwise USER with `symptom`. A lost connection may be the first
  // sign of a crash: wait a second then.
  WorkloadOutcome Broken(const std::string& during, const std::string& symptom,
                         std::int64_t wait_ns);

 private:
  enum class Start { kHealthy, kPortTaken, kFailed };
  Start StartOnce(std::int64_t deadline_ns, WorkloadOutcome& failure);
  // nullopt: nobody listens at the endpoint yet.
  std::optional<WorkloadOutcome> InUse() const;
  Start AwaitHealth(std::int64_t deadline_ns, WorkloadOutcome& failure);

  Attempt& attempt_;
  const ServerRecipe recipe_;
  std::filesystem::path program_;
  EngineLog log_;
  OomWatch oom_;
  std::optional<ReservedPort> port_;
  Endpoint endpoint_;
  std::string health_body_;
  std::unique_ptr<ChildProcess> child_;
  std::int64_t start_ns_ = 0;
};

}  // namespace joulefarm::agent
