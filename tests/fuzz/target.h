// What is fuzzed: parsers of bytes that come from meters, files, engines and people. One target per
// parser or family of them, run by libFuzzer (fuzz_main.cc) and, in every build, over the same
// seeds and some thousand mutations of them (fuzz_replay_test.cc).
//
// Threads: one. Ownership: values.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace joulefarm::fuzz {

using Input = std::vector<std::uint8_t>;
using InputView = absl::Span<const std::uint8_t>;

struct Target {
  std::string name;
  // Throws Finding where a promise is not kept. Anything else that goes wrong is left to the
  // sanitizers.
  std::function<void(InputView)> run;
  // Inputs that are known to be good, and what else says much about the format.
  std::vector<Input> seeds;
  // Pieces of text or bytes that mutations put in.
  std::vector<std::string> words = {};
};

std::vector<Target> MeterTargets();   // every decoder of agent/power/meter
std::vector<Target> FileTargets();    // GGUF, trace blocks
std::vector<Target> EngineTargets();  // what engines and commands answer and print
std::vector<Target> ConfigTargets();  // what people write
// All of these.
const std::vector<Target>& Targets();

class Finding : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <typename... Details>
void Must(bool kept, absl::string_view promise, const Details&... details) {
  if (!kept) throw Finding(absl::StrCat("not kept: ", promise, " ", details...));
}

inline absl::string_view TextIn(InputView input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

inline Input InputOf(absl::string_view text) { return {text.begin(), text.end()}; }

// Lengths of 1 to `most` that `how` chooses, for what may arrive in any pieces; 0: all at once,
// 1: byte by byte.
std::vector<InputView> SplitUp(InputView bytes, std::uint16_t how, std::size_t most = 64);

}  // namespace joulefarm::fuzz
