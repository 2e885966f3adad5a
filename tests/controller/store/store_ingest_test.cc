// The store contract, frames: states.md's rules one by one, in memory and on disk.
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "controller/store/sqlite_store.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

enum class Where { kMemory, kDisk };

class StoreIngestTest : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    store_ = OpenStore(GetParam() == Where::kMemory ? ":memory:" : dir_.File("farm.db"));
    ASSERT_NE(store_, nullptr);
    AddLeasedJob(*store_);
  }
  IngestOutcome Ingest(const std::vector<v1::Frame>& frames) {
    auto outcome = store_->Ingest(frames);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.ok() ? *std::move(outcome) : IngestOutcome();
  }
  // Of finals of the devices' own agents.
  static std::vector<Fence> Fences(const std::vector<SourceFinal>& finals) {
    std::vector<Fence> fences;
    for (const SourceFinal& final : finals) {
      EXPECT_EQ(final.source, 0);
      fences.push_back(final.fence);
    }
    return fences;
  }
  std::string Cursors(Fence fence = 1) {
    auto cursors = store_->Cursors(fence);
    EXPECT_TRUE(cursors.ok());
    return Text(*cursors);
  }
  AttemptData Read(Fence fence = 1) {
    auto data = store_->ReadAttempt(fence);
    EXPECT_TRUE(data.ok()) << data.status();
    return data.ok() ? *std::move(data) : AttemptData();
  }
  // What an SQL query says; on disk only, where another connection can look.
  void ExpectQuery(const std::string& sql, const std::string& expected) {
    if (GetParam() == Where::kDisk) {
      EXPECT_EQ(Query(dir_.File("farm.db"), sql), expected) << sql;
    }
  }
  static v1::Frame Log(std::int64_t seq, const std::string& text) {
    return MakeFrame(1, v1::STREAM_LOG, seq, LogOf({text}));
  }
  static v1::Frame LastFrame(const std::vector<std::pair<v1::Stream, std::int64_t>>& last) {
    return MakeFrame(1, v1::STREAM_FINAL, 1, FinalOf(last));
  }

  TempDir dir_;
  std::unique_ptr<SqliteStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Stores, StoreIngestTest, testing::Values(Where::kMemory, Where::kDisk),
                         [](const auto& where) {
                           return where.param == Where::kMemory ? "Memory" : "Disk";
                         });

TEST_P(StoreIngestTest, ContiguousFramesAreStoredAndAcknowledgedOnce) {
  const IngestOutcome outcome =
      Ingest({Log(1, "a"), Log(2, "b"), MakeFrame(1, v1::STREAM_METRIC, 1, v1::MetricBatch())});
  EXPECT_EQ(Text(outcome.response.acks()), "1/0/log=2 1/0/metric=1");
  EXPECT_EQ(outcome.response.resume_from_size(), 0);
  EXPECT_EQ(outcome.response.rejected_size(), 0);
  EXPECT_TRUE(outcome.finals.empty());
  EXPECT_EQ(Cursors(), "1/0/log=2 1/0/metric=1");
  ExpectQuery("SELECT seq, idx, origin, text FROM log", "1|0|engine|a;2|0|engine|b");
}

TEST_P(StoreIngestTest, ALowerSeqIsAcknowledgedAgainAndStoredOnce) {
  Ingest({Log(1, "a"), Log(2, "b")});
  const IngestOutcome outcome = Ingest({Log(1, "a"), Log(2, "b")});
  EXPECT_EQ(Text(outcome.response.acks()), "1/0/log=2");
  EXPECT_EQ(outcome.response.rejected_size(), 0);
  ExpectQuery("SELECT count(*) FROM log", "2");
}

TEST_P(StoreIngestTest, AHigherSeqIsAnsweredWithWhereToResume) {
  const IngestOutcome first = Ingest({Log(3, "c")});
  EXPECT_EQ(Text(first.response.resume_from()), "1/0/log=0");
  EXPECT_EQ(first.response.acks_size(), 0);
  const IngestOutcome second = Ingest({Log(1, "a"), Log(4, "d")});
  EXPECT_EQ(Text(second.response.acks()), "1/0/log=1");
  EXPECT_EQ(Text(second.response.resume_from()), "1/0/log=1");
  // The gap is closed by what follows in the same upload: nothing to ask for.
  const IngestOutcome third = Ingest({Log(3, "c"), Log(2, "b"), Log(3, "c")});
  EXPECT_EQ(Text(third.response.acks()), "1/0/log=3");
  EXPECT_EQ(third.response.resume_from_size(), 0);
}

