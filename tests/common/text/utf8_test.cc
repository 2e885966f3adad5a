#include "common/text/utf8.h"

#include <gtest/gtest.h>

namespace joulefarm {
namespace {

TEST(Utf8, CleaningReplacesEveryBadByte) {
  EXPECT_EQ(CleanUtf8("Zürich ≥ 5 😀"), "Zürich ≥ 5 😀");
  EXPECT_EQ(CleanUtf8("a\xFFz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(CleanUtf8("\xC3"), "\xEF\xBF\xBD");                                  // cut short
  EXPECT_EQ(CleanUtf8("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD");                  // overlong
  EXPECT_EQ(CleanUtf8("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
  EXPECT_EQ(CleanUtf8("\xF4\x90\x80\x80").size(), 12u);                          // past U+10FFFF
}

}  // namespace
}  // namespace joulefarm
