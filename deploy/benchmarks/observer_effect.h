// Whether being sampled slows an engine down: blocks of segments without and with sampling, and
// what may be said of the loss.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace joulefarm::bench {

// Tokens/s of eight segments in the order A A B B B B A A, A without and B with sampling. The inner
// six are the comparison: a drift that is linear over them cancels. The outer two against the inner
// A are its control: nothing differs between them, and a linear drift cancels as well.
inline constexpr std::size_t kObserverSegments = 8;
using ObserverBlock = std::array<double, kObserverSegments>;

inline constexpr bool IsSampled(std::size_t segment) { return segment >= 2 && segment <= 5; }

// Below so many blocks there is no bootstrap worth its name, and no verdict.
inline constexpr std::size_t kObserverLeastBlocks = 20;

// Percent of tokens/s; negative: it got faster. 95 %.
struct LossInterval {
  double mean_pct = 0;
  double low_pct = 0;
  double high_pct = 0;
};

enum class ObserverVerdict { kPass, kFail, kInconclusive };

struct ObserverEffect {
  LossInterval loss;
  LossInterval control;  // of the inner A against the outer ones
  std::string method;    // how the intervals were made
  ObserverVerdict verdict = ObserverVerdict::kInconclusive;
  std::string reason;
};

std::string ToString(ObserverVerdict verdict);

// Of the logarithms of each block's ratio; whole blocks are drawn again. A control that shows a
// difference widens the interval to both sides by it. Passes where the interval's upper end is at
// most `limit_pct`; fails where its lower end is above. Inconclusive is everything between, an
// interval wider than twice the limit, and fewer than kObserverLeastBlocks. The same blocks and
// seed give the same answer. INVALID_ARGUMENT: fewer than three blocks, or a speed that is not
// above 0.
absl::StatusOr<ObserverEffect> JudgeObserver(absl::Span<const ObserverBlock> blocks,
                                             double limit_pct, std::uint64_t seed = 1);

}  // namespace joulefarm::bench
