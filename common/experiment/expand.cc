#include "common/experiment/expand.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/duration.h"
#include "common/config/scalar.h"
#include "common/config/suggest.h"
#include "common/config/yaml_proto.h"
#include "common/experiment/cell_fault.h"
#include "common/experiment/cells.h"
#include "common/experiment/matrix.h"
#include "common/experiment/placeholders.h"
#include "common/experiment/spec_hash.h"
#include "common/experiment/workload.h"

namespace joulefarm {
namespace {

using config::v1::Experiment;

constexpr size_t kMaxNameBytes = 128;
constexpr int kMaxCount = 1'000'000;
constexpr std::uint64_t kMaxCellBlocks = 1'000'000;

class Expander {
 public:
  Expander(const Experiment& experiment, const SourceMap& source, const Catalogue& catalogue)
      : file_(experiment),
        source_(source),
        catalogue_(catalogue),
        diagnostics_(source.file_name()),
        missing_(source.file_name()) {}

  absl::StatusOr<Expansion> Run() {
    ReadHeader();
    ReadDevices();
    ReadPower();
    ReadCommon();
    const std::vector<WorkloadDraft> workloads =
        DraftWorkloads(file_, source_, catalogue_, &diagnostics_);
    const Matrix matrix = BuildMatrix(file_, source_, workloads, &diagnostics_);
    ResolveModels(matrix);
    CheckModelUse(workloads, matrix);
    if (!diagnostics_.empty()) return Failure();
    if (!missing_.empty()) return absl::NotFoundError(missing_.ToStatus().message());
    auto cells =
        BuildCells({.matrix = &matrix,
                    .workloads = &workloads,
                    .model = file_.has_model() ? std::optional(file_.model()) : std::nullopt,
                    .models = &models_,
                    .common = common_});
    if (!cells.ok()) {
      diagnostics_.Add(source_.Key("matrix"), cells.status().message());
      return Failure();
    }
    out_.cells = *std::move(cells);
    CheckCells(workloads);
    if (!diagnostics_.empty()) return Failure();
    Warn(workloads, matrix);
    out_.sha256 = ExpansionHash(out_);
    for (Cell& cell : out_.cells) cell.spec.set_experiment_sha256(out_.sha256);
    return std::move(out_);
  }

 private:
  // Names that do not exist are shown among the other errors.
  absl::Status Failure() {
    for (auto& [position, message] : missing_messages_) diagnostics_.Add(position, message);
    return diagnostics_.ToStatus();
  }

  void Missing(const SourcePosition& position, std::string message) {
    missing_.Add(position, message);
    missing_messages_.emplace_back(position, std::move(message));
  }

  static bool IsName(absl::string_view name) {
    return !name.empty() && name.size() <= kMaxNameBytes &&
           absl::ascii_isalnum(static_cast<unsigned char>(name.front())) &&
           std::all_of(name.begin(), name.end(), [](char c) {
             return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' ||
                    c == '.';
           });
  }

  void CheckName(absl::string_view key, const std::string& name) {
    if (IsName(name)) return;
    diagnostics_.Add(source_.Value(key),
                     absl::StrCat(key, " ", Quoted(name),
                                  " is not usable; begin with a letter or "
                                  "digit and use up to ",
                                  kMaxNameBytes, " letters, digits, \"_\", \"-\" and \".\""));
  }

  void ReadHeader() {
    out_.name = file_.name();
    if (!source_.Has("name")) {
      diagnostics_.Add(source_.Key("name"), "the experiment has no name; write name: NAME");
    } else {
      CheckName("name", out_.name);
    }
    out_.tenant = file_.has_tenant() ? file_.tenant() : "default";
    CheckName("tenant", out_.tenant);
    out_.seed = file_.has_seed() ? file_.seed() : 42;
    out_.blocks = file_.has_blocks() ? file_.blocks() : 1;
    out_.retries = file_.has_retries() ? file_.retries() : 2;
    out_.lost_after_ns = Duration(file_.has_lost_after() ? file_.lost_after() : "10m");
    static constexpr absl::string_view kPriorities[] = {"urgent", "high", "normal", "low",
                                                        "background"};
    const std::string priority = file_.has_priority() ? file_.priority() : "normal";
    // The parser has checked it against the same list.
    out_.priority = static_cast<int>(
        std::find(std::begin(kPriorities), std::end(kPriorities), priority) - kPriorities);
  }

  // The parser has checked the text.
  static std::int64_t Duration(absl::string_view text) { return ParseDuration(text).value_or(0); }