TEST_P(StoreIngestTest, AnUnknownFenceIsStaleAndItsEvidenceIsKept) {
  v1::Frame frame = Log(1, "late");
  frame.set_fence(99);
  const IngestOutcome outcome = Ingest({frame, Log(1, "good")});
  EXPECT_EQ(Text(outcome.response.rejected()), "log:1 STALE_FENCE");
  EXPECT_EQ(outcome.response.rejected(0).fence(), 99);
  EXPECT_EQ(Text(outcome.response.acks()), "1/0/log=1");
  ExpectQuery(
      "SELECT attempt, source, stream, seq, received_wall_ns, length(payload) > 0 FROM late_frame",
      "99|0|log|1|1700000000000000000|1");
}

TEST_P(StoreIngestTest, AReplacedFenceIsStaleButWhatIsDurableStaysAcknowledged) {
  Ingest({Log(1, "a")});
  Job job = MakeJob(1);
  job.live_fence = 2;
  ASSERT_TRUE(store_->Commit({job, MakeAttempt(2, job)}).ok());
  v1::TraceBatch power;
  power.add_chunks()->set_channel("p");
  const IngestOutcome outcome =
      Ingest({Log(1, "a"), Log(2, "b"), Log(3, "c"), MakeFrame(1, v1::STREAM_POWER, 1, power),
              LastFrame({{v1::STREAM_LOG, 3}})});
  EXPECT_EQ(Text(outcome.response.acks()), "1/0/log=1");
  EXPECT_EQ(Text(outcome.response.rejected()),
            "log:2 STALE_FENCE power:1 STALE_FENCE final:1 STALE_FENCE");
  EXPECT_TRUE(outcome.finals.empty());
  ExpectQuery("SELECT stream, seq FROM late_frame ORDER BY stream, seq", "final|1;log|2;log|3");
  ExpectQuery("SELECT count(*) FROM log", "1");
  // Sent again, since the answer was lost: kept once.
  Ingest({Log(2, "b")});
  ExpectQuery("SELECT count(*) FROM late_frame", "3");
}

TEST_P(StoreIngestTest, ATerminalJobTakesNothingMore) {
  Job job = MakeJob(1);
  job.state = v1::JOB_STATE_CANCELED;
  ASSERT_TRUE(store_->Commit({job}).ok());
  EXPECT_EQ(Text(Ingest({Log(1, "a")}).response.rejected()), "log:1 STALE_FENCE");
}

TEST_P(StoreIngestTest, LateEvidenceIsBounded) {
  const std::string big(1 << 20, 'x');
  v1::Frame frame = MakeFrame(99, v1::STREAM_LOG, 1, big);
  for (int seq = 1; seq <= 20; ++seq) {
    frame.set_seq(seq);
    Ingest({frame});
  }
  ExpectQuery("SELECT count(*), sum(length(payload)) FROM late_frame", "8|8388608");
  frame.set_fence(100);
  frame.set_payload(big + "x");
  Ingest({frame});
  ExpectQuery("SELECT count(*) FROM late_frame WHERE attempt = 100", "0");
}

TEST_P(StoreIngestTest, AnAttemptThoughtLostMayStillWin) {
  Attempt attempt = MakeAttempt(1, MakeJob(1));
  attempt.state = v1::ATTEMPT_STATE_LOST;
  ASSERT_TRUE(store_->Commit({attempt}).ok());
  const IngestOutcome outcome = Ingest({Log(1, "a"), LastFrame({{v1::STREAM_LOG, 1}})});
  EXPECT_EQ(Fences(outcome.finals), std::vector<Fence>{1});
}

