// What a generate workload needs of an engine, and the engines there are.
//
// Threads: the attempt's own thread. Ownership: an engine owns what it started; the attempt and the
// spec outlive it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/workload/attempt.h"
#include "agent/workload/completion.h"

namespace joulefarm::agent {

class GenerateEngine {
 public:
  virtual ~GenerateEngine() = default;
  // Until it takes requests; with the attempt's facts. nullopt: ready.
  virtual std::optional<WorkloadOutcome> Load() = 0;
  // One prompt.
  virtual CompletionResult Stream(const std::string& prompt, const CompletionLimits& limits) = 0;
  // Whether what was started has ended by itself, with the outcome then: somebody else may answer
  // in its place.
  virtual std::optional<WorkloadOutcome> Ended(const std::string& during) = 0;
  // It ran before the attempt and is not ours.
  virtual bool external() const = 0;
  virtual void Stop() = 0;
  virtual std::string name() const = 0;
  // The last output of what was started.
  virtual std::string tail() const = 0;
  // The outcome after it broke `during` (such as "in run 2 of 4"): as a crash if it ends within
  // `wait_ns`, otherwise with `symptom`.
  virtual WorkloadOutcome Broken(const std::string& during, const std::string& symptom,
                                 std::int64_t wait_ns) = 0;
};

// llama-server at `engine.path()`; the attempt must have a model.
std::unique_ptr<GenerateEngine> MakeLlamaEngine(Attempt& attempt, const v1::GenerateSpec& spec,
                                                const v1::Engine& engine);

// A server that speaks OpenAI's API: started where the spec names one, otherwise running already.
std::unique_ptr<GenerateEngine> MakeOpenAiEngine(Attempt& attempt, const v1::GenerateSpec& spec);

// One slot, so that nothing else shares the engine; what the spec does not set is left to the
// engine.
std::vector<std::string> LlamaServerArgv(const std::filesystem::path& program,
                                         const std::filesystem::path& model,
                                         const v1::GenerateSpec& spec, std::uint16_t port);

// The body of POST /completion for one prompt.
std::string CompletionBody(const v1::GenerateSpec& spec, const std::string& prompt);

}  // namespace joulefarm::agent
