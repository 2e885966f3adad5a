// Traces through the reader: which one a request means, and trace() in guarded queries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/text/no_such.h"
#include "common/trace/trace_codec.h"
#include "controller/store/reader.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

using ::testing::HasSubstr;

struct Answer {
  absl::Status status;
  std::vector<std::string> columns;
  std::string rows;  // "t:value" joined by blanks
  int count = 0;
  int chunks = 0;
};

TableSink Into(Answer& answer) {
  return [&answer](const v1::TableChunk& chunk) {
    ++answer.chunks;
    for (const v1::Column& column : chunk.columns()) answer.columns.push_back(column.name());
    for (const v1::Row& row : chunk.rows()) {
      absl::StrAppend(&answer.rows, answer.rows.empty() ? "" : " ", row.cells(0).integer(), ":",
                      row.cells(1).real());
      ++answer.count;
    }
    return true;
  };
}

class StoreTraceTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = OpenStore(path_);
    ASSERT_NE(store_, nullptr);
    AddLeasedJob(*store_);
    AddChannel(1, "estimated", 1, "power_w");
    AddChannel(1, "engine.rss", 0, "memory_bytes");
    AddChunk(1, "estimated", {10, 20}, {1, 2});
    AddChunk(1, "engine.rss", {11}, {7});
    ReaderOptions options;
    options.max_rows = 5;
    auto reader = Reader::Open(path_, options);
    ASSERT_TRUE(reader.ok()) << reader.status();
    reader_ = *std::move(reader);
  }
  void AddChannel(int attempt, const std::string& name, int primary, const std::string& quantity) {
    Query(path_, absl::StrCat("INSERT INTO channel (attempt, source, name, quantity, scale, "
                              "nominal_hz, is_primary, description, seq, idx) VALUES (",
                              attempt, ", 0, '", name, "', '", quantity, "', 0.5, 10, ", primary,
                              ", '', 1, ", channels_++, ")"));
  }
  void AddChunk(int attempt, const std::string& channel, const std::vector<std::int64_t>& t_ns,
                const std::vector<std::int64_t>& raw) {
    TraceEncoder encoder;
    const auto data = encoder.Encode(t_ns, raw);
    ASSERT_TRUE(data.ok());
    Query(path_,
          absl::StrCat("INSERT INTO trace_chunk (attempt, source, channel, t0_ns, t1_ns, n, "
                       "lost, gap, data) VALUES (",
                       attempt, ", 0, '", channel, "', ", t_ns.front(), ", ", t_ns.back(), ", ",
                       t_ns.size(), ", 0, 0, x'", absl::BytesToHexString(*data), "')"));
  }
  Answer Trace(const std::string& job, std::optional<int> attempt = {},
               const std::string& channel = "") {
    v1::GetTraceRequest request;
    request.set_job(job);
    if (attempt) request.set_attempt(*attempt);
    request.set_channel(channel);
    Answer answer;
    answer.status = reader_->Trace(request, Into(answer));
    return answer;
  }

  TempDir dir_;
  const std::string path_ = dir_.File("farm.db");
  int channels_ = 0;
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<Reader> reader_;
};

TEST_F(StoreTraceTest, ThePrimaryChannelOrTheOneThatIsNamed) {
  Answer answer = Trace("job-1");
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.columns, (std::vector<std::string>{"t_ns", "value"}));
  EXPECT_EQ(answer.rows, "10:0.5 20:1");
  EXPECT_EQ(Trace("job-1", 1, "engine.rss").rows, "11:3.5");
  EXPECT_EQ(Trace("", 1).rows, "10:0.5 20:1");
}

TEST_F(StoreTraceTest, TheAcceptedAttemptOrElseTheNewest) {
  Job job = MakeJob(1);
  ASSERT_TRUE(store_->Commit({MakeAttempt(2, job)}).ok());
  AddChannel(2, "estimated", 1, "power_w");
  AddChunk(2, "estimated", {30}, {3});
  EXPECT_EQ(Trace("job-1").rows, "30:1.5");
  EXPECT_EQ(Trace("job-1", 1).rows, "10:0.5 20:1");
  Query(path_, "UPDATE job SET accepted_fence = 1");
  EXPECT_EQ(Trace("job-1").rows, "10:0.5 20:1");
}

TEST_F(StoreTraceTest, WhatIsNotThereIsNamedWithWhatIs) {
  const auto refusal = [&](const Answer& answer) {
    EXPECT_EQ(answer.status.code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(answer.chunks, 0);
    return std::string(answer.status.message());
  };
  EXPECT_EQ(refusal(Trace("job-9")), NoSuch("job", "job-9"));
  EXPECT_EQ(refusal(Trace("job-1", 4)), "job-1 has no attempt 4; it has 1");
  EXPECT_EQ(refusal(Trace("", 4)), "there is no attempt 4");
  EXPECT_THAT(refusal(Trace("job-1", 1, "estimate")),
              HasSubstr("attempt 1 of job-1 (RUNNING) has no channel \"estimate\"; did you mean "
                        "\"estimated\"?"));
  EXPECT_THAT(refusal(Trace("job-1", 1, "x")), HasSubstr("channels: estimated, engine.rss"));
  Query(path_, "UPDATE channel SET is_primary = 0");
  EXPECT_THAT(refusal(Trace("job-1")), HasSubstr("name another channel: estimated, engine.rss"));
  Query(path_, "DELETE FROM channel");
  EXPECT_THAT(refusal(Trace("job-1")), HasSubstr("recorded no channel"));
  ASSERT_TRUE(store_->Commit({MakeJob(2)}).ok());
  EXPECT_THAT(refusal(Trace("job-2")), HasSubstr("was never given to a device"));
  EXPECT_EQ(Trace("").status.code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(StoreTraceTest, HasNoCapOnRows) {
  std::vector<std::int64_t> t_ns;
  for (int i = 0; i < 1000; ++i) t_ns.push_back(1000 + i);
  AddChunk(1, "estimated", t_ns, t_ns);
  EXPECT_EQ(Trace("job-1").count, 1002);
}

TEST_F(StoreTraceTest, DamageIsAnErrorThatNamesThePlace) {
  Query(path_, "UPDATE trace_chunk SET data = x'0102' WHERE channel = 'estimated'");
  const Answer answer = Trace("job-1");
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kInternal) << answer.status;
  EXPECT_THAT(std::string(answer.status.message()), HasSubstr("t_ns 10 to 20) is damaged"));
}

TEST_F(StoreTraceTest, GuardedQueriesMayUseTheTableFunction) {
  Answer answer;
  answer.status = reader_->Sql(
      "SELECT max(t_ns), sum(value) FROM attempt, trace(fence, 'estimated')", Into(answer));
  EXPECT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.rows, "20:1.5");
  answer = {};
  answer.status = reader_->Sql("SELECT * FROM trace(1)", Into(answer));
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kInvalidArgument) << answer.status;
  answer.status = reader_->Sql("DELETE FROM trace", Into(answer));
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kInvalidArgument) << answer.status;
}

}  // namespace
}  // namespace joulefarm::controller
