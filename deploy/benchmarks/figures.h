// How a benchmark says what it measured: one JSON object per figure and line on stdout.
//
// Threads: pure functions. Ownership: none.
#pragma once

#include <cstdio>
#include <string>

#include "nlohmann/json.hpp"

namespace joulefarm::bench {

inline void PrintFigure(const std::string& name, double value, const std::string& unit,
                        nlohmann::ordered_json detail) {
  const nlohmann::ordered_json figure = {
      {"name", name}, {"value", value}, {"unit", unit}, {"detail", std::move(detail)}};
  std::printf("%s\n", figure.dump().c_str());
}

}  // namespace joulefarm::bench
