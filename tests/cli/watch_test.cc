// Watching experiments, jobs, logs and devices, against a controller of our own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/cli/cli_runner.h"
#include "tests/cli/fake_farm.h"
#include "tests/cli/sample_tables.h"

namespace joulefarm::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

v1::Telemetry News(const std::string& device, double watts) {
  v1::Telemetry telemetry;
  telemetry.set_device_id(device);
  telemetry.set_power_w(watts);
  telemetry.set_provenance(v1::PROVENANCE_ESTIMATED);
  telemetry.set_channel("estimated");
  telemetry.set_t_ns(5);
  return telemetry;
}

// A job that runs until `done`, with its device's telemetry where somebody watches.
v1::GetProgressResponse JobProgress(const v1::GetProgressRequest& request, bool done,
                                    bool failed = false) {
  v1::GetProgressResponse progress;
  progress.set_experiment("exp-1");
  progress.set_name("quant-sweep");
  progress.set_jobs(1);
  progress.set_done(done);
  if (done) {
    failed ? progress.set_failed(1) : progress.set_succeeded(1);
    if (failed) progress.add_failures(request.job() + "  FAILED  USER  it fails");
    return progress;
  }
  progress.set_active(1);
  v1::ActiveJob* job = progress.add_active_jobs();
  job->set_job(request.job().empty() ? "job-1" : request.job());
  job->set_device_id("edge-7f3a");
  job->set_cell("model=tiny-q8_0");
  job->set_state("RUNNING");
  job->set_detail("run 2 of 4");
  if (request.watch()) *job->mutable_telemetry() = News("edge-7f3a", 14.2);
  return progress;
}

Table RunCountsTable() {
  Table table;
  table.columns = {{"device_id", ColumnKind::kText},
                   {"done", ColumnKind::kNumber},
                   {"total", ColumnKind::kNumber},
                   {"age_s", ColumnKind::kNumber}};
  table.rows = {{std::string("edge-7f3a"), std::int64_t{6}, std::int64_t{9}, 60.0}};
  return table;
}

class Watch : public ::testing::Test {
 protected:
  Watch() : cli_(farm_.address()) {
    farm_.OnList(SampleList);
    farm_.OnProgress([this](const v1::GetProgressRequest& request) {
      return JobProgress(request, asked_++ >= 4);
    });
    farm_.OnSql([](const std::string&) { return RunCountsTable(); });
  }

  // Before the farm, whose calls use them until it is gone.
  std::atomic<int> asked_{0};
  std::atomic<bool> stop_{false};
  FakeFarm farm_;
  CliRunner cli_;
};

TEST_F(Watch, OnATerminalTheDevicesAreShownAndTheSummaryFollows) {
  cli_.terminal = true;
  cli_.environment["NO_COLOR"] = "1";
  cli_.width = 100;
  const CliOutcome outcome = cli_.Run({"experiment", "get", "exp-1", "--watch"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("edge-7f3a  ██████████████░░░░░░░  6/9  tiny-q8_0 · run 2 of "
                                     "4  ~14.2 W"));
  EXPECT_THAT(outcome.err, HasSubstr("01:00"));  // since it was submitted
  EXPECT_THAT(outcome.out, HasSubstr("1 of 1 job succeeded"));
}

TEST_F(Watch, ElsewhereALineIsPrintedWheneverAJobGoesOn) {
  const CliOutcome outcome = cli_.Run({"experiment", "get", "exp-1", "--watch"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.err, StartsWith("00:00  0 of 1 done, 1 running\n"
                                      "00:00  edge-7f3a  tiny-q8_0 · run 2 of 4  ~14.2 W\n"
                                      "00:02  1 of 1 done\n"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("\x1b")));
}

// All is queued until `asked`, and job-7 says why it waits.
class WatchQueued : public Watch {
 protected:
  WatchQueued() {
    farm_.OnProgress([this](const v1::GetProgressRequest& request) {
      v1::GetProgressResponse progress = JobProgress(request, asked_++ >= 30);
      progress.clear_active_jobs();
      progress.set_queued(progress.active());
      progress.clear_active();
      return progress;
    });
    farm_.OnList([this](const v1::ListRequest& request) -> absl::StatusOr<Table> {
      if (request.filters().count("state") == 0) return SampleList(request);
      EXPECT_EQ(request.listing(), v1::LISTING_JOBS);
      EXPECT_EQ(request.filters().at("state"), "QUEUED");
      Table table;
      table.columns = {{"id"}, {"state"}, {"reason"}};
      table.rows = {{"job-7", "QUEUED",
                     looks_++ == 0 ? "device lab is at work on job-3" : "device lab is offline"}};
      return table;
    });
  }
  std::atomic<int> looks_{0};
};

TEST_F(WatchQueued, WhyNothingHappensIsSaidWheneverItChanges) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"experiment", "get", "exp-1", "--wait"},
        std::vector<std::string>{"job", "watch", "job-3"}}) {
    asked_ = 0;
    looks_ = 0;
    const CliOutcome outcome = cli_.Run(command);
    EXPECT_EQ(outcome.exit, 0) << outcome.err;
    EXPECT_THAT(outcome.err, StartsWith("00:00  0 of 1 done, 1 queued\n"
                                        "00:00  job-7 waits: device lab is at work on job-3\n"
                                        "00:05  job-7 waits: device lab is offline\n"
                                        "00:15  1 of 1 done\n"));
    EXPECT_EQ(looks_, 3);  // in 15 s
  }
}

