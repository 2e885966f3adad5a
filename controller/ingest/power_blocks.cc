#include "controller/ingest/power_blocks.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace joulefarm::controller {
namespace {

// Two neighbours this near have nothing missing between them: less than one and a half periods.
bool IsWhole(std::int64_t longest_ns, std::int64_t period_ns) {
  return 2 * longest_ns < 3 * period_ns;
}

// A clock that is set or begins anew inside a chunk is no rate.
constexpr double kMostRateOff = 1e-3;

// Up to there a double has whole numbers and halves.
constexpr std::int64_t kLongestExactNs = 4'000'000'000'000'000;

// As llround, which is a call for each sample: half goes away from zero. Of numbers up to there.
std::int64_t Rounded(double number) {
  const auto whole = static_cast<std::int64_t>(number);
  const double rest = number - static_cast<double>(whole);
  return whole + static_cast<int>(rest >= 0.5) - static_cast<int>(rest <= -0.5);
}

// Inside of a part, and farther than `reach_ns` from its edges.
bool LiesWithin(std::int64_t first_ns, std::int64_t last_ns, const std::vector<Interval>& joined,
                std::int64_t reach_ns) {
  const auto after = std::upper_bound(
      joined.begin(), joined.end(), first_ns,
      [](std::int64_t t_ns, const Interval& part) { return t_ns < part.start_ns; });
  if (after == joined.begin()) return false;
  const Interval& part = *(after - 1);
  const bool from = reach_ns == 0 ? part.start_ns <= first_ns : part.start_ns + reach_ns < first_ns;
  return from && last_ns + reach_ns < part.end_ns;
}

}  // namespace

PowerBlocks::PowerBlocks(const ChannelView& channel, std::int64_t delay_ns, Summaries summaries)
    : channel_(channel), delay_ns_(delay_ns), scale_(channel.info.scale()) {
  if (!HasScale(channel)) return;
  blocks_.reserve(channel.chunks.size());
  for (std::size_t i = 0; i < channel.chunks.size(); ++i) Take(i, summaries);
  FindPeriod();
  for (Block& block : blocks_) {
    block.whole =
        IsWhole(block.summary.longest_ns, period_ns_) && std::abs(block.rate - 1) <= kMostRateOff;
  }
}

void PowerBlocks::Take(std::size_t index, Summaries summaries) {
  const AttemptData::Chunk& item = *channel_.chunks[index];
  const bool stored = summaries == Summaries::kStored && item.summary && IsSound(item);
  TraceSamples samples;
  if (!stored && !Decode(item, samples)) ++damaged_;
  const bool empty = !stored && samples.t_ns.empty();
  AddLoss(channel_, index, empty, losses_);
  if (empty) return;
  std::optional<TraceSummary> summary = item.summary;
  if (!stored) summary = Summarise(samples.t_ns, samples.raw);
  const std::int64_t first_ns = At(index, item.chunk.t0_ns());
  const std::int64_t last_ns = At(index, item.chunk.t1_ns());
  const bool rises = summary && (blocks_.empty() || first_ns > blocks_.back().last_ns) &&
                     (item.chunk.n() == 1 || last_ns > first_ns);
  if (!rises) {
    if (stored && !Decode(item, samples)) return;
    TakeSamples(index, std::move(samples));
    return;
  }
  Block& block = blocks_.emplace_back();
  block.chunk = index;
  block.samples = item.chunk.n();
  block.first_ns = first_ns;
  block.last_ns = last_ns;
  block.summary = *summary;
  if (const std::int64_t recorded_ns = item.chunk.t1_ns() - item.chunk.t0_ns(); recorded_ns > 0)
    block.rate = static_cast<double>(last_ns - first_ns) / static_cast<double>(recorded_ns);
  samples_ += block.samples;
}

