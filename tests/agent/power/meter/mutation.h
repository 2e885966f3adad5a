// What every decoder must stand, made from frames known to be good: every truncation, split,
// flipped bit and many orders. Under ASan and UBSan it finds reads beyond the end as well. Random
// damage is tests/fuzz's, from the same cases.
//
// Threads: one. Ownership: values. A test says what its protocol promises and calls the functions
// that apply:
//   const MutationCase ct3{.make = Ct3Model().make_decoder, .frames = {…}, .stream = true};
//   ExpectTruncationsRefused(ct3); ExpectSplitsChangeNothing(ct3); ExpectFlipsFound(ct3);
//   ExpectOrdersKeepValues(ct3);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent {

inline std::unique_ptr<MeterDecoder> Fresh(const MutationCase& of) {
  std::unique_ptr<MeterDecoder> decoder = of.make();
  Decoded nothing;
  for (const Frame& frame : of.before) Feed(*decoder, of, frame, nothing);
  EXPECT_EQ(nothing.refused, 0U);
  EXPECT_EQ(nothing.wrong, "");
  return decoder;
}

inline Decoded DecodePieces(const MutationCase& of, const std::vector<Frame>& pieces) {
  const std::unique_ptr<MeterDecoder> decoder = Fresh(of);
  Decoded decoded;
  for (const Frame& piece : pieces) Feed(*decoder, of, piece, decoded);
  if (of.finish_refuses) End(*decoder, decoded);
  EXPECT_EQ(decoded.wrong, "");
  return decoded;
}

// The samples of the good frames, in order.
inline std::vector<MeterSample> TrueSamples(const MutationCase& of) {
  const Decoded decoded = DecodePieces(of, of.frames);
  EXPECT_EQ(decoded.refused, 0U);
  EXPECT_GE(decoded.samples.size(), of.frames.size());
  return decoded.samples;
}

inline void ExpectOnlyTrue(const std::vector<MeterSample>& truth, const Decoded& decoded,
                           const std::string& what) {
  for (const MeterSample& sample : decoded.samples) {
    const bool known = std::any_of(truth.begin(), truth.end(), [&](const MeterSample& right) {
      return SameValues(right, sample);
    });
    EXPECT_TRUE(known) << what << " gave " << TextOf(sample);
  }
}

// Every frame cut short at every length, alone: nothing is made of a part. For protocols in which a
// part carries whole samples, `whole_samples` allows those of the good frame, in order.
inline void ExpectTruncationsRefused(const MutationCase& of, bool whole_samples = false) {
  for (const Frame& frame : of.frames) {
    const Decoded whole = DecodePieces(of, {frame});
    for (std::size_t size = 0; size < frame.size(); ++size) {
      const Frame part(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
      const Decoded decoded = DecodePieces(of, {part});
      const std::string what = absl::StrCat("the first ", size, " bytes of ", HexOf(frame));
      if (!whole_samples) {
        EXPECT_TRUE(decoded.samples.empty()) << what;
      }
      ASSERT_LE(decoded.samples.size(), whole.samples.size()) << what;
      for (std::size_t i = 0; i < decoded.samples.size(); ++i) {
        EXPECT_TRUE(SameValues(decoded.samples[i], whole.samples[i])) << what;
      }
      // A serial line may still send the rest; anything else is wrong at once.
      const bool final = !of.stream || of.finish_refuses;
      if (final && size > 0 && decoded.samples.empty()) {
        EXPECT_GT(decoded.refused, 0U) << what;
      }
    }
  }
}

// Streams: two reads at every place, byte by byte, and all in one read give the same.
inline void ExpectSplitsChangeNothing(const MutationCase& of) {
  ASSERT_TRUE(of.stream);
  const std::vector<MeterSample> truth = TrueSamples(of);
  Frame all;
  for (const Frame& frame : of.frames) all.insert(all.end(), frame.begin(), frame.end());
  const auto same = [&](const std::vector<Frame>& pieces, const std::string& what) {
    const Decoded decoded = DecodePieces(of, pieces);
    EXPECT_EQ(decoded.refused, 0U) << what;
    ASSERT_EQ(decoded.samples.size(), truth.size()) << what;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      EXPECT_TRUE(SameValues(decoded.samples[i], truth[i])) << what;
      EXPECT_EQ(decoded.samples[i].t_ns, truth[i].t_ns) << what;
    }
  };
  std::vector<Frame> single;
  for (const std::uint8_t byte : all) single.push_back({byte});
  same(single, "byte by byte");
  for (std::size_t at = 0; at <= all.size(); ++at) {
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(at);
    same({Frame(all.begin(), middle), Frame(middle, all.end())}, absl::StrCat("split at ", at));
  }
}

// Every bit of every frame flipped, one at a time, the good frames behind it. For protocols with a
// check: what comes out is only what the good frames say. `unprotected(frame, byte)`: bytes the
// check does not cover.
inline void ExpectFlipsFound(
    const MutationCase& of,
    const std::function<bool(const Frame&, std::size_t)>& unprotected = nullptr) {
  const std::vector<MeterSample> truth = TrueSamples(of);
  for (const Frame& frame : of.frames) {
    for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
      if (unprotected && unprotected(frame, bit / 8)) continue;
      Frame flipped = frame;
      flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      std::vector<Frame> pieces = {flipped};
      pieces.insert(pieces.end(), of.frames.begin(), of.frames.end());
      ExpectOnlyTrue(truth, DecodePieces(of, pieces),
                     absl::StrCat("bit ", bit, " of ", HexOf(frame)));
    }
  }
}

// Frames in other orders, doubled and left out: no value that none of them says.
inline void ExpectOrdersKeepValues(const MutationCase& of) {
  const std::vector<MeterSample> truth = TrueSamples(of);
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Frame> order;
    for (std::size_t i = 0; i < of.frames.size() * 2; ++i) {
      order.push_back(of.frames[random() % of.frames.size()]);
    }
    ExpectOnlyTrue(truth, DecodePieces(of, order), absl::StrCat("order of round ", round));
  }
}

}  // namespace joulefarm::agent
