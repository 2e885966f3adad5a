#include "agent/run/power_mode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

using testing::HasSubstr;

TEST(PowerModeTest, WhatTheToolPrints) {
  const auto mode = ParsePowerMode("NVPM WARN: fan mode is not set!\nNV Power Mode: MODE_15W\n0\n");
  ASSERT_TRUE(mode.ok()) << mode.status();
  EXPECT_EQ(mode->number, 0);
  EXPECT_EQ(mode->name, "15W");
  EXPECT_EQ(ParsePowerMode("NV Power Mode: 25W\n1")->name, "25W");
}

TEST(PowerModeTest, OtherOutputIsRefused) {
  for (const char* output : {"", "3\n", "NV Power Mode: 15W\n", "NV Power Mode: 15W\nzero\n"}) {
    EXPECT_EQ(ParsePowerMode(output).status().code(), absl::StatusCode::kDataLoss) << output;
  }
}

TEST(PowerModeTest, AToolThatFailsIsQuoted) {
  HostTree tree;
  EXPECT_FALSE(PowerModeTool(tree.paths()).exists());
  tree.Write("usr/sbin/nvpmodel", "#!/bin/sh\necho \"NVPM ERROR: no permission\" >&2\nexit 5\n");
  std::filesystem::permissions(tree.root() / "usr/sbin/nvpmodel",
                               std::filesystem::perms::owner_all);
  const PowerModeTool tool(tree.paths());
  EXPECT_TRUE(tool.exists());
  EXPECT_THAT(std::string(tool.Query().status().message()), HasSubstr("NVPM ERROR: no permission"));
  EXPECT_THAT(std::string(tool.Set(1).message()), HasSubstr("nvpmodel -m 1"));
}

}  // namespace
}  // namespace joulefarm::agent
