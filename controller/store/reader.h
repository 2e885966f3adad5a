// Read-only access to a results file: the operator's listings, and queries of their own.
//
// Thread rule: every method may be called from any thread; each call uses a connection of its own,
// kept for the next call. Calls see the latest commit and hold no lock a writer would wait for.
// Ownership: owns its connections.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "joulefarm/v1/farm_service.pb.h"

struct sqlite3;

namespace joulefarm::controller {

// Takes a table in parts, on the calling thread; the first part has the columns. False stops the
// reading.
using TableSink = std::function<bool(v1::TableChunk chunk)>;

struct ReaderOptions {
  // A query of an operator ends after so much time of its own (waiting for the sink does not count)
  // …
  std::chrono::milliseconds time_limit = std::chrono::seconds(10);
  // … or after about so many instructions of SQLite's machine, which is the same on every host;
  // absent: any number.
  std::optional<std::int64_t> instruction_limit;
  std::int64_t max_rows = 100'000;
  // A part of a table is sent once it has so many bytes; a single row may be up to 3 MiB.
  std::size_t chunk_bytes = std::size_t{512} * 1024;
  int busy_timeout_ms = 2000;
};

class Reader {
 public:
  // NOT_FOUND: no such file. FAILED_PRECONDITION: no database, another program's, or of a schema
  // this program cannot read. UNAVAILABLE: I/O error.
  static absl::StatusOr<std::unique_ptr<Reader>> Open(const std::string& path,
                                                      ReaderOptions options = {});
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // INVALID_ARGUMENT: unknown filter, or one missing that the listing needs. NOT_FOUND: `id`, or
  // the job or experiment of a filter, is unknown. CANCELLED: the sink said so. Others as Open.
  absl::Status List(const v1::ListRequest& request, const TableSink& sink);

  // One SELECT (or EXPLAIN, or a PRAGMA that describes the schema). INVALID_ARGUMENT: SQLite's
  // complaint, an attempt to write, more than one statement. DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED:
  // a limit of the options. CANCELLED: the sink said so.
  absl::Status Sql(const std::string& query, const TableSink& sink);

  // The samples of one channel of an attempt as columns t_ns and value, in order of time, with no
  // cap on rows. INVALID_ARGUMENT: neither a job nor an attempt is named. NOT_FOUND: no such job,
  // attempt or channel. INTERNAL: damaged samples. CANCELLED: the sink said so.
  absl::Status Trace(const v1::GetTraceRequest& request, const TableSink& sink);

  // PRAGMA user_version of the file.
  int schema_version() const { return schema_version_; }

 private:
  struct Closing {
    void operator()(sqlite3* handle) const;
  };
  using Connection = std::unique_ptr<sqlite3, Closing>;

  Reader(std::string path, ReaderOptions options);
  absl::StatusOr<Connection> Connect(int& version) const;
  absl::StatusOr<Connection> Take();
  void Return(Connection connection);

  const std::string path_;
  const ReaderOptions options_;
  int schema_version_ = 0;
  std::mutex mutex_;
  std::vector<Connection> idle_;  // guarded by mutex_
};

// OK when the file is a results database that SQLite finds sound (quick_check).
// FAILED_PRECONDITION: it is none. DATA_LOSS: what is wrong with it. Others as Reader::Open. From
// any thread.
absl::Status CheckDatabaseFile(const std::string& path);

}  // namespace joulefarm::controller
