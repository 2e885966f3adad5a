// What a meter's protocol promises, and how its decoder is fed as a driver feeds it: for tests that
// damage good frames (mutation.h) and for the fuzzer (tests/fuzz).
//
// Threads: one. Ownership: values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "agent/power/meter/decoder.h"

namespace joulefarm::agent {

using Frame = std::vector<std::uint8_t>;

// Of the samples that one decoder gives out.
enum class Stamps {
  kAny,            // as the meter's program writes them, or none
  kFallIfRefused,  // they go back at most as often as something was refused
  kRise,           // each is after the one before
};

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
  Stamps stamps = Stamps::kAny;
  // After damage, good frames are decoded again without Reset.
  bool recovers = true;
  // Finish refuses what is cut off. Else it may make something of it, as of a last line of text.
  bool finish_refuses = false;
  // Makes any bytes a frame whose check sums are right; empty: the protocol has none.
  std::function<Frame(Frame)> seal = {};
  // What `seal` makes good frames of; empty: `frames` themselves.
  std::vector<Frame> unsealed = {};
  // Of a serial line on which each sample is so many bytes, and all else a multiple of `word_bytes`
  // or refused; 0: not so.
  std::size_t sample_bytes = 0;
  std::size_t word_bytes = 0;
};

// Of hexadecimal digits, blanks between them ignored.
inline Frame FromHex(absl::string_view text) {
  const std::string bytes =
      absl::HexStringToBytes(absl::StrReplaceAll(text, {{" ", ""}, {"\n", ""}}));
  return {bytes.begin(), bytes.end()};
}

inline Frame FromText(absl::string_view text) { return {text.begin(), text.end()}; }

inline Frame LineOf(absl::string_view line) {
  Frame frame(line.begin(), line.end());
  frame.push_back('\n');
  return frame;
}

inline Frame Joined(const std::vector<Frame>& parts) {
  Frame all;
  for (const Frame& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

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
  std::size_t bytes = 0;
  std::size_t pieces = 0;
  std::size_t refused = 0;
  std::string wrong;  // the first promise of every decoder that was not kept; empty: none
};

// False: refused.
inline bool TakeSamples(absl::StatusOr<std::vector<MeterSample>> samples, Decoded& decoded) {
  if (samples.ok()) {
    std::move(samples->begin(), samples->end(), std::back_inserter(decoded.samples));
    return true;
  }
  ++decoded.refused;
  const absl::Status& status = samples.status();
  const bool known = absl::IsDataLoss(status) || absl::IsFailedPrecondition(status);
  if (decoded.wrong.empty() && (!known || status.message().empty())) {
    decoded.wrong = absl::StrCat("refuses with ", status.ToString());
  }
  return false;
}

// Feeds one piece as a driver does: after a refusal the rest of a serial line is asked for.
inline void Feed(MeterDecoder& decoder, const MutationCase& of, const Frame& piece,
                 Decoded& decoded) {
  // A copy of exactly this size, so that ASan sees a read of one byte too many.
  const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[piece.size()]);
  std::copy(piece.begin(), piece.end(), exact.get());
  decoded.bytes += piece.size();
  ++decoded.pieces;
  Bytes bytes(exact.get(), piece.size());
  while (!TakeSamples(decoder.Decode(bytes), decoded)) {
    if (!of.stream) break;
    if (decoded.refused > decoded.bytes) {
      decoded.wrong = "refuses more often than bytes came";
      return;
    }
    bytes = Bytes();
  }
}

// Nothing more will come.
inline void End(MeterDecoder& decoder, Decoded& decoded) {
  while (!TakeSamples(decoder.Finish(), decoded)) {
    if (decoded.refused > decoded.bytes + decoded.pieces) {
      decoded.wrong = "refuses without end at the end";
      return;
    }
  }
}

}  // namespace joulefarm::agent
