// One printer per output format. A printer takes a table piece by piece and writes to a stream.
//
// Thread rule: one thread. Ownership: the stream outlives the printer. json, jsonl, csv and name
// stream row by row; table and wide keep the rows until End, since widths depend on all of them.
#pragma once

#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/output/text_table.h"
#include "common/table/table.h"

namespace joulefarm::cli {

enum class Format { kTable, kWide, kJson, kJsonLines, kCsv, kName };

// "table" and so on; absent for an unknown name.
std::optional<Format> ParseFormat(absl::string_view name);
// The names ParseFormat takes.
const std::vector<std::string>& FormatNames();

// The format that a file's name asks for by its ending (.csv, .json, .jsonl), of those that are
// offered; csv when it has none. INVALID_ARGUMENT for an ending that promises something else.
absl::StatusOr<Format> FormatOfFile(const std::string& file, const std::vector<Format>& offered);

// JSON: an array of objects, one line per object; `[]` when empty.
std::unique_ptr<TableSink> MakeJsonPrinter(std::ostream& out);
// One object per line.
std::unique_ptr<TableSink> MakeJsonLinesPrinter(std::ostream& out);
// RFC 4180 with a header, but lines end in \n as everywhere else on these systems; NULL is an empty
// field, an empty text "".
std::unique_ptr<TableSink> MakeCsvPrinter(std::ostream& out);
// The column `id`, else `job_id`, else the first; one value per line.
std::unique_ptr<TableSink> MakeNamePrinter(std::ostream& out);
// Every column under its own name, aligned; NULL is `-`.
std::unique_ptr<TableSink> MakeWidePrinter(std::ostream& out, const Look& look);

// The printer of a machine format; absent for table and wide.
std::unique_ptr<TableSink> MakeMachinePrinter(Format format, std::ostream& out);

}  // namespace joulefarm::cli
