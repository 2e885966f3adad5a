#include "common/trace/trace_codec.h"

#include <chrono>
#include <cmath>
#include <iostream>
#include <limits>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "joulefarm/v1/measurement.pb.h"
#include "rapidcheck.h"
#include "rapidcheck/gtest.h"

namespace joulefarm {
namespace {

using ::testing::HasSubstr;
using Column = std::vector<std::int64_t>;

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

std::string Encoded(const Column& t_ns, const Column& raw) {
  TraceEncoder encoder;
  absl::StatusOr<std::string> data = encoder.Encode(t_ns, raw);
  EXPECT_TRUE(data.ok()) << data.status();
  return data.value_or("");
}

void ExpectRoundTrip(const Column& t_ns, const Column& raw) {
  TraceDecoder decoder;
  TraceSamples samples;
  const absl::Status status = decoder.Decode(Encoded(t_ns, raw), samples);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(samples.t_ns, t_ns);
  EXPECT_EQ(samples.raw, raw);
}

// A 5 kHz device-paced trace: a load that switches, an AR(1) drift and converter noise, in steps of
// the meter's raw unit.
struct Realistic {
  Column t_ns;
  Column raw;
};

Realistic MakeRealistic(std::size_t n, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise(0, 1);
  Realistic trace;
  double drift = 0;
  for (std::size_t i = 0; i < n; ++i) {
    drift = 0.999 * drift + 0.3 * noise(random);
    const double load = (i / 700) % 2 == 0 ? 900 : 2600;
    trace.t_ns.push_back(5'000'000'000'000 + static_cast<std::int64_t>(i) * 200'000);
    trace.raw.push_back(std::llround(load + drift + 3 * noise(random)));
  }
  return trace;
}

TEST(TraceCodecTest, KeepsExtremes) {
  ExpectRoundTrip({0}, {0});
  ExpectRoundTrip({kLeast}, {kMost});
  ExpectRoundTrip({kMost, kLeast}, {kLeast, kMost});
  ExpectRoundTrip({kLeast, kMost, kLeast, 0, -1}, {kMost, kMost, kLeast, kLeast, 1});
  ExpectRoundTrip(Column(kMaxTraceSamples, kLeast), Column(kMaxTraceSamples, kMost));
}

RC_GTEST_PROP(TraceCodecProperty, RoundTripsAnyColumns, ()) {
  const Column t_ns = *rc::gen::nonEmpty(rc::gen::arbitrary<Column>());
  const Column raw = *rc::gen::container<Column>(t_ns.size(), rc::gen::arbitrary<std::int64_t>());
  TraceEncoder encoder;
  const absl::StatusOr<std::string> data = encoder.Encode(t_ns, raw);
  RC_ASSERT(data.ok());
  TraceDecoder decoder;
  TraceSamples samples{{1, 2}, {3, 4}};
  RC_ASSERT(decoder.Decode(*data, samples).ok());
  RC_ASSERT(Column(samples.t_ns.begin() + 2, samples.t_ns.end()) == t_ns);
  RC_ASSERT(Column(samples.raw.begin() + 2, samples.raw.end()) == raw);
}

RC_GTEST_PROP(TraceCodecProperty, RoundTripsWalksOfEveryStepWidth, ()) {
  const int width = *rc::gen::inRange(1, 63);
  const std::int64_t period = *rc::gen::inRange<std::int64_t>(1, 1'000'000'000);
  const auto steps = *rc::gen::container<std::vector<std::uint64_t>>(
      *rc::gen::inRange<std::size_t>(1, 400), rc::gen::arbitrary<std::uint64_t>());
  Column t_ns;
  Column raw;
  std::uint64_t value = 0;
  for (const std::uint64_t step : steps) {
    value += step & ((std::uint64_t{1} << width) - 1);
    t_ns.push_back(static_cast<std::int64_t>(t_ns.size()) * period);
    raw.push_back(static_cast<std::int64_t>(value));
  }
  TraceEncoder encoder;
  const absl::StatusOr<std::string> data = encoder.Encode(t_ns, raw);
  RC_ASSERT(data.ok());
  TraceDecoder decoder;
  TraceSamples samples;
  RC_ASSERT(decoder.Decode(*data, samples).ok());
  RC_ASSERT(samples.t_ns == t_ns);
  RC_ASSERT(samples.raw == raw);
}

TEST(TraceCodecTest, RefusesColumnsItCannotHold) {
  TraceEncoder encoder;
  EXPECT_EQ(encoder.Encode({}, {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(encoder.Encode({1, 2}, {1}).status().code(), absl::StatusCode::kInvalidArgument);
  const Column many(kMaxTraceSamples + 1, 0);
  EXPECT_EQ(encoder.Encode(many, many).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TraceCodecTest, DecodesTheDocumentedBytes) {
  // Version 1, three samples; stamps: order 1 of width 0, first 1000 (zig-zag 2000), centre 10
  // (zig-zag 20); values: order 0 of width 1, centre 7 (zig-zag 14), one raw plane of zig-zag
  // differences -1, 0, +2.
  const std::string data{'\x01', '\x03', '\x01', '\xd0', '\x0f', '\x14',
                         '\x10', '\x0e', '\x00', '\x01', '\x00', '\x04'};
  TraceDecoder decoder;
  TraceSamples samples;
  ASSERT_TRUE(decoder.Decode(data, samples).ok());
  EXPECT_EQ(samples.t_ns, (Column{1000, 1010, 1020}));
  EXPECT_EQ(samples.raw, (Column{6, 7, 9}));
}

TEST(TraceCodecTest, EveryTruncationIsAnError) {
  const Realistic trace = MakeRealistic(300, 1);
  const std::string data = Encoded(trace.t_ns, trace.raw);
  TraceDecoder decoder;
  for (std::size_t size = 0; size < data.size(); ++size) {
    TraceSamples samples;
    const absl::Status status = decoder.Decode(absl::string_view(data).substr(0, size), samples);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << size;
    EXPECT_TRUE(samples.t_ns.empty() && samples.raw.empty()) << size;
  }
}

TEST(TraceCodecTest, EveryBitFlipIsAnErrorOrWellFormed) {
  const Realistic trace = MakeRealistic(300, 2);
  const std::string data = Encoded(trace.t_ns, trace.raw);
  TraceDecoder decoder;
  int refused = 0;
  for (std::size_t bit = 0; bit < data.size() * 8; ++bit) {
    std::string flipped = data;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    TraceSamples samples;
    const absl::Status status = decoder.Decode(flipped, samples);
    refused += status.ok() ? 0 : 1;
    EXPECT_EQ(samples.t_ns.size(), samples.raw.size());
    EXPECT_LE(samples.t_ns.size(), kMaxTraceSamples);
    EXPECT_EQ(samples.t_ns.empty(), !status.ok());
  }
  EXPECT_GT(refused, 0);
}

TEST(TraceCodecTest, ManySamplesOfFewBytesAreRefused) {
  // n = 2^40 in a few bytes.
  const std::string data{'\x01', '\x80', '\x80', '\x80', '\x80', '\x80',
                         '\x20', '\x00', '\x00', '\x00', '\x00'};
  TraceDecoder decoder;
  TraceSamples samples;
  EXPECT_THAT(std::string(decoder.Decode(data, samples).message()), HasSubstr("number of samples"));
}

TEST(TraceCodecTest, SaysWhichVersionItDoesNotKnow) {
  TraceDecoder decoder;
  TraceSamples samples;
  EXPECT_THAT(std::string(decoder.Decode("\x07xyz", samples).message()), HasSubstr("version 7"));
}

TEST(TraceCodecTest, ChunkMustAgreeWithItsData) {
  v1::TraceChunk chunk;
  chunk.set_n(3);
  chunk.set_t0_ns(10);
  chunk.set_t1_ns(30);
  chunk.set_data(Encoded({10, 20, 30}, {1, 2, 3}));
  TraceDecoder decoder;
  TraceSamples samples;
  EXPECT_TRUE(decoder.Decode(chunk, samples).ok());
  EXPECT_EQ(samples.raw, (Column{1, 2, 3}));
  for (int field = 0; field < 3; ++field) {
    v1::TraceChunk wrong = chunk;
    if (field == 0) wrong.set_n(2);
    if (field == 1) wrong.set_t0_ns(11);
    if (field == 2) wrong.set_t1_ns(29);
    EXPECT_EQ(decoder.Decode(wrong, samples).code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(samples.raw.size(), 3u);
  }
  chunk.clear_data();
  EXPECT_EQ(decoder.Decode(chunk, samples).code(), absl::StatusCode::kDataLoss);
  chunk.set_gap(true);
  EXPECT_TRUE(decoder.Decode(chunk, samples).ok());
  EXPECT_EQ(samples.raw.size(), 3u);
}

TEST(TraceCodecTest, RealisticTracesAreSmall) {
  std::size_t bytes = 0;
  constexpr std::size_t kChunk = 1250;
  constexpr std::size_t kChunks = 80;
  const Realistic trace = MakeRealistic(kChunk * kChunks, 4);
  TraceEncoder encoder;
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < kChunks; ++i) {
    bytes += encoder
                 .Encode(absl::MakeConstSpan(trace.t_ns).subspan(i * kChunk, kChunk),
                         absl::MakeConstSpan(trace.raw).subspan(i * kChunk, kChunk))
                 ->size();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const double per_sample = static_cast<double>(bytes) / (kChunk * kChunks);
  // The time is for people; only the size decides.
  std::cout << per_sample << " B/sample, " << kChunk * kChunks / took.count() / 1e6
            << " M samples/s\n";
  EXPECT_LE(per_sample, 1.0);
}

TEST(TraceCodecTest, FineUnitsAndHostStampsStayBounded) {
  // Microwatts with 10 mW of noise and stamps with 20 us of jitter: little can be saved, but no
  // more than the noise is kept.
  std::mt19937_64 random(5);
  std::normal_distribution<double> noise(0, 1);
  Column t_ns;
  Column raw;
  for (int i = 0; i < 1250; ++i) {
    t_ns.push_back(1'000'000'000 + i * 200'000 + std::llround(20'000 * noise(random)));
    raw.push_back(5'000'000 + std::llround(10'000 * noise(random)));
  }
  EXPECT_LE(static_cast<double>(Encoded(t_ns, raw).size()) / 1250, 4.6);
}

TEST(TraceCodecTest, OneBadSampleDoesNotSpoilTheChunk) {
  Realistic trace = MakeRealistic(1250, 6);
  const std::size_t before = Encoded(trace.t_ns, trace.raw).size();
  trace.raw[600] = kMost;
  EXPECT_LE(Encoded(trace.t_ns, trace.raw).size(), before + 300);
  ExpectRoundTrip(trace.t_ns, trace.raw);
}

}  // namespace
}  // namespace joulefarm
