// The operator's listings: keys, order, filters, errors.
#include "controller/store/listing.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/store/reader.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

class ListingTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = OpenStore(path_);
    ASSERT_NE(store_, nullptr);
    auto reader = Reader::Open(path_);
    ASSERT_TRUE(reader.ok()) << reader.status();
    reader_ = *std::move(reader);
    AddFarm();
  }

  // exp-1 "sweep" (job-1 ACTIVE, job-2 SUCCEEDED, job-3 FAILED), exp-2 "sweep" (job-4 QUEUED),
  // exp-3 "done" without jobs; one agent with a device; two artifacts.
  void AddFarm() {
    AddLeasedJob(*store_);
    Job second = MakeJob(2);
    second.state = v1::JOB_STATE_SUCCEEDED;
    Job third = MakeJob(3);
    third.state = v1::JOB_STATE_FAILED;
    third.failure_class = v1::FAILURE_CLASS_USER;
    third.reason = "exit code 3";
    third.started_wall_ns = 1'700'000'001'000'000'000;
    third.finished_wall_ns = 1'700'000'002'500'000'000;
    Experiment other = MakeExperiment(2);
    Job fourth = MakeJob(4);
    fourth.experiment = "exp-2";
    fourth.state = v1::JOB_STATE_QUEUED;
    fourth.device_id = "";
    Experiment empty = MakeExperiment(3);
    empty.name = "done";
    Device device;
    device.id = "dev-1";
    device.agent_id = "agent-1";
    device.link = v1::DEVICE_LINK_ONLINE;
    device.labels = {{"rack", "1"}};
    device.facts.set_kind(v1::DEVICE_KIND_SERVER);
    Agent agent;
    agent.id = "agent-1";
    agent.link = v1::DEVICE_LINK_ONLINE;
    agent.version = "0.1.0";
    agent.boot_id = "boot";
    agent.last_seen_wall_ns = 1'700'000'000'000'000'000;
    Artifact artifact;
    artifact.name = "tiny";
    artifact.sha256 = "aa";
    artifact.size_bytes = 5;
    artifact.format = "gguf";
    Artifact newer = artifact;
    newer.sha256 = "bb";
    ASSERT_TRUE(
        store_->Commit({second, third, other, fourth, empty, device, agent, artifact, newer}).ok());
  }

  absl::Status List(const v1::ListRequest& request) {
    columns_.clear();
    rows_.clear();
    return reader_->List(request, [this](v1::TableChunk chunk) {
      for (const v1::Column& column : chunk.columns()) columns_.push_back(column);
      for (const v1::Row& row : chunk.rows()) rows_.push_back(row);
      return true;
    });
  }
  static v1::ListRequest Request(
      v1::Listing listing, const std::vector<std::pair<std::string, std::string>>& filters = {}) {
    v1::ListRequest request;
    request.set_listing(listing);
    for (const auto& [key, value] : filters) (*request.mutable_filters())[key] = value;
    return request;
  }
  std::string Columns() const {
    std::string out;
    for (const v1::Column& column : columns_) {
      absl::StrAppend(&out, out.empty() ? "" : ",", column.name());
    }
    return out;
  }
  // The given column of every row.
  std::string Values(const std::string& name) const {
    std::string out;
    for (const v1::Row& row : rows_) {
      for (int i = 0; i < row.cells_size(); ++i) {
        if (columns_[static_cast<std::size_t>(i)].name() != name) continue;
        const v1::Cell& cell = row.cells(i);
        absl::StrAppend(&out, out.empty() ? "" : " ");
        switch (cell.value_case()) {
          case v1::Cell::kText:
            out += cell.text();
            break;
          case v1::Cell::kInteger:
            absl::StrAppend(&out, cell.integer());
            break;
          case v1::Cell::kReal:
            absl::StrAppend(&out, cell.real());
            break;
          case v1::Cell::kBoolean:
            out += cell.boolean() ? "true" : "false";
            break;
          case v1::Cell::kBlob:
            out += "blob";
            break;
          case v1::Cell::VALUE_NOT_SET:
            out += "null";
            break;
        }
      }
    }
    return out;
  }
  v1::ColumnKind KindOf(const std::string& name) const {
    for (const v1::Column& column : columns_) {
      if (column.name() == name) return column.kind();
    }
    return v1::COLUMN_KIND_UNSPECIFIED;
  }

  TempDir dir_;
  const std::string path_ = dir_.File("farm.db");
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<Reader> reader_;
  std::vector<v1::Column> columns_;
  std::vector<v1::Row> rows_;
};

