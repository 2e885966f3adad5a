// ingest.* and peer.*: how many power samples a second become durable, and how large they are.
//
// Threads: blocks. Ownership: none; files are made below `folder` and left there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "deploy/benchmarks/signal.h"

namespace joulefarm::bench {

// So many samples of the signal as frames' payloads of channel "bench".
std::vector<std::string> MakeBatches(Signal& signal, std::int64_t samples);

// Through a real controller over loopback gRPC from one agent: frames, CRC, commits with
// synchronous=FULL, acknowledgement. 0: all went well.
int MeasureIngest(const std::filesystem::path& folder);

// The same samples as rows (attempt, channel, t_ns, value) of a SQLite table, in transactions of 10
// 000, WAL, synchronous=FULL.
int MeasureSqliteRows(const std::filesystem::path& folder);

// The same samples as lines of text.
int MeasureCsv(const std::filesystem::path& folder);

}  // namespace joulefarm::bench