TEST_P(StoreIngestTest, ADamagedFrameBreaksItsStreamOffAndNothingElse) {
  v1::Frame damaged = Log(2, "b");
  damaged.set_crc32c(damaged.crc32c() ^ 1);
  const IngestOutcome outcome = Ingest(
      {Log(1, "a"), damaged, Log(3, "c"), MakeFrame(1, v1::STREAM_METRIC, 1, v1::MetricBatch())});
  EXPECT_EQ(Text(outcome.response.acks()), "1/0/log=1 1/0/metric=1");
  EXPECT_EQ(Text(outcome.response.rejected()), "log:2 BAD_CRC");
  EXPECT_EQ(outcome.response.resume_from_size(), 0);
  // Still broken off later, also for a good frame: the agent was told to forget the stream.
  EXPECT_EQ(Text(Ingest({Log(2, "b")}).response.rejected()), "log:2 BAD_CRC");
  ExpectQuery("SELECT stream, last_seq, broken FROM stream_cursor WHERE broken IS NOT NULL",
              "log|1|BAD_CRC at seq 2: the payload is damaged");
  ExpectQuery("SELECT kind, subject, text FROM farm_event",
              "attempt|1|stream log was broken off: BAD_CRC at seq 2: the payload is damaged");
  // The final does not wait for it, and a log is not needed for a success.
  const IngestOutcome last = Ingest({LastFrame({{v1::STREAM_LOG, 3}, {v1::STREAM_METRIC, 1}})});
  EXPECT_EQ(Fences(last.finals), std::vector<Fence>{1});
  EXPECT_EQ(Read().final.outcome(), v1::OUTCOME_SUCCEEDED);
}

TEST_P(StoreIngestTest, AnUnparsablePayloadIsRejectedWhole) {
  const IngestOutcome outcome =
      Ingest({MakeFrame(1, v1::STREAM_EVENT, 1, std::string("\xFF\xFF\xFF garbage"))});
  EXPECT_EQ(Text(outcome.response.rejected()), "event:1 BAD_PAYLOAD");
  EXPECT_EQ(outcome.response.acks_size(), 0);
  ExpectQuery("SELECT count(*) FROM event", "0");
}

TEST_P(StoreIngestTest, ABadBatchLeavesNoneOfItsRows) {
  v1::TokenBatch tokens;
  tokens.add_idx(1);
  tokens.add_idx(2);
  tokens.add_t_ns(5);
  EXPECT_EQ(Text(Ingest({MakeFrame(1, v1::STREAM_TOKEN, 1, tokens)}).response.rejected()),
            "token:1 BAD_PAYLOAD");
  ExpectQuery("SELECT count(*) FROM token_time", "0");
}

TEST_P(StoreIngestTest, ABrokenEventStreamTurnsASuccessIntoAnInfraFailure) {
  const IngestOutcome outcome = Ingest(
      {MakeFrame(1, v1::STREAM_EVENT, 1, std::string("\xFF")), LastFrame({{v1::STREAM_EVENT, 4}})});
  EXPECT_EQ(Fences(outcome.finals), std::vector<Fence>{1});
  const AttemptData data = Read();
  EXPECT_EQ(data.final.outcome(), v1::OUTCOME_FAILED);
  EXPECT_EQ(data.final.failure_class(), v1::FAILURE_CLASS_INFRA);
  EXPECT_NE(data.final.reason().find("event"), std::string::npos) << data.final.reason();
  ExpectQuery("SELECT outcome FROM attempt", "FAILED");
}

TEST_P(StoreIngestTest, ABrokenPowerStreamMakesTheEnergyInvalid) {
  Ingest(
      {MakeFrame(1, v1::STREAM_POWER, 1, std::string("\xFF")), LastFrame({{v1::STREAM_POWER, 9}})});
  const AttemptData data = Read();
  EXPECT_EQ(data.final.outcome(), v1::OUTCOME_SUCCEEDED);
  ASSERT_EQ(data.events.size(), 1u);
  EXPECT_EQ(data.events[0].reason().domain(), v1::DOMAIN_ENERGY);
  EXPECT_EQ(data.events[0].reason().quality(), v1::QUALITY_INVALID);
  EXPECT_EQ(data.events[0].reason().code(), "stream_broken");
  EXPECT_FALSE(data.events[0].reason().has_run());
}

TEST_P(StoreIngestTest, AnUnreadableFinalBecomesAFailureThatSaysSo) {
  const IngestOutcome outcome = Ingest({MakeFrame(1, v1::STREAM_FINAL, 1, std::string("\xFF"))});
  EXPECT_EQ(Text(outcome.response.rejected()), "final:1 BAD_PAYLOAD");
  EXPECT_EQ(Fences(outcome.finals), std::vector<Fence>{1});
  EXPECT_EQ(Read().final.outcome(), v1::OUTCOME_FAILED);
  EXPECT_EQ(Read().final.failure_class(), v1::FAILURE_CLASS_INFRA);
}

