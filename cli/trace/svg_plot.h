// A trace as an SVG picture for papers and pages.
//
// Thread rule: pure. Ownership: values.
#pragma once

#include <string>

#include "cli/trace/picture.h"

namespace joulefarm::cli {

// Columns of pixels of the plot: how many bins the curve should have at most.
int SvgPlotBins();

// A whole SVG document: title, axes with units, phases as coloured bands with a legend, run
// boundaries, and where a pixel stands for many samples, their lowest, highest and mean.
std::string DrawSvg(const Picture& picture);

}  // namespace joulefarm::cli
