// JSON text of values and rows: one form for the CLI and the HTTP interface.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/table/table.h"

namespace joulefarm {

// A value as JSON. int64 are numbers, reals shortest round trip, NaN and infinities null, blobs
// lower-case hex strings. A column of kind JSON is embedded as what it says (text that is no JSON
// stays a string); BOOLEAN takes 0 and 1 as false and true.
std::string JsonValue(const Value& value, ColumnKind kind);

// The columns' names as JSON keys: unique, a repeated name gets _2, _3, …
std::vector<std::string> JsonKeys(const std::vector<Column>& columns);

// {"key": value, …} on one line.
std::string JsonObject(const std::vector<std::string>& keys, const std::vector<Column>& columns,
                       const RowValues& row);

}  // namespace joulefarm
