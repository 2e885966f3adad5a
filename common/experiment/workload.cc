#include "common/experiment/workload.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/scalar.h"
#include "common/config/suggest.h"
#include "common/experiment/prompts.h"

namespace joulefarm {
namespace {

namespace pb = google::protobuf;
using config::v1::GenerateOptions;
using config::v1::PromptSource;
using config::v1::ThroughputOptions;
using config::v1::Workload;

constexpr size_t kMaxArgvBytes = 65'536;
constexpr size_t kMaxWorkloadNameBytes = 64;
constexpr char kLlamaCpp[] = "llama.cpp";
// llama-bench's own.
constexpr int kDefaultBenchPrompt = 512;
constexpr int kDefaultBenchGen = 128;

bool IsName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxWorkloadNameBytes) return false;
  return absl::ascii_isalnum(static_cast<unsigned char>(name.front())) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' ||
                  c == '.';
         });
}

class Drafter {
 public:
  Drafter(const SourceMap& source, const Catalogue& catalogue, Diagnostics* diagnostics)
      : source_(source), catalogue_(catalogue), diagnostics_(*diagnostics) {}

  std::optional<WorkloadDraft> Draft(const std::string& name, const Workload& config) {
    WorkloadDraft draft;
    draft.name = name;
    draft.path = JoinPath("workloads", name);
    if (!IsName(name)) {
      diagnostics_.Add(
          source_.Key(draft.path),
          absl::StrCat("workload name ", Quoted(name), " is not usable; use up to ",
                       kMaxWorkloadNameBytes, " letters, digits, \"_\", \"-\" and \".\""));
    }
    const auto kind = KindNamed(config.kind());
    if (!kind.has_value()) {
      UnknownKind(draft, config);
      return std::nullopt;
    }
    draft.kind = *kind;
    RefuseKeys(draft);
    for (const std::string& key : FactorNames(*kind)) {
      if (source_.Has(JoinPath(draft.path, key))) draft.keys_set.push_back(key);
    }
    switch (*kind) {
      case WorkloadKind::kGenerate:
        DraftGenerate(config, &draft);
        break;
      case WorkloadKind::kThroughput:
        DraftThroughput(config, &draft);
        break;
      case WorkloadKind::kCommand:
        DraftCommand(config, &draft);
        break;
    }
    return draft;
  }

 private:
  void UnknownKind(const WorkloadDraft& draft, const Workload& config) {
    const std::string path = JoinPath(draft.path, "kind");
    if (config.kind().empty()) {
      diagnostics_.Add(source_.Value(path),
                       absl::StrCat("workload ", Quoted(draft.name),
                                    " needs a kind; write kind: generate, kind: throughput or "
                                    "kind: command"));
      return;
    }
    const auto near = NearestName(config.kind(), KindNames());
    diagnostics_.Add(
        source_.Value(path),
        absl::StrCat("workload kind ", Quoted(config.kind()), " is not in this version; ",
                     near.has_value() ? absl::StrCat("did you mean ", Quoted(*near), "?")
                                      : "kinds are generate, throughput and command"));
  }

  // The keys of the workload that its kind does not take.
  void RefuseKeys(const WorkloadDraft& draft) {
    const auto taken = FieldsOf(draft.kind);
    for (const std::string& key : FieldNames(Workload::descriptor())) {
      const std::string path = JoinPath(draft.path, key);
      if (!source_.Has(path) || std::find(taken.begin(), taken.end(), key) != taken.end()) continue;
      diagnostics_.Add(
          source_.Key(path),
          absl::StrCat(key, " means nothing to this kind; it takes ", absl::StrJoin(taken, ", ")));
    }
  }

  void DraftGenerate(const Workload& config, WorkloadDraft* draft) {
    v1::GenerateSpec& spec = *draft->spec.mutable_generate();
    spec.set_engine(config.has_engine() ? config.engine() : "llama.cpp");
    spec.set_max_tokens(config.has_max_tokens() ? config.max_tokens() : 64);
    if (config.has_threads()) spec.set_threads(config.threads());
    spec.set_temperature(0);
    spec.set_top_k(1);
    spec.set_ctx(2048);
    spec.set_ignore_eos(true);
    DraftOptions(config, draft);
    DraftPrompts(config, draft);
    draft->argv.assign(config.server().begin(), config.server().end());
    if (source_.Has(JoinPath(draft->path, "server"))) CheckArgv(*draft, "server");
  }

