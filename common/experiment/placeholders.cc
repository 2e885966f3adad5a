#include "common/experiment/placeholders.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/str_cat.h"

namespace joulefarm {
namespace {

constexpr std::array<absl::string_view, 4> kModelFacts = {"model.name", "model.sha256",
                                                          "model.quant", "model.path"};

// Calls `take` with the text before each {name} and the name; then once with the rest and "".
template <typename Take>
void ForEachPlaceholder(absl::string_view argument, const Take& take) {
  size_t literal = 0;
  size_t open = argument.find('{');
  while (open != absl::string_view::npos) {
    const size_t end = argument.find_first_of("{}", open + 1);
    if (end == absl::string_view::npos) break;
    if (argument[end] == '}' && end > open + 1 &&
        take(argument.substr(literal, open - literal), argument.substr(open + 1, end - open - 1))) {
      literal = end + 1;
    }
    open = argument[end] == '{' ? end : argument.find('{', end);
  }
  take(argument.substr(literal), absl::string_view());
}

}  // namespace

std::string ExpandArgument(absl::string_view argument, const Placeholders& placeholders) {
  std::string out;
  const auto value_of = [&](absl::string_view name) -> std::optional<absl::string_view> {
    for (const auto& [factor, value] : placeholders.factors) {
      if (factor == name) return value;
    }
    if (placeholders.model == nullptr) return std::nullopt;
    if (name == "model.name") return placeholders.model->name();
    if (name == "model.sha256") return placeholders.model->sha256();
    if (name == "model.quant") return placeholders.model->quant();
    return std::nullopt;
  };
  ForEachPlaceholder(argument, [&](absl::string_view before, absl::string_view name) {
    if (name.empty()) {
      absl::StrAppend(&out, before);
      return true;
    }
    const auto value = value_of(name);
    if (value.has_value()) absl::StrAppend(&out, before, *value);
    return value.has_value();
  });
  return out;
}

std::vector<std::string> ModelFactsIn(const std::vector<std::string>& argv) {
  std::vector<std::string> facts;
  for (const std::string& argument : argv) {
    ForEachPlaceholder(argument, [&](absl::string_view, absl::string_view name) {
      if (std::find(kModelFacts.begin(), kModelFacts.end(), name) != kModelFacts.end()) {
        facts.emplace_back(name);
      }
      return false;
    });
  }
  return facts;
}

bool Mentions(const std::vector<std::string>& argv, absl::string_view name) {
  bool found = false;
  for (const std::string& argument : argv) {
    ForEachPlaceholder(argument, [&](absl::string_view, absl::string_view there) {
      found = found || there == name;
      return false;
    });
  }
  return found;
}

}  // namespace joulefarm