TEST_F(ListingTest, Jobs) {
  ASSERT_TRUE(List(Request(v1::LISTING_JOBS)).ok());
  EXPECT_EQ(Columns(),
            "id,experiment,cell,block,device_id,state,failure_class,reason,attempts,submitted,"
            "started,finished");
  EXPECT_EQ(Values("id"), "job-4 job-3 job-2 job-1");
  EXPECT_EQ(Values("failure_class"), "null USER null null");
  EXPECT_EQ(Values("device_id"), "null dev-1 dev-1 dev-1");
  EXPECT_EQ(Values("finished"), "null 2023-11-14T22:13:22.500Z null null");
  EXPECT_EQ(KindOf("finished"), v1::COLUMN_KIND_TIME);
  EXPECT_EQ(KindOf("block"), v1::COLUMN_KIND_NUMBER);
  EXPECT_EQ(KindOf("state"), v1::COLUMN_KIND_TEXT);
}

TEST_F(ListingTest, Experiments) {
  ASSERT_TRUE(List(Request(v1::LISTING_EXPERIMENTS)).ok());
  EXPECT_EQ(Columns(), "id,name,tenant,state,jobs,succeeded,failed,canceled,submitted,sha256");
  EXPECT_EQ(Values("id"), "exp-3 exp-2 exp-1");
  EXPECT_EQ(Values("state"), "DONE QUEUED ACTIVE");
  EXPECT_EQ(Values("jobs"), "0 1 3");
  EXPECT_EQ(Values("succeeded"), "0 0 1");
  EXPECT_EQ(Values("failed"), "0 0 1");
  EXPECT_EQ(Values("canceled"), "0 0 0");
}

TEST_F(ListingTest, CanceledJobsAreNotFailedOnes) {
  Job canceled = MakeJob(5);
  canceled.state = v1::JOB_STATE_CANCELED;
  Job also_canceled = MakeJob(6);
  also_canceled.state = v1::JOB_STATE_CANCELED;
  Job expired = MakeJob(7);
  expired.state = v1::JOB_STATE_EXPIRED;
  ASSERT_TRUE(store_->Commit({canceled, also_canceled, expired}).ok());
  ASSERT_TRUE(List(Request(v1::LISTING_EXPERIMENTS)).ok());
  EXPECT_EQ(Values("failed"), "0 0 2");
  EXPECT_EQ(Values("canceled"), "0 0 2");
}

TEST_F(ListingTest, Devices) {
  ASSERT_TRUE(List(Request(v1::LISTING_DEVICES)).ok());
  EXPECT_EQ(Columns(), "id,agent_id,kind,link,alloc,admin,health,gate_reason,labels,facts");
  EXPECT_EQ(Values("kind"), "server");
  EXPECT_EQ(Values("link"), "ONLINE");
  EXPECT_EQ(Values("gate_reason"), "null");
  EXPECT_EQ(Values("labels"), "{\"rack\":\"1\"}");
  EXPECT_EQ(KindOf("labels"), v1::COLUMN_KIND_JSON);
  EXPECT_EQ(KindOf("facts"), v1::COLUMN_KIND_JSON);
}

