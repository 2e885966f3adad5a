// What a person sees of a listing: a few columns, chosen and formatted per kind of listing.
//
// Thread rule: pure. Ownership: values.
#pragma once

#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "cli/output/text_table.h"
#include "common/table/table.h"

namespace joulefarm::cli {

// How a column looks where the terminal is too narrow for the whole table.
struct NarrowColumn {
  std::string header;
  std::function<TextCell(const Table& table, const RowValues& row)> cell;
};

// One column of a view, made from one or more columns of the table. Left out when the table has
// none of `needs`.
struct ViewColumn {
  TextColumn head;
  std::vector<std::string> needs;
  std::function<TextCell(const Table& table, const RowValues& row)> cell;
  std::optional<NarrowColumn> narrow = {};
};

using ListingView = std::vector<ViewColumn>;

ListingView ExperimentView();
// A block column only when there are several.
ListingView JobView(const Table& jobs);
ListingView DeviceView();
ListingView ResourceView();
ListingView AgentView();
ListingView ArtifactView();
// What collecting removed: name, size, content, kind.
ListingView CollectedView();
// Runs; cells shortened to the factors that differ, an experiment column only when there are
// several.
ListingView ResultView(const Table& results);

// Draws the view; a table of which the view knows no column is drawn with all of its columns.
void RenderView(const ListingView& view, const Table& table, const Look& look, std::ostream& out);

// A table with every column, as a query's answer is shown: fitted to the look's width.
void RenderRaw(const Table& table, const Look& look, std::ostream& out);

// Several rows at once: first what they have in common as `key: value`, then one line per other
// column of the table and one column per row, headed by the values of `head`; JSON that differs
// comes below, entry by entry. Times of one day lose their date. At least one row.
void RenderSideBySide(const Table& table, const std::string& head, const Look& look,
                      std::ostream& out);

}  // namespace joulefarm::cli
