// Every meter model the agent knows, one line each.
//
// Threads: any.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"
#include "agent/power/meter/model.h"

namespace joulefarm::agent {

const std::vector<MeterModel>& MeterModels();

// Null: there is no such model.
const MeterModel* FindMeterModel(absl::string_view name);

}  // namespace joulefarm::agent
