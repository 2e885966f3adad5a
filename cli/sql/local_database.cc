#include "cli/sql/local_database.h"

#include <chrono>
#include <limits>
#include <utility>

#include "common/table/table_chunk.h"
#include "controller/store/reader.h"

namespace joulefarm::cli {

struct LocalDatabase::Reader {
  std::unique_ptr<controller::Reader> store;
};

LocalDatabase::LocalDatabase(std::unique_ptr<Reader> reader) : reader_(std::move(reader)) {}
LocalDatabase::~LocalDatabase() = default;

absl::StatusOr<std::unique_ptr<LocalDatabase>> LocalDatabase::Open(const std::string& path) {
  // The limits protect a controller; whoever opens a file may take their time.
  controller::ReaderOptions options;
  options.time_limit = std::chrono::hours(24);
  options.max_rows = std::numeric_limits<std::int64_t>::max();
  auto store = controller::Reader::Open(path, options);
  if (!store.ok()) return store.status();
  auto reader = std::make_unique<Reader>();
  reader->store = *std::move(store);
  return std::unique_ptr<LocalDatabase>(new LocalDatabase(std::move(reader)));
}

absl::Status LocalDatabase::Run(const std::string& statement, TableSink& sink) {
  ChunkFeeder feeder(sink);
  absl::Status fed;
  const absl::Status status = reader_->store->Sql(statement, [&](const v1::TableChunk& chunk) {
    fed = feeder.Feed(chunk);
    return fed.ok() && sink.WantsMore();
  });
  if (!fed.ok()) return fed;
  if (absl::IsCancelled(status) && !sink.WantsMore()) return absl::OkStatus();
  if (status.ok()) feeder.End();
  return status;
}

}  // namespace joulefarm::cli
