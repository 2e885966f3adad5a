#include "deploy/benchmarks/ingest.h"

#include <sqlite3.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/crc32c/crc32c.h"
#include "common/trace/chunk_writer.h"
#include "controller/controller.h"
#include "deploy/benchmarks/fake_agent.h"
#include "deploy/benchmarks/figures.h"
#include "joulefarm/v1/farm_service.grpc.pb.h"

namespace joulefarm::bench {
namespace {

constexpr std::int64_t kRateHz = 5000;
constexpr std::int64_t kSeconds = 8000;
constexpr std::int64_t kSamples = kRateHz * kSeconds;
constexpr std::int64_t kPeriodNs = 1'000'000'000 / kRateHz;
constexpr char kSignal[] =
    "5 kHz power in mW: 4 W idle, 9 W in bursts of 200 to 800 ms, noise of 20 mW rms, stamps with "
    "2 us rms of jitter";

// What a 5 kHz meter gives of a device that works in bursts; the same sequence every time.
class Signal {
 public:
  std::pair<std::int64_t, std::int64_t> Next() {
    if (left_ == 0) {
      busy_ = !busy_;
      left_ = std::uniform_int_distribution<int>(kRateHz / 5, kRateHz * 4 / 5)(random_);
    }
    --left_;
    t_ns_ += kPeriodNs;
    const double power_mw = (busy_ ? 9000 : 4000) + 20 * noise_(random_);
    const auto jitter_ns = static_cast<std::int64_t>(2000 * noise_(random_));
    return {t_ns_ + std::clamp<std::int64_t>(jitter_ns, -kPeriodNs / 3, kPeriodNs / 3),
            std::llround(power_mw)};
  }

 private:
  std::mt19937_64 random_{42};
  std::normal_distribution<double> noise_;
  bool busy_ = true;
  int left_ = 0;
  std::int64_t t_ns_ = 1'000'000'000'000;
};

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

v1::Frame MakeFrame(std::int64_t fence, v1::Stream stream, std::int64_t seq, std::string payload) {
  v1::Frame frame;
  frame.set_fence(fence);
  frame.set_stream(stream);
  frame.set_seq(seq);
  frame.set_crc32c(Crc32c(payload));
  frame.set_payload(std::move(payload));
  return frame;
}

// The chunks of the signal as an agent would cut them, so that making them is not measured.
std::vector<std::string> MakeBatches() {
  TraceEncoder encoder;
  ChunkWriter writer("bench", &encoder);
  Signal signal;
  std::vector<std::string> batches;
  const auto add = [&](std::optional<v1::TraceChunk> chunk) {
    if (!chunk) return;
    v1::TraceBatch batch;
    *batch.add_chunks() = *std::move(chunk);
    batches.push_back(batch.SerializeAsString());
  };
  for (std::int64_t i = 0; i < kSamples; ++i) {
    const auto [t_ns, raw] = signal.Next();
    add(writer.Add(t_ns, raw));
  }
  add(writer.Flush());
  return batches;
}

std::uintmax_t FilesOf(const std::filesystem::path& database) {
  std::uintmax_t bytes = 0;
  for (const char* suffix : {"", "-wal"}) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(database.string() + suffix, error);
    if (!error) bytes += size;
  }
  return bytes;
}

int Fail(const std::string& what) {
  std::fprintf(stderr, "joulefarm-bench: %s\n", what.c_str());
  return 1;
}

}  // namespace

