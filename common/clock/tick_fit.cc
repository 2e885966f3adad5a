#include "common/clock/tick_fit.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/clock/feasible_offset.h"
#include "common/text/number.h"
#include "common/units/units.h"

namespace joulefarm {
namespace {

// Times beyond it are no time of any run.
constexpr double kFarthestNs = 4e18;

// The slope of the lower hull's edge over the middle: the line that all points lie above and that
// is as close to them as can be.
double HullSlope(const std::vector<std::int64_t>& x, const std::vector<std::int64_t>& y) {
  std::vector<std::size_t> hull;
  const auto slope = [&](std::size_t a, std::size_t b) {
    return SpanNs(y[a], y[b]) / SpanNs(x[a], x[b]);
  };
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!hull.empty() && x[i] == x[hull.back()]) {
      if (y[i] >= y[hull.back()]) continue;
      hull.pop_back();
    }
    while (hull.size() > 1 && slope(hull[hull.size() - 2], hull.back()) >= slope(hull.back(), i))
      hull.pop_back();
    hull.push_back(i);
  }
  if (hull.size() < 2) return 1;
  const double middle = SpanNs(x.front(), x.back()) / 2;
  std::size_t edge = 1;
  while (edge + 1 < hull.size() && SpanNs(x.front(), x[hull[edge]]) < middle) ++edge;
  return slope(hull[edge - 1], hull[edge]);
}

}  // namespace

TickFit::TickFit(absl::Span<const TickPair> pairs, TickFitOptions options) : options_(options) {
  for (const TickPair& pair : pairs) {
    const bool backward = !pieces_.empty() && !pieces_.back().tick_ns.empty() &&
                          pair.tick_ns < pieces_.back().tick_ns.back();
    if (pieces_.empty() || pair.restarted || backward) pieces_.emplace_back();
    pieces_.back().tick_ns.push_back(pair.tick_ns);
    pieces_.back().arrived_ns.push_back(pair.arrived_ns);
  }
  for (Piece& piece : pieces_) Fit(piece);
  std::stable_sort(pieces_.begin(), pieces_.end(), [](const Piece& a, const Piece& b) {
    return a.tick_ns.front() < b.tick_ns.front();
  });
  for (std::size_t i = 1; i < pieces_.size(); ++i) {
    if (pieces_[i].tick_ns.front() > pieces_[i - 1].tick_ns.back()) continue;
    Refuse(pieces_[i], "ticks of before and after a restart are the same");
    pieces_[i - 1].usable = false;
  }
}

void TickFit::Refuse(Piece& piece, std::string why) {
  piece.usable = false;
  problems_.push_back(std::move(why));
}

double TickFit::Expected(const Piece& piece, std::int64_t tick_ns) const {
  return piece.rate * SpanNs(piece.tick_ns.front(), tick_ns);
}

// Whether some arrival of these was in time.
bool TickFit::Full(const Piece& piece, std::size_t first, std::size_t last) const {
  return last - first >= options_.window_pairs &&
         SpanNs(piece.tick_ns[piece.near[first]], piece.tick_ns[piece.near[last - 1]]) >=
             static_cast<double>(options_.window_ns);
}

// The last one takes what is left.
void TickFit::MakeWindows(Piece& piece) const {
  const std::size_t n = piece.near.size();
  std::size_t first = 0;
  for (std::size_t i = 1; i < n; ++i) {
    if (!Full(piece, first, i) || !Full(piece, i, n)) continue;
    piece.windows.push_back({first, i});
    first = i;
  }
  piece.windows.push_back({first, n});
}

double TickFit::FindNear(Piece& piece) {
  const std::size_t n = piece.tick_ns.size();
  piece.late_ns.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    piece.late_ns[i] = SpanNs(piece.arrived_ns.front(), piece.arrived_ns[i]) -
                       piece.rate * SpanNs(piece.tick_ns.front(), piece.tick_ns[i]);
  }
  piece.upper_ns = piece.late_ns;
  const auto tighten = [&](std::size_t i, std::size_t by) {
    const double apart = std::abs(SpanNs(piece.tick_ns[i], piece.tick_ns[by]));
    piece.upper_ns[i] = std::min(piece.upper_ns[i], piece.upper_ns[by] + piece.wander * apart);
  };
  for (std::size_t i = 1; i < n; ++i) tighten(i, i - 1);
  for (std::size_t i = n; i-- > 1;) tighten(i - 1, i);

  piece.near.clear();
  double near_before = 0;
  double longest_late = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (piece.late_ns[i] > piece.upper_ns[i] + piece.slack_ns) continue;
    piece.near.push_back(i);
    const double at = SpanNs(piece.tick_ns.front(), piece.tick_ns[i]);
    longest_late = std::max(longest_late, at - near_before);
    near_before = at;
  }
  return std::max(longest_late, SpanNs(piece.tick_ns.front(), piece.tick_ns.back()) - near_before);
}

