#include "common/experiment/block_order.h"

#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>

namespace joulefarm {
namespace {

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;

// SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t Mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t state) : state_(state) {}

  // Uniform in [0, bound): what would favour small numbers is drawn again.
  std::uint64_t Below(std::uint64_t bound) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
    const std::uint64_t limit = kMax - kMax % bound;
    for (;;) {
      state_ += kGolden;
      const std::uint64_t x = Mix(state_);
      if (x < limit) return x % bound;
    }
  }

 private:
  std::uint64_t state_;
};

}  // namespace

std::vector<int> BlockOrder(std::int64_t seed, int block, int n) {
  std::vector<int> order(n > 0 ? static_cast<std::size_t>(n) : 0);
  std::iota(order.begin(), order.end(), 0);
  const auto seed_bits = static_cast<std::uint64_t>(seed);
  const auto block_bits = static_cast<std::uint64_t>(block);
  SplitMix64 random(Mix(seed_bits + kGolden) ^ Mix(block_bits * kGolden));
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  return order;
}

}  // namespace joulefarm
