// What every decoder must stand, made from frames known to be good: truncations, splits, flipped
// bits, other orders, and random damage from a fixed seed. Under ASan and UBSan it finds reads
// beyond the end as well.
//
// Threads: one. Ownership: values. A test says what its protocol promises and calls the functions
// that apply:
//   const MutationCase ct3{.make = Ct3Model().make_decoder, .frames = {…}, .stream = true};
//   ExpectTruncationsRefused(ct3); ExpectSplitsChangeNothing(ct3); ExpectFlipsFound(ct3);
//   ExpectOrdersKeepValues(ct3); ExpectSurvivesDamage(ct3);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "agent/power/meter/decoder.h"

namespace joulefarm::agent {

using Frame = std::vector<std::uint8_t>;

struct MutationCase {
  std::function<std::unique_ptr<MeterDecoder>()> make;
  // Good ones, in an order a device sends them; each gives at least one sample.
  std::vector<Frame> frames;
  // A serial line: bytes may come in any pieces. Else each frame is one report or transfer.
  bool stream = false;
  // Sent first to every decoder, such as calibration; never mutated, gives no samples.
  std::vector<Frame> before = {};
  // Beyond these no value may be given out, whatever came in.
  double max_voltage_v = 100;
  double max_current_a = 200;
  // After damage, good frames are decoded again without Reset.
  bool recovers = true;
  // Finish refuses what is cut off. Else it may make something of it, as of a last line of text.
  bool finish_refuses = false;
};

inline std::string HexOf(const Frame& frame) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(frame.data()), frame.size()));
}

inline std::string TextOf(const MeterSample& sample) {
  const auto number = [](const char* name, const auto& value) {
    return value ? absl::StrCat(name, "=", absl::SixDigits(*value), " ") : std::string();
  };
  std::string text = absl::StrCat(number("V", sample.voltage_v), number("A", sample.current_a),
                                  number("W", sample.power_w));
  for (const auto& [name, value] : sample.more) absl::StrAppend(&text, name, "=", value, " ");
  return text;
}

// All but the time, which a decoder unwraps and so may differ with what came before.
inline bool SameValues(const MeterSample& a, const MeterSample& b) {
  return a.voltage_v == b.voltage_v && a.current_a == b.current_a && a.power_w == b.power_w &&
         a.more == b.more;
}

struct Decoded {
  std::vector<MeterSample> samples;
  int refused = 0;
};

// Feeds one piece as a driver does: after a refusal the rest of a serial line is asked for.
inline void Feed(MeterDecoder& decoder, const MutationCase& of, const Frame& piece,
                 Decoded& decoded) {
  // A copy of exactly this size, so that ASan sees a read of one byte too many.
  const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[piece.size()]);
  std::copy(piece.begin(), piece.end(), exact.get());
  Bytes bytes(exact.get(), piece.size());
  // Each refusal takes a byte at least.
  for (std::size_t tries = 0; tries <= piece.size() + 4096; ++tries) {
    absl::StatusOr<std::vector<MeterSample>> samples = decoder.Decode(bytes);
    if (samples.ok()) {
      for (MeterSample& sample : *samples) decoded.samples.push_back(std::move(sample));
      return;
    }
    EXPECT_TRUE(absl::IsDataLoss(samples.status()) || absl::IsFailedPrecondition(samples.status()))
        << samples.status();
    EXPECT_FALSE(samples.status().message().empty());
    ++decoded.refused;
    if (!of.stream) return;
    bytes = Bytes();
  }
  ADD_FAILURE() << "refuses without end after " << HexOf(piece);
}

inline std::unique_ptr<MeterDecoder> Fresh(const MutationCase& of) {
  std::unique_ptr<MeterDecoder> decoder = of.make();
  Decoded nothing;
  for (const Frame& frame : of.before) Feed(*decoder, of, frame, nothing);
  EXPECT_EQ(nothing.refused, 0);
  return decoder;
}

// Nothing more will come.
inline void End(MeterDecoder& decoder, Decoded& decoded) {
  constexpr int kMostRefusals = 100'000;
  for (int i = 0; i < kMostRefusals; ++i) {
    absl::StatusOr<std::vector<MeterSample>> samples = decoder.Finish();
    if (samples.ok()) {
      for (MeterSample& sample : *samples) decoded.samples.push_back(std::move(sample));
      return;
    }
    EXPECT_FALSE(samples.status().message().empty());
    ++decoded.refused;
  }
  ADD_FAILURE() << "refuses without end at the end";
}

