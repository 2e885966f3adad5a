#include "common/config/duration.h"

#include <cstdint>
#include <limits>
#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace joulefarm {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t Parsed(absl::string_view text) {
  const auto ns = ParseDuration(text);
  EXPECT_TRUE(ns.ok()) << ns.status();
  return ns.ok() ? *ns : -1;
}

std::string Refusal(absl::string_view text) {
  const auto ns = ParseDuration(text);
  EXPECT_EQ(ns.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(ns.status().message());
}

TEST(ParseDuration, ReadsWhatPeopleWrite) {
  EXPECT_EQ(Parsed("0s"), 0);
  EXPECT_EQ(Parsed("30s"), 30 * kSecond);
  EXPECT_EQ(Parsed("250ms"), kSecond / 4);
  EXPECT_EQ(Parsed("10m"), 600 * kSecond);
  EXPECT_EQ(Parsed("24h"), 86400 * kSecond);
  EXPECT_EQ(Parsed("1h30m"), 5400 * kSecond);
  EXPECT_EQ(Parsed("1m5s20ms3us7ns"), 65 * kSecond + 20'003'007);
  EXPECT_EQ(Parsed("1.5s"), 3 * kSecond / 2);
  EXPECT_EQ(Parsed("0.000000001s"), 1);
  EXPECT_EQ(Parsed("2.50h"), 9000 * kSecond);
  EXPECT_EQ(Parsed("9223372036854775807ns"), std::numeric_limits<std::int64_t>::max());
}

TEST(ParseDuration, SaysWhyItRefuses) {
  EXPECT_EQ(Refusal("30"),
            "\"30\" is not a duration: the unit is missing; write it like 250ms, 30s, 10m, 24h or "
            "1h30m");
  EXPECT_THAT(Refusal(""), testing::HasSubstr("it is empty"));
  EXPECT_THAT(Refusal("-3s"), testing::HasSubstr("it is negative"));
  EXPECT_THAT(Refusal("s"), testing::HasSubstr("a number was expected"));
  EXPECT_THAT(Refusal("3 s"), testing::HasSubstr("its unit is none of"));
  EXPECT_THAT(Refusal("3d"), testing::HasSubstr("its unit is none of"));
  EXPECT_THAT(Refusal("3S"), testing::HasSubstr("its unit is none of"));
  EXPECT_THAT(Refusal("3sx"), testing::HasSubstr("its unit is none of"));
  EXPECT_THAT(Refusal("3s4"), testing::HasSubstr("the unit is missing"));
  EXPECT_THAT(Refusal("1s1h"), testing::HasSubstr("from large to small"));
  EXPECT_THAT(Refusal("1s1s"), testing::HasSubstr("from large to small"));
  EXPECT_THAT(Refusal("1.s"), testing::HasSubstr("digits are missing"));
  EXPECT_THAT(Refusal("1e3s"), testing::HasSubstr("its unit is none of"));
  EXPECT_THAT(Refusal("0.5ns"), testing::HasSubstr("finer than a nanosecond"));
  EXPECT_THAT(Refusal("9223372036854775808ns"), testing::HasSubstr("too long"));
  EXPECT_THAT(Refusal("2562048h"), testing::HasSubstr("too long"));
  EXPECT_THAT(Refusal("99999999999999999999999999s"), testing::HasSubstr("too long"));
  EXPECT_THAT(Refusal("2562047h48m"), testing::HasSubstr("too long"));
}

TEST(FormatDuration, WritesTheShortestText) {
  EXPECT_EQ(FormatDuration(0), "0s");
  EXPECT_EQ(FormatDuration(5400 * kSecond), "1h30m");
  EXPECT_EQ(FormatDuration(kSecond / 4), "250ms");
  EXPECT_EQ(FormatDuration(3 * kSecond / 2), "1s500ms");
  EXPECT_EQ(FormatDuration(-kSecond), "-1s");
  EXPECT_EQ(FormatDuration(std::numeric_limits<std::int64_t>::min()),
            "-2562047h47m16s854ms775us808ns");
}

TEST(FormatDuration, IsReadBackAsTheSame) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 10000; ++i) {
    const auto ns = static_cast<std::int64_t>((random() >> 1) >> (random() % 63));
    EXPECT_EQ(Parsed(FormatDuration(ns)), ns);
  }
}

}  // namespace
}  // namespace joulefarm
