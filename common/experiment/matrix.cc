#include "common/experiment/matrix.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/scalar.h"
#include "common/config/suggest.h"
#include "common/text/json_string.h"

namespace joulefarm {
namespace {

namespace pb = google::protobuf;
using config::v1::Scalar;

constexpr size_t kMaxValueBytes = 256;
constexpr int kMaxExclusions = 1000;

bool IsIdentifier(absl::string_view key) {
  if (key.empty() || key.size() > 64) return false;
  const auto is_letter = [](char c) {
    return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_';
  };
  return is_letter(key.front()) && std::all_of(key.begin(), key.end(), [&](char c) {
           return is_letter(c) || absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '-';
         });
}

// The value as its field reads it, so that 2 and 0x2 are the same number of threads.
absl::StatusOr<AxisValue> TypedValue(const pb::FieldDescriptor* field, const Scalar& scalar) {
  config::v1::Workload workload;
  config::v1::GenerateOptions generate;
  config::v1::ThroughputOptions throughput;
  pb::Message* message = &generate;
  if (field->containing_type() == workload.GetDescriptor()) message = &workload;
  if (field->containing_type() == throughput.GetDescriptor()) message = &throughput;
  const absl::Status status = SetField(message, field, scalar);
  if (!status.ok()) return status;
  AxisValue value{.text = FieldJson(*message, field), .json = "", .scalar = scalar};
  value.json = value.text;
  if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING) value.text = ScalarText(scalar);
  return value;
}

class Builder {
 public:
  Builder(const config::v1::Experiment& experiment, const SourceMap& source,
          const std::vector<WorkloadDraft>& workloads, Diagnostics* diagnostics)
      : experiment_(experiment),
        source_(source),
        workloads_(workloads),
        diagnostics_(*diagnostics) {}

  Matrix Build() {
    if (experiment_.matrix().empty() && source_.Has("matrix")) {
      diagnostics_.Add(source_.Value("matrix"),
                       "the matrix is empty; give it a key with a list of values, or remove it");
    }
    ChooseWorkloads();
    for (const config::v1::Axis& axis : experiment_.matrix()) AddAxis(axis);
    if (CountIsFine()) AddExclusions();
    return std::move(matrix_);
  }

 private:
  // Which workloads the matrix uses: what other keys may be depends on their kinds.
  void ChooseWorkloads() {
    for (const config::v1::Axis& axis : experiment_.matrix()) {
      if (axis.key() != "workload") continue;
      for (const WorkloadDraft& workload : workloads_) {
        const bool listed =
            std::any_of(axis.value().begin(), axis.value().end(),
                        [&](const Scalar& value) { return ScalarText(value) == workload.name; });
        if (listed) used_.push_back(&workload);
      }
      return;
    }
    Axis all{.key = "workload", .values = {}, .origin = AxisOrigin::kAllWorkloads};
    for (const WorkloadDraft& workload : workloads_) {
      used_.push_back(&workload);
      Scalar name;
      name.set_text(workload.name);
      all.values.push_back({workload.name, HashedJsonString(workload.name), name});
    }
    matrix_.axes.push_back(std::move(all));
  }

  void AddAxis(const config::v1::Axis& config) {
    const std::string path = JoinPath("matrix", config.key());
    if (config.value().empty()) {
      diagnostics_.Add(source_.Value(path),
                       absl::StrCat(config.key(),
                                    " has no values; list at least one, or remove "
                                    "the key"));
      return;
    }
    if (!KeyIsFine(config.key(), path)) return;
    Axis axis{.key = config.key(), .values = {}, .origin = AxisOrigin::kFile};
    std::unordered_map<std::string, int> seen;
    for (int i = 0; i < config.value_size(); ++i) {
      const std::string value_path = JoinPath(path, static_cast<size_t>(i));
      auto value = ValueFor(config.key(), config.value(i));
      if (!value.ok()) {
        diagnostics_.Add(source_.Value(value_path), value.status().message());
        continue;
      }
      if (value->text.size() > kMaxValueBytes) {
        diagnostics_.Add(source_.Value(value_path),
                         absl::StrCat("longer than ", kMaxValueBytes,
                                      " bytes; a value is part of each cell's name: give long ones "
                                      "a short name"));
        continue;
      }
      if (!seen.emplace(value->text, i).second) {
        diagnostics_.Add(source_.Value(value_path),
                         absl::StrCat("duplicate value ", Quoted(value->text), " of ", config.key(),
                                      "; list it once"));
        continue;
      }
      axis.values.push_back(*std::move(value));
    }
    matrix_.axes.push_back(std::move(axis));
  }