inline Decoded DecodePieces(const MutationCase& of, const std::vector<Frame>& pieces) {
  const std::unique_ptr<MeterDecoder> decoder = Fresh(of);
  Decoded decoded;
  for (const Frame& piece : pieces) Feed(*decoder, of, piece, decoded);
  if (of.finish_refuses) End(*decoder, decoded);
  return decoded;
}

// The samples of the good frames, in order.
inline std::vector<MeterSample> TrueSamples(const MutationCase& of) {
  const Decoded decoded = DecodePieces(of, of.frames);
  EXPECT_EQ(decoded.refused, 0);
  EXPECT_GE(decoded.samples.size(), of.frames.size());
  return decoded.samples;
}

inline void ExpectPlausible(const MutationCase& of, const std::vector<MeterSample>& samples) {
  for (const MeterSample& sample : samples) {
    if (sample.voltage_v) {
      EXPECT_LE(std::abs(*sample.voltage_v), of.max_voltage_v);
    }
    if (sample.current_a) {
      EXPECT_LE(std::abs(*sample.current_a), of.max_current_a);
    }
    if (sample.power_w) {
      EXPECT_TRUE(std::isfinite(*sample.power_w));
    }
  }
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
        EXPECT_GT(decoded.refused, 0) << what;
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
    EXPECT_EQ(decoded.refused, 0) << what;
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

// Random damage to bytes, lengths and pieces: no crash, nothing impossible given out, and good
// frames are decoded afterwards as ever (with Reset exactly; without, as far as `recovers` says).
inline void ExpectSurvivesDamage(const MutationCase& of, int rounds = 4000, unsigned seed = 1) {
  const std::vector<MeterSample> truth = TrueSamples(of);
  std::mt19937 random(seed);
  const auto below = [&](std::size_t end) { return end == 0 ? 0 : random() % end; };
  const auto at = [&](const Frame& frame) {
    return static_cast<std::ptrdiff_t>(below(frame.size() + 1));
  };
  for (int round = 0; round < rounds; ++round) {
    std::vector<Frame> pieces;
    for (std::size_t i = 0; i < 1 + below(4); ++i)
      pieces.push_back(of.frames[below(of.frames.size())]);
    for (std::size_t i = 0; i < 1 + below(6); ++i) {
      Frame& frame = pieces[below(pieces.size())];
      const auto byte = static_cast<std::uint8_t>(random());
      switch (random() % 7) {
        case 0:
          if (!frame.empty()) frame[below(frame.size())] = byte;
          break;
        case 1:
          if (!frame.empty())
            frame[below(frame.size())] ^= static_cast<std::uint8_t>(1U << (byte % 8));
          break;
        case 2:
          frame.insert(frame.begin() + at(frame), byte);
          break;
        case 3:
          frame.erase(frame.begin() + at(frame), frame.end());
          break;
        case 4: {  // a slice again at its end
          const Frame slice(frame.begin() + at(frame), frame.end());
          frame.insert(frame.end(), slice.begin(), slice.end());
          break;
        }
        case 5:  // a run of noise
          for (std::size_t n = below(80); n > 0; --n)
            frame.push_back(static_cast<std::uint8_t>(random()));
          break;
        default: {  // cut into two pieces
          const std::ptrdiff_t middle = at(frame);
          Frame tail(frame.begin() + middle, frame.end());
          frame.erase(frame.begin() + middle, frame.end());
          pieces.push_back(std::move(tail));
        }
      }
    }
    const std::unique_ptr<MeterDecoder> decoder = Fresh(of);
    Decoded damaged;
    for (const Frame& piece : pieces) Feed(*decoder, of, piece, damaged);
    ExpectPlausible(of, damaged.samples);
    EXPECT_GE(decoder->TakeLost(), 0);
    if (of.recovers) {
      Decoded after;
      for (int again = 0; again < 6 && after.samples.empty(); ++again) {
        for (const Frame& frame : of.frames) Feed(*decoder, of, frame, after);
      }
      EXPECT_FALSE(after.samples.empty()) << "round " << round << " of seed " << seed;
      ExpectPlausible(of, after.samples);
    }
    decoder->Reset();
    Decoded again;
    for (const Frame& frame : of.before) Feed(*decoder, of, frame, again);
    for (const Frame& frame : of.frames) Feed(*decoder, of, frame, again);
    EXPECT_EQ(again.refused, 0) << "round " << round;
    ASSERT_EQ(again.samples.size(), truth.size()) << "round " << round;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      EXPECT_TRUE(SameValues(again.samples[i], truth[i])) << "round " << round;
    }
    if (testing::Test::HasFailure()) return;  // the first is enough to look at
  }
}

}  // namespace joulefarm::agent