TEST_F(ListingTest, ADeviceThatIsNotTrustedSaysWhy) {
  Device device;
  device.id = "dev-1";
  device.agent_id = "agent-1";
  device.health = v1::DEVICE_HEALTH_SUSPECT;
  device.health_reason = "job-1 and job-2 failed on it (DEVICE): no power";
  ASSERT_TRUE(store_->Commit({device}).ok());
  ASSERT_TRUE(List(Request(v1::LISTING_DEVICES)).ok());
  EXPECT_EQ(Values("gate_reason"),
            "a job to succeed on it: job-1 and job-2 failed on it (DEVICE): no power");
  device.health_check = "job-3";
  ASSERT_TRUE(store_->Commit({device}).ok());
  ASSERT_TRUE(List(Request(v1::LISTING_DEVICES)).ok());
  EXPECT_EQ(Values("gate_reason"),
            "its health check job-3: job-1 and job-2 failed on it (DEVICE): no power");
  device.health_check.clear();
  device.health = v1::DEVICE_HEALTH_QUARANTINED;
  device.health_reason = "its health check job-3 failed: no power";
  ASSERT_TRUE(store_->Commit({device}).ok());
  ASSERT_TRUE(List(Request(v1::LISTING_DEVICES)).ok());
  EXPECT_EQ(Values("gate_reason"),
            "joulefarm device unquarantine dev-1: its health check job-3 failed: no power");
  device.gate_reason = "waits for its meter";
  ASSERT_TRUE(store_->Commit({device}).ok());
  ASSERT_TRUE(List(Request(v1::LISTING_DEVICES)).ok());
  EXPECT_EQ(Values("gate_reason"), "waits for its meter");
}

TEST_F(ListingTest, Resources) {
  Resource meter;
  meter.id = "meter:km003c:1";
  meter.agent_id = "lab";
  meter.kind = v1::RESOURCE_KIND_METER;
  meter.model = "km003c";
  meter.serial = "1";
  meter.link = v1::DEVICE_LINK_ONLINE;
  meter.channels.emplace_back().set_name("power");
  meter.obstacle = "permission denied";
  Resource port;
  port.id = "port:ykush:Y1:2";
  port.agent_id = "lab";
  port.kind = v1::RESOURCE_KIND_PORT;
  port.fence = 7;
  ASSERT_TRUE(store_->Commit({meter, port}).ok());
  ASSERT_TRUE(List(Request(v1::LISTING_RESOURCES)).ok());
  EXPECT_EQ(Columns(),
            "id,agent_id,kind,model,serial,place,link,alloc,admin,health,attempt,obstacle,labels,"
            "channels");
  EXPECT_EQ(Values("id"), "meter:km003c:1 port:ykush:Y1:2");
  EXPECT_EQ(Values("kind"), "METER PORT");
  EXPECT_EQ(Values("serial"), "1 null");
  EXPECT_EQ(Values("attempt"), "null 7");
  EXPECT_EQ(Values("obstacle"), "permission denied null");
  EXPECT_EQ(KindOf("serial"), v1::COLUMN_KIND_TEXT);
  EXPECT_EQ(KindOf("channels"), v1::COLUMN_KIND_JSON);
  ASSERT_TRUE(List(Request(v1::LISTING_RESOURCES, {{"kind", "PORT"}})).ok());
  EXPECT_EQ(Values("id"), "port:ykush:Y1:2");
}

TEST_F(ListingTest, Agents) {
  ASSERT_TRUE(List(Request(v1::LISTING_AGENTS)).ok());
  EXPECT_EQ(Columns(), "id,link,version,devices,last_seen,boot_id");
  EXPECT_EQ(Values("devices"), "1");
  EXPECT_EQ(Values("last_seen"), "2023-11-14T22:13:20.000Z");
}

