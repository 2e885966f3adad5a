#include "cli/doctor/finding.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

// Lines narrower than this would have a word each.
constexpr int kLeastRoom = 24;

struct Mark {
  const char* word;  // in tables
  const char* json;
  Style style;
};

Mark MarkOf(Level level) {
  switch (level) {
    case Level::kOk:
      return {"ok", "OK", Style::kGood};
    case Level::kWarning:
      return {"warn", "WARNING", Style::kWarn};
    case Level::kBroken:
      return {"BROKEN", "BROKEN", Style::kBad};
    case Level::kNotChecked:
      return {"-", "NOT_CHECKED", Style::kDim};
  }
  return {"", "", Style::kPlain};
}

constexpr int kMarkWidth = 6;  // of "BROKEN"

std::string Padded(const std::string& text, int width) {
  return text + std::string(static_cast<std::size_t>(std::max(0, width - DisplayWidth(text))), ' ');
}

// The text in lines of at most `room` cells, broken between words; 0: one line.
std::vector<std::string> Wrap(const std::string& text, int room) {
  std::vector<std::string> lines{""};
  for (const absl::string_view word : absl::StrSplit(OneLine(text), ' ')) {
    std::string& last = lines.back();
    if (room > 0 && !last.empty() && DisplayWidth(last) + 1 + DisplayWidth(word) > room) {
      lines.emplace_back(word);
    } else {
      absl::StrAppend(&last, last.empty() ? "" : " ", word);
    }
  }
  return lines;
}

void Append(const Finding& finding, int area_width, const Look& look, std::string& out) {
  const Mark mark = MarkOf(finding.level);
  const int indent = 2 + kMarkWidth + 2 + area_width + 2;
  const int room = look.width == 0 ? 0 : std::max(kLeastRoom, look.width - indent);
  const std::string blank(static_cast<std::size_t>(indent), ' ');
  const std::vector<std::string> text = Wrap(finding.text, room);
  absl::StrAppend(&out, "  ", Styled(Padded(mark.word, kMarkWidth), mark.style, look), "  ",
                  Padded(OneLine(finding.area), area_width), "  ",
                  absl::StrJoin(text, absl::StrCat("\n", blank)), "\n");
  if (finding.cure.empty()) return;
  const std::vector<std::string> cure = Wrap(finding.cure, room == 0 ? 0 : room - 2);
  absl::StrAppend(&out, blank, Styled("→", Style::kStrong, look), " ",
                  absl::StrJoin(cure, absl::StrCat("\n", blank, "  ")), "\n");
}

std::string Summary(const std::vector<Examined>& places, const Look& look) {
  std::map<Level, int> count;
  for (const Examined& place : places) {
    for (const Finding& finding : place.findings) ++count[finding.level];
  }
  std::vector<std::string> words;
  if (const int broken = count[Level::kBroken]; broken > 0)
    words.push_back(Styled(absl::StrCat(broken, " broken"), Style::kBad, look));
  if (const int warnings = count[Level::kWarning]; warnings > 0) {
    words.push_back(Styled(absl::StrCat(warnings, warnings == 1 ? " warning" : " warnings"),
                           Style::kWarn, look));
  }
  words.push_back(absl::StrCat(count[Level::kOk], " ok"));
  return absl::StrCat(absl::StrJoin(words, ", "), "\n");
}

}  // namespace

absl::StatusOr<std::vector<Finding>> ParseAgentFindings(absl::string_view json) {
  const auto parsed = nlohmann::json::parse(json.begin(), json.end(), nullptr, false);
  const absl::Status bad = absl::InternalError("what joulefarm-agent said cannot be read");
  if (!parsed.is_array()) return bad;
  std::vector<Finding> findings;
  for (const auto& one : parsed) {
    const auto text = [&](const char* key) {
      const auto found = one.find(key);
      return found != one.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    if (!one.is_object()) return bad;
    Finding finding{Level::kWarning, text("area"), text("text"), text("cure")};
    const std::string level = text("level");
    if (level == "OK") finding.level = Level::kOk;
    if (level == "BROKEN") finding.level = Level::kBroken;
    findings.push_back(std::move(finding));
  }
  return findings;
}

std::vector<Finding> FromController(const v1::DiagnoseResponse& response) {
  std::vector<Finding> findings;
  for (const v1::Diagnosis& one : response.findings()) {
    Finding finding{Level::kWarning, one.area(), one.text(), one.cure()};
    if (one.level() == v1::DIAGNOSIS_LEVEL_OK) finding.level = Level::kOk;
    if (one.level() == v1::DIAGNOSIS_LEVEL_BROKEN) finding.level = Level::kBroken;
    findings.push_back(std::move(finding));
  }
  return findings;
}

std::string DoctorText(const std::vector<Examined>& places, const Look& look) {
  int area_width = 0;
  for (const Examined& place : places) {
    for (const Finding& finding : place.findings)
      area_width = std::max(area_width, DisplayWidth(OneLine(finding.area)));
  }
  std::string out;
  for (const Examined& place : places) {
    absl::StrAppend(&out, Styled(OneLine(place.where), Style::kStrong, look), "\n");
    for (const Finding& finding : place.findings) Append(finding, area_width, look, out);
    out += "\n";
  }
  return out + Summary(places, look);
}

Table DoctorTable(const std::vector<Examined>& places) {
  Table table;
  table.columns = {{"level"}, {"where"}, {"area"}, {"text"}, {"cure"}};
  for (const Examined& place : places) {
    for (const Finding& finding : place.findings) {
      table.rows.push_back({std::string(MarkOf(finding.level).json), place.where, finding.area,
                            finding.text, finding.cure.empty() ? Value() : Value(finding.cure)});
    }
  }
  return table;
}

bool AnyBroken(const std::vector<Examined>& places) {
  return std::any_of(places.begin(), places.end(), [](const Examined& place) {
    return std::any_of(place.findings.begin(), place.findings.end(),
                       [](const Finding& finding) { return finding.level == Level::kBroken; });
  });
}

}  // namespace joulefarm::cli
