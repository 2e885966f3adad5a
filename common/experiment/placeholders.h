// What {name} stands for in the arguments of a program. Internal to common/experiment.
//
// Threads: pure functions. Ownership: a Placeholders borrows its model.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm {

// What {name} in an argument stands for, by name.
struct Placeholders {
  std::vector<std::pair<std::string, std::string>> factors;
  const v1::ModelRef* model = nullptr;
};

// The argument with each {name} replaced that is a factor, or a fact of the model: {model.name},
// {model.sha256}, {model.quant}. {model.path} and {port} are the agent's to replace; other braces
// stay.
std::string ExpandArgument(absl::string_view argument, const Placeholders& placeholders);

// The model facts ("model.path") the arguments mention.
std::vector<std::string> ModelFactsIn(const std::vector<std::string>& argv);

// Whether one of the arguments contains {name}.
bool Mentions(const std::vector<std::string>& argv, absl::string_view name);

}  // namespace joulefarm
