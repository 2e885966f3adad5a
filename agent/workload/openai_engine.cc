#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "agent/process/boottime.h"
#include "agent/workload/engine_server.h"
#include "agent/workload/generate_engine.h"
#include "agent/workload/http.h"
#include "agent/workload/openai_client.h"
#include "common/units/units.h"

namespace joulefarm::agent {
namespace {

// How long a server that should be running may take to answer.
constexpr std::int64_t kAnswerNs = 10 * kNsPerSecond;
constexpr std::int64_t kPollNs = kNsPerSecond / 10;
// A server may cut tokens into several events, though not without end.
constexpr std::int64_t kArrivalsPerToken = 16;
constexpr std::int64_t kMoreArrivals = 1000;

std::string WithPort(absl::string_view text, std::uint16_t port) {
  return absl::StrReplaceAll(text, {{"{port}", absl::StrCat(port)}});
}

class OpenAiEngine : public GenerateEngine {
 public:
  OpenAiEngine(Attempt& attempt, const v1::GenerateSpec& spec) : attempt_(attempt), spec_(spec) {
    attempt_.facts().set_engine("openai");
    if (spec_.server_size() > 0) server_.emplace(attempt_, Recipe());
  }

  std::optional<WorkloadOutcome> Load() override {
    const auto url = ParseHttpUrl(WithPort(spec_.url(), 1));
    if (!url.ok()) return Failed(v1::FAILURE_CLASS_USER, std::string(url.status().message()));
    paths_ = OpenAiPathsOf(url->path);
    if (auto failure = server_ ? server_->Load() : Find(*url)) return failure;
    if (server_) {
      endpoint_ = server_->endpoint();
      NoteWhere();
      models_ = server_->health_body();
    }
    model_ = ModelName();
    return std::nullopt;
  }

  CompletionResult Stream(const std::string& prompt, const CompletionLimits& limits) override {
    CompletionLimits bounded = limits;
    bounded.max_arrivals = kArrivalsPerToken * spec_.max_tokens() + kMoreArrivals;
    return StreamOpenAi(endpoint_, paths_.generate, OpenAiBody(spec_, paths_.api, model_, prompt),
                        bounded, attempt_.stop());
  }

  std::optional<WorkloadOutcome> Ended(const std::string& during) override {
    return server_ ? server_->Ended(during) : std::nullopt;
  }

  bool external() const override { return !server_; }

  void Stop() override {
    if (server_) server_->Stop();
  }

  std::string name() const override {
    return server_ ? spec_.server(0) : absl::StrCat("the server at ", spec_.url());
  }

  std::string tail() const override { return server_ ? server_->tail() : std::string(); }

  WorkloadOutcome Broken(const std::string& during, const std::string& symptom,
                         std::int64_t wait_ns) override {
    if (server_) return server_->Broken(during, symptom, wait_ns);
    // Only a lost connection is waited for; a server of somebody else's that is gone is no fault of
    // the experiment.
    return Failed(wait_ns > 0 ? v1::FAILURE_CLASS_INFRA : v1::FAILURE_CLASS_USER,
                  absl::StrCat(name(), " misbehaved ", during, ": ", symptom));
  }

 private:
  ServerRecipe Recipe() const {
    ServerRecipe recipe;
    recipe.name = spec_.server(0);
    recipe.cure =
        "install it on this device, write its whole path in server, or add its directory to "
        "engine_dirs of the agent's configuration and restart the agent";
    if (attempt_.context().model_path)
      recipe.model = std::filesystem::absolute(*attempt_.context().model_path);
    recipe.argv = [this, model = recipe.model](std::uint16_t port) {
      std::vector<std::string> argv;
      for (const std::string& argument : spec_.server()) {
        argv.push_back(WithPort(argument, port));
        if (model)
          argv.back() = absl::StrReplaceAll(argv.back(), {{"{model.path}", model->string()}});
      }
      return argv;
    };
    recipe.endpoint = [this](std::uint16_t port) -> absl::StatusOr<Endpoint> {
      const auto url = ParseHttpUrl(WithPort(spec_.url(), port));
      if (!url.ok()) return url.status();
      return Resolve(url->host, url->port, BoottimeNs() + kAnswerNs, attempt_.stop());
    };
    const auto url = ParseHttpUrl(WithPort(spec_.url(), 1));
    if (url.ok()) recipe.health_target = OpenAiPathsOf(url->path).models;
    recipe.fixed_endpoint = !absl::StrContains(spec_.url(), "{port}");
    recipe.target_may_be_unknown = true;
    return recipe;
  }