TEST_F(ListingTest, Artifacts) {
  ASSERT_TRUE(List(Request(v1::LISTING_ARTIFACTS)).ok());
  EXPECT_EQ(Columns(),
            "name,sha256,size_bytes,format,architecture,quant,parameters,context_length,pushed");
  EXPECT_EQ(Values("sha256"), "bb aa");
  v1::ListRequest request = Request(v1::LISTING_ARTIFACTS);
  request.set_id("aa");
  ASSERT_TRUE(List(request).ok());
  EXPECT_EQ(Values("name"), "tiny");
}

TEST_F(ListingTest, ResultsAreRowsOfTheView) {
  v1::Event run;
  run.mutable_run()->set_warmup(true);
  ASSERT_TRUE(store_->Ingest({MakeFrame(1, v1::STREAM_EVENT, 1, EventsOf({run}))}).ok());
  Job job = MakeJob(1);
  job.state = v1::JOB_STATE_SUCCEEDED;
  job.accepted_fence = 1;
  AttemptResults results;
  results.fence = 1;
  for (int i = 0; i < 3; ++i) {
    results.runs.emplace_back().run = i;
    results.runs.back().otps = 10 * i;
    results.runs.back().speed_method = "stream";
  }
  ASSERT_TRUE(store_->Commit({results, job}).ok());
  ASSERT_TRUE(List(Request(v1::LISTING_RESULTS)).ok());
  EXPECT_EQ(Columns().substr(0, 31), "experiment,cell,workload,job_id");
  EXPECT_EQ(columns_.size(), 26u + 3 * 14 + 9 + 3 * 3 + 1);
  EXPECT_EQ(Values("run"), "2 1 0");
  EXPECT_EQ(Values("warmup"), "false false true");
  EXPECT_EQ(Values("energy_est_j"), "null null null");
  EXPECT_EQ(KindOf("params"), v1::COLUMN_KIND_JSON);
  EXPECT_EQ(KindOf("warmup"), v1::COLUMN_KIND_BOOLEAN);
  EXPECT_EQ(KindOf("energy_est_j"), v1::COLUMN_KIND_NUMBER);
  EXPECT_EQ(KindOf("energy_channel"), v1::COLUMN_KIND_TEXT);
  ASSERT_TRUE(List(Request(v1::LISTING_RESULTS, {{"warmup", "false"}, {"otps", "20"}})).ok());
  EXPECT_EQ(Values("run"), "2");
  v1::ListRequest of_job = Request(v1::LISTING_RESULTS);
  of_job.set_id("job-2");
  ASSERT_TRUE(List(of_job).ok());
  EXPECT_TRUE(rows_.empty());
  ASSERT_TRUE(List(Request(v1::LISTING_RESULT_SUMMARY, {{"metric", "otps"}})).ok());
  EXPECT_EQ(Values("n"), "2");
  EXPECT_EQ(Values("mean"), "15");
}

