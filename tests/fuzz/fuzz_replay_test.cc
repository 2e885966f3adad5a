// Every target over its seeds and some thousand mutations of them, without clang's runtime: so the
// targets stay alive and are run under ASan and UBSan in every gate. deploy/fuzz goes on from
// there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <random>
#include <string>

#include "absl/strings/escaping.h"
#include "agent/power/meter/registry.h"
#include "tests/fuzz/target.h"

namespace joulefarm::fuzz {

// What gtest shows of a parameter.
void PrintTo(const Target& target, std::ostream* out) { *out << target.name; }

namespace {

constexpr int kRounds = 3000;
constexpr std::size_t kLongest = 32768;

class Mutator {
 public:
  explicit Mutator(const Target& target) : target_(target) {}

  Input Next() {
    Input input = AnySeed();
    for (std::size_t edits = 1 + Below(6); edits > 0; --edits) Edit(input);
    input.resize(std::min(input.size(), kLongest));
    return input;
  }

 private:
  std::size_t Below(std::size_t end) { return end == 0 ? 0 : random_() % end; }
  const Input& AnySeed() { return target_.seeds[Below(target_.seeds.size())]; }
  std::uint8_t Byte() { return static_cast<std::uint8_t>(random_()); }

  void Edit(Input& input) {
    const std::size_t at = Below(input.size() + 1);
    const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t left = input.size() - at;
    switch (Below(9)) {
      case 0:
        if (left > 0) *place = Byte();
        break;
      case 1:
        if (left > 0) *place ^= static_cast<std::uint8_t>(1U << Below(8));
        break;
      case 2:
        input.insert(place, Byte());
        break;
      case 3:  // cut off
        input.erase(place, input.end());
        break;
      case 4:  // left out
        input.erase(
            place, place + static_cast<std::ptrdiff_t>(Below(std::min<std::size_t>(left, 16) + 1)));
        break;
      case 5: {  // a slice again
        const Input slice(place, place + static_cast<std::ptrdiff_t>(Below(left + 1)));
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(Below(input.size() + 1)),
                     slice.begin(), slice.end());
        break;
      }
      case 6: {  // noise
        Input noise(Below(80));
        std::generate(noise.begin(), noise.end(), [this] { return Byte(); });
        input.insert(place, noise.begin(), noise.end());
        break;
      }
      case 7: {
        if (target_.words.empty()) break;
        const std::string& word = target_.words[Below(target_.words.size())];
        input.insert(place, word.begin(), word.end());
        break;
      }
      default: {  // the end of another
        const Input& other = AnySeed();
        input.erase(place, input.end());
        input.insert(input.end(),
                     other.begin() + static_cast<std::ptrdiff_t>(Below(other.size() + 1)),
                     other.end());
      }
    }
  }

  const Target& target_;
  std::mt19937 random_{1};
};

class FuzzReplayTest : public testing::TestWithParam<Target> {
 protected:
  // A copy of exactly this size, so that ASan sees a read of one byte too many.
  static void Run(const Input& input) {
    const Input exact(input.begin(), input.end());
    try {
      GetParam().run(exact);
    } catch (const Finding& finding) {
      ADD_FAILURE() << finding.what() << "\nof " << absl::BytesToHexString(TextIn(exact));
    }
  }
};

TEST_P(FuzzReplayTest, Seeds) {
  ASSERT_FALSE(GetParam().seeds.empty());
  Run({});
  for (const Input& seed : GetParam().seeds) Run(seed);
}

TEST_P(FuzzReplayTest, Mutations) {
  Mutator mutator(GetParam());
  for (int round = 0; round < kRounds; ++round) {
    Run(mutator.Next());
    if (HasFailure()) return;  // the first is enough to look at
  }
}

INSTANTIATE_TEST_SUITE_P(All, FuzzReplayTest, testing::ValuesIn(Targets()), [](const auto& target) {
  std::string name = target.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(FuzzTargetsTest, EveryMeterHasOne) {
  for (const agent::MeterModel& model : agent::MeterModels()) {
    EXPECT_TRUE(std::any_of(Targets().begin(), Targets().end(), [&](const Target& target) {
      return target.name == model.name;
    })) << model.name;
  }
}

}  // namespace
}  // namespace joulefarm::fuzz
