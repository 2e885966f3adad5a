// Tables as they come over the wire or from the store, as values.
//
// Thread rule: one thread. Ownership: the sink outlives the feeder.
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "common/table/table.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm {

// Passes the chunks of one table on: the columns of the first one, then rows.
class ChunkFeeder {
 public:
  explicit ChunkFeeder(TableSink& sink) : sink_(sink) {}
  // INTERNAL when a row has not as many cells as there are columns.
  absl::Status Feed(const v1::TableChunk& chunk);
  // After the last chunk; a table without any chunk has no columns.
  void End();

 private:
  TableSink& sink_;
  bool begun_ = false;
  std::size_t width_ = 0;
};

}  // namespace joulefarm