TEST_F(ListingTest, LogsOfAJobByAttempt) {
  ASSERT_TRUE(store_->Ingest({MakeFrame(1, v1::STREAM_LOG, 1, LogOf({"one", "two"}))}).ok());
  Job job = MakeJob(1);
  job.live_fence = 2;
  ASSERT_TRUE(store_->Commit({job, MakeAttempt(2, job)}).ok());
  ASSERT_TRUE(store_->Ingest({MakeFrame(2, v1::STREAM_LOG, 1, LogOf({"three"}))}).ok());
  ASSERT_TRUE(List(Request(v1::LISTING_LOGS, {{"job", "job-1"}})).ok());
  EXPECT_EQ(Columns(), "t_ns,source,text,attempt");
  EXPECT_EQ(Values("text"), "one two three");
  EXPECT_EQ(Values("source"), "engine engine engine");
  EXPECT_EQ(Values("attempt"), "1 1 2");
  ASSERT_TRUE(List(Request(v1::LISTING_LOGS, {{"job", "job-1"}, {"attempt", "2"}})).ok());
  EXPECT_EQ(Values("text"), "three");
  EXPECT_EQ(List(Request(v1::LISTING_LOGS)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(List(Request(v1::LISTING_LOGS, {{"job", "job-9"}})).code(),
            absl::StatusCode::kNotFound);
}

TEST_F(ListingTest, FiltersAreEqualitiesThatAllHold) {
  ASSERT_TRUE(List(Request(v1::LISTING_JOBS, {{"state", "FAILED"}})).ok());
  EXPECT_EQ(Values("id"), "job-3");
  ASSERT_TRUE(List(Request(v1::LISTING_JOBS, {{"device_id", "dev-1"}, {"block", "0"}})).ok());
  EXPECT_EQ(Values("id"), "job-3 job-2 job-1");
  ASSERT_TRUE(List(Request(v1::LISTING_JOBS, {{"model", "tiny"}, {"state", "QUEUED"}})).ok());
  EXPECT_EQ(Values("id"), "job-4");
}

TEST_F(ListingTest, AnExperimentIsNamedByIdOrByItsNewestName) {
  ASSERT_TRUE(List(Request(v1::LISTING_JOBS, {{"experiment", "exp-1"}})).ok());
  EXPECT_EQ(Values("id"), "job-3 job-2 job-1");
  ASSERT_TRUE(List(Request(v1::LISTING_JOBS, {{"experiment", "sweep"}})).ok());
  EXPECT_EQ(Values("id"), "job-4");
  v1::ListRequest request = Request(v1::LISTING_EXPERIMENTS);
  request.set_id("sweep");
  ASSERT_TRUE(List(request).ok());
  EXPECT_EQ(Values("id"), "exp-2");
  const absl::Status unknown = List(Request(v1::LISTING_RESULTS, {{"experiment", "none"}}));
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(unknown.ToString().find("none"), std::string::npos);
}

TEST_F(ListingTest, TheLimitKeepsTheNewest) {
  v1::ListRequest request = Request(v1::LISTING_JOBS);
  request.set_limit(2);
  ASSERT_TRUE(List(request).ok());
  EXPECT_EQ(Values("id"), "job-4 job-3");
  request.set_limit(-1);
  EXPECT_EQ(List(request).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ListingTest, TheOffsetLeavesOutTheBeginning) {
  v1::ListRequest request = Request(v1::LISTING_JOBS);
  request.set_offset(1);
  ASSERT_TRUE(List(request).ok());
  EXPECT_EQ(Values("id"), "job-3 job-2 job-1");
  request.set_limit(1);
  ASSERT_TRUE(List(request).ok());
  EXPECT_EQ(Values("id"), "job-3");
  request.set_offset(99);
  ASSERT_TRUE(List(request).ok());
  EXPECT_EQ(Values("id"), "");
  request.set_offset(-1);
  EXPECT_EQ(List(request).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ListingTest, AnUnknownIdIsNotFound) {
  for (const v1::Listing listing :
       {v1::LISTING_EXPERIMENTS, v1::LISTING_JOBS, v1::LISTING_DEVICES, v1::LISTING_AGENTS,
        v1::LISTING_RESOURCES, v1::LISTING_ARTIFACTS, v1::LISTING_RESULTS,
        v1::LISTING_RESULT_SUMMARY, v1::LISTING_LOGS}) {
    v1::ListRequest request = Request(listing);
    request.set_id("nonsuch");
    const absl::Status status = List(request);
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << v1::Listing_Name(listing);
    EXPECT_NE(status.ToString().find("\"nonsuch\": `joulefarm "), std::string::npos) << status;
  }
}

TEST_F(ListingTest, AnUnknownFilterNamesTheRightOnes) {
  const absl::Status status = List(Request(v1::LISTING_JOBS, {{"stat", "FAILED"}}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.ToString().find("did you mean \"state\""), std::string::npos) << status;
  EXPECT_NE(status.ToString().find("failure_class"), std::string::npos) << status;
  // Not what only orders the rows, and nothing that could end up in the query.
  for (const char* key : {"_number", "number", "id = id OR 1", "id\" OR \"1", ""}) {
    EXPECT_EQ(List(Request(v1::LISTING_JOBS, {{key, "1"}})).code(),
              absl::StatusCode::kInvalidArgument)
        << key;
  }
  EXPECT_EQ(List(Request(v1::LISTING_JOBS, {{"block", "first"}})).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(List(Request(v1::LISTING_RESULTS, {{"warmup", "perhaps"}})).code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(List(Request(v1::LISTING_JOBS, {{"device_id", "' OR 1 --"}})).ok());
  EXPECT_TRUE(rows_.empty());
}

TEST_F(ListingTest, AWordThatNoRowCanHaveIsRefused) {
  const absl::Status status = List(Request(v1::LISTING_JOBS, {{"state", "FAILD"}}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.ToString().find("filter state=\"FAILD\": no state is called so; did you mean "
                                   "\"FAILED\"? There are: QUEUED, HELD, ACTIVE, CANCELING, "
                                   "SUCCEEDED, FAILED, CANCELED, EXPIRED"),
            std::string::npos)
      << status;
  // No listing's own words among those of another.
  EXPECT_EQ(List(Request(v1::LISTING_EXPERIMENTS, {{"state", "FAILED"}})).code(),
            absl::StatusCode::kInvalidArgument);
  for (const auto& [listing, column] :
       std::vector<std::pair<v1::Listing, const char*>>{{v1::LISTING_EXPERIMENTS, "state"},
                                                        {v1::LISTING_JOBS, "failure_class"},
                                                        {v1::LISTING_DEVICES, "kind"},
                                                        {v1::LISTING_DEVICES, "link"},
                                                        {v1::LISTING_DEVICES, "alloc"},
                                                        {v1::LISTING_DEVICES, "admin"},
                                                        {v1::LISTING_DEVICES, "health"},
                                                        {v1::LISTING_AGENTS, "link"},
                                                        {v1::LISTING_RESULTS, "provenance"},
                                                        {v1::LISTING_RESULTS, "energy_scope"},
                                                        {v1::LISTING_RESULTS, "speed_quality"},
                                                        {v1::LISTING_RESULTS, "energy_quality"}}) {
    EXPECT_EQ(List(Request(listing, {{column, "nonsuch"}})).code(),
              absl::StatusCode::kInvalidArgument)
        << v1::Listing_Name(listing) << " " << column;
  }
}

TEST_F(ListingTest, TheCaseOfAWordDoesNotMatter) {
  ASSERT_TRUE(List(Request(v1::LISTING_JOBS, {{"state", "failed"}})).ok());
  EXPECT_EQ(Values("id"), "job-3");
}

TEST_F(ListingTest, AnUnknownListingIsRefused) {
  EXPECT_EQ(List(Request(v1::LISTING_UNSPECIFIED)).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ListingTest, EveryTextColumnOfEveryListingIsKnownAsText) {
  // A text column that KindOf does not know would be shown and filtered as a number.
  for (int number = v1::LISTING_EXPERIMENTS; number <= v1::LISTING_LOGS; ++number) {
    v1::ListRequest request = Request(static_cast<v1::Listing>(number));
    if (number == v1::LISTING_LOGS) request = Request(v1::LISTING_LOGS, {{"job", "job-1"}});
    ASSERT_TRUE(List(request).ok());
    for (const v1::Row& row : rows_) {
      for (int i = 0; i < row.cells_size(); ++i) {
        if (row.cells(i).value_case() == v1::Cell::kText) {
          EXPECT_NE(columns_[static_cast<std::size_t>(i)].kind(), v1::COLUMN_KIND_NUMBER)
              << columns_[static_cast<std::size_t>(i)].name();
        }
      }
    }
  }
}

}  // namespace
}  // namespace joulefarm::controller