TEST_P(StoreIngestTest, FramesOfNoStreamAreRejected) {
  v1::Frame no_stream = MakeFrame(1, v1::STREAM_UNSPECIFIED, 1, std::string());
  v1::Frame no_seq = Log(0, "a");
  v1::Frame helper = Log(1, "a");
  helper.set_source(2);
  const IngestOutcome outcome = Ingest({no_stream, no_seq, helper});
  ASSERT_EQ(outcome.response.rejected_size(), 3);
  EXPECT_EQ(outcome.response.rejected(0).code(), "BAD_PAYLOAD");
  EXPECT_EQ(outcome.response.rejected(1).code(), "BAD_PAYLOAD");
  EXPECT_EQ(outcome.response.rejected(2).code(), "CONFLICT");
  EXPECT_EQ(Cursors(), "");
}

TEST_P(StoreIngestTest, AHugePayloadIsRejected) {
  const v1::Frame frame = MakeFrame(1, v1::STREAM_LOG, 1, std::string((1 << 20) + 1, 'x'));
  EXPECT_EQ(Text(Ingest({frame}).response.rejected()), "log:1 BAD_PAYLOAD");
}

TEST_P(StoreIngestTest, AFinalWaitsForTheStreamsItLists) {
  const v1::Frame final = LastFrame({{v1::STREAM_LOG, 2}, {v1::STREAM_METRIC, 1}});
  const IngestOutcome early = Ingest({Log(1, "a"), final});
  EXPECT_TRUE(early.finals.empty());
  EXPECT_EQ(Text(early.response.acks()), "1/0/log=1");
  EXPECT_EQ(Text(early.response.resume_from()), "1/0/log=1 1/0/metric=0 1/0/final=0");
  EXPECT_EQ(store_->ReadAttempt(1).status().code(), absl::StatusCode::kNotFound);
  const IngestOutcome rest =
      Ingest({Log(2, "b"), MakeFrame(1, v1::STREAM_METRIC, 1, v1::MetricBatch()), final});
  EXPECT_EQ(Fences(rest.finals), std::vector<Fence>{1});
  EXPECT_EQ(Text(rest.response.acks()), "1/0/log=2 1/0/metric=1 1/0/final=1");
  EXPECT_EQ(rest.response.resume_from_size(), 0);
  ExpectQuery("SELECT outcome, started_ns, ended_ns, clean FROM attempt", "SUCCEEDED|100|900|1");
}

TEST_P(StoreIngestTest, TheSameFinalAgainIsFine) {
  const v1::Frame final = LastFrame({});
  EXPECT_EQ(Fences(Ingest({final}).finals), std::vector<Fence>{1});
  const IngestOutcome again = Ingest({final});
  EXPECT_TRUE(again.finals.empty());
  EXPECT_EQ(Text(again.response.acks()), "1/0/final=1");
  EXPECT_EQ(again.response.rejected_size(), 0);
  ExpectQuery("SELECT count(*) FROM farm_event", "0");
}

TEST_P(StoreIngestTest, ADifferentFinalIsFlaggedAndIgnored) {
  Ingest({LastFrame({})});
  v1::Final other = FinalOf({});
  other.set_outcome(v1::OUTCOME_FAILED);
  const IngestOutcome outcome = Ingest({MakeFrame(1, v1::STREAM_FINAL, 1, other)});
  EXPECT_EQ(Text(outcome.response.rejected()), "final:1 CONFLICT");
  EXPECT_EQ(Read().final.outcome(), v1::OUTCOME_SUCCEEDED);
  ExpectQuery("SELECT subject, text FROM farm_event",
              "1|source 0 sent a second, different final; the first one counts");
}

TEST_P(StoreIngestTest, AfterTheFinalNewFramesAreAConflict) {
  Ingest({Log(1, "a"), LastFrame({{v1::STREAM_LOG, 1}})});
  const IngestOutcome outcome =
      Ingest({Log(1, "a"), Log(2, "b"), MakeFrame(1, v1::STREAM_METRIC, 1, v1::MetricBatch()),
              MakeFrame(1, v1::STREAM_FINAL, 2, FinalOf({}))});
  EXPECT_EQ(Text(outcome.response.acks()), "1/0/log=1");
  EXPECT_EQ(Text(outcome.response.rejected()), "log:2 CONFLICT metric:1 CONFLICT final:2 CONFLICT");
  ExpectQuery("SELECT count(*) FROM log", "1");
}

