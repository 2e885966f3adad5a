#include "cli/view/reason_details.h"

#include <gtest/gtest.h>

namespace joulefarm::cli {
namespace {

TEST(ReasonDetails, NumbersOfOneLimitBecomeARange) {
  EXPECT_EQ(JoinReasonDetails({"14%>5%", "109%>5%", "36.4%>5%"}), "14%…109%>5%");
  EXPECT_EQ(JoinReasonDetails({"71%<95%", "71%<95%"}), "71%<95%");
  EXPECT_EQ(JoinReasonDetails({"3>0", "1>0"}), "1…3>0");
}

TEST(ReasonDetails, OtherTextsAreListedOnceEachAndNotForEver) {
  EXPECT_EQ(JoinReasonDetails({}), "");
  EXPECT_EQ(JoinReasonDetails({"idle=1s<10s", "tail=1s<5s", "idle=1s<10s"}),
            "idle=1s<10s, tail=1s<5s");
  EXPECT_EQ(JoinReasonDetails({"14%>5%", "14%>1%"}), "14%>5%, 14%>1%");
  EXPECT_EQ(JoinReasonDetails({"a", "b", "c", "d", "e"}), "a, b, c, d, …");
}

}  // namespace
}  // namespace joulefarm::cli
