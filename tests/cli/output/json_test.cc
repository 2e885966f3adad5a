#include "cli/output/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulefarm::cli {
namespace {

using ::testing::ElementsAre;

TEST(Json, ObjectOverSeveralLines) {
  EXPECT_EQ(JsonObjectLines({{"id"}, {"n", ColumnKind::kNumber}}, {std::string("x"), Value()}),
            "{\n  \"id\": \"x\",\n  \"n\": null\n}\n");
  EXPECT_EQ(JsonObjectLines({}, {}), "{}\n");
}

TEST(Json, ForPeople) {
  EXPECT_THAT(
      JsonForPeople(
          R"({"os":"linux","soc":null,"engines":[{"name":"llama.cpp","path":"/x"}],"labels":{},"n":[1,2]})"),
      ElementsAre("os: linux", "soc: -", "engines:", "  - name: llama.cpp", "    path: /x",
                  "labels: none", "n:", "  - 1", "  - 2"));
  EXPECT_THAT(JsonForPeople("[]"), ElementsAre("none"));
  EXPECT_THAT(JsonForPeople("no json\n"), ElementsAre("no json\\n"));
}

TEST(Json, InBrief) {
  EXPECT_EQ(JsonInBrief(R"({"zone":"lab1","fan":null,"n":[1,2],"more":{},"who":{"a":1,"b":true}})"),
            "zone=lab1, fan=-, n=(1, 2), more=none, who=(a=1, b=true)");
  EXPECT_EQ(
      JsonInBrief(R"([{"name":"km003c","scale":1e-6},{"name":"km003c.voltage"},{"no":"name"}])"),
      "km003c, km003c.voltage, (no=name)");
  EXPECT_EQ(JsonInBrief(R"(["energy estimated","speed cache_hit:19>0"])"),
            "energy estimated, speed cache_hit:19>0");
  EXPECT_EQ(JsonInBrief("[]"), "none");
  EXPECT_EQ(JsonInBrief("no json\n"), "no json\\n");
}

}  // namespace
}  // namespace joulefarm::cli