// A chunk whose stamps do not all rise, or that reaches back: its later ones are kept.
void PowerBlocks::TakeSamples(std::size_t index, TraceSamples samples) {
  TraceSamples kept;
  for (std::size_t i = 0; i < samples.t_ns.size(); ++i) {
    const std::int64_t t_ns = At(index, samples.t_ns[i]);
    const bool first = kept.t_ns.empty() && blocks_.empty();
    const std::int64_t before_ns = first               ? 0
                                   : kept.t_ns.empty() ? blocks_.back().last_ns
                                                       : kept.t_ns.back();
    if (!first && t_ns <= before_ns) {
      ++duplicates_;
      continue;
    }
    kept.t_ns.push_back(t_ns);
    kept.raw.push_back(samples.raw[i]);
  }
  const std::optional<TraceSummary> summary = Summarise(kept.t_ns, kept.raw);
  if (!summary) return;
  Block& block = blocks_.emplace_back();
  block.chunk = index;
  block.samples = static_cast<std::int64_t>(kept.t_ns.size());
  block.first_ns = kept.t_ns.front();
  block.last_ns = kept.t_ns.back();
  block.summary = *summary;
  block.own = true;
  block.opened = std::move(kept);
  samples_ += block.samples;
}

// The nominal one, or else the median interval.
void PowerBlocks::FindPeriod() {
  if (const double hz = channel_.info.nominal_hz(); hz > 0) {
    period_ns_ = std::llround(1e9 / hz);
    return;
  }
  const PowerTrace all = All();
  std::vector<std::int64_t> between;
  for (std::size_t i = 1; i < all.t_ns.size(); ++i)
    between.push_back(all.t_ns[i] - all.t_ns[i - 1]);
  if (between.empty()) return;
  const auto middle = between.begin() + static_cast<std::ptrdiff_t>(between.size() / 2);
  std::nth_element(between.begin(), middle, between.end());
  period_ns_ = *middle;
}

bool PowerBlocks::Decode(const AttemptData::Chunk& chunk, TraceSamples& samples) {
  return DecodeChunk(chunk, decoder_, samples).ok();
}

std::int64_t PowerBlocks::At(std::size_t index, std::int64_t stamp_ns) const {
  return channel_.ToPhases(index, stamp_ns) - delay_ns_;
}

const TraceSamples& PowerBlocks::Open(Block& block) {
  if (block.opened) return *block.opened;
  TraceSamples& samples = block.opened.emplace();
  const AttemptData::Chunk& item = *channel_.chunks[block.chunk];
  // Its bytes are those that were stored: that was looked at when it was taken. One that had a
  // summary then but cannot be decoded stays empty.
  (void)decoder_.Decode(item.chunk, samples);
  const std::int64_t recorded_ns = item.chunk.t0_ns();
  if (!channel_.on_other_clock()) {
    for (std::int64_t& t_ns : samples.t_ns) t_ns -= delay_ns_;
  } else if (std::abs(block.rate - 1) > kMostRateOff ||
             block.last_ns - block.first_ns > kLongestExactNs) {
    for (std::int64_t& t_ns : samples.t_ns) t_ns = At(block.chunk, t_ns);
  } else {
    // Between the ends of a chunk time passes evenly.
    const double rate = block.rate;
    const std::int64_t first_ns = block.first_ns;
    for (std::int64_t& t_ns : samples.t_ns)
      t_ns = first_ns + Rounded(static_cast<double>(t_ns - recorded_ns) * rate);
  }
  return samples;
}

void PowerBlocks::AddSample(std::int64_t t_ns, std::int64_t raw, PowerTrace& trace) const {
  if (!trace.t_ns.empty() && t_ns <= trace.t_ns.back()) return;
  trace.t_ns.push_back(t_ns);
  trace.power_w.push_back(Watts(raw));
}

void PowerBlocks::AddSamples(Block& block, std::int64_t from_ns, std::int64_t to_ns,
                             PowerTrace& trace) {
  // The samples at its ends are known without decoding it.
  if (to_ns < block.first_ns) return AddSample(block.first_ns, block.summary.first_raw, trace);
  if (from_ns >= block.last_ns) return AddSample(block.last_ns, block.summary.last_raw, trace);
  const TraceSamples& samples = Open(block);
  const auto begin = samples.t_ns.begin();
  auto first = std::upper_bound(begin, samples.t_ns.end(), from_ns);
  if (first != begin) --first;
  if (!trace.t_ns.empty())
    first = std::max(first, std::upper_bound(begin, samples.t_ns.end(), trace.t_ns.back()));
  auto last = std::upper_bound(first, samples.t_ns.end(), to_ns);
  if (last != samples.t_ns.end()) ++last;
  trace.t_ns.insert(trace.t_ns.end(), first, last);
  for (auto raw = samples.raw.begin() + (first - begin);
       raw != samples.raw.begin() + (last - begin); ++raw)
    trace.power_w.push_back(Watts(*raw));
}

