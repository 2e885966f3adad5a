#include "agent/host/page_cache.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

TEST(PageCache, AFileJustWrittenIsResident) {
  HostTree host;
  host.Write("model", std::string(1'000'000, 'x'));
  EXPECT_DOUBLE_EQ(ResidentShare(host.root() / "model").value_or(-1), 1);
}

TEST(PageCache, WhatCannotBeAskedIsAbsent) {
  HostTree host;
  EXPECT_FALSE(ResidentShare(host.root() / "nothing"));
  host.Write("empty", "");
  EXPECT_FALSE(ResidentShare(host.root() / "empty"));
  EXPECT_FALSE(ResidentShare(host.root()));
}

TEST(LoadState, HasTheLimitsOfTheDesign) {
  EXPECT_EQ(LoadState(0.0), "cold");
  EXPECT_EQ(LoadState(0.01), "cold");
  EXPECT_EQ(LoadState(0.011), "mixed");
  EXPECT_EQ(LoadState(0.989), "mixed");
  EXPECT_EQ(LoadState(0.99), "warm");
}

}  // namespace
}  // namespace joulefarm::agent
