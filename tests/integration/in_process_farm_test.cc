// What a farm in one process must do: see in_process_farm.h.
#include "tests/integration/in_process_farm.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "controller/store/reader.h"

namespace joulefarm {
namespace {

using testing::HasSubstr;

TEST_F(InProcessFarm, ASweepOverTwoAgentsGivesEveryRunOnce) {
  StartAgent("a");
  StartAgent("b");
  v1::SubmitExperimentResponse response;
  const grpc::Status submitted = Submit(Yaml(5), &response);
  ASSERT_TRUE(submitted.ok()) << submitted.error_message();
  EXPECT_EQ(response.jobs(), 10);
  ASSERT_TRUE(Eventually([&] { return Done(response.experiment()); }));
  for (const auto& job : List(v1::LISTING_JOBS))
    EXPECT_EQ(job.at("state"), "SUCCEEDED") << job.at("reason");
  std::map<std::string, int> runs;
  for (const auto& row : List(v1::LISTING_RESULTS))
    ++runs[absl::StrCat(row.at("job_id"), "/", row.at("run"))];
  EXPECT_EQ(runs.size(), 20u);
  for (const auto& [key, count] : runs) EXPECT_EQ(count, 1) << key;
  EXPECT_EQ(script_.started(), 10);
}

TEST_F(InProcessFarm, AJobSurvivesARestartOfTheControllerWithoutRunningTwice) {
  StartAgent("a");
  script_.Hold();
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit(Yaml(2), &response).ok());
  ASSERT_TRUE(script_.WaitStarted(1));
  controller_.reset();
  script_.Release();  // it ends while nobody listens, and waits in the spool
  StartController();
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  for (const auto& job : List(v1::LISTING_JOBS)) {
    EXPECT_EQ(job.at("state"), "SUCCEEDED") << job.at("reason");
    EXPECT_EQ(job.at("attempts"), "1");
  }
  EXPECT_EQ(List(v1::LISTING_RESULTS).size(), 4u);
  EXPECT_EQ(script_.started(), 2);
}

TEST_F(InProcessFarm, CancelStopsWhatRunsAndWhatWaits) {
  StartAgent("a");
  script_.Hold();
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit(Yaml(3), &response).ok());
  ASSERT_TRUE(script_.WaitStarted(1));
  grpc::ClientContext context;
  v1::CancelExperimentRequest request;
  request.set_experiment("sweep");
  v1::CancelExperimentResponse canceled;
  ASSERT_TRUE(stub_->CancelExperiment(&context, request, &canceled).ok());
  EXPECT_EQ(canceled.jobs(), 3);
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  for (const auto& job : List(v1::LISTING_JOBS)) EXPECT_EQ(job.at("state"), "CANCELED");
  EXPECT_TRUE(Eventually([&] { return Column(v1::LISTING_DEVICES, "alloc", "a") == "FREE"; }));
  EXPECT_TRUE(List(v1::LISTING_RESULTS).empty());
}

TEST_F(InProcessFarm, AnAgentThatStopsInTheMiddleIsTriedAgainWhenItIsBack) {
  StartAgent("a");
  script_.Hold();
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit(Yaml(1), &response).ok());
  ASSERT_TRUE(script_.WaitStarted(1));
  Stop(*agents_["a"]);
  agents_.erase("a");
  script_.Release();
  StartAgent("a");
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  const auto jobs = List(v1::LISTING_JOBS);
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].at("state"), "SUCCEEDED");
  EXPECT_EQ(jobs[0].at("attempts"), "2");
  EXPECT_EQ(List(v1::LISTING_RESULTS).size(), 2u);
}

TEST_F(InProcessFarm, AFailureOfTheJobsOwnIsFinalAndSaysWhy) {
  StartAgent("a");
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit("name: sweep\nworkloads:\n  w: {kind: command, command: "
                     "[\"true\"]}\nmatrix:\n  ending: [fail]\n",
                     &response)
                  .ok());
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  const auto jobs = List(v1::LISTING_JOBS);
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].at("state"), "FAILED");
  EXPECT_EQ(jobs[0].at("failure_class"), "USER");
  EXPECT_EQ(jobs[0].at("reason"), "it fails");
  EXPECT_EQ(jobs[0].at("attempts"), "1");
  EXPECT_TRUE(List(v1::LISTING_RESULTS).empty());
}

