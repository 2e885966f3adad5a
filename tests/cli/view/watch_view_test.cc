#include "cli/view/watch_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::GetProgressResponse Working() {
  v1::GetProgressResponse progress;
  progress.set_name("quant-sweep");
  progress.set_jobs(6);
  progress.set_succeeded(2);
  progress.set_active(2);
  progress.set_queued(2);
  v1::ActiveJob* job = progress.add_active_jobs();
  job->set_job("job-3");
  job->set_device_id("edge-7f3a");
  job->set_cell("workload=chat,model=tiny-q8_0");
  job->set_state("RUNNING");
  job->set_detail("run 3 of 4");
  v1::Telemetry* telemetry = job->mutable_telemetry();
  telemetry->set_power_w(14.23);
  telemetry->set_provenance(v1::PROVENANCE_ESTIMATED);
  telemetry->set_tokens_per_s(402.4);
  telemetry->set_temp_c(50.7);
  job = progress.add_active_jobs();
  job->set_job("job-4");
  job->set_device_id("pixel");
  job->set_cell("workload=chat,model=tiny-f16");
  job->set_state("PREPARING");
  job->set_detail("fetching the model");
  return progress;
}

const std::vector<DeviceRuns> kRuns{
    {"edge-7f3a", 6, 9}, {"orin", 9, 9}, {"pixel", 0, 9}, {"rpi", 3, 9}};

TEST(WatchView, ALinePerDeviceWithItsBarItsJobAndItsValues) {
  const auto progress = Working();
  EXPECT_THAT(
      WatchLines({{progress, "3 cells × 2 devices × 1 block, 18 runs", seconds(41), seconds(25)},
                  kRuns,
                  {}},
                 {120, false}),
      ElementsAre(
          "quant-sweep  3 cells × 2 devices × 1 block, 18 runs                                     "
          "         "
          "00:41, about 00:25 left",
          "  edge-7f3a  ██████████████░░░░░░░  6/9  chat · tiny-q8_0 · run 3 of 4"
          "                    402 tok/s  ~14.2 W  51 °C",
          "  pixel      ░░░░░░░░░░░░░░░░░░░░░  0/9  chat · tiny-f16 · preparing: fetching the "
          "model",
          "  orin       █████████████████████  9/9  done",
          "  rpi        ███████░░░░░░░░░░░░░░  3/9  waits",
          "  jobs: 2 of 6 done, 2 running, 2 queued"));
}

TEST(WatchView, AWaitingDeviceSaysThatItsAgentIsAway) {
  v1::GetProgressResponse progress;
  progress.set_jobs(1);
  progress.set_queued(1);
  const auto lines = WatchLines(
      {{progress, "", seconds(1), {}}, {{"away", 0, 3, "OFFLINE"}, {"there", 0, 3, "ONLINE"}}, {}},
      {100, false});
  EXPECT_THAT(lines[1], HasSubstr("waits: its agent is away"));
  EXPECT_THAT(lines[2], ::testing::EndsWith("waits"));
}

TEST(WatchView, NothingIsEverWiderThanTheTerminal) {
  const auto progress = Working();
  for (int width = 10; width <= 130; ++width) {
    for (const std::string& line :
         WatchLines({{progress, "3 cells × 2 devices", seconds(41), seconds(25)}, kRuns, {"pixel"}},
                    {width, false})) {
      EXPECT_LE(DisplayWidth(line), width) << line;
    }
  }
}

TEST(WatchView, NarrowTerminalsKeepWhatIsDoneAndLoseTheBar) {
  const auto progress = Working();
  const auto lines = WatchLines({{progress, "", seconds(41), {}}, kRuns, {}}, {60, false});
  EXPECT_THAT(lines[1], HasSubstr("6/9  chat · tiny"));
  EXPECT_THAT(lines[1], HasSubstr("402 tok/s"));
}

TEST(WatchView, ADeviceThatSaysNothingIsSaidToSayNothing) {
  auto progress = Working();
  progress.mutable_active_jobs(0)->clear_telemetry();
  const WatchPicture quiet{{progress, "", seconds(41), {}}, {}, {"edge-7f3a"}};
  const auto lines = WatchLines(quiet, {100, false});
  EXPECT_EQ(lines[1], "  edge-7f3a  chat · tiny-q8_0 · run 3 of 4 · no telemetry");
}

TEST(WatchView, ManyDevicesAreCounted) {
  const auto progress = Working();
  WatchPicture picture{{progress, "", seconds(1), {}}, kRuns, {}};
  picture.most_devices = 2;
  const auto lines = WatchLines(picture, {100, false});
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[3], "  jobs: 2 of 6 done, 2 running, 2 queued, 2 more devices");
}

TEST(WatchView, CellsMayHaveShortNamesAndColumnsStandStill) {
  const auto progress = Working();
  WatchPicture picture{{progress, "", seconds(1), {}}, {}, {}};
  picture.cells = {{"workload=chat,model=tiny-q8_0", "tiny-q8_0"},
                   {"workload=chat,model=tiny-f16", "tiny-f16"}};
  picture.least_doing = 45;
  const auto lines = WatchLines(picture, {100, false});
  EXPECT_EQ(lines[1], "  edge-7f3a  tiny-q8_0 · run 3 of 4" + std::string(23 + 2, ' ') +
                          "402 tok/s  ~14.2 W  51 °C");
  EXPECT_EQ(DoingWidth(picture), DisplayWidth("tiny-f16 · preparing: fetching the model"));
}

TEST(WatchView, LogLines) {
  const auto progress = Working();
  EXPECT_EQ(ActiveJobLine(progress.active_jobs(0), {}),
            "edge-7f3a  chat · tiny-q8_0 · run 3 of 4  402 tok/s  ~14.2 W  51 °C");
  EXPECT_EQ(ActiveJobLine(progress.active_jobs(1), {}),
            "pixel  chat · tiny-f16 · preparing: fetching the model");
}

}  // namespace
}  // namespace joulefarm::cli