  void ReadDevices() {
    out_.selector_text = file_.devices().selector();
    auto selector = Selector::Parse(out_.selector_text);
    if (selector.ok()) {
      out_.selector = *std::move(selector);
    } else {
      diagnostics_.Add(source_.Value("devices.selector"),
                       absl::StrCat("selector: ", selector.status().message()));
    }
    const std::string& count = file_.devices().count();
    if (!file_.devices().has_count() || count == "all") return;
    int number = 0;
    if (!absl::SimpleAtoi(count, &number) || number < 1 || number > kMaxCount) {
      diagnostics_.Add(source_.Value("devices.count"),
                       absl::StrCat("count must be all, or a number from 1 to ", kMaxCount,
                                    "; found ", Quoted(count)));
      return;
    }
    out_.count = number;
  }

  void ReadPower() {
    out_.power = file_.power();
    if (!out_.power.has_require()) out_.power.set_require("optional");
    if (!out_.power.has_channel()) out_.power.set_channel("");
    if (!out_.power.has_min_rate_hz()) out_.power.set_min_rate_hz(0);
    out_.gates = file_.gates();
    if (const std::string& channel = out_.power.channel(); channel.size() > kMaxNameBytes) {
      diagnostics_.Add(source_.Value("power.channel"),
                       absl::StrCat("channel is longer than ", kMaxNameBytes,
                                    " bytes; write a name that joulefarm-agent meters lists"));
    }
    common_.set_power_channel(out_.power.channel());
    common_.set_min_rate_hz(out_.power.min_rate_hz());
    common_.set_cut_usb(out_.power.cut_usb());
    ReadGates();
    const std::string& require = out_.power.require();
    common_.set_power(require == "required" ? v1::POWER_REQUIRE_REQUIRED
                      : require == "none"   ? v1::POWER_REQUIRE_NONE
                                            : v1::POWER_REQUIRE_OPTIONAL);
  }

  // The parser has checked the ranges.
  void ReadGates() {
    const config::v1::Gates& gates = file_.gates();
    if (gates.ByteSizeLong() == 0) return;
    v1::GateSpec* spec = common_.mutable_gates();
    if (gates.has_max_temp_c()) spec->set_max_temp_c(gates.max_temp_c());
    if (gates.has_min_battery_pct()) spec->set_min_battery_pct(gates.min_battery_pct());
    if (gates.has_max_background_cpu()) spec->set_max_background_cpu(gates.max_background_cpu());
    if (gates.has_not_charging()) spec->set_not_charging(gates.not_charging());
  }

  void ReadCommon() {
    common_.set_repetitions(file_.has_repetitions() ? file_.repetitions() : 3);
    common_.set_warmup(file_.has_warmup() ? file_.warmup() : 1);
    common_.set_on_disconnect(file_.on_disconnect() == "stop" ? v1::ON_DISCONNECT_STOP
                                                              : v1::ON_DISCONNECT_CONTINUE);
    const config::v1::Plan& plan = file_.plan();
    const bool measures = common_.power() != v1::POWER_REQUIRE_NONE;
    v1::PlanSpec* spec = common_.mutable_plan();
    spec->set_pause_ns(Duration(plan.has_pause() ? plan.pause() : "2s"));
    if (measures) {
      spec->set_settle_ns(Duration(plan.has_settle() ? plan.settle() : "30s"));
      spec->set_idle_ns(Duration(plan.has_idle() ? plan.idle() : "10s"));
      spec->set_tail_ns(Duration(plan.has_tail() ? plan.tail() : "5s"));
    }
    const config::v1::Limits& limits = file_.limits();
    v1::LimitSpec* limit = common_.mutable_limits();
    limit->set_queue_ns(Duration(limits.has_queue() ? limits.queue() : "24h"));
    limit->set_prepare_ns(Duration(limits.has_prepare() ? limits.prepare() : "10m"));
    limit->set_run_ns(Duration(limits.has_run() ? limits.run() : "30m"));
    limit->set_total_ns(Duration(limits.has_total() ? limits.total() : "2h"));
  }

  void ResolveModels(const Matrix& matrix) {
    if (file_.has_model()) ResolveModel(file_.model(), "model");
    const Axis* axis = matrix.Find("model");
    if (axis == nullptr) return;
    for (const config::v1::Axis& config : file_.matrix()) {
      if (config.key() != "model") continue;
      for (int i = 0; i < config.value_size(); ++i) {
        ResolveModel(ScalarText(config.value(i)), JoinPath("matrix.model", static_cast<size_t>(i)));
      }
    }
  }

  void ResolveModel(const std::string& name, const std::string& path) {
    if (models_.count(name) > 0) return;
    auto model = catalogue_.Model(name);
    if (model.ok()) {
      models_.emplace(name, *std::move(model));
    } else if (absl::IsNotFound(model.status())) {
      Missing(source_.Value(path), UnknownArtifact("model", name, catalogue_));
    } else {
      diagnostics_.Add(source_.Value(path),
                       absl::StrCat("model ", Quoted(name), ": ", model.status().message()));
    }
  }