  bool KeyIsFine(const std::string& key, const std::string& path) {
    if (key == "workload") return true;
    if (key == "model") {
      if (!experiment_.has_model()) return true;
      Conflict(key, path, "model");
      return false;
    }
    bool fine = true;
    for (const WorkloadDraft* workload : used_) {
      if (workload->kind == WorkloadKind::kCommand ? !CommandTakes(key, path)
                                                   : !KindTakes(key, path, *workload)) {
        return false;
      }
      if (std::find(workload->keys_set.begin(), workload->keys_set.end(), key) !=
          workload->keys_set.end()) {
        const std::string field = JoinPath(workload->path, key);
        Conflict(key, path,
                 source_.Has(field) ? field : JoinPath(JoinPath(workload->path, "options"), key));
        fine = false;
      }
    }
    return fine;
  }

  void Conflict(const std::string& key, const std::string& path, const std::string& other) {
    diagnostics_.Add(source_.Key(path),
                     absl::StrCat(key, " is in the matrix and set at ",
                                  diagnostics_.Where(source_.Key(other)), "; keep one of them"));
  }

  bool CommandTakes(const std::string& key, const std::string& path) {
    if (IsIdentifier(key)) return true;
    diagnostics_.Add(source_.Key(path),
                     absl::StrCat("matrix key ", Quoted(key),
                                  " is no identifier; use letters, digits, \"_\" and \"-\""));
    return false;
  }

  // Of the kinds whose factors have names and types.
  bool KindTakes(const std::string& key, const std::string& path, const WorkloadDraft& workload) {
    if (FactorField(workload.kind, key) != nullptr) return true;
    const std::string about = absl::StrCat("matrix key ", Quoted(key));
    if (config::v1::Workload::descriptor()->FindFieldByName(key) != nullptr) {
      diagnostics_.Add(source_.Key(path), absl::StrCat(about,
                                                       " cannot vary; write several "
                                                       "workloads instead"));
    } else if (config::v1::Experiment::descriptor()->FindFieldByName(key) != nullptr) {
      diagnostics_.Add(source_.Key(path),
                       absl::StrCat(about,
                                    " is the same for the whole experiment; write it at the "
                                    "top level"));
    } else {
      std::vector<std::string> keys = {"workload", "model"};
      for (std::string& factor : FactorNames(workload.kind)) keys.push_back(std::move(factor));
      diagnostics_.Add(
          source_.Key(path),
          absl::StrCat(about, " means nothing to workload ", Quoted(workload.name), " of kind ",
                       KindName(workload.kind), Suggestion(key, keys, "keys are")));
    }
    return false;
  }

  absl::StatusOr<AxisValue> ValueFor(const std::string& key, const Scalar& scalar) const {
    if (key == "workload" || key == "model") {
      const std::string name = ScalarText(scalar);
      if (key == "workload" && !WorkloadExists(name)) {
        std::vector<std::string> names;
        for (const auto& workload : experiment_.workloads()) names.push_back(workload.key());
        return absl::InvalidArgumentError(absl::StrCat("unknown workload ", Quoted(name),
                                                       Suggestion(name, names, "workloads are")));
      }
      return AxisValue{.text = name, .json = HashedJsonString(name), .scalar = scalar};
    }
    // Kinds that take the same key take the same values, as a test makes sure.
    for (const WorkloadDraft* workload : used_) {
      if (const auto* field = FactorField(workload->kind, key)) return TypedValue(field, scalar);
    }
    return AxisValue{.text = ScalarText(scalar), .json = ScalarJson(scalar), .scalar = scalar};
  }

  // Also those of an unknown kind: their error is there already.
  bool WorkloadExists(const std::string& name) const {
    return std::any_of(experiment_.workloads().begin(), experiment_.workloads().end(),
                       [&](const auto& workload) { return workload.key() == name; });
  }

