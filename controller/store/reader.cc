#include "controller/store/reader.h"

#include <sqlite3.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/trace_table/trace_table.h"
#include "controller/store/listing.h"
#include "controller/store/schema.h"
#include "controller/store/sql_guard.h"
#include "controller/store/sqlite_status.h"
#include "controller/store/table_writer.h"
#include "controller/store/trace_source.h"

namespace joulefarm::controller {
namespace {

// The longest text or blob a query may make or read.
constexpr int kMaxValueBytes = 3 << 20;

// "file:" URI of a file that nobody writes: needs no log beside it, so it works in a read-only
// directory.
std::string ImmutableUri(const std::string& path) {
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      uri += absl::StrCat("%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

struct Prepared {
  StatementPtr statement;
  std::string rest;  // of the text, behind the first statement
};

absl::StatusOr<Prepared> Prepare(sqlite3* handle, const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  const int code =
      sqlite3_prepare_v2(handle, sql.c_str(), static_cast<int>(sql.size()), &raw, &tail);
  if (code == SQLITE_OK) return Prepared{StatementPtr(raw), tail == nullptr ? "" : tail};
  const std::string message = sqlite3_errmsg(handle);
  switch (code & 0xFF) {
    case SQLITE_AUTH:
      return absl::InvalidArgumentError(absl::StrCat(
          message, ": only SELECT is allowed here, nothing that changes the database"));
    case SQLITE_ERROR:
    case SQLITE_TOOBIG: {
      const int at = sqlite3_error_offset(handle);
      return absl::InvalidArgumentError(
          at < 0 ? message : absl::StrCat(message, " (at character ", at + 1, ")"));
    }
    default:
      return SqliteStatus(code, "cannot read the database", message);
  }
}

void Bind(sqlite3_stmt* statement, int index, const BoundValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_TRANSIENT,
                        SQLITE_UTF8);
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    sqlite3_bind_int64(statement, index, *integer);
  } else {
    sqlite3_bind_double(statement, index, std::get<double>(value));
  }
}

absl::Status Check(sqlite3* handle, const ExistenceCheck& check) {
  absl::StatusOr<Prepared> prepared = Prepare(handle, check.sql);
  if (!prepared.ok()) return prepared.status();
  Bind(prepared->statement.get(), 1, check.value);
  const int code = sqlite3_step(prepared->statement.get());
  if (code == SQLITE_ROW) return absl::OkStatus();
  if (code == SQLITE_DONE) return absl::NotFoundError(check.message);
  return SqliteStatus(code, "cannot read the database", sqlite3_errmsg(handle));
}

}  // namespace

void Reader::Closing::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Reader::Reader(std::string path, ReaderOptions options)
    : path_(std::move(path)), options_(options) {}

Reader::~Reader() = default;

absl::StatusOr<std::unique_ptr<Reader>> Reader::Open(const std::string& path,
                                                     ReaderOptions options) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat("there is no database ", path));
  }
  auto reader = std::unique_ptr<Reader>(new Reader(path, options));
  int version = 0;
  absl::StatusOr<Connection> connection = reader->Connect(version);
  if (!connection.ok()) return connection.status();
  if (version < LatestSchemaVersion()) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " has schema version ", version, ", this program reads version ",
        LatestSchemaVersion(), ": start the controller on it once to bring it up to date"));
  }
  reader->schema_version_ = version;
  reader->Return(std::move(*connection));
  return reader;
}

absl::StatusOr<Reader::Connection> Reader::Connect(int& version) const {
  sqlite3* raw = nullptr;
  int code =
      sqlite3_open_v2(path_.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  Connection connection(raw);
  if (code == SQLITE_OK) {
    sqlite3_busy_timeout(raw, options_.busy_timeout_ms);
    absl::Status checked = CheckDatabase(raw, path_, version);
    std::error_code error;
    const bool no_log = !std::filesystem::exists(path_ + "-wal", error);
    if ((sqlite3_errcode(raw) & 0xFF) == SQLITE_CANTOPEN && no_log) {
      // In a directory where the log cannot be made; without one there is no writer either.
      code = sqlite3_open_v2(ImmutableUri(path_).c_str(), &raw,
                             SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, nullptr);
      connection.reset(raw);
      if (code == SQLITE_OK) checked = CheckDatabase(raw, path_, version);
    }
    if (!checked.ok()) return checked;
  }
  if (code != SQLITE_OK) {
    return SqliteStatus(code, absl::StrCat("cannot open ", path_), sqlite3_errstr(code));
  }
  sqlite3_limit(raw, SQLITE_LIMIT_LENGTH, kMaxValueBytes);
  if (const int added = RegisterTraceTable(raw); added != SQLITE_OK) {
    return SqliteStatus(added, "cannot add the table function trace", sqlite3_errmsg(raw));
  }
  AllowOnlyReading(raw);
  return connection;
}

absl::StatusOr<Reader::Connection> Reader::Take() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      Connection connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  int version = 0;
  return Connect(version);
}

