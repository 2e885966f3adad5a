// The #include lines of a source file, for the tests about who may include what.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <algorithm>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "tests/lint/sources.h"

namespace joulefarm::lint {

struct Include {
  std::string file;
  int line = 0;
  std::string target;
  bool angled = false;
};

inline std::vector<Include> IncludesOf(const std::string& file, const std::string& text) {
  static const std::regex kPattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::vector<Include> includes;
  int number = 0;
  for (const std::string& line : Lines(text)) {
    ++number;
    std::smatch match;
    if (std::regex_search(line, match, kPattern)) {
      includes.push_back({file, number, match[2], match[1] == "<"});
    }
  }
  return includes;
}

// Of everything that is built to be used. Benchmarks measure the parts from outside and may take
// any of them apart.
inline std::vector<Include> IncludesOfTheTree() {
  std::vector<Include> all;
  for (const char* folder : {"common", "controller", "agent", "cli", "deploy"}) {
    for (const std::string& file : Files(folder, {".h", ".cc"})) {
      if (absl::StartsWith(file, "deploy/benchmarks/")) continue;
      const std::vector<Include> includes = IncludesOf(file, ReadFile(Root() / file));
      all.insert(all.end(), includes.begin(), includes.end());
    }
  }
  return all;
}

inline bool StartsWithAny(const std::string& text, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return absl::StartsWith(text, prefix); });
}

}  // namespace joulefarm::lint
