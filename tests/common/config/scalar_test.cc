#include "common/config/scalar.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "joulefarm/config/v1/experiment.pb.h"

namespace joulefarm {
namespace {

using config::v1::Scalar;

Scalar Plain(absl::string_view text) {
  auto scalar = ResolveScalar(text, ScalarStyle::kPlain);
  EXPECT_TRUE(scalar.ok()) << scalar.status();
  return scalar.ok() ? *scalar : Scalar();
}

// Sets a field of a message and gives the error's text, or "".
template <typename M>
std::string Set(M* message, const char* field, absl::string_view text,
                ScalarStyle style = ScalarStyle::kPlain) {
  const auto* descriptor = M::descriptor()->FindFieldByName(field);
  EXPECT_NE(descriptor, nullptr) << field;
  return std::string(SetField(message, descriptor, text, style).message());
}

TEST(ResolveScalar, FollowsTheCoreSchema) {
  EXPECT_EQ(Plain("010").integer(), 10);
  EXPECT_EQ(Plain("0o10").integer(), 8);
  EXPECT_EQ(Plain("0x1F").integer(), 31);
  EXPECT_EQ(Plain("-7").integer(), -7);
  EXPECT_EQ(Plain("+7").integer(), 7);
  EXPECT_EQ(Plain("1e3").real(), 1000.0);
  EXPECT_EQ(Plain(".5").real(), 0.5);
  EXPECT_EQ(Plain("5.").real(), 5.0);
  EXPECT_EQ(Plain("-1.5E-1").real(), -0.15);
  EXPECT_TRUE(Plain("true").boolean());
  EXPECT_TRUE(Plain("TRUE").has_boolean());
  for (const char* text :
       {"no", "yes", "on", "off", "y",   "tRUE", "1_000", "1:30", "0b1", "0X1F", "- 1",
        "1e", "e5",  ".",  "+",   "0o8", "0x",   "1.2.3", "inf",  "nan", "--1"}) {
    EXPECT_TRUE(Plain(text).has_text()) << text;
  }
  const auto quoted = ResolveScalar("5", ScalarStyle::kQuoted);
  ASSERT_TRUE(quoted.ok());
  EXPECT_EQ(quoted->text(), "5");
}

TEST(ResolveScalar, RefusesWhatNoTypeHolds) {
  for (const char* text :
       {"9223372036854775808", "0xFFFFFFFFFFFFFFFFF", ".inf", "-.INF", ".nan", "1e999", "-1e999"}) {
    EXPECT_FALSE(ResolveScalar(text, ScalarStyle::kPlain).ok()) << text;
    EXPECT_TRUE(ResolveScalar(text, ScalarStyle::kQuoted).ok()) << text;
  }
}

TEST(ScalarText, KeepsWhatWasWritten) {
  EXPECT_EQ(ScalarText(Plain("1.10")), "1.10");
  EXPECT_EQ(ScalarJson(Plain("1.10")), "1.1");
  EXPECT_EQ(ScalarText(Plain("0x10")), "0x10");
  EXPECT_EQ(ScalarJson(Plain("0x10")), "16");
  EXPECT_EQ(ScalarJson(Plain("a\"b\\\n")), R"("a\"b\\\u000a")");
  Scalar made;
  made.set_real(0.1);
  EXPECT_EQ(ScalarText(made), "0.1");
  made.set_text("x");
  EXPECT_EQ(ScalarText(made), "x");
}

TEST(SetField, IsStrictAboutTypes) {
  config::v1::GenerateOptions options;
  EXPECT_EQ(Set(&options, "ctx", "010"), "");
  EXPECT_EQ(options.ctx(), 10);
  EXPECT_EQ(Set(&options, "ctx", "10.0"), "ctx must be a whole number; found 10.0");
  EXPECT_EQ(Set(&options, "ctx", "1e3"), "ctx must be a whole number; found 1e3");
  EXPECT_EQ(Set(&options, "ctx", "5", ScalarStyle::kQuoted),
            "ctx must be a whole number; found the text \"5\": remove the quotes");
  EXPECT_EQ(Set(&options, "ctx", "many"), "ctx must be a whole number; found the text \"many\"");
  EXPECT_EQ(Set(&options, "ignore_eos", "no"),
            "ignore_eos must be true or false; found the text \"no\"");
  EXPECT_EQ(Set(&options, "ignore_eos", "1"), "ignore_eos must be true or false; found 1");
  EXPECT_EQ(Set(&options, "temperature", "0x10"), "");
  EXPECT_EQ(options.temperature(), 16.0);
  EXPECT_EQ(Set(&options, "temperature", "010"), "");
  EXPECT_EQ(options.temperature(), 10.0);
  EXPECT_EQ(Set(&options, "temperature", "warm"),
            "temperature must be a number; found the text \"warm\"");
  EXPECT_EQ(Set(&options, "temperature", ".nan"),
            "temperature must be a finite number; found .nan");
}

TEST(SetField, KeepsToRanges) {
  config::v1::Experiment experiment;
  EXPECT_EQ(Set(&experiment, "repetitions", "10000"), "");
  EXPECT_EQ(Set(&experiment, "repetitions", "0"),
            "repetitions must be at least 1 and at most 10000; found 0");
  EXPECT_EQ(Set(&experiment, "repetitions", "99999999999999999999"),
            "repetitions must be at least 1 and at most 10000; found 99999999999999999999");
  EXPECT_EQ(Set(&experiment, "seed", "9223372036854775808"),
            "seed must be from -9223372036854775808 to 9223372036854775807; found "
            "9223372036854775808");
  config::v1::GenerateOptions options;
  EXPECT_EQ(Set(&options, "top_p", "1.0001"),
            "top_p must be at least 0 and at most 1; found 1.0001");
}

TEST(SetField, KeepsToChoicesAndDurations) {
  config::v1::Experiment experiment;
  EXPECT_EQ(Set(&experiment, "priority", "high"), "");
  EXPECT_EQ(Set(&experiment, "priority", "hgih"),
            "priority must be one of urgent, high, normal, low, background; found the text "
            "\"hgih\"; did you mean \"high\"?");
  EXPECT_EQ(Set(&experiment, "lost_after", "1h30m"), "");
  EXPECT_EQ(experiment.lost_after(), "1h30m");
  EXPECT_EQ(Set(&experiment, "lost_after", "10"),
            "lost_after: \"10\" is not a duration: the unit is missing; write it like 250ms, 30s, "
            "10m, 24h or 1h30m");
  config::v1::Limits limits;
  EXPECT_EQ(Set(&limits, "run", "0s"), "run must be at least 0.001s; found the text \"0s\"");
}

TEST(SetField, TakesAnyPlainScalarAsText) {
  config::v1::Experiment experiment;
  for (const char* text : {"010", "no", "1.10", "true", "99999999999999999999"}) {
    EXPECT_EQ(Set(&experiment, "name", text), "");
    EXPECT_EQ(experiment.name(), text);
  }
}

TEST(SetField, TakesScalarsByTheirType) {
  config::v1::Workload workload;
  const auto* threads = config::v1::Workload::descriptor()->FindFieldByName("threads");
  EXPECT_TRUE(SetField(&workload, threads, Plain("2")).ok());
  EXPECT_EQ(FieldJson(workload, threads), "2");
  Scalar text;
  text.set_text("2");
  EXPECT_FALSE(SetField(&workload, threads, text).ok());
}

}  // namespace
}  // namespace joulefarm
