// Shared by the tests of common/measure: looks for a reason among findings.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <string>
#include <vector>

#include "common/measure/grade.h"

namespace joulefarm {

// The detail of the reason with this code; "(none)" when it is not there.
inline std::string Detail(const std::vector<Finding>& findings, const std::string& code) {
  for (const Finding& finding : findings) {
    if (finding.code == code) return finding.detail;
  }
  return "(none)";
}

inline std::vector<std::string> CodesOf(const std::vector<Finding>& findings) {
  std::vector<std::string> codes;
  for (const Finding& finding : findings) codes.push_back(finding.code);
  return codes;
}

}  // namespace joulefarm
