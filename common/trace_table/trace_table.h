// The table function trace(attempt, channel[, source]) of the results database: the samples of a
// channel as rows (t_ns INTEGER, value REAL), decoded chunk by chunk while they are read.
//
//   select t_ns, value from trace(7, 'estimated');
//
// The same source is the extension joulefarm_trace.so for the sqlite3 shell. docs/schema.md says
// what it answers.
//
// Thread rule: that of the connection. Ownership: the connection keeps everything.
#pragma once

struct sqlite3;

namespace joulefarm {

// From now on queries of the connection may use trace(). Returns SQLite's result code.
int RegisterTraceTable(sqlite3* handle);

}  // namespace joulefarm
