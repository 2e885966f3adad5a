#include "deploy/benchmarks/ingest.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "common/trace/chunk_writer.h"
#include "deploy/benchmarks/bench_farm.h"
#include "deploy/benchmarks/figures.h"
#include "deploy/benchmarks/signal.h"

namespace joulefarm::bench {
namespace {

constexpr std::int64_t kSeconds = 8000;
constexpr std::int64_t kSamples = kSignalHz * kSeconds;
constexpr std::int64_t kRows = kSamples / 20;

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
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

// Bytes of the chunks alone, per sample.
double CodecBytes(const SignalOptions& options) {
  constexpr std::int64_t kSome = kSignalHz * 600;
  TraceEncoder encoder;
  ChunkWriter writer("bench", &encoder);
  Signal signal(options);
  std::size_t bytes = 0;
  for (std::int64_t i = 0; i < kSome; ++i) {
    const auto [t_ns, raw] = signal.Next();
    if (const auto chunk = writer.Add(t_ns, raw)) bytes += chunk->data().size();
  }
  if (const auto chunk = writer.Flush()) bytes += chunk->data().size();
  return static_cast<double>(bytes) / kSome;
}

nlohmann::ordered_json BytesByNoise() {
  nlohmann::ordered_json by_noise;
  for (const double noise_mw : {0.5, 2.0, 6.0, 20.0, 60.0}) {
    by_noise.push_back({{"noise_mw_rms", noise_mw},
                        {"codec_bytes", CodecBytes({.noise_mw = noise_mw})},
                        {"codec_bytes_host_stamps_2us",
                         CodecBytes({.noise_mw = noise_mw, .stamp_jitter_us = 2})}});
  }
  return by_noise;
}

}  // namespace

// The chunks of the signal as an agent would cut them, so that making them is not measured.
std::vector<std::string> MakeBatches(Signal& signal, std::int64_t samples) {
  TraceEncoder encoder;
  ChunkWriter writer("bench", &encoder);
  std::vector<std::string> batches;
  const auto add = [&](std::optional<v1::TraceChunk> chunk) {
    if (!chunk) return;
    v1::TraceBatch batch;
    *batch.add_chunks() = *std::move(chunk);
    batches.push_back(batch.SerializeAsString());
  };
  for (std::int64_t i = 0; i < samples; ++i) {
    const auto [t_ns, raw] = signal.Next();
    add(writer.Add(t_ns, raw));
  }
  add(writer.Flush());
  return batches;
}

int MeasureIngest(const std::filesystem::path& folder) {
  const std::unique_ptr<BenchFarm> farm = BenchFarm::Start(folder);
  if (farm == nullptr) return 1;
  farm->DeclareChannel();
  Signal signal;
  std::vector<std::string> batches = MakeBatches(signal, kSamples);
  const std::uintmax_t before = FilesOf(farm->database());
  const auto start = std::chrono::steady_clock::now();
  for (std::string& batch : batches) farm->Upload(v1::STREAM_POWER, std::move(batch));
  farm->AwaitAcknowledged();
  const double seconds = SecondsSince(start);

  // The write-ahead log goes into the file first, so that its size is what stays on disk.
  sqlite3* db = nullptr;
  sqlite3_open(farm->database().c_str(), &db);
  sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  const std::uintmax_t after = FilesOf(farm->database());

  const std::string what = Signal::Describe({});
  PrintFigure(
      "ingest.samples_per_s", static_cast<double>(kSamples) / seconds, "1/s",
      {{"samples", kSamples},
       {"frames", batches.size()},
       {"seconds", seconds},
       {"signal", what},
       {"path",
        "one agent session, loopback gRPC, CRC32C, every chunk decoded and summed up, SQLite "
        "WAL synchronous=FULL, acknowledged after commit"}});
  PrintFigure("ingest.bytes_per_sample", static_cast<double>(after - before) / kSamples, "B",
              {{"samples", kSamples},
               {"database_bytes", after - before},
               {"signal", what},
               {"of_the_chunks_alone", BytesByNoise()}});
  return 0;
}

int MeasureSqliteRows(const std::filesystem::path& folder) {
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
    sqlite3_bind_double(insert, 2, static_cast<double>(raw) * kSignalScale);
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
  const nlohmann::ordered_json detail = {
      {"samples", kRows},
      {"seconds", seconds},
      {"signal", Signal::Describe({})},
      {"path",
       "rows (attempt, channel, t_ns, value), in process, 10 000 a transaction, WAL "
       "synchronous=FULL, no network, no checksum"}};
  PrintFigure("peer.sqlite_rows_samples_per_s", static_cast<double>(kRows) / seconds, "1/s",
              detail);
  PrintFigure("peer.sqlite_rows_bytes_per_sample",
              static_cast<double>(std::filesystem::file_size(file)) / kRows, "B", detail);
  return 0;
}

int MeasureCsv(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "samples.csv";
  std::FILE* out = std::fopen(file.c_str(), "w");
  if (out == nullptr) return Fail("cannot write " + file.string());
  Signal signal;
  const auto start = std::chrono::steady_clock::now();
  bool fine = std::fprintf(out, "t_ns,power_w\n") > 0;
  for (std::int64_t i = 0; i < kRows && fine; ++i) {
    const auto [t_ns, raw] = signal.Next();
    fine =
        std::fprintf(out, "%" PRId64 ",%.4f\n", t_ns, static_cast<double>(raw) * kSignalScale) > 0;
  }
  fine = fine && std::fflush(out) == 0 && ::fsync(::fileno(out)) == 0;
  const double seconds = SecondsSince(start);
  fine = std::fclose(out) == 0 && fine;
  if (!fine) return Fail("cannot write all of " + file.string());
  const nlohmann::ordered_json detail = {
      {"samples", kRows},
      {"seconds", seconds},
      {"signal", Signal::Describe({})},
      {"path",
       "lines t_ns,power_w with 4 decimals, in process, one fsync at the end, no checksum"}};
  PrintFigure("peer.csv_samples_per_s", static_cast<double>(kRows) / seconds, "1/s", detail);
  PrintFigure("peer.csv_bytes_per_sample",
              static_cast<double>(std::filesystem::file_size(file)) / kRows, "B", detail);
  return 0;
}

}  // namespace joulefarm::bench
