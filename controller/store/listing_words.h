// The words a column of a listing can hold, where they are a fixed few: what a filter is checked
// against.
//
// Threads: safe everywhere. Ownership: values.
#pragma once

#include <string>
#include <vector>

#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::controller {

// Empty for a column that can hold anything.
std::vector<std::string> ListingWords(v1::Listing listing, const std::string& column);

}  // namespace joulefarm::controller
