#include "common/text/json_string.h"

#include <gtest/gtest.h>

namespace joulefarm {
namespace {

TEST(JsonString, EscapesAndCleans) {
  EXPECT_EQ(JsonString("a\"b\\c\n\t\r\x01 ü"), R"("a\"b\\c\n\t\r\u0001 ü")");
  EXPECT_EQ(JsonString("é\xFF"), "\"é\xEF\xBF\xBD\"");
  EXPECT_EQ(JsonString(""), "\"\"");
}

// Hashes of stored experiments rest on it.
TEST(HashedJsonString, StaysAsItIs) {
  EXPECT_EQ(HashedJsonString("a\"b\\c\n\t\r\x01\x7F ü"),
            "\"a\\\"b\\\\c\\u000a\\u0009\\u000d\\u0001\\u007f ü\"");
  EXPECT_EQ(HashedJsonString("\xFF"), "\"\xFF\"");
}

}  // namespace
}  // namespace joulefarm
