#include "agent/workload/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/workload/attempt.h"

namespace joulefarm::agent {
namespace {

using ::testing::HasSubstr;

TEST(MakeWorkload, KnowsItsKinds) {
  v1::JobSpec spec;
  EXPECT_EQ(MakeWorkload(spec).status().code(), absl::StatusCode::kInvalidArgument);
  spec.mutable_generate()->set_engine("llama.cpp");
  EXPECT_TRUE(MakeWorkload(spec).ok());
  spec.mutable_generate()->set_engine("abacus");
  EXPECT_THAT(std::string(MakeWorkload(spec).status().message()), HasSubstr("'abacus'"));
  spec.mutable_command();
  EXPECT_TRUE(MakeWorkload(spec).ok());
}

TEST(DurationText, IsShort) {
  EXPECT_EQ(DurationText(30'000'000'000), "30s");
  EXPECT_EQ(DurationText(500'000'000), "500ms");
  EXPECT_EQ(DurationText(1'500'000'000), "1.5s");
  EXPECT_EQ(DurationText(0), "0s");
}

}  // namespace
}  // namespace joulefarm::agent