  void CheckModelUse(const std::vector<WorkloadDraft>& workloads, const Matrix& matrix) {
    if (file_.has_model() || source_.Has("matrix.model")) return;
    for (const WorkloadDraft& workload : workloads) {
      if (!IsUsed(workload, matrix)) continue;
      if (AlwaysNeedsModel(workload, matrix)) {
        diagnostics_.Add(source_.Key(workload.path),
                         absl::StrCat("workload ", Quoted(workload.name),
                                      " needs a model; write model: NAME, or list models in the "
                                      "matrix"));
        continue;
      }
      const std::vector<std::string> facts = ModelFactsIn(workload.argv);
      if (facts.empty()) continue;
      const char* key = workload.kind == WorkloadKind::kCommand ? "command" : "server";
      diagnostics_.Add(source_.Value(JoinPath(workload.path, key)),
                       absl::StrCat("the ", key, " uses {", facts[0],
                                    "} and there is no model; write model: NAME, or list models in "
                                    "the matrix"));
    }
  }

  // A server that speaks OpenAI's API has a model of its own.
  static bool AlwaysNeedsModel(const WorkloadDraft& workload, const Matrix& matrix) {
    if (workload.kind == WorkloadKind::kThroughput) return true;
    if (workload.kind != WorkloadKind::kGenerate) return false;
    const Axis* engines = matrix.Find("engine");
    if (engines == nullptr) return workload.spec.generate().engine() != kOpenAi;
    return std::any_of(engines->values.begin(), engines->values.end(),
                       [](const AxisValue& value) { return value.text != kOpenAi; });
  }

  static bool IsUsed(const WorkloadDraft& workload, const Matrix& matrix) {
    const Axis* axis = matrix.Find("workload");
    return axis != nullptr &&
           std::any_of(axis->values.begin(), axis->values.end(),
                       [&](const AxisValue& value) { return value.text == workload.name; });
  }

  void CheckCells(const std::vector<WorkloadDraft>& workloads) {
    if (out_.cells.empty()) {
      diagnostics_.Add(source_.Key("exclude"),
                       "every cell of the matrix is excluded; remove an exclusion");
      return;
    }
    const std::uint64_t jobs =
        std::uint64_t{out_.cells.size()} * static_cast<std::uint64_t>(out_.blocks);
    if (jobs > kMaxCellBlocks) {
      diagnostics_.Add(
          source_.Value("blocks"),
          absl::StrCat(out_.cells.size(), " cells × ", out_.blocks, " blocks are ", jobs,
                       " jobs per device, ", kMaxCellBlocks, " are possible; use fewer blocks"));
    }
    for (const WorkloadDraft& workload : workloads) ReportFirstFault(workload);
  }

  void ReportFirstFault(const WorkloadDraft& workload) {
    for (const Cell& cell : out_.cells) {
      if (cell.workload != workload.name) continue;
      const std::optional<CellFault> fault = FaultOf(cell.spec);
      if (!fault.has_value()) continue;
      const std::string path = absl::StrCat(workload.path, ".", fault->key);
      const std::string where =
          source_.Has("matrix") ? absl::StrCat("cell ", cell.text, ": ") : std::string();
      diagnostics_.Add(source_.Has(path) ? source_.Value(path) : source_.Key(workload.path),
                       absl::StrCat(where, fault->message));
      return;
    }
  }

  void Warn(const std::vector<WorkloadDraft>& workloads, const Matrix& matrix) {
    const auto warn = [&](const std::string& path, absl::string_view message) {
      if (!source_.Has(path)) return;
      out_.warnings.push_back(absl::StrCat(diagnostics_.Where(source_.Key(path)), ": ", message));
    };
    for (const WorkloadDraft& workload : workloads) {
      if (!IsUsed(workload, matrix)) {
        warn(workload.path,
             absl::StrCat("workload ", Quoted(workload.name), " is not in the matrix and not run"));
      }
    }
  }

  const Experiment& file_;
  const SourceMap& source_;
  const Catalogue& catalogue_;
  Diagnostics diagnostics_;
  Diagnostics missing_;
  std::vector<std::pair<SourcePosition, std::string>> missing_messages_;
  std::map<std::string, v1::ModelRef> models_;
  v1::JobSpec common_;
  Expansion out_;
};

}  // namespace

absl::StatusOr<Expansion> Expand(const Experiment& experiment, const SourceMap& source,
                                 const Catalogue& catalogue) {
  return Expander(experiment, source, catalogue).Run();
}

absl::StatusOr<Expansion> ExpandYaml(absl::string_view text, absl::string_view file_name,
                                     const std::vector<std::string>& set,
                                     const Catalogue& catalogue) {
  Experiment experiment;
  SourceMap source;
  const absl::Status status = ParseYaml(text, file_name, set, &experiment, &source);
  if (!status.ok()) return status;
  return Expand(experiment, source, catalogue);
}

}  // namespace joulefarm
