#include "agent/doctor/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace joulefarm::agent {
namespace {

constexpr int kExitBroken = 3;

const char* Word(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kWarning:
      return "warn";
    case Level::kBroken:
      return "BROKEN";
  }
  return "";
}

const char* JsonWord(Level level) {
  switch (level) {
    case Level::kOk:
      return "OK";
    case Level::kWarning:
      return "WARNING";
    case Level::kBroken:
      return "BROKEN";
  }
  return "";
}

}  // namespace

std::string FindingsAsText(const Findings& findings) {
  std::size_t area = 0;
  for (const Finding& finding : findings) area = std::max(area, finding.area.size());
  std::string out;
  for (const Finding& finding : findings) {
    absl::StrAppend(&out, absl::StrFormat("%-6s  %-*s  %s\n", Word(finding.level),
                                          static_cast<int>(area), finding.area, finding.text));
    if (!finding.cure.empty())
      absl::StrAppend(&out, std::string(area + 10, ' '), "→ ", finding.cure, "\n");
  }
  return out;
}

std::string FindingsAsJson(const Findings& findings) {
  std::string out = findings.empty() ? "[" : "[\n";
  for (std::size_t i = 0; i < findings.size(); ++i) {
    nlohmann::ordered_json one;
    one["level"] = JsonWord(findings[i].level);
    one["area"] = findings[i].area;
    one["text"] = findings[i].text;
    one["cure"] = nullptr;
    if (!findings[i].cure.empty()) one["cure"] = findings[i].cure;
    // Texts may quote file names that are not UTF-8.
    absl::StrAppend(&out, "  ", one.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
                    i + 1 < findings.size() ? ",\n" : "\n");
  }
  return out + "]\n";
}

int ExitCodeOf(const Findings& findings) {
  const bool broken = std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.level == Level::kBroken;
  });
  return broken ? kExitBroken : 0;
}

}  // namespace joulefarm::agent
