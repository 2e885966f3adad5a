// What the finaliser reads is what the agent sent.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/crc32c/crc32c.h"
#include "common/trace/trace_codec.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

// One event of every kind, every field set.
std::vector<v1::Event> EveryEvent() {
  std::vector<v1::Event> events(9);
  v1::AttemptFacts* facts = events[0].mutable_facts();
  facts->set_engine("llama.cpp");
  facts->set_engine_version("b1");
  facts->add_engine_argv("llama-server");
  facts->add_engine_argv("--threads \"2\"");
  facts->set_os_version("Debian");
  facts->set_kernel("6.1");
  facts->set_governor("performance");
  facts->set_background_cpu(0.0);
  facts->set_load_ms(310.5);
  facts->set_load_state("warm");
  facts->set_agent_version("0.1.0");
  facts->add_shortened("settle=0s<30s");
  facts->set_battery_wh(12.5);
  v1::ChannelInfo* channel = events[1].mutable_channel();
  channel->set_name("estimated");
  channel->set_quantity(v1::QUANTITY_POWER_W);
  channel->set_scale(1e-6);
  channel->set_nominal_hz(10);
  channel->set_parent("wall");
  channel->set_scope(v1::SCOPE_DEVICE);
  channel->set_provenance(v1::PROVENANCE_ESTIMATED);
  channel->set_gain_u(0.5);
  channel->set_offset_u(0.1);
  channel->set_refresh_ns(1000);
  channel->set_wrap_raw(1LL << 40);
  channel->set_primary(true);
  channel->set_description("from CPU use");
  v1::RunDone* run = events[2].mutable_run();
  run->set_run(1);
  run->set_warmup(true);
  run->set_start_ns(10);
  run->set_end_ns(20);
  run->set_output_sha256("aa");
  run->set_peak_rss_bytes(1 << 20);
  v1::PhaseDone* phase = events[3].mutable_phase();
  phase->set_phase(v1::PHASE_IDLE_UNLOADED);
  phase->set_start_ns(1);
  phase->set_end_ns(2);
  events[4] = events[3];
  events[4].mutable_phase()->set_phase(v1::PHASE_DECODE);
  events[4].mutable_phase()->set_run(0);
  events[4].mutable_phase()->set_request(0);
  v1::RequestDone* request = events[5].mutable_request();
  request->set_run(1);
  request->set_t_req_ns(11);
  request->set_t_first_ns(12);
  request->set_t_last_ns(13);
  request->set_idx_first(1);
  request->set_idx_last(64);
  request->set_n_prompt(7);
  request->set_n_evaluated(7);
  request->set_n_cached(0);
  request->set_prompt_ms(1.25);
  request->set_n_gen(64);
  request->set_stop("limit");
  v1::ClockSnapshot* clock = events[6].mutable_clock();
  clock->set_boottime_ns(1);
  clock->set_monotonic_ns(2);
  clock->set_monotonic_raw_ns(3);
  clock->set_realtime_ns(4);
  v1::Reason* reason = events[7].mutable_reason();
  reason->set_run(0);
  reason->set_domain(v1::DOMAIN_SPEED);
  reason->set_quality(v1::QUALITY_SUSPECT);
  reason->set_code("background");
  reason->set_detail("12%>5%");
  events[8].mutable_note()->set_name("engine");
  events[8].mutable_note()->set_text("exited with code 0");
  std::int64_t t_ns = 100;
  for (v1::Event& event : events) event.set_t_ns(++t_ns);
  return events;
}

std::vector<std::string> Debug(const std::vector<v1::Event>& events) {
  std::vector<std::string> out;
  for (const v1::Event& event : events) out.push_back(event.ShortDebugString());
  return out;
}

class ReadAttemptTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = OpenStore(":memory:");
    ASSERT_NE(store_, nullptr);
    AddLeasedJob(*store_);
  }
  void Ingest(v1::Stream stream, const std::vector<std::string>& payloads) {
    std::int64_t seq = 0;
    for (const std::string& payload : payloads) {
      auto outcome = store_->Ingest({MakeFrame(1, stream, ++seq, payload)});
      ASSERT_TRUE(outcome.ok()) << outcome.status();
      ASSERT_EQ(outcome->response.rejected_size(), 0)
          << outcome->response.rejected(0).ShortDebugString();
    }
  }
  AttemptData Read() {
    Ingest(v1::STREAM_FINAL, {FinalOf({}).SerializeAsString()});
    auto data = store_->ReadAttempt(1);
    EXPECT_TRUE(data.ok()) << data.status();
    return data.ok() ? *std::move(data) : AttemptData();
  }

  std::unique_ptr<SqliteStore> store_;
};

TEST_F(ReadAttemptTest, EveryEventComesBackInOrderWithEveryField) {
  const std::vector<v1::Event> events = EveryEvent();
  const std::vector<v1::Event> head(events.begin(), events.begin() + 4);
  const std::vector<v1::Event> tail(events.begin() + 4, events.end());
  Ingest(v1::STREAM_EVENT,
         {EventsOf(head).SerializeAsString(), EventsOf(tail).SerializeAsString()});
  const AttemptData data = Read();
  EXPECT_EQ(Debug(data.events), Debug(events));
  EXPECT_EQ(data.spec.cell(), "model=tiny");
  EXPECT_EQ(data.final.ended_ns(), 900);
}

TEST_F(ReadAttemptTest, MetersComeBehindTheEvents) {
  std::vector<v1::Event> events(1);
  v1::MeterRecord* meter = events[0].mutable_meter();
  meter->set_resource_id("meter:km003c:7");
  meter->set_model("km003c");
  meter->set_serial("7");
  meter->set_firmware("1.9.9");
  meter->set_place("3-1.2");
  meter->set_agent_id("lab");
  meter->set_tare_w(0.01);
  meter->set_tare_at("2026-11-21T10:00:00Z");
  meter->set_gain(1.002);
  meter->set_gain_u(0.001);
  meter->set_sense_point("meter");
  meter->set_cable_ohm(0.12);
  meter->set_reversed(true);
  Ingest(v1::STREAM_EVENT, {EventsOf(events).SerializeAsString()});
  EXPECT_EQ(Debug(Read().events), Debug(events));
}

