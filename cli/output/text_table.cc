#include "cli/output/text_table.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/output/json.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

constexpr int kGap = 2;
constexpr int kNarrowest = 8;
// Below this a clipped column says too little to be worth another column.
constexpr int kReadable = 24;

std::vector<int> NaturalWidths(const TextTable& table) {
  std::vector<int> widths;
  for (const TextColumn& column : table.columns) widths.push_back(DisplayWidth(column.header));
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayWidth(row[i].text));
    }
  }
  return widths;
}

int TotalWidth(const std::vector<int>& widths) {
  return std::accumulate(widths.begin(), widths.end(), 0) +
         kGap * std::max(0, static_cast<int>(widths.size()) - 1);
}

// Leaves out droppable columns until the rest is readable.
void DropToFit(int limit, TextTable& table, std::vector<int>& widths) {
  for (;;) {
    std::vector<int> readable = widths;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (table.columns[i].fit == Fit::kShrink) readable[i] = std::min(readable[i], kReadable);
    }
    if (TotalWidth(readable) <= limit) return;
    const auto last =
        std::find_if(table.columns.rbegin(), table.columns.rend(),
                     [](const TextColumn& column) { return column.fit == Fit::kDrop; });
    if (last == table.columns.rend()) return;
    const auto at = table.columns.rend() - last - 1;
    table.columns.erase(table.columns.begin() + at);
    widths.erase(widths.begin() + at);
    for (auto& row : table.rows) row.erase(row.begin() + at);
  }
}

// Cuts the texts of a column to its width, where it leaves most of them different.
void ClipColumn(TextTable& table, std::size_t column, int width) {
  std::set<std::string> at_end;
  std::set<std::string> in_middle;
  for (const auto& row : table.rows) {
    at_end.insert(Clip(row[column].text, width));
    in_middle.insert(ClipMiddle(row[column].text, width));
  }
  if (in_middle.size() <= at_end.size()) return;
  for (auto& row : table.rows) row[column].text = ClipMiddle(row[column].text, width);
}

// Takes from the widest shrinkable column until the line fits or none can give any more.
void ShrinkToFit(const TextTable& table, int limit, std::vector<int>& widths) {
  int total = TotalWidth(widths);
  while (total > limit) {
    int widest = -1;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (table.columns[i].fit != Fit::kShrink || widths[i] <= kNarrowest) continue;
      if (widest < 0 || widths[i] > widths[static_cast<std::size_t>(widest)])
        widest = static_cast<int>(i);
    }
    if (widest < 0) return;
    --widths[static_cast<std::size_t>(widest)];
    --total;
  }
}

void RenderLine(const TextTable& table, const std::vector<int>& widths,
                const std::vector<TextCell>& cells, const Look& look, std::ostream& out) {
  std::string line;
  int pending = 0;  // blanks owed, written only before more text
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string text = Clip(cells[i].text, std::max(1, widths[i]));
    const int padding = widths[i] - DisplayWidth(text);
    const bool right = table.columns[i].align == Align::kRight;
    if (right) pending += padding;
    if (!text.empty()) {
      line.append(static_cast<std::size_t>(pending), ' ');
      pending = 0;
      line += Styled(text, cells[i].style, look);
    }
    if (!right) pending += padding;
    pending += kGap;
  }
  out << line << '\n';
}

}  // namespace

std::string Styled(absl::string_view text, Style style, const Look& look) {
  if (!look.color || style == Style::kPlain) return std::string(text);
  const char* code = "";
  switch (style) {
    case Style::kPlain:
      break;
    case Style::kStrong:
      code = "1";
      break;
    case Style::kDim:
      code = "2";
      break;
    case Style::kGood:
      code = "32";
      break;
    case Style::kWarn:
      code = "33";
      break;
    case Style::kBad:
      code = "31";
      break;
  }
  return absl::StrCat("\x1b[", code, "m", text, "\x1b[0m");
}