TEST_P(StoreIngestTest, FramesTheFinalDoesNotListAreFlagged) {
  const IngestOutcome outcome = Ingest({Log(1, "a"), LastFrame({})});
  EXPECT_EQ(Fences(outcome.finals), std::vector<Fence>{1});
  ExpectQuery("SELECT text FROM farm_event", "stream log has 1 frames, the final lists 0");
}

TEST_P(StoreIngestTest, UnfinalisedUntilTheResultsAreWritten) {
  EXPECT_TRUE(store_->Unfinalised()->empty());
  Ingest({LastFrame({})});
  EXPECT_EQ(*store_->Unfinalised(), std::vector<Fence>{1});
  AttemptResults results;
  results.fence = 1;
  // The attempt's end and its results are one commit; the job may go on (a retry).
  ASSERT_TRUE(store_->Commit({results}).ok());
  EXPECT_TRUE(store_->Unfinalised()->empty());
}

TEST_P(StoreIngestTest, AReplacedAttemptIsNotFinalised) {
  Ingest({LastFrame({})});
  Job job = MakeJob(1);
  job.live_fence = 2;
  ASSERT_TRUE(store_->Commit({job, MakeAttempt(2, job)}).ok());
  EXPECT_TRUE(store_->Unfinalised()->empty());
}

TEST_P(StoreIngestTest, ARowThatComesTwiceDoesNotWedgeTheStream) {
  v1::Event run;
  run.mutable_run()->set_run(0);
  run.mutable_run()->set_end_ns(5);
  v1::Event request;
  request.mutable_request()->set_t_req_ns(3);
  v1::Event channel;
  channel.mutable_channel()->set_name("cpu");
  const std::vector<v1::Event> twice = {run, request, channel, run, request, channel};
  IngestOutcome outcome = Ingest({MakeFrame(1, v1::STREAM_EVENT, 1, EventsOf(twice))});
  EXPECT_EQ(outcome.response.rejected_size(), 0);
  run.mutable_run()->set_end_ns(6);
  outcome = Ingest({MakeFrame(1, v1::STREAM_EVENT, 2, EventsOf({run}))});
  EXPECT_EQ(Text(outcome.response.acks()), "1/0/event=2");
  Ingest({LastFrame({{v1::STREAM_EVENT, 2}})});
  std::vector<std::int64_t> ends;
  for (const v1::Event& event : Read().events) {
    if (event.has_run()) ends.push_back(event.run().end_ns());
  }
  EXPECT_EQ(ends, std::vector<std::int64_t>{6});  // the last one counts
}

TEST_P(StoreIngestTest, TheFirstPrimaryChannelStaysTheOnlyOne) {
  v1::Event first;
  first.mutable_channel()->set_name("a");
  first.mutable_channel()->set_primary(true);
  v1::Event second = first;
  second.mutable_channel()->set_name("b");
  const IngestOutcome outcome =
      Ingest({MakeFrame(1, v1::STREAM_EVENT, 1, EventsOf({first, second, first}))});
  EXPECT_EQ(outcome.response.rejected_size(), 0);
  ExpectQuery("SELECT name, is_primary FROM channel ORDER BY name", "a|1;b|0");
}

TEST_P(StoreIngestTest, ANumberThatIsNoneIsNull) {
  v1::MetricBatch batch;
  v1::Metric* metric = batch.add_metrics();
  metric->set_name("x");
  metric->set_value(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(Text(Ingest({MakeFrame(1, v1::STREAM_METRIC, 1, batch)}).response.acks()),
            "1/0/metric=1");
  ExpectQuery("SELECT value FROM metric", "NULL");
}

TEST_P(StoreIngestTest, AnEventOfANewerAgentIsKeptAsUnknown) {
  v1::Event event;
  event.set_t_ns(8);
  EXPECT_EQ(Text(Ingest({MakeFrame(1, v1::STREAM_EVENT, 1, EventsOf({event}))}).response.acks()),
            "1/0/event=1");
  ExpectQuery("SELECT t_ns, kind FROM event", "8|unknown");
}

}  // namespace
}  // namespace joulefarm::controller