int MeasureIngest(const std::filesystem::path& folder) {
  controller::ControllerOptions options;
  options.listen.port = 0;
  options.http.port = 0;
  options.state = folder / "controller";
  options.version = "bench";
  auto controller = controller::Controller::Start(options);
  if (!controller.ok()) return Fail(std::string(controller.status().message()));
  const auto channel = grpc::CreateChannel((*controller)->grpc_address().ToString(),
                                           grpc::InsecureChannelCredentials());
  FakeAgent agent(channel, "bench");

  v1::SubmitExperimentRequest request;
  request.set_text("name: bench\nworkloads: {w: {kind: command, command: [\"true\"]}}\n");
  v1::SubmitExperimentResponse response;
  grpc::ClientContext context;
  const grpc::Status submitted =
      v1::FarmService::NewStub(channel)->SubmitExperiment(&context, request, &response);
  if (!submitted.ok()) return Fail(submitted.error_message());
  const std::int64_t fence = agent.AwaitGrant();

  v1::EventBatch events;
  v1::Event& event = *events.add_events();
  event.set_t_ns(1);
  event.mutable_channel()->set_name("bench");
  event.mutable_channel()->set_quantity(v1::QUANTITY_POWER_W);
  event.mutable_channel()->set_scale(1e-3);
  event.mutable_channel()->set_nominal_hz(kRateHz);
  event.mutable_channel()->set_provenance(v1::PROVENANCE_SIMULATED);
  agent.Upload(MakeFrame(fence, v1::STREAM_EVENT, 1, events.SerializeAsString()));
  agent.AwaitAcknowledged();

  const std::vector<std::string> batches = MakeBatches();
  const std::uintmax_t before = FilesOf((*controller)->database());
  const auto start = std::chrono::steady_clock::now();
  std::int64_t seq = 0;
  for (const std::string& batch : batches)
    agent.Upload(MakeFrame(fence, v1::STREAM_POWER, ++seq, batch));
  agent.AwaitAcknowledged();
  const double seconds = SecondsSince(start);

  // The write-ahead log goes into the file first, so that its size is what stays on disk.
  sqlite3* db = nullptr;
  sqlite3_open((*controller)->database().c_str(), &db);
  sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  const std::uintmax_t after = FilesOf((*controller)->database());

  const nlohmann::ordered_json detail = {{"samples", kSamples},
                                         {"frames", batches.size()},
                                         {"seconds", seconds},
                                         {"signal", kSignal},
                                         {"path",
                                          "one agent session, loopback gRPC, CRC32C, SQLite WAL "
                                          "synchronous=FULL, acknowledged after commit"}};
  PrintFigure("ingest.samples_per_s", static_cast<double>(kSamples) / seconds, "1/s", detail);
  PrintFigure("ingest.bytes_per_sample", static_cast<double>(after - before) / kSamples, "B",
              {{"samples", kSamples}, {"database_bytes", after - before}, {"signal", kSignal}});
  return 0;
}

int MeasureSqliteRows(const std::filesystem::path& folder) {
  constexpr std::int64_t kRows = kSamples / 20;
  constexpr std::int64_t kPerTransaction = 10'000;
  sqlite3* db = nullptr;
  const std::filesystem::path file = folder / "rows.db";
  if (sqlite3_open(file.c_str(), &db) != SQLITE_OK) return Fail("cannot open " + file.string());
  const auto run = [&](const char* sql) {
    return sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK;
  };
  sqlite3_stmt* insert = nullptr;
  bool fine =
      run("PRAGMA page_size=8192") && run("PRAGMA journal_mode=WAL") &&
      run("PRAGMA synchronous=FULL") &&
      run("CREATE TABLE sample (attempt INTEGER, channel TEXT, t_ns INTEGER, value REAL)") &&
      sqlite3_prepare_v2(db, "INSERT INTO sample VALUES (1, 'bench', ?, ?)", -1, &insert,
                         nullptr) == SQLITE_OK;
  Signal signal;
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < kRows && fine; ++i) {
    if (i % kPerTransaction == 0) fine = run("BEGIN");
    const auto [t_ns, raw] = signal.Next();
    sqlite3_bind_int64(insert, 1, t_ns);
    sqlite3_bind_double(insert, 2, static_cast<double>(raw) * 1e-3);
    fine = fine && sqlite3_step(insert) == SQLITE_DONE;
    sqlite3_reset(insert);
    if ((i + 1) % kPerTransaction == 0) fine = fine && run("COMMIT");
  }
  const double seconds = SecondsSince(start);
  fine = fine && run("PRAGMA wal_checkpoint(TRUNCATE)");
  const std::string message = sqlite3_errmsg(db);
  sqlite3_finalize(insert);
  sqlite3_close(db);
  if (!fine) return Fail(message);
  PrintFigure(
      "peer.sqlite_rows_samples_per_s", static_cast<double>(kRows) / seconds, "1/s",
      {{"samples", kRows},
       {"seconds", seconds},
       {"signal", kSignal},
       {"path",
        "rows (attempt, channel, t_ns, value), in process, 10 000 a transaction, WAL "
        "synchronous=FULL, "
        "no network, no checksum"},
       {"bytes_per_sample", static_cast<double>(std::filesystem::file_size(file)) / kRows}});
  return 0;
}

}  // namespace joulefarm::bench