Style StyleOfWord(absl::string_view word) {
  static constexpr std::array<absl::string_view, 4> kGood{"SUCCEEDED", "VALID", "ONLINE", "GOOD"};
  static constexpr std::array<absl::string_view, 6> kBad{"FAILED",      "INVALID", "EXPIRED",
                                                         "QUARANTINED", "LOST",    "TIMED_OUT"};
  static constexpr std::array<absl::string_view, 8> kWarn{
      "SUSPECT", "UNKNOWN", "OFFLINE", "DIRTY", "CANCELED", "CANCELING", "DRAINING", "MAINTENANCE"};
  const auto in = [&](const auto& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  if (in(kGood)) return Style::kGood;
  if (in(kBad)) return Style::kBad;
  return in(kWarn) ? Style::kWarn : Style::kPlain;
}

int Width(const TextTable& table) { return TotalWidth(NaturalWidths(table)); }

bool FitsReadably(const TextTable& table, int width) {
  std::vector<int> widths;
  const std::vector<int> natural = NaturalWidths(table);
  for (std::size_t i = 0; i < natural.size(); ++i) {
    const Fit fit = table.columns[i].fit;
    if (fit == Fit::kDrop) continue;
    widths.push_back(fit == Fit::kShrink ? std::min(natural[i], kReadable) : natural[i]);
  }
  return TotalWidth(widths) <= width;
}

void Render(const TextTable& whole, const Look& look, std::ostream& out) {
  std::vector<int> widths = NaturalWidths(whole);
  TextTable table = whole;
  if (look.width > 0 && TotalWidth(widths) > look.width) {
    DropToFit(look.width, table, widths);
    ShrinkToFit(table, look.width, widths);
    for (std::size_t i = 0; i < widths.size(); ++i) ClipColumn(table, i, std::max(1, widths[i]));
  }
  std::vector<TextCell> headers;
  for (const TextColumn& column : table.columns) headers.push_back({column.header, Style::kStrong});
  RenderLine(table, widths, headers, look, out);
  for (const auto& row : table.rows) RenderLine(table, widths, row, look, out);
}

TextCell CellOf(const Value& value, ColumnKind kind) {
  if (IsNull(value)) return {"-", Style::kDim};
  if (const double* real = std::get_if<double>(&value)) return {PlainReal(*real)};
  const auto* number = std::get_if<std::int64_t>(&value);
  if (number != nullptr && kind == ColumnKind::kBoolean) return {*number == 0 ? "false" : "true"};
  if (const std::string* text = std::get_if<std::string>(&value)) {
    if (kind == ColumnKind::kTime) return {OneLine(ShortTime(*text))};
    return {OneLine(*text), StyleOfWord(*text)};
  }
  return FullCellOf(value);
}

TextCell FullCellOf(const Value& value) {
  if (IsNull(value)) return {"-", Style::kDim};
  if (const Blob* blob = std::get_if<Blob>(&value)) {
    constexpr std::size_t kShown = 32;
    const bool whole = blob->bytes.size() <= kShown;
    return {absl::StrCat("x'", PlainText(Blob{blob->bytes.substr(0, kShown)}), whole ? "'" : "…'",
                         whole ? "" : absl::StrCat(" (", blob->bytes.size(), " bytes)"))};
  }
  const std::string text = PlainText(value);
  return {OneLine(text), StyleOfWord(text)};
}

void RenderRecord(const std::vector<Column>& columns, const RowValues& row, const Look& look,
                  std::ostream& out) {
  int width = 0;
  for (const Column& column : columns) width = std::max(width, DisplayWidth(column.name));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string label = absl::StrCat(columns[i].name, ":");
    const std::string indent(static_cast<std::size_t>(width) + 3, ' ');
    const std::string padding(static_cast<std::size_t>(width + 2 - DisplayWidth(columns[i].name)),
                              ' ');
    const std::string* text = std::get_if<std::string>(&row[i]);
    std::vector<std::string> lines;
    if (text != nullptr && columns[i].kind == ColumnKind::kJson) {
      lines = JsonForPeople(*text);
    } else if (text != nullptr && columns[i].kind != ColumnKind::kTime) {
      const std::string clean = CleanLines(absl::StripTrailingAsciiWhitespace(*text));
      lines = absl::StrSplit(clean, '\n');
    }
    out << Styled(label, Style::kStrong, look) << padding;
    if (lines.empty() || lines.size() == 1) {
      const TextCell cell =
          lines.empty() ? FullCellOf(row[i]) : TextCell{lines[0], StyleOfWord(lines[0])};
      out << Styled(cell.text, cell.style, look) << '\n';
      continue;
    }
    for (std::size_t k = 0; k < lines.size(); ++k)
      out << (k == 0 ? "" : indent) << lines[k] << '\n';
  }
}

}  // namespace joulefarm::cli
