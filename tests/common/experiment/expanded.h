// Experiment files as the tests of kinds write them: expanded, or refused.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/experiment/expand.h"
#include "gtest/gtest.h"
#include "tests/common/experiment/fake_catalogue.h"

namespace joulefarm {

inline Expansion Expanded(absl::string_view text) {
  auto expansion = ExpandYaml(text, "exp.yaml", {}, FakeCatalogue());
  EXPECT_TRUE(expansion.ok()) << expansion.status();
  return expansion.ok() ? *std::move(expansion) : Expansion();
}

// Why the file is refused.
inline std::string RefusalOf(absl::string_view text) {
  const auto expansion = ExpandYaml(text, "exp.yaml", {}, FakeCatalogue());
  EXPECT_EQ(expansion.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(expansion.status().message());
}

}  // namespace joulefarm
