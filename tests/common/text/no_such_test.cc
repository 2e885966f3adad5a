#include "common/text/no_such.h"

#include <gtest/gtest.h>

namespace joulefarm {
namespace {

TEST(NoSuchTest, SaysWhereToLook) {
  EXPECT_EQ(NoSuch("job", "job-9"),
            "there is no job \"job-9\": `joulefarm job list` shows what there is");
}

}  // namespace
}  // namespace joulefarm