  bool CountIsFine() {
    std::uint64_t cells = 1;
    bool overflow = false;
    for (const Axis& axis : matrix_.axes) {
      const std::uint64_t n = axis.values.size();
      if (n > 0 && cells > std::numeric_limits<std::uint64_t>::max() / n) overflow = true;
      if (!overflow) cells *= n;
    }
    if (!overflow && cells <= kMaxCells) return true;
    diagnostics_.Add(
        source_.Key("matrix"),
        absl::StrCat("the matrix has ",
                     overflow ? "more than 18446744073709551615" : absl::StrCat(cells), " cells, ",
                     kMaxCells, " are possible; shorten its lists or split the experiment"));
    return false;
  }

  void AddExclusions() {
    if (experiment_.exclude_size() > kMaxExclusions) {
      diagnostics_.Add(source_.Value("exclude"),
                       absl::StrCat("more than ", kMaxExclusions,
                                    " exclusions; shorten the lists of the matrix instead"));
      return;
    }
    for (int i = 0; i < experiment_.exclude_size(); ++i) {
      AddExclusion(experiment_.exclude(i), JoinPath("exclude", static_cast<size_t>(i)));
    }
  }

  void AddExclusion(const config::v1::CellPattern& pattern, const std::string& path) {
    if (pattern.match().empty()) {
      diagnostics_.Add(source_.Value(path),
                       "an empty exclusion would leave no cell; name keys and "
                       "values, or remove it");
      return;
    }
    Exclusion exclusion;
    for (const config::v1::Option& option : pattern.match()) {
      const std::string option_path = JoinPath(path, option.key());
      const Axis* axis = matrix_.Find(option.key());
      if (axis == nullptr) {
        std::vector<std::string> keys;
        for (const Axis& known : matrix_.axes) keys.push_back(known.key);
        // Of an axis with errors of its own nothing can be said.
        if (source_.Has(JoinPath("matrix", option.key()))) continue;
        diagnostics_.Add(
            source_.Key(option_path),
            absl::StrCat("exclude names ", Quoted(option.key()), ", which is not in the matrix",
                         Suggestion(option.key(), keys, "its keys are")));
        continue;
      }
      const auto value = ValueFor(axis->key, option.value());
      if (!value.ok()) {
        diagnostics_.Add(source_.Value(option_path), value.status().message());
        continue;
      }
      const auto index = IndexOf(*axis, value->text);
      if (!index.has_value()) {
        UnknownValue(*axis, value->text, option_path);
        continue;
      }
      exclusion.emplace_back(static_cast<size_t>(axis - matrix_.axes.data()), *index);
    }
    matrix_.exclusions.push_back(std::move(exclusion));
  }

  static std::optional<size_t> IndexOf(const Axis& axis, const std::string& text) {
    for (size_t i = 0; i < axis.values.size(); ++i) {
      if (axis.values[i].text == text) return i;
    }
    return std::nullopt;
  }

  void UnknownValue(const Axis& axis, const std::string& text, const std::string& path) {
    std::vector<std::string> texts;
    for (const AxisValue& value : axis.values) texts.push_back(value.text);
    diagnostics_.Add(
        source_.Value(path),
        absl::StrCat("exclude names ", axis.key, " ", Quoted(text), ", which is not in the matrix",
                     Suggestion(text, texts, "its values are", 8)));
  }

  const config::v1::Experiment& experiment_;
  const SourceMap& source_;
  const std::vector<WorkloadDraft>& workloads_;
  Diagnostics& diagnostics_;
  std::vector<const WorkloadDraft*> used_;
  Matrix matrix_;
};

}  // namespace

const Axis* Matrix::Find(absl::string_view key) const {
  for (const Axis& axis : axes) {
    if (axis.key == key) return &axis;
  }
  return nullptr;
}

Matrix BuildMatrix(const config::v1::Experiment& experiment, const SourceMap& source,
                   const std::vector<WorkloadDraft>& workloads, Diagnostics* diagnostics) {
  return Builder(experiment, source, workloads, diagnostics).Build();
}

}  // namespace joulefarm
