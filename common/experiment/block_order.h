// The order in which a block passes over its cells: shuffled, and the same on every machine.
//
// Threads: pure function. Ownership: values.
#pragma once

#include <cstdint>
#include <vector>

namespace joulefarm {

// A permutation of 0 … n−1 that depends on nothing but its arguments (std::shuffle's result differs
// between standard libraries). The mapping is part of stored experiments: it must never change.
std::vector<int> BlockOrder(std::int64_t seed, int block, int n);

}  // namespace joulefarm
