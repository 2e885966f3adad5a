// llama.cpp's server as a child process: its command line, its start until it is healthy, its end.
//
// Threads: the attempt's own thread. Ownership: owns the child; the context and the log outlive it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/process/child_process.h"
#include "agent/process/oom.h"
#include "agent/workload/attempt.h"
#include "agent/workload/engine_log.h"
#include "agent/workload/loopback.h"

namespace joulefarm::agent {

// One slot, so that nothing else shares the engine; what the spec does not set is left to the
// engine.
std::vector<std::string> LlamaServerArgv(const std::filesystem::path& program,
                                         const std::filesystem::path& model,
                                         const v1::GenerateSpec& spec, std::uint16_t port);

// The body of POST /completion for one prompt.
std::string CompletionBody(const v1::GenerateSpec& spec, const std::string& prompt);

class LlamaServer {
 public:
  LlamaServer(Attempt& attempt, const v1::GenerateSpec& spec, std::filesystem::path program);
  // Stops.
  ~LlamaServer();
  LlamaServer(const LlamaServer&) = delete;
  LlamaServer& operator=(const LlamaServer&) = delete;

  // Starts the server and polls its health until it is well; records the load phase and completes
  // the attempt's facts (argv, load_ms, load_state). nullopt: ready. A port that was taken
  // meanwhile is replaced by another.
  std::optional<WorkloadOutcome> Load();
  // Ends the server and everything it started.
  void Stop();

  std::uint16_t port() const { return port_->port(); }
  std::string tail() const { return child_ ? child_->OutputTail() : std::string(); }

  // The outcome after the server broke `during` (such as "in run 2 of 4"): crashed (USER or OOM) if
  // it ends within `wait_ns`, otherwise USER with `symptom`. A lost connection may be the first
  // sign of a crash: wait a second then.
  WorkloadOutcome Broken(const std::string& during, const std::string& symptom,
                         std::int64_t wait_ns);

 private:
  enum class Start { kHealthy, kPortTaken, kFailed };
  Start StartOnce(std::int64_t deadline_ns, WorkloadOutcome& failure);
  Start AwaitHealth(std::int64_t deadline_ns, WorkloadOutcome& failure);

  Attempt& attempt_;
  const v1::GenerateSpec& spec_;
  const std::filesystem::path program_;
  const std::filesystem::path model_;  // absolute: the server runs in the attempt's directory
  EngineLog log_;
  OomWatch oom_;
  std::optional<ReservedPort> port_;
  std::unique_ptr<ChildProcess> child_;
  std::int64_t start_ns_ = 0;
};

}  // namespace joulefarm::agent
