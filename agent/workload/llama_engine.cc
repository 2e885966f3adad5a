#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/workload/completion_client.h"
#include "agent/workload/engine_server.h"
#include "agent/workload/generate_engine.h"

namespace joulefarm::agent {
namespace {

// The server keeps prompts in memory beside its slots unless told not to, which takes time and
// memory inside a run. Set through the environment because older builds refuse the option but pass
// over the variable.
constexpr char kCacheRamName[] = "LLAMA_ARG_CACHE_RAM";

ServerRecipe Recipe(Attempt& attempt, const v1::GenerateSpec& spec,
                    const std::filesystem::path& program) {
  ServerRecipe recipe;
  recipe.name = "llama-server";
  recipe.cure = "reinstall llama.cpp and restart the agent, which looks for it when it starts";
  // Absolute: the server runs in the attempt's directory.
  recipe.model = std::filesystem::absolute(*attempt.context().model_path);
  recipe.argv = [program, model = *recipe.model, &spec](std::uint16_t port) {
    return LlamaServerArgv(program, model, spec, port);
  };
  // Options come from the experiment alone, where they are recorded.
  recipe.environment = {{"LLAMA_ARG_*", std::nullopt}, {kCacheRamName, "0"}};
  recipe.endpoint = [](std::uint16_t port) { return LoopbackEndpoint(port); };
  recipe.health_target = "/health";
  return recipe;
}

class LlamaEngine : public GenerateEngine {
 public:
  LlamaEngine(Attempt& attempt, const v1::GenerateSpec& spec, const v1::Engine& engine)
      : attempt_(attempt), spec_(spec), server_(attempt, Recipe(attempt, spec, engine.path())) {
    attempt.facts().set_engine(engine.name());
    if (!engine.version().empty()) attempt.facts().set_engine_version(engine.version());
  }

  std::optional<WorkloadOutcome> Load() override { return server_.Load(); }
  CompletionResult Stream(const std::string& prompt, const CompletionLimits& limits) override {
    return StreamCompletion(server_.endpoint(), CompletionBody(spec_, prompt), limits,
                            attempt_.stop());
  }
  std::optional<WorkloadOutcome> Ended(const std::string& during) override {
    return server_.Ended(during);
  }
  bool external() const override { return false; }
  void Stop() override { server_.Stop(); }
  std::string name() const override { return "llama-server"; }
  std::string tail() const override { return server_.tail(); }
  WorkloadOutcome Broken(const std::string& during, const std::string& symptom,
                         std::int64_t wait_ns) override {
    return server_.Broken(during, symptom, wait_ns);
  }

 private:
  Attempt& attempt_;
  const v1::GenerateSpec& spec_;
  EngineServer server_;
};

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

std::unique_ptr<GenerateEngine> MakeLlamaEngine(Attempt& attempt, const v1::GenerateSpec& spec,
                                                const v1::Engine& engine) {
  return std::make_unique<LlamaEngine>(attempt, spec, engine);
}

}  // namespace joulefarm::agent
