// A trace drawn with braille dots on a terminal.
//
// Thread rule: pure. Ownership: values.
#pragma once

#include <ostream>

#include "cli/output/text_table.h"
#include "cli/trace/picture.h"

namespace joulefarm::cli {

// Columns of dots a plot on such a terminal has: how many bins the curve should have at most.
int TerminalPlotBins(const Look& look);

// Title, curve with axes, a band of the phases (letters, and colours where the look has them), run
// boundaries, legend and notes. Fits look.width, or 100 cells where it is 0.
void DrawOnTerminal(const Picture& picture, const Look& look, std::ostream& out);

}  // namespace joulefarm::cli
