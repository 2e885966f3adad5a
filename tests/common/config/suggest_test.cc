#include "common/config/suggest.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace joulefarm {
namespace {

const std::vector<std::string> kNames = {"name", "model", "repetitions", "max_tokens", "retries"};

TEST(NearestName, FindsWhatWasMeant) {
  EXPECT_EQ(NearestName("repetition", kNames), "repetitions");
  EXPECT_EQ(NearestName("repititions", kNames), "repetitions");
  EXPECT_EQ(NearestName("mdoel", kNames), "model");
  EXPECT_EQ(NearestName("max-tokens", kNames), "max_tokens");
  EXPECT_EQ(NearestName("MaxTokens", kNames), "max_tokens");
  EXPECT_EQ(NearestName("Name", kNames), "name");
}

TEST(NearestName, StaysSilentWhenNothingIsNear) {
  EXPECT_EQ(NearestName("gates", kNames), std::nullopt);
  EXPECT_EQ(NearestName("", kNames), std::nullopt);
  EXPECT_EQ(NearestName("x", kNames), std::nullopt);
  EXPECT_EQ(NearestName(std::string(100000, 'n'), kNames), std::nullopt);
}

TEST(Suggestion, NamesOneOrListsAll) {
  EXPECT_EQ(Suggestion("nam", kNames, "keys here"), "; did you mean \"name\"?");
  EXPECT_EQ(Suggestion("zzz", kNames, "keys here"),
            "; keys here: name, model, repetitions, max_tokens, retries");
  EXPECT_EQ(Suggestion("zzz", kNames, "known", 2), "; known: name, model, and 3 more");
  EXPECT_EQ(Suggestion("zzz", {}, "known"), "");
}

TEST(Quoted, ShowsAnythingOnOneLine) {
  EXPECT_EQ(Quoted("it's"), "\"it's\"");
  EXPECT_EQ(Quoted("a\nb\t\"c\"\x01"), R"("a\nb\t\"c\"\x01")");
  EXPECT_EQ(Quoted(std::string(61, 'a')), "\"" + std::string(60, 'a') + "…\"");
  EXPECT_EQ(Quoted(std::string(59, 'a') + "ü"), "\"" + std::string(59, 'a') + "…\"");
}

}  // namespace
}  // namespace joulefarm
