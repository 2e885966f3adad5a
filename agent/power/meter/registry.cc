#include "agent/power/meter/registry.h"

namespace joulefarm::agent {

const std::vector<MeterModel>& MeterModels() {
  static const std::vector<MeterModel> models = {};
  return models;
}

const MeterModel* FindMeterModel(absl::string_view name) {
  for (const MeterModel& model : MeterModels()) {
    if (model.name == name) return &model;
  }
  return nullptr;
}

}  // namespace joulefarm::agent
