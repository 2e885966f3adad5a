#include "cli/view/listing_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/output/text.h"
#include "tests/cli/sample_tables.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Draw(const ListingView& view, const Table& table, const Look& look = {}) {
  std::ostringstream out;
  RenderView(view, table, look, out);
  return out.str();
}

TEST(ListingView, Jobs) {
  EXPECT_EQ(
      Draw(JobView(SampleJobs()), SampleJobs()),
      "ID     EXPERIMENT  CELL               DEVICE     STATE      TRIES  SUBMITTED (UTC)      "
      "WHY\n"
      "job-3  exp-1       model=tiny-q4_k_m  edge-7f3a  ACTIVE         1  2026-11-21 11:00:00\n"
      "job-2  exp-1       model=tiny-q8_0    edge-7f3a  FAILED         1  2026-11-21 11:00:00  "
      "USER: llama-server ended with signal 6 (SIGABRT) while loading\n"
      "job-1  exp-1       model=tiny-f16     edge-7f3a  SUCCEEDED      1  2026-11-21 11:00:00\n");
}

TEST(ListingView, JobsOnANarrowTerminal) {
  EXPECT_EQ(Draw(JobView(SampleJobs()), SampleJobs(), {80, false}),
            "ID     EXPERIMENT  CELL               DEVICE     STATE      WHY\n"
            "job-3  exp-1       model=tiny-q4_k_m  edge-7f3a  ACTIVE\n"
            "job-2  exp-1       model=tiny-q8_0    edge-7f3a  FAILED     USER: llama-server …\n"
            "job-1  exp-1       model=tiny-f16     edge-7f3a  SUCCEEDED\n");
}

TEST(ListingView, BlocksAreShownWhenThereAreSeveral) {
  Table jobs = SampleJobs();
  jobs.rows[0][static_cast<std::size_t>(jobs.Find("block"))] = std::int64_t{2};
  EXPECT_THAT(Draw(JobView(jobs), jobs), HasSubstr("BLOCK"));
}

TEST(ListingView, Devices) {
  EXPECT_EQ(Draw(DeviceView(), SampleDevices()),
            "ID         KIND    LINK     ALLOC  HEALTH             WAITS FOR               MACHINE "
            "                          AGENT\n"
            "edge-7f3a  server  ONLINE   FREE   GOOD                                       AMD "
            "EPYC 7B13, 2 cores, 7963 MiB  edge-7f3a\n"
            "pixel-8-b  phone   OFFLINE  DIRTY  SUSPECT, DRAINING  cooling: 47 °C > 45 °C          "
            "                          lab-host\n");
}

TEST(ListingView, ExperimentsLeaveOutWhatTheControllerDoesNotSend) {
  EXPECT_EQ(Draw(ExperimentView(), SampleExperiments()),
            "ID     NAME         STATE   JOBS  SUCCEEDED  FAILED  CANCELED  SUBMITTED (UTC)\n"
            "exp-1  quant-sweep  ACTIVE     3          1       1         0  2026-11-21 11:00:00\n");
}

TEST(ListingView, AgentsAndArtifacts) {
  EXPECT_EQ(Draw(AgentView(), SampleAgents()),
            "ID         LINK     VERSION  DEVICES  LAST SEEN (UTC)\n"
            "edge-7f3a  ONLINE   0.1.0          1  2026-11-21 11:03:30\n"
            "lab-host   OFFLINE  0.1.0          8  2026-11-20 18:00:00\n");
  EXPECT_EQ(Draw(ArtifactView(), SampleArtifacts()),
            "NAME         SIZE  FORMAT  ARCHITECTURE  QUANT  SHA-256       PUSHED (UTC)\n"
            "tiny-f16  41.7 MB  gguf    llama         F16    cccccccccccc  2026-11-21 10:59:00\n"
            "prompts     812 B  file    -             -      dddddddddddd  2026-11-21 10:58:00\n");
}

