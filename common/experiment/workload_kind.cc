#include "common/experiment/workload_kind.h"

#include <algorithm>
#include <array>

#include "common/config/scalar.h"
#include "joulefarm/config/v1/experiment.pb.h"

namespace joulefarm {
namespace {

namespace pb = google::protobuf;
using config::v1::GenerateOptions;
using config::v1::ThroughputOptions;
using config::v1::Workload;

struct KindInfo {
  WorkloadKind kind;
  absl::string_view name;
  std::vector<const char*> fields;
  // Of these, the single values a matrix may vary.
  std::vector<const char*> factors;
};

const std::array<KindInfo, 3>& Kinds() {
  static const auto* const kKinds = new std::array<KindInfo, 3>{
      KindInfo{WorkloadKind::kGenerate,
               "generate",
               {"kind", "engine", "prompts", "max_tokens", "threads", "options", "server"},
               {"engine", "max_tokens", "threads"}},
      KindInfo{WorkloadKind::kThroughput,
               "throughput",
               {"kind", "engine", "threads", "options"},
               {"threads"}},
      KindInfo{WorkloadKind::kCommand, "command", {"kind", "command"}, {}},
  };
  return *kKinds;
}

const KindInfo& Info(WorkloadKind kind) { return Kinds()[static_cast<size_t>(kind)]; }

}  // namespace

std::optional<WorkloadKind> KindNamed(absl::string_view name) {
  for (const KindInfo& info : Kinds()) {
    if (info.name == name) return info.kind;
  }
  return std::nullopt;
}

absl::string_view KindName(WorkloadKind kind) { return Info(kind).name; }

std::vector<std::string> KindNames() {
  std::vector<std::string> names;
  for (const KindInfo& info : Kinds()) names.emplace_back(info.name);
  return names;
}

absl::Span<const char* const> FieldsOf(WorkloadKind kind) { return Info(kind).fields; }

const pb::Descriptor* OptionsOf(WorkloadKind kind) {
  switch (kind) {
    case WorkloadKind::kGenerate:
      return GenerateOptions::descriptor();
    case WorkloadKind::kThroughput:
      return ThroughputOptions::descriptor();
    case WorkloadKind::kCommand:
      return nullptr;
  }
  return nullptr;
}

const pb::FieldDescriptor* FactorField(WorkloadKind kind, absl::string_view key) {
  const std::vector<const char*>& factors = Info(kind).factors;
  if (std::find(factors.begin(), factors.end(), key) != factors.end()) {
    return Workload::descriptor()->FindFieldByName(std::string(key));
  }
  const pb::Descriptor* options = OptionsOf(kind);
  return options == nullptr ? nullptr : options->FindFieldByName(std::string(key));
}

std::vector<std::string> FactorNames(WorkloadKind kind) {
  const std::vector<const char*>& factors = Info(kind).factors;
  std::vector<std::string> names(factors.begin(), factors.end());
  if (const pb::Descriptor* options = OptionsOf(kind)) {
    for (const std::string& name : FieldNames(options)) names.push_back(name);
  }
  return names;
}

pb::Message* SpecOf(WorkloadKind kind, v1::JobSpec* spec) {
  switch (kind) {
    case WorkloadKind::kGenerate:
      return spec->mutable_generate();
    case WorkloadKind::kThroughput:
      return spec->mutable_throughput();
    case WorkloadKind::kCommand:
      return nullptr;
  }
  return nullptr;
}

}  // namespace joulefarm
