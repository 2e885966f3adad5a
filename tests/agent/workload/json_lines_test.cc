#include "agent/workload/json_lines.h"

#include <gtest/gtest.h>

namespace joulefarm::agent {
namespace {

template <typename T>
std::optional<T> As(absl::string_view line) {
  const std::optional<ReportLine> report = ParseReportLine(line);
  if (!report || !std::holds_alternative<T>(*report)) return std::nullopt;
  return std::get<T>(*report);
}

TEST(ReportLines, PhasesMetricsAndTokens) {
  const auto phase = As<PhaseLine>(R"({"phase": "idle_loaded", "event": "end"})");
  ASSERT_TRUE(phase);
  EXPECT_EQ(phase->phase, v1::PHASE_IDLE_LOADED);
  EXPECT_EQ(phase->edge, PhaseLine::Edge::kEnd);
  const auto metric =
      As<MetricLine>("  {\"metric\": \"otps\", \"value\": -1.5e2, \"unit\": \"1/s\"}\r");
  ASSERT_TRUE(metric);
  EXPECT_EQ(metric->value, -150);
  EXPECT_EQ(metric->unit, "1/s");
  EXPECT_EQ(As<MetricLine>(R"({"metric": "n", "value": 3})")->unit, "");
  EXPECT_EQ(As<TokenLine>(R"({"token": 17})")->id, 17);
}

TEST(ReportLines, EverythingElseIsLog) {
  for (const char* line : {"",
                           "hello",
                           "[1]",
                           "{",
                           "{}",
                           R"({"phase": "decode"})",
                           R"({"phase": "decode", "event": "start"})",
                           R"({"phase": "Decode", "event": "begin"})",
                           R"({"phase": "unspecified", "event": "begin"})",
                           R"({"phase": "cooking", "event": "begin"})",
                           R"({"metric": "x"})",
                           R"({"metric": "x", "value": "3"})",
                           R"({"metric": "", "value": 3})",
                           R"({"metric": "x", "value": 1e999})",
                           R"({"metric": "x", "value": 1, "unit": 2})",
                           R"({"metric": "x", "value": true})",
                           R"({"token": "17"})",
                           R"({"token": -1})",
                           R"({"token": 99999999999})",
                           R"({"token": 1.5})",
                           R"({"token": 1} x)",
                           "{\"metric\": \"\xff\", \"value\": 1}"}) {
    EXPECT_FALSE(ParseReportLine(line)) << line;
  }
  EXPECT_FALSE(ParseReportLine(R"({"metric": ")" + std::string(300, 'x') + R"(", "value": 1})"));
}

}  // namespace
}  // namespace joulefarm::agent
