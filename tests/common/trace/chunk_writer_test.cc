#include "common/trace/chunk_writer.h"

#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace joulefarm {
namespace {

constexpr std::int64_t kMs = 1'000'000;

TEST(ChunkWriterTest, CutsBeforeTheSpanIsExceeded) {
  TraceEncoder encoder;
  ChunkWriter writer("power", &encoder);
  EXPECT_FALSE(writer.Add(0, 1));
  EXPECT_FALSE(writer.Add(100 * kMs, 2));
  EXPECT_FALSE(writer.Add(250 * kMs, 3));
  const std::optional<v1::TraceChunk> chunk = writer.Add(251 * kMs, 4);
  ASSERT_TRUE(chunk);
  EXPECT_EQ(chunk->channel(), "power");
  EXPECT_EQ(chunk->n(), 3);
  EXPECT_EQ(chunk->t0_ns(), 0);
  EXPECT_EQ(chunk->t1_ns(), 250 * kMs);
  EXPECT_EQ(chunk->lost(), 0);
  EXPECT_FALSE(chunk->gap());
  const std::optional<v1::TraceChunk> rest = writer.Flush();
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->n(), 1);
  EXPECT_EQ(rest->t0_ns(), 251 * kMs);
  EXPECT_FALSE(writer.Flush());
}

TEST(ChunkWriterTest, ChunksOfTheWorstSamplesStayBelow32KiB) {
  std::mt19937_64 random(1);
  TraceEncoder encoder;
  ChunkWriter writer("noise", &encoder, {.span_ns = std::numeric_limits<std::int64_t>::max()});
  TraceSamples given;
  TraceSamples got;
  TraceDecoder decoder;
  const auto check = [&](const std::optional<v1::TraceChunk>& chunk) {
    if (!chunk) return;
    EXPECT_LE(chunk->ByteSizeLong(), 32u << 10);
    ASSERT_TRUE(decoder.Decode(*chunk, got).ok());
  };
  for (int i = 0; i < 10'000; ++i) {
    // Non-negative stamps: their differences from the first cannot overflow.
    given.t_ns.push_back(static_cast<std::int64_t>(random() >> 1));
    given.raw.push_back(static_cast<std::int64_t>(random()));
    check(writer.Add(given.t_ns.back(), given.raw.back()));
  }
  check(writer.Flush());
  EXPECT_EQ(got.t_ns, given.t_ns);
  EXPECT_EQ(got.raw, given.raw);
}

TEST(ChunkWriterTest, LossesGoWithTheChunkTheyPrecede) {
  TraceEncoder encoder;
  ChunkWriter writer("power", &encoder);
  writer.AddLost(2);
  writer.Add(0, 1);
  writer.AddLost(3);
  writer.Add(10 * kMs, 1);
  const std::optional<v1::TraceChunk> first = writer.Flush();
  EXPECT_EQ(first->lost(), 5);
  writer.Add(20 * kMs, 1);
  writer.AddLost(7);
  const std::optional<v1::TraceChunk> second = writer.Add(400 * kMs, 1);
  EXPECT_EQ(second->lost(), 0);
  const std::optional<v1::TraceChunk> third = writer.Flush();
  EXPECT_EQ(third->lost(), 7);
  EXPECT_EQ(third->t0_ns(), 400 * kMs);
}

TEST(ChunkWriterTest, LossesAloneMakeAChunkWithoutSamples) {
  TraceEncoder encoder;
  ChunkWriter writer("power", &encoder);
  writer.Add(5 * kMs, 1);
  writer.Flush();
  writer.AddLost(4);
  const std::optional<v1::TraceChunk> chunk = writer.Flush();
  ASSERT_TRUE(chunk);
  EXPECT_EQ(chunk->lost(), 4);
  EXPECT_EQ(chunk->n(), 0);
  EXPECT_EQ(chunk->t1_ns(), 5 * kMs);
  TraceDecoder decoder;
  TraceSamples samples;
  EXPECT_TRUE(decoder.Decode(*chunk, samples).ok());
  EXPECT_TRUE(samples.t_ns.empty());
}

TEST(ChunkWriterTest, SlowChannelsAreDueByTheClock) {
  TraceEncoder encoder;
  ChunkWriter writer("temperature", &encoder);
  EXPECT_FALSE(writer.FlushIfDue(1000 * kMs));
  writer.Add(0, 1);
  EXPECT_FALSE(writer.FlushIfDue(249 * kMs));
  const std::optional<v1::TraceChunk> chunk = writer.FlushIfDue(250 * kMs);
  ASSERT_TRUE(chunk);
  EXPECT_EQ(chunk->n(), 1);
  EXPECT_FALSE(writer.FlushIfDue(1000 * kMs));
}

}  // namespace
}  // namespace joulefarm
