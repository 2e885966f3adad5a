#include <algorithm>
#include <cstddef>
#include <iterator>

#include "tests/fuzz/target.h"

namespace joulefarm::fuzz {

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = [] {
    std::vector<Target> all;
    for (std::vector<Target> some :
         {MeterTargets(), FileTargets(), EngineTargets(), ConfigTargets()}) {
      std::move(some.begin(), some.end(), std::back_inserter(all));
    }
    return all;
  }();
  return targets;
}

std::vector<InputView> SplitUp(InputView bytes, std::uint16_t how, std::size_t most) {
  std::vector<InputView> pieces;
  std::uint32_t state = how;
  for (std::size_t at = 0; at < bytes.size();) {
    state = state * 1664525U + 1013904223U;
    const std::size_t size = how == 0 ? bytes.size() : how == 1 ? 1 : 1 + (state >> 16U) % most;
    pieces.push_back(bytes.subspan(at, size));
    at += pieces.back().size();
  }
  return pieces;
}

}  // namespace joulefarm::fuzz