TEST_F(WatchQueued, OnATerminalItStandsBelowThePicture) {
  cli_.terminal = true;
  cli_.environment["NO_COLOR"] = "1";
  const CliOutcome outcome = cli_.Run({"experiment", "get", "exp-1", "--wait"});
  EXPECT_THAT(outcome.err, HasSubstr("  job-7 waits: device lab is offline\n"));
}

TEST_F(Watch, WaitingAloneAsksNoDevice) {
  std::atomic<bool> watched{false};
  farm_.OnProgress([&](const v1::GetProgressRequest& request) {
    watched = watched || request.watch();
    return JobProgress(request, asked_++ >= 2);
  });
  EXPECT_EQ(cli_.Run({"experiment", "get", "exp-1", "--wait"}).exit, 0);
  EXPECT_FALSE(watched);
}

TEST_F(Watch, ControlCDetachesAndTheJobsGoOn) {
  farm_.OnProgress(
      [](const v1::GetProgressRequest& request) { return JobProgress(request, false); });
  cli_.on_sleep = [this] { cli_.interrupt = cli_.sleeps >= 3; };
  const CliOutcome outcome = cli_.Run({"job", "watch", "job-7", "job-8"});
  EXPECT_EQ(outcome.exit, 130);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("Detached with 0 of 2 jobs done. The jobs go on."),
                                 HasSubstr("watch again:  joulefarm job watch job-7 job-8\n"),
                                 HasSubstr("stop them:    joulefarm job cancel job-7 job-8\n")));
}

