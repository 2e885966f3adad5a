// Several values of one grading reason in one short text.
//
// Thread rule: pure function.
#pragma once

#include <string>
#include <vector>

namespace joulefarm::cli {

// "14%>5%" and "109%>5%" become "14%…109%>5%"; what differs in more than one number is listed once
// each, at most four.
std::string JoinReasonDetails(const std::vector<std::string>& details);

}  // namespace joulefarm::cli
