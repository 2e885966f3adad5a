#include "agent/process/text.h"

#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

TEST(Text, ValidTextStays) { EXPECT_EQ(Printable("tab\tline\nü €𝄞", 100), "tab\tline\nü €𝄞"); }

TEST(Text, EverythingElseIsEscaped) {
  EXPECT_EQ(Printable("a\x80"
                      "b",
                      100),
            "a\\x80"
            "b");
  EXPECT_EQ(Printable(absl::string_view("\0\x1b[1m", 5), 100), "\\x00\\x1b[1m");
  EXPECT_EQ(Printable("\xC0\xAF", 100), "\\xc0\\xaf");           // longer than needed
  EXPECT_EQ(Printable("\xED\xA0\x80", 100), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(Printable("\xF5\x80\x80\x80", 100), "\\xf5\\x80\\x80\\x80");
  EXPECT_EQ(Printable("\xE2\x82", 100), "\\xe2\\x82");  // cut short
}

TEST(Text, WhatIsLeftOutIsCounted) { EXPECT_EQ(Printable("abcdef", 4), "abcd … (2 bytes more)"); }

TEST(Text, TailsBeginAtALine) {
  EXPECT_EQ(PrintableTail("first\nsecond\nthird\n", 10), "third");
  EXPECT_EQ(PrintableTail("first\nsecond\n", 100), "first\nsecond");
  EXPECT_EQ(PrintableTail("xxxxxxxxxx", 4), "xxxx");
}

}  // namespace
}  // namespace joulefarm::agent