TEST_F(Watch, JobsAreWatchedTogetherAndToldOfOneByOne) {
  farm_.OnProgress([this](const v1::GetProgressRequest& request) {
    const bool done = asked_++ >= 6;
    return JobProgress(request, done, request.job() == "job-3");
  });
  const CliOutcome outcome = cli_.Run({"job", "watch", "job-1", "job-3"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(outcome.out, HasSubstr("1 job did not succeed:\n  job-3  FAILED  USER  it fails\n"));
}

TEST_F(Watch, AJobThatIsNamedTwiceIsOneJob) {
  farm_.OnProgress(
      [](const v1::GetProgressRequest& request) { return JobProgress(request, true); });
  const CliOutcome outcome = cli_.Run({"job", "watch", "job-1", "job-3", "job-1"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_THAT(outcome.err, HasSubstr("2 of 2 done\n"));
  EXPECT_EQ(outcome.out.find("job-1"), outcome.out.rfind("job-1"));
}

TEST_F(Watch, ATimeoutLetsTheJobsGoOn) {
  farm_.OnProgress(
      [](const v1::GetProgressRequest& request) { return JobProgress(request, false); });
  EXPECT_EQ(cli_.Run({"job", "watch", "job-7", "--timeout", "10s"}).exit, 4);
}

TEST_F(Watch, AnUnknownJobIsAUsageError) {
  farm_.OnProgress([](const v1::GetProgressRequest& request) {
    return absl::NotFoundError(absl::StrCat("no job \"", request.job(), "\""));
  });
  EXPECT_EQ(cli_.Run({"job", "watch", "job-99"}).exit, 2);
  EXPECT_EQ(cli_.Run({"job", "logs", "job-99", "-f"}).exit, 2);
}

TEST_F(Watch, TimeoutNeedsSomethingToWaitFor) {
  EXPECT_EQ(cli_.Run({"experiment", "get", "exp-1", "--timeout", "1s"}).exit, 2);
  EXPECT_EQ(cli_.Run({"submit", "-f", "x.yaml", "--timeout", "1s"}).exit, 2);
}

// A log that has one line more with every question.
absl::StatusOr<Table> GrowingLog(const v1::ListRequest& request, int lines) {
  Table table;
  table.columns = {{"t_ns", ColumnKind::kNumber},
                   {"source", ColumnKind::kText},
                   {"text", ColumnKind::kText},
                   {"attempt", ColumnKind::kNumber}};
  for (int i = static_cast<int>(request.offset()); i < lines; ++i) {
    table.rows.push_back({std::int64_t{i} * 1'000'000'000, std::string("engine"),
                          absl::StrCat("line ", i), std::int64_t{1}});
  }
  return table;
}

TEST_F(Watch, LogsAreFollowedToTheLastLine) {
  farm_.OnList([this](const v1::ListRequest& request) {
    return GrowingLog(request, std::min(4, asked_.load()));
  });
  const CliOutcome outcome = cli_.Run({"job", "logs", "job-1", "-f"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            "attempt 1\n"
            "    0.000  engine  line 0\n"
            "    1.000  engine  line 1\n"
            "    2.000  engine  line 2\n"
            "    3.000  engine  line 3\n");
  std::vector<std::int64_t> offsets;
  for (const v1::ListRequest& request : farm_.lists()) offsets.push_back(request.offset());
  EXPECT_THAT(offsets, ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(Watch, WithoutLinesItIsSaidWhetherTheyMayStillCome) {
  bool done = false;
  farm_.OnProgress(
      [&](const v1::GetProgressRequest& request) { return JobProgress(request, done); });
  farm_.OnList([](const v1::ListRequest& request) { return GrowingLog(request, 0); });
  EXPECT_EQ(cli_.Run({"job", "logs", "job-1"}).err, "No log lines yet.\n");
  done = true;
  EXPECT_EQ(cli_.Run({"job", "logs", "job-1"}).err, "The job ended without a log line.\n");
  // It came while the job was asked after.
  int asked = 0;
  farm_.OnList([&](const v1::ListRequest& request) { return GrowingLog(request, asked++); });
  const CliOutcome late = cli_.Run({"job", "logs", "job-1"});
  EXPECT_THAT(late.out, HasSubstr("engine  line 0\n"));
  EXPECT_EQ(late.err, "");
}

TEST_F(Watch, LogsAreFollowedOverARestartOfTheController) {
  farm_.OnList([this](const v1::ListRequest& request) {
    return GrowingLog(request, std::min(4, asked_.load()));
  });
  cli_.on_sleep = [this] {
    if (cli_.sleeps == 2) farm_.Stop();
    if (cli_.sleeps == 5) farm_.Start();
  };
  const CliOutcome outcome = cli_.Run({"job", "logs", "job-1", "-f", "-o", "jsonl"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 4);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("cannot be reached"), HasSubstr("answers again after")));
}

TEST_F(Watch, FollowingLogsEndsWithControlC) {
  farm_.OnProgress(
      [](const v1::GetProgressRequest& request) { return JobProgress(request, false); });
  farm_.OnList([](const v1::ListRequest& request) { return GrowingLog(request, 1); });
  cli_.on_sleep = [this] { cli_.interrupt = cli_.sleeps >= 2; };
  EXPECT_EQ(cli_.Run({"job", "logs", "job-1", "-f"}).exit, 130);
  EXPECT_EQ(cli_.Run({"job", "logs", "job-1", "-f", "-o", "json"}).exit, 2);
}

TEST_F(Watch, DevicesPrintALineForEachReading) {
  farm_.OnWatch([](const v1::WatchDevicesRequest& request, const auto& send) {
    double watts = request.device_ids_size();
    while (send(News("edge-7f3a", ++watts))) {
    }
    return absl::CancelledError("gone");
  });
  const CliOutcome outcome = cli_.Run({"device", "watch", "edge-7f3a", "--count", "2"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            "edge-7f3a  ~2.00 W (estimated)\n"
            "edge-7f3a  ~3.00 W (estimated)\n");
}

TEST_F(Watch, DevicesAsJsonLinesHaveEveryKey) {
  farm_.OnWatch([](const v1::WatchDevicesRequest&, const auto& send) {
    while (send(News("edge-7f3a", 14.5))) {
    }
    return absl::CancelledError("gone");
  });
  const CliOutcome outcome = cli_.Run({"device", "watch", "-o", "jsonl", "--count", "1"});
  EXPECT_EQ(nlohmann::json::parse(outcome.out),
            nlohmann::json::parse(
                R"({"device_id": "edge-7f3a", "fence": null, "power_w": 14.5,
                    "provenance": "estimated", "channel": "estimated", "temp_c": null,
                    "cpu_hz": null, "cpu_share": null, "tokens_per_s": null, "rss_bytes": null,
                    "t_ns": 5})"));
}

TEST_F(Watch, DevicesOnATerminalAreDrawnWithWhatTheyDo) {
  cli_.terminal = true;
  cli_.environment["NO_COLOR"] = "1";
  farm_.OnSql([](const std::string&) {
    Table table;
    for (const char* column : {"id", "link", "alloc", "admin", "job", "cell", "state", "detail"})
      table.columns.push_back({column, ColumnKind::kText});
    const auto text = [](const char* value) { return Value(std::string(value)); };
    table.rows = {{text("edge-7f3a"), text("ONLINE"), text("LEASED"), text("ENABLED"),
                   text("job-7"), text("model=tiny-q8_0"), text("RUNNING"), text("run 2 of 4")},
                  {text("other"), text("ONLINE"), text("FREE"), text("ENABLED"), Value(), Value(),
                   Value(), Value()}};
    return table;
  });
  farm_.OnWatch([](const v1::WatchDevicesRequest&, const auto& send) {
    while (send(News("edge-7f3a", 14.5))) {
    }
    return absl::CancelledError("gone");
  });
  const CliOutcome outcome = cli_.Run({"device", "watch", "edge-7f3a", "--count", "1"});
  EXPECT_THAT(outcome.out,
              HasSubstr("edge-7f3a  ~14.5 W  estimated  job-7 · tiny-q8_0 · run 2 of 4\n"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("other")));
}

TEST_F(Watch, DeviceWatchSurvivesARestartOfTheController) {
  std::atomic<int> calls{0};
  farm_.OnWatch([&](const v1::WatchDevicesRequest&, const auto& send) {
    send(News("edge-7f3a", ++calls));
    return absl::UnavailableError("the controller stops");
  });
  const CliOutcome outcome = cli_.Run({"device", "watch", "--count", "2"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "edge-7f3a  ~1.00 W (estimated)\nedge-7f3a  ~2.00 W (estimated)\n");
  EXPECT_THAT(outcome.err, HasSubstr("answers again after 00:01"));
}

TEST_F(Watch, AFirstReadingWithoutValuesIsWaitedFor) {
  farm_.OnWatch([](const v1::WatchDevicesRequest&, const auto& send) {
    v1::Telemetry empty;
    empty.set_device_id("edge-7f3a");
    bool more = send(empty);
    while (more) more = send(News("edge-7f3a", 2));
    return absl::CancelledError("gone");
  });
  const CliOutcome outcome = cli_.Run({"device", "watch", "edge-7f3a", "--count", "1"});
  EXPECT_EQ(outcome.out, "edge-7f3a  waiting for telemetry\nedge-7f3a  ~2.00 W (estimated)\n");
}

TEST_F(Watch, ACountOfReadingsOfAnAbsentAgentEnds) {
  // Waiting for the next try moves the clock.
  std::atomic<int> calls{0};
  farm_.OnWatch([&](const v1::WatchDevicesRequest&, const auto&) {
    if (++calls <= 10) return absl::UnavailableError("the controller starts");
    stop_.wait(false);
    return absl::CancelledError("gone");
  });
  const CliOutcome outcome = cli_.Run({"device", "watch", "edge-7f3a", "--count", "1"});
  stop_ = true;
  stop_.notify_all();
  EXPECT_EQ(outcome.exit, 4);
  EXPECT_THAT(outcome.err, ::testing::EndsWith("edge-7f3a: no telemetry\n"));
  EXPECT_THAT(outcome.out, IsEmpty());
}

TEST_F(Watch, ALimitThatIsNoNumberIsSaidSo) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"job", "list", "--limit", "x"},
        {"job", "logs", "job-1", "--limit", "x"}}) {
    const CliOutcome outcome = cli_.Run(command);
    EXPECT_EQ(outcome.exit, 2);
    EXPECT_THAT(outcome.err, HasSubstr("--limit: \"x\" is no whole number of at least 0"));
  }
  EXPECT_THAT(cli_.Run({"device", "watch", "--count", "0"}).err,
              HasSubstr("--count: \"0\" is no whole number of at least 1"));
}

TEST_F(Watch, DeviceWatchOfAnUnknownDeviceIsAUsageError) {
  farm_.OnWatch([](const v1::WatchDevicesRequest&, const auto&) {
    return absl::NotFoundError("there is no device nonsuch");
  });
  const CliOutcome outcome = cli_.Run({"device", "watch", "nonsuch"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("there is no device nonsuch"));
  EXPECT_THAT(outcome.out, IsEmpty());
}

}  // namespace
}  // namespace joulefarm::cli
