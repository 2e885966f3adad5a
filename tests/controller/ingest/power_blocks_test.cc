// Summaries of chunks change no result: not against the samples, and not by where they came from.
#include "controller/ingest/power_blocks.h"

#include <random>

#include "common/crc32c/crc32c.h"
#include "common/trace/chunk_writer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace joulefarm::controller {
namespace {

constexpr double kScale = 1e-5;
constexpr std::int64_t kPeriodNs = 200'000;

// 10 s at 5 kHz: steps and noise, and where asked samples that are missing or repeat.
TraceSamples MakeSamples(bool disturbed, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise(0, 2000);
  TraceSamples samples;
  for (std::int64_t i = 0; i < 50'000; ++i) {
    if (disturbed && random() % 5000 == 0) i += static_cast<std::int64_t>(random() % 20);
    const double watts = i / 700 % 3 == 0 ? 9 : 4;
    samples.t_ns.push_back(1'000'000 + i * kPeriodNs);
    samples.raw.push_back(std::llround(watts / kScale + noise(random)));
    if (disturbed && random() % 20'000 == 0) i -= 3;
  }
  return samples;
}

AttemptData Recorded(const TraceSamples& samples, bool summarised) {
  AttemptData data;
  TraceEncoder encoder;
  TraceDecoder decoder;
  ChunkWriter writer("meter", &encoder);
  const auto keep = [&](const std::optional<v1::TraceChunk>& chunk) {
    if (!chunk) return;
    AttemptData::Chunk& item = data.chunks.emplace_back();
    item.chunk = *chunk;
    if (!summarised) return;
    TraceSamples own;
    ASSERT_TRUE(decoder.Decode(*chunk, own).ok());
    item.summary = Summarise(own.t_ns, own.raw);
    item.crc32c = Crc32c(chunk->data());
  };
  for (std::size_t i = 0; i < samples.t_ns.size(); ++i)
    keep(writer.Add(samples.t_ns[i], samples.raw[i]));
  keep(writer.Flush());
  return data;
}

ChannelView View(const AttemptData& data, double nominal_hz) {
  ChannelView view;
  view.info.set_name("meter");
  view.info.set_quantity(v1::QUANTITY_POWER_W);
  view.info.set_scale(kScale);
  view.info.set_nominal_hz(nominal_hz);
  for (const AttemptData::Chunk& chunk : data.chunks) view.chunks.push_back(&chunk);
  return view;
}

Energy Integrated(PowerBlocks& blocks, const std::vector<Interval>& parts, std::int64_t bound_ns) {
  PowerTrace trace = blocks.Around(parts, bound_ns);
  trace.errors.gain_u = 0.01;
  trace.errors.offset_u_w = 0;
  trace.errors.clock_bound_ns = bound_ns;
  return IntegratePower(trace, parts);
}

void ExpectSame(const Energy& a, const Energy& b) {
  EXPECT_EQ(a.energy_j, b.energy_j);
  EXPECT_EQ(a.energy_u_j, b.energy_u_j);
  EXPECT_EQ(a.parts.clock_j, b.parts.clock_j);
  EXPECT_EQ(a.parts.counter_j, b.parts.counter_j);
  EXPECT_EQ(a.parts.gap_j, b.parts.gap_j);
  EXPECT_EQ(a.peak_w, b.peak_w);
  EXPECT_EQ(a.w2_s, b.w2_s);
  EXPECT_EQ(a.findings, b.findings);
}

void ExpectNear(const Energy& a, const Energy& b) {
  ASSERT_EQ(a.energy_j.has_value(), b.energy_j.has_value());
  if (!a.energy_j) return;
  EXPECT_NEAR(*a.energy_j / *b.energy_j, 1, 1e-12);
  // Of noise, neighbours on both sides of a chunk's end are not compared.
  EXPECT_NEAR(*a.energy_u_j / *b.energy_u_j, 1, 1e-4);
  EXPECT_NEAR(*a.parts.clock_j, *b.parts.clock_j, 1e-12);
  EXPECT_NEAR(*a.w2_s / *b.w2_s, 1, 1e-12);
  EXPECT_NEAR(*a.peak_w, *b.peak_w, 1e-12);
}

TEST(PowerBlocksTest, StoredAndComputedSummariesAndSamplesGiveTheSame) {
  for (const bool disturbed : {false, true}) {
    const TraceSamples samples = MakeSamples(disturbed, 11);
    const AttemptData data = Recorded(samples, true);
    const ChannelView view = View(data, 5000);
    PowerBlocks stored(view, 0, Summaries::kStored);
    PowerBlocks computed(view, 0, Summaries::kComputed);
    const PowerTrace dense = [&] {
      PowerTrace trace = MakePowerTrace(samples.t_ns, samples.raw, kScale, 5000);
      trace.errors.gain_u = 0.01;
      trace.errors.offset_u_w = 0;
      return trace;
    }();
    std::mt19937_64 random(5);
    for (int trial = 0; trial < 500; ++trial) {
      std::vector<Interval> parts;
      for (std::uint64_t n = 1 + random() % 3; n > 0; --n) {
        const auto start = static_cast<std::int64_t>(2'000'000 + random() % 9'000'000'000);
        parts.push_back(
            {start, start + static_cast<std::int64_t>(
                                random() % (random() % 2 == 0 ? 900'000'000 : 9'000'000))});
      }
      const std::int64_t bound_ns = random() % 2 == 0 ? 0 : 3'000'000;
      const Energy from_stored = Integrated(stored, parts, bound_ns);
      ExpectSame(from_stored, Integrated(computed, parts, bound_ns));
      PowerTrace whole = dense;
      whole.errors.clock_bound_ns = bound_ns;
      const Energy from_samples = IntegratePower(whole, parts);
      ExpectNear(from_stored, from_samples);
      EXPECT_EQ(from_stored.findings, from_samples.findings);
    }
  }
}

TEST(PowerBlocksTest, WithoutANominalRateThePeriodIsTheMedian) {
  const AttemptData data = Recorded(MakeSamples(false, 3), true);
  const ChannelView view = View(data, 0);
  PowerBlocks blocks(view, 0, Summaries::kStored);
  EXPECT_EQ(blocks.Around({}, 0).period_ns, kPeriodNs);
}

TEST(PowerBlocksTest, AnHourIsNotDecodedForAPhaseInside) {
  const AttemptData data = Recorded(MakeSamples(false, 3), true);
  const ChannelView view = View(data, 5000);
  PowerBlocks blocks(view, 0, Summaries::kStored);
  const PowerTrace trace = blocks.Around({{{50'000'000, 9'500'000'000}}}, 0);
  EXPECT_LT(trace.t_ns.size(), 3'000u) << "two chunks with their samples, and the ends of others";
  EXPECT_GT(trace.stretches.size(), 30u);
  EXPECT_EQ(trace.samples_elsewhere + static_cast<std::int64_t>(trace.t_ns.size()), 50'000);
}

TEST(PowerBlocksTest, AStoredChunkThatChangedIsDamaged) {
  AttemptData data = Recorded(MakeSamples(false, 3), true);
  std::string& bytes = *data.chunks[20].chunk.mutable_data();
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  const ChannelView view = View(data, 5000);
  for (const Summaries summaries : {Summaries::kStored, Summaries::kComputed}) {
    PowerBlocks blocks(view, 0, summaries);
    EXPECT_EQ(blocks.damaged(), 1);
    const std::vector<Interval> parts = {{50'000'000, 9'500'000'000}};
    EXPECT_FALSE(Integrated(blocks, parts, 0).energy_j) << "a quarter of a second is missing";
  }
}

TEST(PowerBlocksTest, StampsOfAnotherClockAreMapped) {
  const AttemptData data = Recorded(MakeSamples(false, 3), true);
  ChannelView view = View(data, 5000);
  const Energy plain = [&] {
    PowerBlocks blocks(view, 0, Summaries::kStored);
    return Integrated(blocks, {{1'000'000'000, 9'000'000'000}}, 0);
  }();
  // A clock that is 7 s ahead and 50 ppm fast.
  const auto on_phases = [](std::int64_t t_ns) { return 7'000'000'000 + t_ns + t_ns / 20'000; };
  for (const AttemptData::Chunk* item : view.chunks) {
    const v1::TraceChunk& chunk = item->chunk;
    view.times.push_back(
        {chunk.t0_ns(), chunk.t1_ns(), on_phases(chunk.t0_ns()), on_phases(chunk.t1_ns())});
  }
  PowerBlocks blocks(view, 0, Summaries::kStored);
  PowerBlocks computed(view, 0, Summaries::kComputed);
  const std::vector<Interval> parts = {{8'000'050'000, 16'000'450'000}};
  const Energy mapped = Integrated(blocks, parts, 0);
  EXPECT_NEAR(*mapped.energy_j / (*plain.energy_j * 1.00005), 1, 1e-8);
  ExpectSame(mapped, Integrated(computed, parts, 0));
}

}  // namespace
}  // namespace joulefarm::controller
