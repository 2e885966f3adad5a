// Reading values out of result rows, with their provenance kept.
//
// Thread rule: pure. Ownership: values. Absent is std::nullopt.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cli/output/text_table.h"
#include "common/table/table.h"

namespace joulefarm::cli {

// A cell as text or as a number; absent when NULL, missing, or of another type.
std::optional<std::string> TextAt(const Table& table, const RowValues& row, absl::string_view name);
std::optional<double> RealAt(const Table& table, const RowValues& row, absl::string_view name);
bool IsWarmup(const Table& table, const RowValues& row);

// Where a quantity comes from, strongest first. Estimated includes modelled, simulated includes
// replayed.
enum class Source { kMeasured, kEstimated, kSimulated };

// "" for measured, "_est" and "_sim": how the result's columns are named.
absl::string_view SuffixOf(Source source);

// A quantity of power or energy with its standard uncertainty (k = 1).
struct Sourced {
  double value = 0;
  std::optional<double> uncertainty;
  Source source = Source::kMeasured;
};

// Joules per decoded token of a run; the measured value where there is one, else the estimated,
// else the simulated.
std::optional<Sourced> DecodeJoulesPerToken(const Table& table, const RowValues& row);
// The same from one source only.
std::optional<Sourced> DecodeJoulesPerToken(const Table& table, const RowValues& row,
                                            Source source);
// Mean power of a run in watts.
std::optional<Sourced> MeanWatts(const Table& table, const RowValues& row);

// "0.061 ± 0.020", "~0.061 ± 0.020" when estimated, "sim 0.061 ± 0.020" when simulated, "-" when
// absent.
TextCell EnergyCell(const std::optional<Sourced>& value);

// "VALID", "estimated", "estimated SUSPECT", "-".
TextCell EnergyGrade(const std::optional<std::string>& provenance,
                     const std::optional<std::string>& grade);

// Cells ("key=value,key=value") to labels with only the factors that differ: "tiny-f16" when one
// does, "tiny-f16 threads=2" when several do (the value of `model` stands alone, others keep their
// key). Cells that do not follow the form, and a single cell, stay whole.
std::map<std::string, std::string> ShortCells(const std::vector<std::string>& cells);

// One cell in words: "chat · tiny-q8_0 · threads=2".
std::string CellWords(const std::string& cell);

// The top-level scalars of a JSON object as text; empty for anything else.
std::map<std::string, std::string> FlatJson(absl::string_view json);
// The texts of a JSON array; the text itself when it is no JSON and not empty.
std::vector<std::string> ListJson(absl::string_view json);

}  // namespace joulefarm::cli
