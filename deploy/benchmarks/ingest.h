// ingest.* and peer.sqlite_rows_*: how many power samples a second become durable.
//
// Threads: blocks. Ownership: none; files are made below `folder` and left there.
#pragma once

#include <filesystem>

namespace joulefarm::bench {

// Through a real controller over loopback gRPC from one agent: frames, CRC, commits with
// synchronous=FULL, acknowledgement. 0: all went well.
int MeasureIngest(const std::filesystem::path& folder);

// The same samples as rows (attempt, channel, t_ns, value) of a SQLite table, in transactions of 10
// 000, WAL, synchronous=FULL.
int MeasureSqliteRows(const std::filesystem::path& folder);

}  // namespace joulefarm::bench
