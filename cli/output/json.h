// JSON for people.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/table/json.h"
#include "common/table/table.h"
#include "common/text/json_string.h"

namespace joulefarm::cli {

// A row as a JSON object over several lines, for a single object; JSON columns are indented as
// well. Ends with a line break.
std::string JsonObjectLines(const std::vector<Column>& columns, const RowValues& row);

// Lines `path: value` of a JSON text for people, objects and arrays indented; the text itself when
// it is no JSON.
std::vector<std::string> JsonForPeople(absl::string_view json);

// The same in one line, for a cell of a table: `key=value` of an object, and of a list's objects
// only their names, where they have one.
std::string JsonInBrief(absl::string_view json);

}  // namespace joulefarm::cli
