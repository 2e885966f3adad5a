// Why a queued job waits, as `job list` and HTTP say it.
#include "controller/store/why_queued.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "controller/store/reader.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

class WhyQueuedTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = OpenStore(path_);
    ASSERT_NE(store_, nullptr);
    auto reader = Reader::Open(path_);
    ASSERT_TRUE(reader.ok()) << reader.status();
    reader_ = *std::move(reader);
    AddLeasedJob(*store_);
    job_ = MakeJob(2);
    job_.state = v1::JOB_STATE_QUEUED;
    device_.id = "dev-1";
    device_.agent_id = "agent-1";
    device_.link = v1::DEVICE_LINK_ONLINE;
    agent_.id = "agent-1";
    agent_.link = v1::DEVICE_LINK_ONLINE;
  }

  // What is said of job-2 with the rows as they are; "null": nothing.
  std::string Why() {
    const absl::Status stored = store_->Commit({job_, device_, agent_});
    EXPECT_TRUE(stored.ok()) << stored;
    return Listed("job-2");
  }
  std::string Listed(const std::string& job) {
    v1::ListRequest request;
    request.set_listing(v1::LISTING_JOBS);
    request.set_id(job);
    std::string reason = "no such row";
    int at = -1;
    const absl::Status status = reader_->List(request, [&](v1::TableChunk chunk) {
      for (int i = 0; i < chunk.columns_size(); ++i) {
        if (chunk.columns(i).name() == "reason") at = i;
      }
      for (const v1::Row& row : chunk.rows())
        reason = row.cells(at).has_text() ? row.cells(at).text() : "null";
      return true;
    });
    EXPECT_TRUE(status.ok()) << status;
    return reason;
  }

  TempDir dir_;
  const std::string path_ = dir_.File("farm.db");
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<Reader> reader_;
  Job job_;
  Device device_;
  Agent agent_;
};

TEST_F(WhyQueuedTest, NothingIsSaidWhereNothingKeepsIt) { EXPECT_EQ(Why(), "null"); }

TEST_F(WhyQueuedTest, WhereItsDeviceIs) {
  device_.link = v1::DEVICE_LINK_UNKNOWN;
  EXPECT_EQ(Why(), "device dev-1 is just out of sight with its agent agent-1");
  device_.link = v1::DEVICE_LINK_OFFLINE;
  EXPECT_EQ(Why(), "device dev-1 is no longer announced by its agent agent-1");
  agent_.link = v1::DEVICE_LINK_OFFLINE;
  EXPECT_EQ(Why(), "device dev-1 is offline: its agent agent-1 is out of reach");
  // That it also holds something is not what the operator has to mend.
  device_.alloc = v1::DEVICE_ALLOC_DIRTY;
  EXPECT_EQ(Why(), "device dev-1 is offline: its agent agent-1 is out of reach");
}

TEST_F(WhyQueuedTest, WhoHasItsDevice) {
  device_.alloc = v1::DEVICE_ALLOC_LEASED;
  device_.fence = 1;
  EXPECT_EQ(Why(), "device dev-1 is at work on job-1");
  device_.gate_reason = "waiting for gate max_temp_c: tj has 61.2 °C > 45 °C";
  EXPECT_EQ(Why(),
            "device dev-1 is at work on job-1, waiting for gate max_temp_c: tj has 61.2 °C > 45 "
            "°C");
  device_.gate_reason.clear();
  device_.fence = 99;  // not in the database
  EXPECT_EQ(Why(), "device dev-1 is at work on another job");
  device_.fence.reset();
  device_.alloc = v1::DEVICE_ALLOC_DIRTY;
  EXPECT_EQ(Why(),
            "device dev-1 may still be at work: its agent agent-1 has not said that it is clean");
}

TEST_F(WhyQueuedTest, ADeviceThatTakesNoJobs) {
  device_.admin = v1::DEVICE_ADMIN_MAINTENANCE;
  EXPECT_EQ(Why(), "device dev-1 takes no jobs: it is MAINTENANCE");
  device_.admin = v1::DEVICE_ADMIN_ENABLED;
  device_.health = v1::DEVICE_HEALTH_QUARANTINED;
  EXPECT_EQ(Why(), "device dev-1 takes no jobs: it is QUARANTINED");
  device_.health_reason = "its health check job-9 failed: no power";
  EXPECT_EQ(
      Why(),
      "device dev-1 takes no jobs: it is QUARANTINED, its health check job-9 failed: no power");
  device_.health_reason.clear();
  device_.health = v1::DEVICE_HEALTH_SUSPECT;  // takes them
  EXPECT_EQ(Why(), "null");
}

TEST_F(WhyQueuedTest, AFreeDeviceThatWaits) {
  device_.gate_reason = "waits for its meter: meter:1 is not there";
  EXPECT_EQ(Why(), "device dev-1 waits for its meter: meter:1 is not there");
  job_.reason = "waits for its port: port:1 is not there";  // what it needs itself
  EXPECT_EQ(Why(), "waits for its port: port:1 is not there");
  // Of another time.
  device_.gate_reason.clear();
  device_.alloc = v1::DEVICE_ALLOC_LEASED;
  device_.fence = 1;
  EXPECT_EQ(Why(), "device dev-1 is at work on job-1");
}

TEST_F(WhyQueuedTest, WhyItIsTriedAgainIsKept) {
  job_.failure_class = v1::FAILURE_CLASS_INFRA;
  job_.reason = "to be tried again (1 more): no engine";
  EXPECT_EQ(Why(), "to be tried again (1 more): no engine");
  device_.alloc = v1::DEVICE_ALLOC_LEASED;
  device_.fence = 1;
  EXPECT_EQ(Why(), "to be tried again (1 more): no engine; device dev-1 is at work on job-1");
}

TEST_F(WhyQueuedTest, OnlyOfThoseThatAreQueued) {
  device_.alloc = v1::DEVICE_ALLOC_LEASED;
  device_.fence = 1;
  job_.state = v1::JOB_STATE_FAILED;
  job_.reason = "exit code 3";
  EXPECT_EQ(Why(), "exit code 3");
  EXPECT_EQ(Listed("job-1"), "null");
  job_.state = v1::JOB_STATE_QUEUED;
  job_.reason.clear();
  job_.device_id = "never-seen";
  EXPECT_EQ(Why(), "null");
}

}  // namespace
}  // namespace joulefarm::controller