TEST_F(ReadAttemptTest, ClockExchangesAndTicksComeBehindTheEvents) {
  std::vector<v1::Event> events(4);
  for (int i = 0; i < 2; ++i) {
    v1::ClockExchange* exchange = events[i].mutable_clock_exchange();
    exchange->set_t1_ns(10 + i);
    exchange->set_t2_ns(1'000 + i);
    exchange->set_t3_ns(1'001 + i);
    exchange->set_t4_ns(14 + i);
    exchange->set_peer_boot_id("boot");
    if (i == 1) exchange->set_peer_raw_ns(900);
    events[i].set_t_ns(14 + i);
  }
  for (int i = 2; i < 4; ++i) {
    v1::MeterTicks* ticks = events[i].mutable_meter_ticks();
    ticks->set_clock("meter");
    ticks->set_restarted(true);
    for (const std::int64_t t : {100, 200}) {
      ticks->add_tick_ns(-t * i);
      ticks->add_arrived_ns(t * i);
    }
    events[i].set_t_ns(200 * i);
  }
  Ingest(v1::STREAM_EVENT, {EventsOf(events).SerializeAsString()});
  EXPECT_EQ(Debug(Read().events), Debug(events));
}

TEST(ReadAttemptOfHelpersTest, WhatFurtherSourcesSayComesApart) {
  const TempDir dir;
  const std::string path = dir.File("joulefarm.db");
  const auto store = OpenStore(path);
  ASSERT_NE(store, nullptr);
  AddLeasedJob(*store);
  std::vector<v1::Event> events(2);
  events[0].mutable_channel()->set_name("meter");
  events[1].mutable_clock_exchange()->set_t1_ns(5);
  ASSERT_TRUE(store
                  ->Ingest({MakeFrame(1, v1::STREAM_EVENT, 1, EventsOf(events)),
                            MakeFrame(1, v1::STREAM_FINAL, 1, FinalOf({{v1::STREAM_EVENT, 1}}))})
                  .ok());
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(handle,
                         "UPDATE channel SET source = 2; UPDATE event SET source = 2; "
                         "UPDATE clock_exchange SET source = 2",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(handle);
  const auto data = store->ReadAttempt(1);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_TRUE(data->events.empty());
  ASSERT_EQ(data->helpers.size(), 1u);
  EXPECT_EQ(Debug(data->helpers.at(2)), Debug(events));
}

TEST(ReadAttemptOfHelpersTest, BoundsAndTimesOfOtherClocksAreReplacedWithTheResults) {
  const TempDir dir;
  const std::string path = dir.File("joulefarm.db");
  const auto store = OpenStore(path);
  ASSERT_NE(store, nullptr);
  AddLeasedJob(*store);
  TraceEncoder encoder;
  v1::TraceBatch batch;
  v1::TraceChunk& chunk = *batch.add_chunks();
  chunk.set_channel("meter");
  chunk.set_t0_ns(10);
  chunk.set_t1_ns(40);
  chunk.set_n(3);
  const std::vector<std::int64_t> t_ns = {10, 20, 40};
  const std::vector<std::int64_t> raw = {5, 7, 3};
  chunk.set_data(*encoder.Encode(t_ns, raw));
  std::vector<v1::Event> events(1);
  events[0].mutable_channel()->set_name("meter");
  events[0].mutable_channel()->set_scale(1);
  events[0].mutable_channel()->set_clock("ticks");
  ASSERT_TRUE(store
                  ->Ingest({MakeFrame(1, v1::STREAM_EVENT, 1, EventsOf(events)),
                            MakeFrame(1, v1::STREAM_POWER, 1, batch)})
                  .ok());
  AttemptResults results;
  results.fence = 1;
  results.chunk_times.push_back({1, 1'000, 1'060});
  ClockBound& bound = results.clock_bounds.emplace_back();
  bound.channel = "meter";
  bound.parts.meter_fit_ns = 5;
  bound.parts.phase_ns = 7;
  for (const bool known : {true, false}) {
    bound.known = known;
    const absl::Status written = store->Commit({results});
    ASSERT_TRUE(written.ok()) << written;
    EXPECT_EQ(Query(path, "SELECT * FROM clock_bound"),
              absl::StrCat("1|0|meter|5|NULL|NULL|NULL|NULL|7|", known ? "12" : "NULL"));
    EXPECT_EQ(Query(path, "SELECT * FROM chunk_time"), "1|1000|1060");
  }
}

TEST_F(ReadAttemptTest, ChunksComeWithTheirSummaryAndChecksum) {
  TraceEncoder encoder;
  const std::vector<std::int64_t> t_ns = {10, 20, 40};
  const std::vector<std::int64_t> raw = {5, 7, 3};
  v1::TraceBatch batch;
  for (const std::string& data : {*encoder.Encode(t_ns, raw), std::string("not a block")}) {
    v1::TraceChunk* chunk = batch.add_chunks();
    chunk->set_channel("estimated");
    chunk->set_t0_ns(10);
    chunk->set_t1_ns(40);
    chunk->set_n(3);
    chunk->set_data(data);
  }
  Ingest(v1::STREAM_POWER, {batch.SerializeAsString()});
  const AttemptData data = Read();
  ASSERT_EQ(data.chunks.size(), 2u);
  // 6 over 10 ns and 5 over 20 ns; steps of +2 and -4.
  const TraceSummary expected{5,
                              3,
                              3,
                              7,
                              20,
                              160,
                              (25 + 35 + 49) / 3.0 * 10 + (49 + 21 + 9) / 3.0 * 20,
                              20 * 20 + 80 * 80,
                              20 * 20};
  EXPECT_EQ(data.chunks[0].summary, expected);
  EXPECT_EQ(data.chunks[0].crc32c, Crc32c(data.chunks[0].chunk.data()));
  EXPECT_FALSE(data.chunks[1].summary);
  EXPECT_TRUE(data.chunks[1].crc32c);
}

TEST_F(ReadAttemptTest, TheNewestEarlierOutputOfTheSameWorkComesWithIt) {
  // Attempts 1 to 4 of jobs 1 to 4 with the same prompts: job 3 has another option, job 2's attempt
  // was not accepted, job 4 is looked at.
  const auto events = [](const std::string& output, const std::string& version) {
    std::vector<v1::Event> out(2);
    out[0].mutable_facts()->set_engine("llama.cpp");
    out[0].mutable_facts()->set_engine_version(version);
    out[0].mutable_facts()->set_prompts_sha256("p");
    out[1].mutable_run()->set_run(0);
    out[1].mutable_run()->set_output_sha256(output);
    return EventsOf(out).SerializeAsString();
  };
  const auto ingest = [this](Fence fence, v1::Stream stream, const std::string& payload) {
    auto outcome = store_->Ingest({MakeFrame(fence, stream, 1, payload)});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
  };
  Job first = MakeJob(1);
  first.live_fence = 1;
  ingest(1, v1::STREAM_EVENT, events("one", "b1"));
  for (int number = 2; number <= 4; ++number) {
    Job job = MakeJob(number);
    if (number == 3) {
      auto spec = std::make_shared<v1::JobSpec>(*job.spec);
      spec->mutable_generate()->set_threads(4);
      job.spec = spec;
    }
    job.live_fence = number;
    if (number == 3) job.accepted_fence = number;
    const absl::Status added = store_->Commit({job, MakeAttempt(number, job)});
    ASSERT_TRUE(added.ok()) << added;
    ingest(number, v1::STREAM_EVENT, events(absl::StrCat("output ", number), "b1"));
  }
  ingest(4, v1::STREAM_FINAL, FinalOf({{v1::STREAM_EVENT, 1}}).SerializeAsString());
  EXPECT_FALSE(store_->ReadAttempt(4)->earlier_output.has_value()) << "none is accepted yet";

  first.accepted_fence = 1;
  ASSERT_TRUE(store_->Commit({first}).ok());
  const auto data = store_->ReadAttempt(4);
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_TRUE(data->earlier_output.has_value());
  EXPECT_EQ(data->earlier_output->fence, 1);
  EXPECT_EQ(data->earlier_output->sha256, "one");
}

TEST_F(ReadAttemptTest, AbsentFieldsStayAbsent) {
  std::vector<v1::Event> events(3);
  events[0].mutable_channel()->set_name("cpu");
  events[1].mutable_run()->set_run(0);
  events[2].mutable_request()->set_t_req_ns(5);
  Ingest(v1::STREAM_EVENT, {EventsOf(events).SerializeAsString()});
  EXPECT_EQ(Debug(Read().events), Debug(events));
}

TEST_F(ReadAttemptTest, LaterFactsAddToEarlierOnes) {
  std::vector<v1::Event> events(2);
  events[0].mutable_facts()->set_engine("llama.cpp");
  events[0].mutable_facts()->set_governor("powersave");
  events[1].mutable_facts()->set_load_ms(310);
  events[1].mutable_facts()->set_governor("performance");
  Ingest(v1::STREAM_EVENT, {EventsOf(events).SerializeAsString()});
  const AttemptData data = Read();
  ASSERT_EQ(data.events.size(), 1u);
  EXPECT_EQ(data.events[0].facts().engine(), "llama.cpp");
  EXPECT_EQ(data.events[0].facts().governor(), "performance");
  EXPECT_EQ(data.events[0].facts().load_ms(), 310);
  EXPECT_FALSE(data.events[0].facts().has_kernel());
}

TEST_F(ReadAttemptTest, TokensAreJoinedPerRequest) {
  v1::TokenBatch first;
  first.set_run(1);
  first.add_idx(1);
  first.add_t_ns(100);
  first.add_id(17);
  first.add_id(-1);
  v1::TokenBatch other;
  other.set_run(1);
  other.set_request(1);
  other.add_idx(4);
  other.add_t_ns(400);
  v1::TokenBatch second;
  second.set_run(1);
  second.add_idx(3);
  second.add_idx(3);  // an event without a new token
  second.add_t_ns(200);
  second.add_t_ns(300);
  v1::TokenBatch ids_only;
  ids_only.set_run(1);
  ids_only.add_id(2'000'000'000);
  Ingest(v1::STREAM_TOKEN, {first.SerializeAsString(), other.SerializeAsString(),
                            second.SerializeAsString(), ids_only.SerializeAsString()});
  const AttemptData data = Read();
  ASSERT_EQ(data.tokens.size(), 2u);
  EXPECT_EQ(
      data.tokens[0].ShortDebugString(),
      "run: 1 idx: 1 idx: 3 idx: 3 t_ns: 100 t_ns: 200 t_ns: 300 id: 17 id: -1 id: 2000000000");
  EXPECT_EQ(data.tokens[1].ShortDebugString(), "run: 1 request: 1 idx: 4 t_ns: 400");
}

TEST_F(ReadAttemptTest, ChunksComeByChannelThenTime) {
  v1::TraceBatch power;
  v1::TraceChunk* late = power.add_chunks();
  late->set_channel("p");
  late->set_t0_ns(200);
  late->set_t1_ns(300);
  late->set_n(2);
  late->set_data(std::string("\0\1\2", 3));
  late->set_lost(4);
  v1::TraceChunk* early = power.add_chunks();
  early->set_channel("p");
  early->set_t0_ns(100);
  early->set_n(7);
  early->set_gap(true);
  v1::TraceBatch host;
  host.add_chunks()->set_channel("cpu");
  host.mutable_chunks(0)->set_t0_ns(500);
  host.mutable_chunks(0)->set_data("x");
  Ingest(v1::STREAM_POWER, {power.SerializeAsString()});
  Ingest(v1::STREAM_HOST, {host.SerializeAsString()});
  const AttemptData data = Read();
  ASSERT_EQ(data.chunks.size(), 3u);
  EXPECT_EQ(data.chunks[0].chunk.ShortDebugString(), host.chunks(0).ShortDebugString());
  EXPECT_EQ(data.chunks[1].chunk.ShortDebugString(), early->ShortDebugString());
  EXPECT_EQ(data.chunks[2].chunk.ShortDebugString(), late->ShortDebugString());
}

TEST_F(ReadAttemptTest, MetricsKeepTheirOrderAndTheirRun) {
  v1::MetricBatch batch;
  for (const char* name : {"z", "a"}) {
    v1::Metric* metric = batch.add_metrics();
    metric->set_name(name);
    metric->set_value(1.5);
  }
  batch.mutable_metrics(1)->set_run(0);
  batch.mutable_metrics(1)->set_unit("1/s");
  batch.mutable_metrics(1)->set_t_ns(9);
  Ingest(v1::STREAM_METRIC, {batch.SerializeAsString()});
  const AttemptData data = Read();
  ASSERT_EQ(data.metrics.size(), 2u);
  EXPECT_EQ(data.metrics[0].ShortDebugString(), batch.metrics(0).ShortDebugString());
  EXPECT_EQ(data.metrics[1].ShortDebugString(), batch.metrics(1).ShortDebugString());
}

TEST_F(ReadAttemptTest, WithoutAFinalThereIsNothingToRead) {
  EXPECT_EQ(store_->ReadAttempt(1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->ReadAttempt(2).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace joulefarm::controller
