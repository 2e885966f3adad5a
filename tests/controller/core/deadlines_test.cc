#include "controller/core/deadlines.h"

#include <gtest/gtest.h>

namespace joulefarm::controller {
namespace {

TEST(Deadlines, PopsInOrderOfTimeAndOnlyWhatIsDue) {
  Deadlines deadlines;
  deadlines.Set("late", 30);
  deadlines.Set("early", 10);
  deadlines.Set("middle", 20);
  EXPECT_EQ(deadlines.Earliest(), 10);
  EXPECT_EQ(deadlines.PopDue(9), std::nullopt);
  EXPECT_EQ(deadlines.PopDue(20), "early");
  EXPECT_EQ(deadlines.PopDue(20), "middle");
  EXPECT_EQ(deadlines.PopDue(20), std::nullopt);
  EXPECT_EQ(deadlines.Earliest(), 30);
}

TEST(Deadlines, SettingAgainMovesAndClearingForgets) {
  Deadlines deadlines;
  deadlines.Set("a", 10);
  deadlines.Set("a", 50);
  EXPECT_EQ(deadlines.PopDue(40), std::nullopt);
  deadlines.Set("b", 20);
  deadlines.Clear("b");
  deadlines.Clear("never set");
  EXPECT_EQ(deadlines.PopDue(60), "a");
  EXPECT_EQ(deadlines.Earliest(), std::nullopt);
}

}  // namespace
}  // namespace joulefarm::controller
