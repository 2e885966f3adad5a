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

}  // namespace
}  // namespace joulefarm::cli