  void DraftThroughput(const Workload& config, WorkloadDraft* draft) {
    if (config.has_engine() && config.engine() != kLlamaCpp) {
      diagnostics_.Add(source_.Value(JoinPath(draft->path, "engine")),
                       absl::StrCat("kind throughput runs llama-bench, so its engine is ",
                                    kLlamaCpp, "; found ", Quoted(config.engine())));
    }
    v1::ThroughputSpec& spec = *draft->spec.mutable_throughput();
    spec.set_n_prompt(kDefaultBenchPrompt);
    spec.set_n_gen(kDefaultBenchGen);
    if (config.has_threads()) spec.set_threads(config.threads());
    DraftOptions(config, draft);
  }

  void DraftOptions(const Workload& config, WorkloadDraft* draft) {
    const std::string options_path = JoinPath(draft->path, "options");
    pb::Message* const spec = SpecOf(draft->kind, &draft->spec);
    GenerateOptions generate;
    ThroughputOptions throughput;
    pb::Message* checked = &generate;
    if (draft->kind == WorkloadKind::kThroughput) checked = &throughput;
    for (const config::v1::Option& option : config.options()) {
      const std::string path = JoinPath(options_path, option.key());
      const auto* field = checked->GetDescriptor()->FindFieldByName(option.key());
      if (field == nullptr) {
        UnknownOption(*draft, option.key(), path);
        continue;
      }
      draft->keys_set.push_back(option.key());
      const absl::Status status = SetField(checked, field, option.value());
      if (!status.ok()) {
        diagnostics_.Add(source_.Value(path), status.message());
        continue;
      }
      // Names and types are the same in both messages, as a test makes sure.
      const absl::Status copied =
          SetField(spec, spec->GetDescriptor()->FindFieldByName(option.key()), option.value());
      if (!copied.ok()) diagnostics_.Add(source_.Value(path), copied.message());
    }
  }

  void UnknownOption(const WorkloadDraft& draft, const std::string& key, const std::string& path) {
    const auto taken = FieldsOf(draft.kind);
    if (std::find(taken.begin(), taken.end(), key) != taken.end()) {
      diagnostics_.Add(source_.Key(path), absl::StrCat(key,
                                                       " is not an option; write it beside "
                                                       "options, not in it"));
      return;
    }
    diagnostics_.Add(source_.Key(path),
                     absl::StrCat("unknown option ", Quoted(key),
                                  Suggestion(key, FieldNames(OptionsOf(draft.kind)),
                                             absl::StrCat("options of ", KindName(draft.kind)))));
  }

  void DraftPrompts(const Workload& config, WorkloadDraft* draft) {
    const std::string prompts_path = JoinPath(draft->path, "prompts");
    if (config.prompts().empty()) {
      if (source_.Has(prompts_path)) {
        diagnostics_.Add(source_.Value(prompts_path),
                         absl::StrCat("prompts is empty; write one, or remove the key for the "
                                      "built-in set \"",
                                      kDefaultPromptSet, "\""));
      }
      AddPrompts(*BuiltinPrompts(kDefaultPromptSet), draft);
      return;
    }
    for (int i = 0; i < config.prompts_size(); ++i) {
      AddSource(config.prompts(i), JoinPath(prompts_path, static_cast<size_t>(i)), draft);
    }
    size_t bytes = 0;
    for (const v1::Prompt& prompt : draft->spec.generate().prompts())
      bytes += prompt.text().size() + 8;
    if (bytes > kMaxPromptBytes) {
      diagnostics_.Add(source_.Value(prompts_path),
                       absl::StrCat("the prompts have ", bytes, " bytes, ", kMaxPromptBytes,
                                    " are possible; split them over several workloads"));
    }
  }

