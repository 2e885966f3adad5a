#include "agent/power/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RegistryTest : public testing::Test {
 protected:
  RegistryTest() { host_.Write("proc/stat", "cpu  1 0 0 1 0 0 0 0 0 0\ncpu0 0\n"); }
  HostTree host_;
};

TEST_F(RegistryTest, NothingIsSampledWhereNoPowerIsWanted) {
  v1::JobSpec spec;
  spec.set_power(v1::POWER_REQUIRE_NONE);
  const PowerSelection selection = SelectPower(WishOf(spec), host_.paths(), PowerSettings{});
  EXPECT_THAT(selection.sources, IsEmpty());
  EXPECT_THAT(selection.ranking, IsEmpty());
}

TEST_F(RegistryTest, WhatNothingMeasuresIsEstimated) {
  v1::JobSpec spec;
  spec.set_power(v1::POWER_REQUIRE_OPTIONAL);
  const PowerSelection selection = SelectPower(WishOf(spec), host_.paths(), PowerSettings{});
  EXPECT_EQ(selection.sources.size(), 1U);
  EXPECT_THAT(selection.ranking, ElementsAre("estimated"));
}

}  // namespace
}  // namespace joulefarm::agent
