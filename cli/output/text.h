// Text as a terminal shows it: display width, clipping, cleaning, and numbers for people.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/table/json.h"
#include "common/table/table.h"
#include "common/text/number.h"
#include "common/text/utf8.h"

namespace joulefarm::cli {

// As CleanUtf8, and control characters become visible (\n, \t, \x1b): one line that cannot steer a
// terminal.
std::string OneLine(absl::string_view text);

// As OneLine for each line, but line breaks stay.
std::string CleanLines(absl::string_view text);

// Terminal cells a text without control characters takes: 0 for combining marks, 2 for East Asian
// wide characters and emoji.
int DisplayWidth(absl::string_view text);

// The text itself when it fits `width` cells, otherwise its beginning and "…". width ≥ 1.
std::string Clip(absl::string_view text, int width);

// The same, with the "…" in the middle: beginning and end stay.
std::string ClipMiddle(absl::string_view text, int width);

// The text in lines of at most `width` terminal cells, broken between words; a word that is longer
// than the line runs over. width 0: one line.
std::vector<std::string> WrapWords(absl::string_view text, int width);

// A number for people: about `digits` significant digits, no exponent between 1e-4 and 1e15,
// trailing zeros kept so that columns line up ("84.1", "212", "0.0610").
std::string SignificantReal(double value, int digits);

// A real of unknown meaning for people: up to six significant digits, trailing zeros dropped.
std::string PlainReal(double value);

// "0.061 ± 0.020": the uncertainty (k = 1) rounded to two significant digits, the value to the same
// place.
std::string WithUncertainty(double value, std::optional<double> uncertainty);

// "22.3 M", "1.24 B": how many, as model makers write it.
std::string HumanCount(std::int64_t count);

// "2026-11-21T11:09:33.123456Z" as "2026-11-21 11:09:33"; another text is returned unchanged.
std::string ShortTime(absl::string_view rfc3339);

// A value as plain text: NULL is empty, reals shortest round trip, blobs lower-case hex.
std::string PlainText(const Value& value);

}  // namespace joulefarm::cli