  void AddSource(const PromptSource& prompt, const std::string& path, WorkloadDraft* draft) {
    const int count =
        (prompt.has_text() ? 1 : 0) + (prompt.has_set() ? 1 : 0) + (prompt.has_artifact() ? 1 : 0);
    if (count != 1) {
      diagnostics_.Add(source_.Value(path),
                       "a prompt has exactly one of text, set and artifact; write several prompts "
                       "as several elements");
      return;
    }
    if (prompt.has_artifact()) {
      AddArtifact(prompt.artifact(), JoinPath(path, "artifact"), draft);
    } else if (prompt.has_set()) {
      const std::vector<std::string>* set = BuiltinPrompts(prompt.set());
      if (set != nullptr) {
        AddPrompts(*set, draft);
        return;
      }
      diagnostics_.Add(source_.Value(JoinPath(path, "set")),
                       absl::StrCat("unknown prompt set ", Quoted(prompt.set()),
                                    Suggestion(prompt.set(), BuiltinPromptSets(), "sets are")));
    } else if (prompt.text().empty()) {
      diagnostics_.Add(source_.Value(JoinPath(path, "text")),
                       "the prompt is empty; write at least one word");
    } else {
      draft->spec.mutable_generate()->add_prompts()->set_text(prompt.text());
    }
  }

  void AddArtifact(const std::string& name, const std::string& path, WorkloadDraft* draft) {
    const auto text = catalogue_.Text(name);
    if (absl::IsNotFound(text.status())) {
      diagnostics_.Add(source_.Value(path), UnknownArtifact("artifact", name, catalogue_));
      return;
    }
    if (!text.ok()) {
      diagnostics_.Add(source_.Value(path),
                       absl::StrCat("artifact ", Quoted(name), ": ", text.status().message()));
      return;
    }
    const auto prompts = PromptsFromJsonl(*text);
    if (!prompts.ok()) {
      diagnostics_.Add(source_.Value(path),
                       absl::StrCat("artifact ", Quoted(name), " is not a JSONL file of prompts: ",
                                    prompts.status().message()));
      return;
    }
    AddPrompts(*prompts, draft);
  }

  static void AddPrompts(const std::vector<std::string>& prompts, WorkloadDraft* draft) {
    for (const std::string& prompt : prompts)
      draft->spec.mutable_generate()->add_prompts()->set_text(prompt);
  }

  void DraftCommand(const Workload& config, WorkloadDraft* draft) {
    draft->argv.assign(config.command().begin(), config.command().end());
    CheckArgv(*draft, "command");
  }

  // `key`: "command" or "server".
  void CheckArgv(const WorkloadDraft& draft, const char* key) {
    const std::string path = JoinPath(draft.path, key);
    if (draft.argv.empty() || draft.argv[0].empty()) {
      diagnostics_.Add(source_.Value(path), absl::StrCat("workload ", Quoted(draft.name),
                                                         " has no program to run; write ", key,
                                                         ": [program, argument, …]"));
    }
    size_t bytes = 0;
    for (const std::string& argument : draft.argv) bytes += argument.size() + 1;
    if (bytes > kMaxArgvBytes) {
      diagnostics_.Add(source_.Value(path),
                       absl::StrCat("the ", key, " has ", bytes, " bytes, ", kMaxArgvBytes,
                                    " are possible; put what is long into a script"));
    }
  }

  const SourceMap& source_;
  const Catalogue& catalogue_;
  Diagnostics& diagnostics_;
};

}  // namespace

std::vector<WorkloadDraft> DraftWorkloads(const config::v1::Experiment& experiment,
                                          const SourceMap& source, const Catalogue& catalogue,
                                          Diagnostics* diagnostics) {
  std::vector<WorkloadDraft> drafts;
  if (experiment.workloads().empty()) {
    diagnostics->Add(source.Value("workloads"),
                     "there is no workload; write workloads: {NAME: {kind: generate}}");
  }
  Drafter drafter(source, catalogue, diagnostics);
  for (const config::v1::NamedWorkload& workload : experiment.workloads()) {
    auto draft = drafter.Draft(workload.key(), workload.value());
    if (draft.has_value()) drafts.push_back(*std::move(draft));
  }
  return drafts;
}

std::string UnknownArtifact(absl::string_view what, absl::string_view name,
                            const Catalogue& catalogue) {
  const std::string suggestion = Suggestion(name, catalogue.Names(), "known artifacts are", 8);
  return absl::StrCat(
      "unknown ", what, " ", Quoted(name), suggestion,
      absl::EndsWith(suggestion, "?") ? " Otherwise push it with" : "; push it with",
      " `joulefarm artifact push`");
}

}  // namespace joulefarm