bool TickFit::CheckLate(Piece& piece, double longest_late_ns) {
  const auto most_ns = static_cast<double>(options_.longest_late_ns);
  if (longest_late_ns <= most_ns) return true;
  Refuse(piece, absl::StrCat(SecondsText(longest_late_ns * kSecondsPerNs),
                             " without a tick in time>", SecondsText(most_ns * kSecondsPerNs)));
  return false;
}

void TickFit::Fit(Piece& piece) {
  const std::size_t n = piece.tick_ns.size();
  const double length_ns = SpanNs(piece.tick_ns.front(), piece.tick_ns.back());
  if (length_ns <= 0) return Refuse(piece, absl::StrCat(n, " ticks of one instant"));
  if (n < options_.short_pairs)
    return Refuse(piece, absl::StrCat(n, " ticks<", options_.short_pairs));
  if (n < options_.window_pairs || length_ns < static_cast<double>(options_.window_ns))
    return FitShort(piece);
  piece.rate = HullSlope(piece.tick_ns, piece.arrived_ns);
  const double off = piece.rate - 1;
  if (!(std::abs(off) <= options_.rate_tolerance)) {
    return Refuse(piece, absl::StrFormat("rate off by %.3g%%>%.3g%%", off * 100,
                                         options_.rate_tolerance * 100));
  }
  piece.slack_ns = static_cast<double>(options_.slack_ns);
  piece.wander = options_.wander + 2 * piece.slack_ns / length_ns;
  if (!CheckLate(piece, FindNear(piece))) return;
  if (!Full(piece, 0, piece.near.size())) return FitShort(piece);
  MakeWindows(piece);
  piece.usable = true;
}

void TickFit::FitShort(Piece& piece) {
  piece.rate = 1;
  piece.wander = options_.rate_tolerance + options_.wander;
  piece.slack_ns = static_cast<double>(options_.short_late_ns);
  if (!CheckLate(piece, FindNear(piece))) return;
  piece.windows.push_back({0, piece.near.size()});
  piece.usable = true;
}

double TickFit::Upper(const Piece& piece, std::int64_t tick_ns) const {
  const auto after = static_cast<std::size_t>(
      std::upper_bound(piece.tick_ns.begin(), piece.tick_ns.end(), tick_ns) -
      piece.tick_ns.begin());
  double upper = std::numeric_limits<double>::infinity();
  const auto take = [&](std::size_t i) {
    const double apart = std::abs(SpanNs(piece.tick_ns[i], tick_ns));
    upper = std::min(upper, piece.upper_ns[i] + piece.wander * apart);
  };
  if (after > 0) take(after - 1);
  if (after < piece.tick_ns.size()) take(after);
  return upper;
}

// In every window one arrival was in time; which one is not known, so the worst of them. The
// windows next to the tick say most.
double TickFit::Lower(const Piece& piece, std::int64_t tick_ns) const {
  const auto after = std::partition_point(
      piece.windows.begin(), piece.windows.end(),
      [&](const Window& window) { return piece.tick_ns[piece.near[window.first]] <= tick_ns; });
  double best = -std::numeric_limits<double>::infinity();
  const auto take = [&](const Window& window) {
    double worst = std::numeric_limits<double>::infinity();
    // Worse than another window is no better for what else is in it.
    for (std::size_t k = window.first; k < window.last && worst > best; ++k) {
      const std::size_t i = piece.near[k];
      const double apart = std::abs(SpanNs(piece.tick_ns[i], tick_ns));
      worst = std::min(worst, piece.late_ns[i] - piece.wander * apart);
    }
    best = std::max(best, worst);
  };
  // First the one it lies in, which mostly is the best.
  const auto before = after - piece.windows.begin();
  if (before > 0) take(after[-1]);
  if (after != piece.windows.end()) take(*after);
  if (before > 1) take(after[-2]);
  return best - piece.slack_ns;
}

std::optional<TickTime> TickFit::At(std::int64_t tick_ns) const {
  auto next = std::partition_point(pieces_.begin(), pieces_.end(), [&](const Piece& piece) {
    return piece.tick_ns.front() <= tick_ns;
  });
  if (next == pieces_.begin() && next == pieces_.end()) return std::nullopt;
  // What came before the first pair is the first piece's.
  if (next != pieces_.begin()) --next;
  const Piece& piece = *next;
  if (!piece.usable) return std::nullopt;
  const double upper = Upper(piece, tick_ns);
  const double lower = Lower(piece, tick_ns);
  const double middle = (upper + lower) / 2 + Expected(piece, tick_ns);
  if (!(std::abs(middle) < kFarthestNs)) return std::nullopt;
  TickTime time;
  if (__builtin_add_overflow(piece.arrived_ns.front(), std::llround(middle), &time.t_ns))
    return std::nullopt;
  time.bound_ns =
      static_cast<std::int64_t>(std::ceil(std::max(0.0, upper - lower) / 2)) + kClockResolutionNs;
  time.wander = piece.wander;
  time.piece = static_cast<int>(std::distance(pieces_.begin(), next));
  return time;
}

}  // namespace joulefarm
