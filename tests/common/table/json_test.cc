#include "common/table/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace joulefarm {
namespace {

using ::testing::ElementsAre;

TEST(Json, ValuesKeepTheirTypes) {
  EXPECT_EQ(JsonValue(Value(), ColumnKind::kNumber), "null");
  EXPECT_EQ(JsonValue(std::int64_t{9007199254740993}, ColumnKind::kNumber), "9007199254740993");
  EXPECT_EQ(JsonValue(0.1, ColumnKind::kNumber), "0.1");
  EXPECT_EQ(JsonValue(std::numeric_limits<double>::quiet_NaN(), ColumnKind::kNumber), "null");
  EXPECT_EQ(JsonValue(std::numeric_limits<double>::infinity(), ColumnKind::kNumber), "null");
  EXPECT_EQ(JsonValue(true, ColumnKind::kBoolean), "true");
  EXPECT_EQ(JsonValue(std::int64_t{0}, ColumnKind::kBoolean), "false");
  EXPECT_EQ(JsonValue(std::string("5"), ColumnKind::kText), "\"5\"");
  EXPECT_EQ(JsonValue(Blob{std::string("\x00\xAB", 2)}, ColumnKind::kText), "\"00ab\"");
}

TEST(Json, JsonColumnsAreEmbeddedOnOneLineInTheirOrder) {
  EXPECT_EQ(JsonValue(std::string("{\"b\":1,\n \"a\":[0.5,null,\"x\"]}"), ColumnKind::kJson),
            R"({"b": 1, "a": [0.5, null, "x"]})");
  EXPECT_EQ(JsonValue(std::string("[]"), ColumnKind::kJson), "[]");
  EXPECT_EQ(JsonValue(std::string("{broken"), ColumnKind::kJson), "\"{broken\"");
  EXPECT_EQ(JsonValue(std::string("{\"a\":1}"), ColumnKind::kText), R"("{\"a\":1}")");
}

TEST(Json, RepeatedNamesBecomeDistinctKeys) {
  EXPECT_THAT(JsonKeys({{"a"}, {"a"}, {"a_2"}, {"a"}}), ElementsAre("a", "a_3", "a_2", "a_4"));
}

TEST(Json, ObjectsHaveEveryKey) {
  const std::vector<Column> columns{{"id"}, {"n", ColumnKind::kNumber}};
  EXPECT_EQ(JsonObject(JsonKeys(columns), columns, {std::string("x"), Value()}),
            R"({"id": "x", "n": null})");
}

}  // namespace
}  // namespace joulefarm
