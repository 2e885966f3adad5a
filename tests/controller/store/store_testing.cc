#include "tests/controller/store/store_testing.h"

#include <sqlite3.h>
#include <stdlib.h>

#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/crc32c/crc32c.h"
#include "controller/store/enum_text.h"

namespace joulefarm::controller {

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "jf-store-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "no temporary directory";
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

SqliteStoreOptions TestOptions() {
  SqliteStoreOptions options;
  options.busy_timeout_ms = 0;
  options.wall_now_ns = [] { return kStoreWallNs; };
  return options;
}

std::unique_ptr<SqliteStore> OpenStore(const std::string& path) {
  auto store = SqliteStore::Open(path, TestOptions());
  if (!store.ok()) {
    ADD_FAILURE() << store.status();
    return nullptr;
  }
  return *std::move(store);
}

Experiment MakeExperiment(int number) {
  Experiment experiment;
  experiment.id = absl::StrCat("exp-", number);
  experiment.name = "sweep";
  experiment.tenant = "default";
  experiment.sha256 = "abc";
  experiment.text = "name: sweep\n";
  experiment.seed = 42;
  experiment.submitted_wall_ns = 1'700'000'000'000'000'000 + number;
  return experiment;
}

Job MakeJob(int number) {
  auto spec = std::make_shared<v1::JobSpec>();
  spec->set_experiment("exp-1");
  spec->set_cell("model=tiny");
  spec->set_workload("chat");
  spec->mutable_model()->set_name("tiny");
  spec->mutable_model()->set_sha256("feed");
  spec->mutable_model()->set_size_bytes(1000);
  spec->mutable_model()->set_quant("Q8_0");
  spec->mutable_generate()->set_max_tokens(8);
  v1::Param* param = spec->add_params();
  param->set_key("threads");
  param->set_json("2");
  spec->set_repetitions(3);
  spec->set_warmup(1);
  Job job;
  job.id = absl::StrCat("job-", number);
  job.number = number;
  job.experiment = "exp-1";
  job.spec = std::move(spec);
  job.device_id = "dev-1";
  job.pinned = true;
  job.retries_left = 2;
  job.lost_after_ns = 600'000'000'000;
  job.state = v1::JOB_STATE_ACTIVE;
  job.attempts = 1;
  job.submitted_wall_ns = 1'700'000'000'123'000'000;
  return job;
}

Attempt MakeAttempt(Fence fence, const Job& job) {
  Attempt attempt;
  attempt.fence = fence;
  attempt.job_id = job.id;
  attempt.device_id = job.device_id;
  attempt.agent_id = "agent-1";
  attempt.state = v1::ATTEMPT_STATE_RUNNING;
  attempt.offered_wall_ns = 1'700'000'001'000'000'000;
  return attempt;
}

void AddLeasedJob(Store& store) {
  Job job = MakeJob(1);
  job.live_fence = 1;
  JF_EXPECT_OK(store.Commit({MakeExperiment(1), job, MakeAttempt(1, job)}));
}

v1::Frame MakeFrame(Fence fence, v1::Stream stream, std::int64_t seq, const std::string& payload) {
  v1::Frame frame;
  frame.set_fence(fence);
  frame.set_stream(stream);
  frame.set_seq(seq);
  frame.set_payload(payload);
  frame.set_crc32c(Crc32c(payload));
  return frame;
}

v1::Frame MakeFrame(Fence fence, v1::Stream stream, std::int64_t seq,
                    const google::protobuf::Message& payload) {
  return MakeFrame(fence, stream, seq, payload.SerializeAsString());
}

v1::LogBatch LogOf(const std::vector<std::string>& lines) {
  v1::LogBatch batch;
  std::int64_t t_ns = 1000;
  for (const std::string& text : lines) {
    v1::LogLine* line = batch.add_lines();
    line->set_t_ns(++t_ns);
    line->set_source("engine");
    line->set_text(text);
  }
  return batch;
}

v1::EventBatch EventsOf(const std::vector<v1::Event>& events) {
  v1::EventBatch batch;
  for (const v1::Event& event : events) *batch.add_events() = event;
  return batch;
}

v1::Final FinalOf(const std::vector<std::pair<v1::Stream, std::int64_t>>& last) {
  v1::Final final;
  final.set_outcome(v1::OUTCOME_SUCCEEDED);
  for (const auto& [stream, seq] : last) {
    v1::StreamCursor* cursor = final.add_last();
    cursor->set_stream(stream);
    cursor->set_last_seq(seq);
  }
  final.set_started_ns(100);
  final.set_ended_ns(900);
  final.set_clean(true);
  return final;
}

std::string Query(const std::string& path, const std::string& sql) {
  sqlite3* handle = nullptr;
  std::string out;
  const int opened = sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE, nullptr);
  sqlite3_stmt* statement = nullptr;
  if (opened != SQLITE_OK ||
      sqlite3_prepare_v2(handle, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
    ADD_FAILURE() << sqlite3_errmsg(handle) << " in " << sql;
  }
  int code = SQLITE_DONE;
  while (statement != nullptr && (code = sqlite3_step(statement)) == SQLITE_ROW) {
    if (!out.empty()) out += ";";
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      if (i > 0) out += "|";
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
      out += text == nullptr ? "NULL" : text;
    }
  }
  if (code != SQLITE_DONE) ADD_FAILURE() << sqlite3_errmsg(handle) << " in " << sql;
  sqlite3_finalize(statement);
  sqlite3_close(handle);
  return out;
}

namespace {
void Append(std::string& out, const v1::StreamCursor& cursor) {
  absl::StrAppend(&out, out.empty() ? "" : " ", cursor.fence(), "/", cursor.source(), "/",
                  EnumText(cursor.stream()), "=", cursor.last_seq());
}
}  // namespace

std::string Text(const google::protobuf::RepeatedPtrField<v1::StreamCursor>& cursors) {
  std::string out;
  for (const v1::StreamCursor& cursor : cursors) Append(out, cursor);
  return out;
}

std::string Text(const std::vector<v1::StreamCursor>& cursors) {
  std::string out;
  for (const v1::StreamCursor& cursor : cursors) Append(out, cursor);
  return out;
}

std::string Text(const google::protobuf::RepeatedPtrField<v1::FrameRejected>& rejected) {
  std::string out;
  for (const v1::FrameRejected& item : rejected) {
    absl::StrAppend(&out, out.empty() ? "" : " ", EnumText(item.stream()), ":", item.seq(), " ",
                    item.code());
  }
  return out;
}

}  // namespace joulefarm::controller