void Reader::Return(Connection connection) {
  const std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(std::move(connection));
}

absl::Status Reader::List(const v1::ListRequest& request, const TableSink& sink) {
  absl::StatusOr<std::string> source = ListingSource(request.listing());
  if (!source.ok()) return source.status();
  absl::StatusOr<Connection> connection = Take();
  if (!connection.ok()) return connection.status();
  sqlite3* handle = connection->get();
  absl::Status status = [&]() -> absl::Status {
    absl::StatusOr<Prepared> all = Prepare(handle, *source);
    if (!all.ok()) return all.status();
    const int count = sqlite3_column_count(all->statement.get());
    std::vector<std::string> columns;
    columns.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      columns.emplace_back(sqlite3_column_name(all->statement.get(), i));
    }
    absl::StatusOr<ListingQuery> query = BuildListing(request, columns);
    if (!query.ok()) return query.status();
    for (const ExistenceCheck& check : query->checks) {
      if (absl::Status checked = Check(handle, check); !checked.ok()) return checked;
    }
    absl::StatusOr<Prepared> prepared = Prepare(handle, query->sql);
    if (!prepared.ok()) return prepared.status();
    int index = 0;
    for (const BoundValue& value : query->values) Bind(prepared->statement.get(), ++index, value);
    return WriteTable(prepared->statement.get(), query->kinds, {options_.chunk_bytes, std::nullopt},
                      nullptr, sink);
  }();
  Return(std::move(*connection));
  return status;
}

absl::Status Reader::Sql(const std::string& query, const TableSink& sink) {
  absl::StatusOr<Connection> connection = Take();
  if (!connection.ok()) return connection.status();
  sqlite3* handle = connection->get();
  absl::Status status = [&]() -> absl::Status {
    QueryBudget budget(handle, options_.time_limit, options_.instruction_limit);
    absl::StatusOr<Prepared> prepared = Prepare(handle, query);
    if (!prepared.ok()) return prepared.status();
    if (prepared->statement == nullptr) return absl::InvalidArgumentError("the query is empty");
    // What follows may only be blanks and comments, which prepare to nothing.
    absl::StatusOr<Prepared> more = Prepare(handle, prepared->rest);
    if (!more.ok() || more->statement != nullptr) {
      return absl::InvalidArgumentError("one statement at a time: remove what follows the first ;");
    }
    if (sqlite3_stmt_readonly(prepared->statement.get()) == 0) {
      return absl::InvalidArgumentError("only SELECT is allowed here");
    }
    return WriteTable(prepared->statement.get(), {}, {options_.chunk_bytes, options_.max_rows},
                      &budget, sink);
  }();
  Return(std::move(*connection));
  return status;
}

absl::Status Reader::Trace(const v1::GetTraceRequest& request, const TableSink& sink) {
  absl::StatusOr<Connection> connection = Take();
  if (!connection.ok()) return connection.status();
  sqlite3* handle = connection->get();
  absl::Status status = [&]() -> absl::Status {
    absl::StatusOr<TraceSource> source = FindTrace(handle, request);
    if (!source.ok()) return source.status();
    absl::StatusOr<Prepared> prepared = Prepare(handle, "SELECT t_ns, value FROM trace(?, ?, ?)");
    if (!prepared.ok()) return prepared.status();
    sqlite3_stmt* statement = prepared->statement.get();
    Bind(statement, 1, source->attempt);
    Bind(statement, 2, source->channel);
    Bind(statement, 3, source->source);
    return WriteTable(statement, {v1::COLUMN_KIND_NUMBER, v1::COLUMN_KIND_NUMBER},
                      {options_.chunk_bytes, std::nullopt}, nullptr, sink);
  }();
  Return(std::move(*connection));
  return status;
}

}  // namespace joulefarm::controller
