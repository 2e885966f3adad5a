#include "cli/view/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;

v1::GetProgressResponse Example() {
  v1::GetProgressResponse progress;
  progress.set_name("quant-sweep");
  progress.set_jobs(6);
  progress.set_succeeded(2);
  progress.set_failed(1);
  progress.set_active(2);
  progress.set_queued(1);
  v1::ActiveJob* job = progress.add_active_jobs();
  job->set_device_id("edge-7f3a");
  job->set_cell("workload=chat,model=tiny-q8_0");
  job->set_state("RUNNING");
  job->set_detail("run 2 of 4");
  job = progress.add_active_jobs();
  job->set_device_id("pixel");
  job->set_cell("workload=chat,model=tiny-f16");
  job->set_state("PREPARING");
  return progress;
}

TEST(Progress, Clock) {
  EXPECT_EQ(Clock(seconds(0)), "00:00");
  EXPECT_EQ(Clock(std::chrono::milliseconds(41'999)), "00:41");
  EXPECT_EQ(Clock(seconds(3723)), "1:02:03");
}

TEST(Progress, LinesFitTheWidth) {
  const auto progress = Example();
  EXPECT_THAT(
      ProgressLines({progress, "3 cells × 2 devices × 1 block, 24 runs", seconds(41), seconds(25)},
                    {100, false}),
      ElementsAre("quant-sweep  3 cells × 2 devices × 1 block, 24 runs                          "
                  "00:41, about 00:25 left",
                  "  ████████████░░░░░░░░░░░░  3 of 6 done, 1 failed, 2 running, 1 queued",
                  "  edge-7f3a  chat · tiny-q8_0  running  run 2 of 4",
                  "  pixel      chat · tiny-f16   preparing"));
  for (const int width : {20, 40, 60}) {
    for (const std::string& line :
         ProgressLines({progress, "3 cells", seconds(41), seconds(25)}, {width, false})) {
      EXPECT_LE(DisplayWidth(line), width) << line;
    }
  }
}

TEST(Progress, ManyActiveJobsAreCounted) {
  auto progress = Example();
  for (int i = 0; i < 20; ++i) *progress.add_active_jobs() = progress.active_jobs(0);
  progress.set_active(22);
  const auto lines = ProgressLines({progress, "", seconds(1), {}}, {100, false});
  EXPECT_EQ(lines.size(), 11u);
  EXPECT_EQ(lines.back(), "  and 14 more");
}

TEST(Progress, OneLine) {
  EXPECT_EQ(ProgressLine(Example(), seconds(12)),
            "00:12  3 of 6 done, 1 failed, 2 running, 1 queued");
}

TEST(Estimator, KnowsNothingBeforeAJobEnded) {
  Estimator estimator;
  estimator.Observe(seconds(0), 2, 6);  // two had ended before we looked
  EXPECT_FALSE(estimator.Left(seconds(10)).has_value());
  estimator.Observe(seconds(10), 3, 6);
  EXPECT_EQ(estimator.Left(seconds(10)), seconds(30));
  EXPECT_EQ(estimator.Left(seconds(14)), seconds(26));
  EXPECT_FALSE(estimator.Left(seconds(60)).has_value());
  estimator.Observe(seconds(70), 6, 6);
  EXPECT_FALSE(estimator.Left(seconds(70)).has_value());
}

TEST(LiveDisplay, RedrawsInPlaceAndLeavesNothing) {
  std::ostringstream out;
  {
    LiveDisplay display(out);
    display.Show({"one", "two"}, 80);
    display.Show({"three"}, 80);
  }
  EXPECT_EQ(out.str(), "\r\x1b[Kone\n\r\x1b[Ktwo\n\x1b[2A\r\x1b[Kthree\n\r\x1b[J\x1b[1A\r\x1b[J");
}

}  // namespace
}  // namespace joulefarm::cli
