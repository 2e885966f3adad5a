#include "cli/view/run_values.h"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

constexpr Source kSources[] = {Source::kMeasured, Source::kEstimated, Source::kSimulated};

using Factors = std::vector<std::pair<std::string, std::string>>;

// Empty when the cell is not key=value,key=value.
Factors ParseCell(const std::string& cell) {
  Factors factors;
  for (const absl::string_view part : absl::StrSplit(cell, ',')) {
    const std::pair<std::string, std::string> factor =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (factor.first.empty() || part.find('=') == absl::string_view::npos) return {};
    factors.push_back(factor);
  }
  return factors;
}

bool SameKeys(const Factors& a, const Factors& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].first != b[i].first) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> TextAt(const Table& table, const RowValues& row,
                                  absl::string_view name) {
  const Value& value = table.At(row, name);
  if (const std::string* text = std::get_if<std::string>(&value)) return *text;
  return std::nullopt;
}

std::optional<double> RealAt(const Table& table, const RowValues& row, absl::string_view name) {
  const Value& value = table.At(row, name);
  if (const double* real = std::get_if<double>(&value)) return *real;
  if (const std::int64_t* number = std::get_if<std::int64_t>(&value))
    return static_cast<double>(*number);
  return std::nullopt;
}

bool IsWarmup(const Table& table, const RowValues& row) {
  const Value& value = table.At(row, "warmup");
  if (const bool* truth = std::get_if<bool>(&value)) return *truth;
  const std::int64_t* number = std::get_if<std::int64_t>(&value);
  return number != nullptr && *number != 0;
}

absl::string_view SuffixOf(Source source) {
  switch (source) {
    case Source::kMeasured:
      return "";
    case Source::kEstimated:
      return "_est";
    case Source::kSimulated:
      return "_sim";
  }
  return "";
}

std::optional<Sourced> DecodeJoulesPerToken(const Table& table, const RowValues& row,
                                            Source source) {
  const std::string name = absl::StrCat("j_per_decode_token", SuffixOf(source));
  const std::optional<double> value = RealAt(table, row, name);
  if (!value) return std::nullopt;
  std::optional<double> u = RealAt(table, row, name + "_u");
  if (!u) u = RealAt(table, row, absl::StrCat("j_per_decode_token_u", SuffixOf(source)));
  return Sourced{*value, u, source};
}

std::optional<Sourced> DecodeJoulesPerToken(const Table& table, const RowValues& row) {
  for (const Source source : kSources) {
    if (auto value = DecodeJoulesPerToken(table, row, source)) return value;
  }
  return std::nullopt;
}

std::optional<Sourced> MeanWatts(const Table& table, const RowValues& row) {
  for (const Source source : kSources) {
    const std::optional<double> value =
        RealAt(table, row, absl::StrCat("mean", SuffixOf(source), "_w"));
    if (value) return Sourced{*value, std::nullopt, source};
  }
  return std::nullopt;
}

TextCell EnergyCell(const std::optional<Sourced>& value) {
  if (!value) return {"-", Style::kDim};
  const std::string number = WithUncertainty(value->value, value->uncertainty);
  switch (value->source) {
    case Source::kMeasured:
      return {number};
    case Source::kEstimated:
      return {absl::StrCat("~", number)};
    case Source::kSimulated:
      return {absl::StrCat("sim ", number)};
  }
  return {number};
}

TextCell EnergyGrade(const std::optional<std::string>& provenance,
                     const std::optional<std::string>& grade) {
  if (!provenance && !grade) return {"-", Style::kDim};
  if (!provenance || *provenance == "measured") {
    return {OneLine(grade.value_or("-")), StyleOfWord(grade.value_or(""))};
  }
  if (!grade || *grade == "VALID") return {OneLine(*provenance)};
  return {OneLine(absl::StrCat(*provenance, " ", *grade)), StyleOfWord(*grade)};
}

std::map<std::string, std::string> ShortCells(const std::vector<std::string>& cells) {
  std::map<std::string, Factors> parsed;
  for (const std::string& cell : cells) parsed.emplace(cell, ParseCell(cell));
  std::map<std::string, std::string> labels;
  for (const auto& [cell, factors] : parsed) labels[cell] = cell;
  if (parsed.size() < 2) return labels;

  const Factors& first = parsed.begin()->second;
  std::vector<std::set<std::string>> values(first.size());
  for (const auto& [cell, factors] : parsed) {
    if (factors.empty() || !SameKeys(first, factors)) return labels;
    for (std::size_t i = 0; i < factors.size(); ++i) values[i].insert(factors[i].second);
  }
  std::size_t differing = 0;
  for (const auto& set : values) differing += set.size() > 1 ? 1 : 0;
  for (const auto& [cell, factors] : parsed) {
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < factors.size(); ++i) {
      if (values[i].size() < 2) continue;
      const bool bare =
          differing == 1 || factors[i].first == "model" || factors[i].first == "workload";
      parts.push_back(bare ? factors[i].second
                           : absl::StrCat(factors[i].first, "=", factors[i].second));
    }
    labels[cell] = absl::StrJoin(parts, " ");
  }
  return labels;
}

std::string CellWords(const std::string& cell) {
  const Factors factors = ParseCell(cell);
  if (factors.empty()) return cell;
  std::vector<std::string> words;
  for (const auto& [key, value] : factors) {
    words.push_back(key == "model" || key == "workload" ? value : absl::StrCat(key, "=", value));
  }
  return absl::StrJoin(words, " · ");
}

std::map<std::string, std::string> FlatJson(absl::string_view json) {
  using Json = nlohmann::json;
  const Json parsed = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  std::map<std::string, std::string> flat;
  if (!parsed.is_object()) return flat;
  for (const auto& [key, value] : parsed.items()) {
    if (value.is_structured() || value.is_null()) continue;
    flat[key] = value.is_string() ? value.get<std::string>()
                                  : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return flat;
}

std::vector<std::string> ListJson(absl::string_view json) {
  if (json.empty()) return {};
  using Json = nlohmann::json;
  const Json parsed = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return {std::string(json)};
  std::vector<std::string> list;
  if (!parsed.is_array()) return list;
  for (const Json& value : parsed) {
    list.push_back(value.is_string() ? value.get<std::string>()
                                     : value.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return list;
}

}  // namespace joulefarm::cli
