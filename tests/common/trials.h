// How often a seeded test repeats itself.
#pragma once

#include <algorithm>

namespace joulefarm {

// `all`; an eighth of it under ASan or TSan. There the code is looked at and not the figures, and a
// trial takes ten times as long.
constexpr int Trials(int all) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return std::max(1, all / 8);
#else
  return all;
#endif
}

}  // namespace joulefarm