  // A server that runs already.
  std::optional<WorkloadOutcome> Find(const HttpUrl& url) {
    attempt_.State(v1::ATTEMPT_STATE_PREPARING, absl::StrCat("asking ", spec_.url()));
    attempt_.facts().add_engine_argv(spec_.url());
    attempt_.RecordFacts();
    const std::int64_t give_up_ns = BoottimeNs() + kAnswerNs;
    const auto endpoint = Resolve(url.host, url.port, give_up_ns, attempt_.stop());
    if (absl::IsCancelled(endpoint.status())) return Canceled();
    if (!endpoint.ok()) return Absent(std::string(endpoint.status().message()));
    endpoint_ = *endpoint;
    NoteWhere();
    while (true) {
      const HealthResult answer =
          AskHealth(endpoint_, paths_.models, std::min(give_up_ns, BoottimeNs() + kNsPerSecond),
                    attempt_.stop());
      if (answer.health == Health::kStop) return Canceled();
      if (answer.health == Health::kOk || answer.status == 404) {
        models_ = answer.body;
        return std::nullopt;
      }
      if (answer.health == Health::kGarbage) return Absent(answer.detail);
      if (BoottimeNs() >= give_up_ns) {
        return Absent(answer.status == 0 ? "nothing answers"
                                         : absl::StrCat("it answers GET ", paths_.models,
                                                        " with status ", answer.status));
      }
      if (attempt_.stop().SleepUntil(BoottimeNs() + kPollNs) == Wake::kStop) return Canceled();
    }
  }

  // What this host uses is not what an engine on another one does.
  void NoteWhere() {
    if (IsOnThisHost(endpoint_)) return;
    v1::Event event;
    v1::Reason& reason = *event.mutable_reason();
    reason.set_domain(v1::DOMAIN_ENERGY);
    reason.set_quality(v1::QUALITY_INVALID);
    reason.set_code("engine_elsewhere");
    reason.set_detail(endpoint_.host);
    attempt_.Record(std::move(event));
  }

  WorkloadOutcome Absent(const std::string& why) const {
    return Failed(v1::FAILURE_CLASS_INFRA,
                  absl::StrCat("no usable server at ", spec_.url(), ": ", why,
                               "; start it, correct options.url, or write server for the agent to "
                               "start one"));
  }

  // What the operator says, the artifact's name, or the only model the server lists.
  std::string ModelName() const {
    if (spec_.has_api_model()) return spec_.api_model();
    if (attempt_.spec().has_model()) return attempt_.spec().model().name();
    const std::vector<std::string> models = OpenAiModels(models_);
    return models.size() == 1 ? models.front() : "";
  }

  Attempt& attempt_;
  const v1::GenerateSpec& spec_;
  std::optional<EngineServer> server_;
  OpenAiPaths paths_;
  Endpoint endpoint_;
  std::string models_;  // the server's listing
  std::string model_;   // as requests name it
};

}  // namespace

std::unique_ptr<GenerateEngine> MakeOpenAiEngine(Attempt& attempt, const v1::GenerateSpec& spec) {
  return std::make_unique<OpenAiEngine>(attempt, spec);
}

}  // namespace joulefarm::agent
