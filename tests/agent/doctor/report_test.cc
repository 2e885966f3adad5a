#include "agent/doctor/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace joulefarm::agent {
namespace {

const Findings kSome{
    {Level::kOk, "engine", "llama.cpp 4589 at /opt/llama-server", ""},
    {Level::kWarning, "time", "the clock is \"not\" synchronised", "switch it on"}};

TEST(DoctorReport, TextIsAlignedWithTheCureBelow) {
  EXPECT_EQ(FindingsAsText(kSome),
            "ok      engine  llama.cpp 4589 at /opt/llama-server\n"
            "warn    time    the clock is \"not\" synchronised\n"
            "                → switch it on\n");
}

TEST(DoctorReport, JsonHasEveryKey) {
  const auto parsed = nlohmann::json::parse(FindingsAsJson(kSome));
  ASSERT_EQ(parsed.size(), 2u);
  EXPECT_EQ(parsed[0]["level"], "OK");
  EXPECT_EQ(parsed[0]["area"], "engine");
  EXPECT_TRUE(parsed[0]["cure"].is_null());
  EXPECT_EQ(parsed[1]["level"], "WARNING");
  EXPECT_EQ(parsed[1]["text"], "the clock is \"not\" synchronised");
  EXPECT_EQ(parsed[1]["cure"], "switch it on");
  EXPECT_EQ(FindingsAsJson({}), "[]\n");
  EXPECT_TRUE(
      nlohmann::json::parse(FindingsAsJson({{Level::kOk, "engine", "\xff", ""}})).is_array());
}

TEST(DoctorReport, OnlyWhatIsBrokenCounts) {
  EXPECT_EQ(ExitCodeOf({}), 0);
  EXPECT_EQ(ExitCodeOf(kSome), 0);
  EXPECT_EQ(ExitCodeOf({{Level::kBroken, "disk", "full", "free some"}}), 3);
}

}  // namespace
}  // namespace joulefarm::agent
