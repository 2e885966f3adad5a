// Aligned text tables for people.
//
// Thread rule: one thread; plain values and pure rendering. Ownership: values.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/table/table.h"

namespace joulefarm::cli {

// How to draw: `width` in terminal cells, 0 for no limit; colours only where the reader is a
// terminal that wants them.
struct Look {
  int width = 0;
  bool color = false;

  // For what has to end somewhere.
  int Columns() const { return width > 0 ? width : 100; }
};

enum class Style { kPlain, kStrong, kDim, kGood, kWarn, kBad };

// The text wrapped in the style's escape codes when the look has colours.
std::string Styled(absl::string_view text, Style style, const Look& look);

// The style of a state or grade word: SUCCEEDED and VALID are good, FAILED and INVALID bad, and so
// on.
Style StyleOfWord(absl::string_view word);

enum class Align { kLeft, kRight };
// What may happen to a column that does not fit the terminal: nothing, clipping, or being left out.
enum class Fit { kKeep, kShrink, kDrop };

struct TextColumn {
  std::string header;
  Align align = Align::kLeft;
  Fit fit = Fit::kKeep;
};

// One line of text, already cleaned (OneLine).
struct TextCell {
  std::string text;
  Style style = Style::kPlain;
};

struct TextTable {
  std::vector<TextColumn> columns;
  std::vector<std::vector<TextCell>> rows;
};

// How wide the table is when nothing is clipped.
int Width(const TextTable& table);

// Whether the columns that are not dropped fit `width` when those that shrink have 24 cells each
// (or what they need, when that is less).
bool FitsReadably(const TextTable& table, int width);

// Writes the header and the rows, two blanks between columns, no blanks at line ends. When a width
// is set and the table is wider, columns with Fit::kDrop are left out, the last first, until those
// with Fit::kShrink have 24 cells each; then these are clipped, the widest first, down to 8 cells
// each; what still does not fit runs over. Texts are clipped at the end, or in the middle where
// that keeps more of a column's texts apart.
void Render(const TextTable& table, const Look& look, std::ostream& out);

// A value as a cell of a raw table: NULL is a dim `-`.
TextCell CellOf(const Value& value, ColumnKind kind);
// The same in full: reals shortest round trip, times unabridged.
TextCell FullCellOf(const Value& value);

// One object as `key: value` lines, keys aligned. JSON columns and texts of several lines are
// written indented below their key.
void RenderRecord(const std::vector<Column>& columns, const RowValues& row, const Look& look,
                  std::ostream& out);

}  // namespace joulefarm::cli
