#include "common/experiment/cells.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/scalar.h"
#include "common/experiment/cell_fault.h"
#include "common/experiment/placeholders.h"
#include "common/text/json_string.h"

namespace joulefarm {
namespace {

// A value that could be mistaken for something else in "key=value,key=value" is written as JSON.
std::string CellText(const std::string& value) {
  const std::string json = HashedJsonString(value);
  const bool plain = !value.empty() && json.size() == value.size() + 2 &&
                     value.find_first_of(",= ") == std::string::npos;
  return plain ? value : json;
}

class CellBuilder {
 public:
  explicit CellBuilder(const CellInputs& inputs) : in_(inputs), axes_(inputs.matrix->axes) {}

  absl::StatusOr<std::vector<Cell>> Build() {
    std::vector<Cell> cells;
    size_t bytes = 0;
    std::vector<size_t> at(axes_.size(), 0);
    do {
      if (IsExcluded(at)) continue;
      auto cell = Make(at);
      if (!cell.ok()) return cell.status();
      bytes += cell->spec.ByteSizeLong();
      if (bytes > kMaxSpecBytes) {
        return absl::ResourceExhaustedError(absl::StrCat(
            "prompts and commands of all cells are larger than ", kMaxSpecBytes / 1024 / 1024,
            " MiB; shorten them, or split the experiment"));
      }
      cells.push_back(*std::move(cell));
    } while (Advance(&at));
    return cells;
  }

 private:
  // The last axis varies fastest. False when all combinations have been seen.
  bool Advance(std::vector<size_t>* at) const {
    for (size_t i = axes_.size(); i > 0; --i) {
      if (++(*at)[i - 1] < axes_[i - 1].values.size()) return true;
      (*at)[i - 1] = 0;
    }
    return false;
  }

  bool IsExcluded(const std::vector<size_t>& at) const {
    const auto& exclusions = in_.matrix->exclusions;
    return std::any_of(exclusions.begin(), exclusions.end(), [&](const Exclusion& exclusion) {
      return std::all_of(exclusion.begin(), exclusion.end(),
                         [&](const auto& match) { return at[match.first] == match.second; });
    });
  }

  absl::StatusOr<Cell> Make(const std::vector<size_t>& at) const {
    Cell cell;
    cell.spec = in_.common;
    std::optional<std::string> model = in_.model;
    Placeholders placeholders;
    for (size_t i = 0; i < axes_.size(); ++i) {
      const AxisValue& value = axes_[i].values[at[i]];
      if (axes_[i].key == "workload") cell.workload = value.text;
      if (axes_[i].key == "model") model = value.text;
      // A single workload nobody listed tells cells apart from nothing.
      const bool is_factor = axes_[i].origin == AxisOrigin::kFile || axes_[i].values.size() > 1;
      if (!is_factor) continue;
      absl::StrAppend(&cell.text, cell.text.empty() ? "" : ",", axes_[i].key, "=",
                      CellText(value.text));
      v1::Param* param = cell.spec.add_params();
      param->set_key(axes_[i].key);
      param->set_json(value.json);
      placeholders.factors.emplace_back(axes_[i].key, value.text);
    }
    if (cell.text.empty()) {
      cell.text = model.has_value() ? absl::StrCat("model=", CellText(*model))
                                    : absl::StrCat("workload=", CellText(cell.workload));
    }
    cell.spec.set_cell(cell.text);
    cell.spec.set_workload(cell.workload);
    if (model.has_value()) {
      const v1::ModelRef& ref = in_.models->at(*model);
      *cell.spec.mutable_model() = ref;
      placeholders.model = &ref;
    }
    absl::Status status = FillKind(at, placeholders, &cell);
    if (!status.ok()) return status;
    return cell;
  }

  absl::Status FillKind(const std::vector<size_t>& at, const Placeholders& placeholders,
                        Cell* cell) const {
    const auto draft = std::find_if(
        in_.workloads->begin(), in_.workloads->end(),
        [&](const WorkloadDraft& workload) { return workload.name == cell->workload; });
    if (draft->kind == WorkloadKind::kCommand) {
      v1::CommandSpec* command = cell->spec.mutable_command();
      for (const std::string& argument : draft->argv) {
        command->add_argv(ExpandArgument(argument, placeholders));
      }
      return absl::OkStatus();
    }
    cell->spec.MergeFrom(draft->spec);
    google::protobuf::Message* spec = SpecOf(draft->kind, &cell->spec);
    for (size_t i = 0; i < axes_.size(); ++i) {
      const std::string& key = axes_[i].key;
      if (key == "workload" || key == "model") continue;
      absl::Status status = SetField(spec, spec->GetDescriptor()->FindFieldByName(key),
                                     axes_[i].values[at[i]].scalar);
      if (!status.ok()) return status;
    }
    if (cell->spec.has_generate()) FillServer(*draft, placeholders, cell->spec.mutable_generate());
    return absl::OkStatus();
  }

  bool IsGiven(const WorkloadDraft& draft, const std::string& key) const {
    return in_.matrix->Find(key) != nullptr ||
           std::find(draft.keys_set.begin(), draft.keys_set.end(), key) != draft.keys_set.end();
  }

  // What of a generate workload only concerns a server that speaks OpenAI's API.
  void FillServer(const WorkloadDraft& draft, const Placeholders& placeholders,
                  v1::GenerateSpec* spec) const {
    for (const std::string& argument : draft.argv) {
      spec->add_server(ExpandArgument(argument, placeholders));
    }
    if (spec->engine() != kOpenAi) return;
    if (!spec->has_url() && spec->server_size() > 0) spec->set_url("http://127.0.0.1:{port}/v1");
    // Defaults of llama.cpp that another server may not know.
    for (const char* key : {"ctx", "top_k", "ignore_eos"}) {
      if (!IsGiven(draft, key)) Clear(key, spec);
    }
    // Factors that have gone into the server's arguments.
    for (const char* key : kEngineOptions) {
      if (in_.matrix->Find(key) != nullptr && Mentions(draft.argv, key)) Clear(key, spec);
    }
  }

  static void Clear(const std::string& key, v1::GenerateSpec* spec) {
    spec->GetReflection()->ClearField(spec, spec->GetDescriptor()->FindFieldByName(key));
  }

  const CellInputs& in_;
  const std::vector<Axis>& axes_;
};

}  // namespace

absl::StatusOr<std::vector<Cell>> BuildCells(const CellInputs& inputs) {
  return CellBuilder(inputs).Build();
}

}  // namespace joulefarm
