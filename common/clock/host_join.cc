#include "common/clock/host_join.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/units/units.h"

namespace joulefarm {
namespace {

constexpr double kLeastJudgedNs = 0.5e9;
// Each turn makes the error smaller by ρ.
constexpr int kTurns = 4;

struct OwnTime {
  std::int64_t t_ns = 0;
  OffsetEstimate at;
};

// The own instant in the segment of `anchor_ns` at which the peer's clock shows `peer_ns`.
std::optional<OwnTime> Back(const FeasibleOffset& offset, std::int64_t peer_ns,
                            std::int64_t anchor_ns) {
  OwnTime own{anchor_ns, {}};
  std::optional<int> segment;
  for (int turn = 0; turn < kTurns; ++turn) {
    const std::optional<OffsetEstimate> at = offset.At(own.t_ns);
    if (!at || (segment && at->segment != *segment)) return std::nullopt;
    segment = at->segment;
    own.at = *at;
    if (__builtin_sub_overflow(peer_ns, at->offset_ns, &own.t_ns)) return std::nullopt;
  }
  const std::optional<OffsetEstimate> at = offset.At(own.t_ns);
  if (!at || at->segment != *segment) return std::nullopt;
  own.at = *at;
  return own;
}

// A distance on one clock is longer on the other by at most its rate; twice, as both have one.
std::int64_t OnOtherClock(std::int64_t bound_ns) {
  return static_cast<std::int64_t>(
      std::ceil(static_cast<double>(bound_ns) * (1 + 2 * kMostPeerRate)));
}

// Where on the own clock the peer's was slewed or slept: between the answers of two exchanges that
// show it. The later one's question may have arrived before it happened, and is inside.
std::vector<Interval> PeerBreaks(std::vector<v1::ClockExchange> with) {
  std::stable_sort(with.begin(), with.end(),
                   [](const auto& a, const auto& b) { return a.t4_ns() < b.t4_ns(); });
  std::vector<Interval> breaks;
  const v1::ClockExchange* last = nullptr;
  for (const v1::ClockExchange& exchange : with) {
    if (!exchange.has_peer_raw_ns()) continue;
    if (last == nullptr) {
      last = &exchange;
      continue;
    }
    const double raw_ns = SpanNs(last->peer_raw_ns(), exchange.peer_raw_ns());
    const bool unevenly = RunsUnevenly(SpanNs(last->t3_ns(), exchange.t3_ns()), raw_ns);
    if (unevenly) breaks.push_back({last->t4_ns(), exchange.t4_ns()});
    // Over less, what reading may take would allow for any rate.
    if (unevenly || raw_ns >= kLeastJudgedNs) last = &exchange;
  }
  return breaks;
}

}  // namespace

HostOffsets::HostOffsets(const HostClock& clock) {
  std::map<std::string, std::vector<v1::ClockExchange>> exchanges;
  for (const v1::ClockExchange& exchange : clock.exchanges)
    exchanges[exchange.peer_boot_id()].push_back(exchange);
  auto segments = std::make_unique<ClockSegments>(clock.snapshots);
  for (const auto& [peer, with] : exchanges) segments->Break(PeerBreaks(with));
  segments_ = std::move(segments);
  for (const auto& [peer, with] : exchanges)
    by_peer_.emplace(peer, FeasibleOffset(with, segments_.get()));
}

std::optional<OffsetViolation> HostOffsets::violation() const {
  std::optional<OffsetViolation> worst;
  for (const auto& [peer, offset] : by_peer_) {
    for (const OffsetViolation& violation : offset.violations()) {
      if (!worst || violation.by_ns > worst->by_ns) worst = violation;
    }
  }
  return worst;
}

std::optional<JoinedTime> Join(const HostOffsets& source, const HostOffsets& device,
                               std::int64_t t_ns) {
  std::optional<JoinedTime> best;
  for (const auto& [peer, offset] : source.by_peer()) {
    const auto other = device.by_peer().find(peer);
    if (other == device.by_peer().end()) continue;
    const std::optional<OffsetEstimate> at = offset.At(t_ns);
    if (!at) continue;
    std::int64_t peer_ns = 0;
    if (__builtin_add_overflow(t_ns, at->offset_ns, &peer_ns)) continue;
    // It lies in one of the device's segments at most, unless its clock was set back.
    for (const std::int64_t anchor_ns : other->second.Anchors()) {
      const std::optional<OwnTime> own = Back(other->second, peer_ns, anchor_ns);
      if (!own) continue;
      const JoinedTime joined{own->t_ns, OnOtherClock(at->bound_ns), OnOtherClock(own->at.bound_ns),
                              at->segment, own->at.segment};
      if (!best || joined.source_bound_ns + joined.device_bound_ns <
                       best->source_bound_ns + best->device_bound_ns) {
        best = joined;
      }
    }
  }
  return best;
}

}  // namespace joulefarm