void PowerBlocks::AddStretch(const Block& block, PowerTrace& trace) const {
  const TraceSummary& of = block.summary;
  Stretch& stretch = trace.stretches.emplace_back();
  stretch.first = trace.t_ns.size();
  stretch.samples = block.samples - 1;
  stretch.w_ns = of.raw_ns * scale_ * block.rate;
  stretch.w2_ns = of.raw2_ns * scale_ * scale_ * block.rate;
  stretch.step2_w2_ns2 = of.step2_ns2 * scale_ * scale_ * block.rate * block.rate;
  stretch.noise2_w2_ns2 = of.noise2_ns2 * scale_ * scale_ * block.rate * block.rate;
  stretch.lowest_w = std::min(Watts(of.lowest_raw), Watts(of.highest_raw));
  stretch.highest_w = std::max(Watts(of.lowest_raw), Watts(of.highest_raw));
  trace.t_ns.insert(trace.t_ns.end(), {block.first_ns, block.last_ns});
  trace.power_w.insert(trace.power_w.end(), {Watts(of.first_raw), Watts(of.last_raw)});
}

PowerTrace PowerBlocks::Around(absl::Span<const Interval> parts, std::int64_t reach_ns) {
  const std::vector<Interval> joined = Joined(parts);
  PowerTrace trace = Empty();
  std::size_t next = 0;
  for (const Interval& part : joined) {
    const std::int64_t from_ns = part.start_ns - reach_ns;
    const std::int64_t to_ns = part.end_ns + reach_ns;
    // From the block that holds the last sample not after `from_ns` to the one with the first after
    // `to_ns`.
    const auto begin = std::upper_bound(
        blocks_.begin(), blocks_.end(), from_ns,
        [](std::int64_t t_ns, const Block& block) { return t_ns < block.first_ns; });
    const auto end = std::upper_bound(
        blocks_.begin(), blocks_.end(), to_ns,
        [](std::int64_t t_ns, const Block& block) { return t_ns < block.last_ns; });
    const auto first = static_cast<std::size_t>(begin - blocks_.begin());
    const std::size_t last =
        std::min(blocks_.size(), static_cast<std::size_t>(end - blocks_.begin()) + 1);
    for (std::size_t i = std::max(next, first == 0 ? 0 : first - 1); i < last; ++i) {
      Block& block = blocks_[i];
      // Of very few samples a summary saves nothing.
      if (block.whole && block.samples > 2 &&
          LiesWithin(block.first_ns, block.last_ns, joined, reach_ns)) {
        AddStretch(block, trace);
        next = i + 1;
      } else {
        AddSamples(block, from_ns, to_ns, trace);
        next = i;  // the next part may need more of it
      }
    }
  }
  // An empty part has an energy, 0, wherever there are samples at all.
  if (joined.empty()) {
    for (std::size_t i = 0; i < std::min<std::size_t>(2, blocks_.size()); ++i)
      AddSamples(blocks_[i], blocks_[i].first_ns, blocks_[i].last_ns, trace);
  }
  trace.samples_elsewhere = samples_ - static_cast<std::int64_t>(trace.t_ns.size());
  return trace;
}

PowerTrace PowerBlocks::All() {
  PowerTrace trace = Empty();
  for (Block& block : blocks_) AddSamples(block, block.first_ns, block.last_ns, trace);
  return trace;
}

// What is known of the whole.
PowerTrace PowerBlocks::Empty() const {
  PowerTrace trace;
  trace.period_ns = period_ns_;
  trace.duplicates = duplicates_;
  trace.losses = losses_;
  return trace;
}

Interval PowerBlocks::CoveredTime() const {
  if (samples_ < 2) return {};
  return {blocks_.front().first_ns, blocks_.back().last_ns};
}

}  // namespace joulefarm::controller