TEST_F(InProcessFarm, BadFilesAreRefusedWithAPlaceAndNothingIsQueued) {
  StartAgent("a");
  v1::SubmitExperimentResponse response;
  const grpc::Status unknown =
      Submit("name: sweep\nworkloads:\n  w: {kind: command, command: [\"true\"]}\nrepetition: 2\n",
             &response);
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(unknown.error_message(), HasSubstr("exp.yaml:4:1"));
  EXPECT_THAT(unknown.error_message(), HasSubstr("repetitions"));
  EXPECT_TRUE(List(v1::LISTING_JOBS).empty());
}

TEST_F(InProcessFarm, TelemetryReachesWhoeverWatchesAndIsAskedOfNobodyElse) {
  StartAgent("a");
  script_.Hold();
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit(Yaml(1), &response).ok());
  ASSERT_TRUE(script_.WaitStarted(1));
  v1::GetProgressRequest request;
  request.set_job("job-1");
  v1::GetProgressResponse progress;
  const auto ask = [&](bool watch) {
    grpc::ClientContext context;
    request.set_watch(watch);
    ASSERT_TRUE(stub_->GetProgress(&context, request, &progress).ok());
    ASSERT_EQ(progress.active_jobs_size(), 1);
  };
  ask(false);
  EXPECT_FALSE(progress.active_jobs(0).has_telemetry());
  ASSERT_TRUE(Eventually([&] {
    ask(true);
    return progress.active_jobs(0).has_telemetry();
  }));
  const v1::Telemetry& telemetry = progress.active_jobs(0).telemetry();
  EXPECT_EQ(telemetry.device_id(), "a");
  EXPECT_EQ(telemetry.fence(), 1);
  EXPECT_EQ(telemetry.tokens_per_s(), 123);  // as the script says
  EXPECT_GT(telemetry.t_ns(), 0);

  // And as a stream, over a restart of the agent.
  grpc::ClientContext context;
  v1::WatchDevicesRequest watch;
  watch.add_device_ids("a");
  const auto reader = stub_->WatchDevices(&context, watch);
  v1::WatchDevicesResponse news;
  ASSERT_TRUE(reader->Read(&news));
  EXPECT_EQ(news.telemetry().fence(), 1);
  Stop(*agents_["a"]);
  agents_.erase("a");
  StartAgent("a");
  bool came = reader->Read(&news);
  for (int i = 0; i < 100 && came && news.telemetry().fence() == 1; ++i) came = reader->Read(&news);
  EXPECT_TRUE(came);
  EXPECT_NE(news.telemetry().fence(), 1);
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);

  grpc::ClientContext other;
  watch.set_device_ids(0, "nonsuch");
  const auto unknown = stub_->WatchDevices(&other, watch);
  EXPECT_FALSE(unknown->Read(&news));
  EXPECT_EQ(unknown->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(InProcessFarm, ClocksAreExchangedBeforeDuringAndAfterARun) {
  const std::string database = (directory_ / "controller" / "joulefarm.db").string();
  const auto ask = [&](const std::string& query) {
    std::vector<std::vector<std::int64_t>> rows;
    const auto reader = controller::Reader::Open(database);
    EXPECT_TRUE(reader.ok()) << reader.status();
    const absl::Status read = (*reader)->Sql(query, [&](const v1::TableChunk& chunk) {
      for (const v1::Row& row : chunk.rows()) {
        rows.emplace_back();
        for (const v1::Cell& cell : row.cells()) rows.back().push_back(cell.integer());
      }
      return true;
    });
    EXPECT_TRUE(read.ok()) << read;
    return rows;
  };
  StartAgent("a");
  script_.Hold();
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit(Yaml(1), &response).ok());
  ASSERT_TRUE(script_.WaitStarted(1));
  ASSERT_TRUE(Eventually(
      [&] { return ask("SELECT count(*) FROM clock_exchange WHERE attempt = 1")[0][0] > 40; }));
  script_.Release();
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  const auto exchanges =
      ask("SELECT t1_ns, t2_ns, t3_ns, t4_ns FROM clock_exchange WHERE attempt = 1 ORDER BY t1_ns");
  // One host has one clock: an offset of 0 fits all of them.
  for (const auto& t : exchanges) {
    EXPECT_LE(t[0], t[1]);
    EXPECT_LE(t[1], t[2]);
    EXPECT_LE(t[2], t[3]);
  }
  // The attempt lies between bursts, and its clocks were read with each.
  const auto snapshots = ask(
      "SELECT boottime_ns FROM clock_snapshot WHERE attempt = 1 ORDER BY boottime_ns DESC LIMIT 1");
  EXPECT_GE(exchanges.back()[3] + 1'000'000'000, snapshots[0][0]);
  EXPECT_GE(ask("SELECT count(*) FROM clock_snapshot WHERE attempt = 1")[0][0], 5);
  EXPECT_EQ(ask("SELECT count(DISTINCT peer_boot_id) FROM clock_exchange")[0][0], 1);
}

TEST_F(InProcessFarm, AStoppingControllerEndsTheStreamsOfWatchers) {
  StartAgent("a");
  grpc::ClientContext context;
  const auto reader = stub_->WatchDevices(&context, v1::WatchDevicesRequest());
  v1::WatchDevicesResponse news;
  ASSERT_TRUE(reader->Read(&news));
  controller_.reset();
  while (reader->Read(&news)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  StartController();
}

TEST_F(InProcessFarm, ABackupIsSoundAndLeavesNothingBehind) {
  StartAgent("a");
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit(Yaml(2), &response).ok());
  ASSERT_TRUE(Eventually([&] { return Done(response.experiment()); }));
  const std::string copy = (directory_ / "copy.db").string();
  {
    grpc::ClientContext context;
    const auto reader = stub_->Backup(&context, v1::BackupRequest());
    std::ofstream file(copy, std::ios::binary);
    v1::BackupResponse part;
    while (reader->Read(&part)) file << part.data();
    const grpc::Status status = reader->Finish();
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  const absl::Status sound = controller::CheckDatabaseFile(copy);
  EXPECT_TRUE(sound.ok()) << sound;
  EXPECT_FALSE(std::filesystem::exists(directory_ / "controller" / "backup.tmp"));
  // What a killed controller left behind is gone after the next start.
  controller_.reset();
  std::ofstream(directory_ / "controller" / "backup.tmp") << "unfinished";
  StartController();
  EXPECT_FALSE(std::filesystem::exists(directory_ / "controller" / "backup.tmp"));
}

// Rows of Recompute as "phase channel: what differs", and how the call ended.
std::vector<std::string> Recomputed(v1::FarmService::Stub& stub, const std::string& subject,
                                    grpc::Status& status,
                                    std::optional<std::int64_t> attempt = {}) {
  grpc::ClientContext context;
  v1::RecomputeRequest request;
  request.set_subject(subject);
  if (attempt) request.set_attempt(*attempt);
  const auto reader = stub.Recompute(&context, request);
  std::vector<std::string> rows;
  v1::TableChunk chunk;
  while (reader->Read(&chunk)) {
    for (const v1::Row& row : chunk.rows()) {
      EXPECT_EQ(row.cells_size(), 13);
      const bool energy = row.cells(6).has_real();
      EXPECT_EQ(row.cells(12).text(), !row.cells(10).boolean() ? "differs"
                                      : energy                 ? "same"
                                                               : "absent");
      rows.push_back(absl::StrCat(row.cells(4).text(), " ", row.cells(5).text(), ": ",
                                  row.cells(10).boolean() ? "identical" : row.cells(11).text()));
    }
  }
  status = reader->Finish();
  return rows;
}

TEST_F(InProcessFarm, EnergiesComputedAgainAreTheSameToTheLastBit) {
  StartAgent("a");
  v1::SubmitExperimentResponse response;
  ASSERT_TRUE(Submit("name: sweep\nworkloads:\n  w: {kind: command, command: "
                     "[\"true\"]}\nmatrix:\n  ending: [measured]\nrepetitions: 2\npower: {require: "
                     "optional}\nplan: {settle: 0s, idle: 0s, pause: 0s, tail: 0s}\ngates: "
                     "{min_battery_pct: 0, max_background_cpu: 1}\n",
                     &response)
                  .ok());
  ASSERT_TRUE(Eventually([&] { return Done("sweep"); }));
  for (const auto& job : List(v1::LISTING_JOBS))
    ASSERT_EQ(job.at("state"), "SUCCEEDED") << job.at("reason");
  controller_.reset();
  StartController();
  grpc::Status status;
  for (const std::string subject : {"sweep", "exp-1", "job-1"}) {
    const std::vector<std::string> rows = Recomputed(*stub_, subject, status);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_THAT(rows, testing::Each(testing::EndsWith(": identical"))) << subject;
    EXPECT_THAT(rows,
                testing::IsSupersetOf({"decode meter: identical", "prefill package: identical",
                                       "idle_unloaded meter: identical", " meter: identical"}));
  }
  EXPECT_TRUE(Recomputed(*stub_, "nothing", status).empty());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  Recomputed(*stub_, "job-1", status, 99);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);

  // The last bit of one energy.
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(controller_->database().c_str(), &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 60'000);  // the controller writes too
  ASSERT_EQ(sqlite3_exec(db,
                         "UPDATE energy SET energy_j = energy_j * (1 + 2.3e-16) "
                         "WHERE phase = 'decode' AND channel = 'meter'",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  EXPECT_EQ(sqlite3_changes(db), 1);
  sqlite3_close(db);
  const std::vector<std::string> rows = Recomputed(*stub_, "job-1", status, 1);
  EXPECT_EQ(std::count(rows.begin(), rows.end(), "decode meter: [\"energy_j\"]"), 1);
  EXPECT_EQ(std::count_if(rows.begin(), rows.end(),
                          [](const std::string& row) { return !row.ends_with(": identical"); }),
            1);
}

TEST_F(InProcessFarm, TheSameRequestIdIsTheSameExperiment) {
  StartAgent("a");
  v1::SubmitExperimentResponse first, again;
  ASSERT_TRUE(Submit(Yaml(1), &first, "night-1").ok());
  ASSERT_TRUE(Submit(Yaml(1), &again, "night-1").ok());
  EXPECT_TRUE(again.existing());
  EXPECT_EQ(again.experiment(), first.experiment());
  EXPECT_EQ(Submit(Yaml(2), &again, "night-1").error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(List(v1::LISTING_EXPERIMENTS).size(), 1u);
}

TEST_F(InProcessFarm, ASecondControllerOnTheSameStateOrPortIsRefused) {
  controller::ControllerOptions options;
  options.listen.port = 0;
  options.http.port = 0;
  options.state = directory_ / "controller";
  const auto same_state = controller::Controller::Start(options);
  ASSERT_FALSE(same_state.ok());
  EXPECT_THAT(std::string(same_state.status().message()), HasSubstr("in use"));
  options.state = directory_ / "other";
  options.listen.port = port_;
  const auto same_port = controller::Controller::Start(options);
  ASSERT_FALSE(same_port.ok());
  EXPECT_THAT(std::string(same_port.status().message()), HasSubstr("--listen"));
  options.listen = {"0.0.0.0", 0};
  const auto exposed = controller::Controller::Start(options);
  ASSERT_FALSE(exposed.ok());
  EXPECT_THAT(std::string(exposed.status().message()), HasSubstr("--allow-plaintext"));
}

}  // namespace
}  // namespace joulefarm
