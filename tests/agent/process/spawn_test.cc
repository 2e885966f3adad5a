#include "agent/process/spawn.h"

#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

TEST(FindProgram, LooksAlongThePath) {
  const auto found = FindProgram("sh", "/nowhere::/bin:/usr/bin");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(*found, "/bin/sh");
  EXPECT_EQ(FindProgram("sh", "/etc").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FindProgram("", "/bin").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FindProgram("/bin", "/bin").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FindProgram("/bin/sh", {}, "").value_or(""), "/bin/sh");
  EXPECT_EQ(FindProgram("sh", {"/etc"}, "the usual places").status().message(),
            "program 'sh' is not in the usual places");
}

}  // namespace
}  // namespace joulefarm::agent