TEST(ListingView, ResultsLabelWhatIsNotMeasured) {
  Table results = SampleResults();
  results.rows.resize(4);
  EXPECT_EQ(Draw(ResultView(results), results),
            "CELL         JOB          RUN  DEVICE     OTPS tok/s  TTFT ms    J/TOKEN decode  MEAN "
            "W  LOAD ms  RSS MiB  SPEED  ENERGY\n"
            "tiny-q4_k_m  job-3          4  edge-7f3a         460     51.9  ~0.0291 ± 0.0098   "
            "~14.2      171     58.3  VALID  estimated\n"
            "tiny-q4_k_m  job-3          3  edge-7f3a         456     52.4  ~0.0294 ± 0.0098   "
            "~14.2      171     58.3  VALID  estimated\n"
            "tiny-q4_k_m  job-3          2  edge-7f3a         451     52.9  ~0.0297 ± 0.0098   "
            "~14.2      171     58.3  VALID  estimated\n"
            "tiny-q4_k_m  job-3  warm-up 1  edge-7f3a         447     53.5  ~0.0300 ± 0.0098   "
            "~14.2      171     58.3  VALID  estimated\n");
}

TEST(ListingView, ResultsOfSeveralExperimentsNameThem) {
  Table results = SampleResults();
  EXPECT_THAT(Draw(ResultView(results), results), Not(HasSubstr("EXPERIMENT")));
  results.rows[0][0] = std::string("exp-2");
  const std::string drawn = Draw(ResultView(results), results);
  EXPECT_THAT(drawn, HasSubstr("EXPERIMENT"));
  EXPECT_THAT(drawn, HasSubstr("tiny-q4_k_m"));
}

TEST(ListingView, ResultsFitEightyColumnsAndKeepTheirCellsApart) {
  const Table results = SampleResults();
  std::ostringstream out;
  RenderView(ResultView(results), results, {80, false}, out);
  std::istringstream lines(out.str());
  for (std::string line; std::getline(lines, line);) EXPECT_LE(DisplayWidth(line), 80) << line;
  for (const char* cell : {"tiny-f16 ", "tiny-q8_0 ", "tiny-q4_k_m ", "SPEED", "ENERGY"})
    EXPECT_THAT(out.str(), HasSubstr(cell));
}

TEST(ListingView, SideBySideReasonsStandBelowAndTimesOfOneDayWithoutIt) {
  Table table;
  table.columns = {{"run", ColumnKind::kNumber},
                   {"started", ColumnKind::kTime},
                   {"quality_reasons", ColumnKind::kJson}};
  table.rows = {{std::int64_t{1}, "2026-11-21T11:00:00.5Z", R"(["speed a:1>0","energy b"])"},
                {std::int64_t{2}, "2026-11-21T11:00:07.5Z", "[]"}};
  std::ostringstream out;
  RenderSideBySide(table, "run", {}, out);
  EXPECT_THAT(out.str(), HasSubstr("started (2026-11-21)  11:00:00  11:00:07\n\nquality_reasons\n"
                                   "run 1  speed a:1>0\nrun 1  energy b\n"));
}

TEST(ListingView, AnUnknownTableIsShownWhole) {
  Table table;
  table.columns = {{"surprise"}, {"n", ColumnKind::kNumber}};
  table.rows = {{std::string("x"), std::int64_t{5}}, {Value(), std::int64_t{10}}};
  EXPECT_EQ(Draw(JobView(table), table),
            "surprise   n\n"
            "x          5\n"
            "-         10\n");
}

TEST(ListingView, SideBySideSharesWhatIsEqual) {
  Table table;
  table.columns = {{"run", ColumnKind::kNumber}, {"model"}, {"otps", ColumnKind::kNumber}};
  table.rows = {{std::int64_t{1}, std::string("tiny"), 10.5},
                {std::int64_t{2}, std::string("tiny"), Value()}};
  std::ostringstream out;
  RenderSideBySide(table, "run", {}, out);
  EXPECT_EQ(out.str(),
            "model:  tiny\n"
            "\n"
            "run      1  2\n"
            "otps  10.5  -\n");
}

}  // namespace
}  // namespace joulefarm::cli
