#include "common/trace_table/trace_table.h"

// With SQLITE_CORE the calls go to the linked library, otherwise to the program that loads this.
#include <sqlite3ext.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "common/trace/even_time.h"
#include "common/trace/trace_codec.h"

SQLITE_EXTENSION_INIT1

namespace joulefarm {
namespace {

// Columns; arguments of the function are the hidden ones in order.
enum ColumnIndex { kTimeNs, kValue, kAttempt, kChannel, kSource };
constexpr char kDeclaration[] =
    "CREATE TABLE trace (t_ns INTEGER, value REAL, attempt HIDDEN, channel HIDDEN, source HIDDEN)";

// What xBestIndex tells xFilter: which arguments come, in this order.
enum PlanBit { kHasAttempt = 1, kHasChannel = 2, kHasSource = 4, kHasFrom = 8, kHasTo = 16 };

struct Finalizing {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalizing>;

struct TraceTable : sqlite3_vtab {
  sqlite3* handle = nullptr;
};

struct TraceCursor : sqlite3_vtab_cursor {
  Statement chunks;
  TraceDecoder decoder;
  TraceSamples samples;  // of the chunk under the cursor
  std::size_t at = 0;
  std::int64_t row = 0;
  bool end = true;
  std::int64_t attempt = 0;
  std::string channel;
  std::int64_t source = 0;
  double scale = 0;
  bool translated = false;  // stamps of another clock, which chunk_time brings to the device's
  std::int64_t from_ns = std::numeric_limits<std::int64_t>::min();
  std::int64_t to_ns = std::numeric_limits<std::int64_t>::max();
};

TraceTable* TableOf(TraceCursor* cursor) { return static_cast<TraceTable*>(cursor->pVtab); }

// Ends the query with a message.
int Fail(TraceCursor* cursor, int code, char* message) {
  sqlite3_free(cursor->pVtab->zErrMsg);
  cursor->pVtab->zErrMsg = message;
  cursor->end = true;
  return code;
}

int FailAsHandle(TraceCursor* cursor, int code) {
  const char* why = sqlite3_errmsg(TableOf(cursor)->handle);
  const char* cure = (code & 0xFF) == SQLITE_ERROR ? "; is this a Joulefarm results database?" : "";
  return Fail(cursor, code, sqlite3_mprintf("trace: %s%s", why, cure));
}

int Prepare(TraceCursor* cursor, const char* sql, Statement& statement) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v2(TableOf(cursor)->handle, sql, -1, &raw, nullptr);
  statement.reset(raw);
  return code;
}

// Whether the file says when the samples of other clocks were; those of older programs do not.
int HasChunkTimes(TraceCursor* cursor, bool& has) {
  Statement found;
  const int prepared =
      Prepare(cursor, "SELECT 1 FROM sqlite_master WHERE name = 'chunk_time'", found);
  if (prepared != SQLITE_OK) return FailAsHandle(cursor, prepared);
  has = sqlite3_step(found.get()) == SQLITE_ROW;
  return SQLITE_OK;
}

// The channel's scale, and its source where the query names none. SQLITE_DONE: there is no such
// channel.
int FindChannel(TraceCursor* cursor, bool has_source) {
  bool has_times = false;
  if (const int asked = HasChunkTimes(cursor, has_times); asked != SQLITE_OK) return asked;
  Statement found;
  const int prepared = Prepare(
      cursor,
      has_times ? "SELECT source, scale, source <> 0 OR clock IS NOT NULL FROM channel WHERE "
                  "attempt = ?1 AND name = ?2 AND (?3 IS NULL OR source = ?3) ORDER BY source"
                : "SELECT source, scale, 0 FROM channel WHERE attempt = ?1 AND name = ?2 "
                  "AND (?3 IS NULL OR source = ?3) ORDER BY source",
      found);
  if (prepared != SQLITE_OK) return FailAsHandle(cursor, prepared);
  sqlite3_bind_int64(found.get(), 1, cursor->attempt);
  sqlite3_bind_text(found.get(), 2, cursor->channel.data(),
                    static_cast<int>(cursor->channel.size()), SQLITE_STATIC);
  if (has_source) sqlite3_bind_int64(found.get(), 3, cursor->source);
  const int first = sqlite3_step(found.get());
  if (first == SQLITE_DONE) return SQLITE_DONE;
  if (first != SQLITE_ROW) return FailAsHandle(cursor, first);
  cursor->source = sqlite3_column_int64(found.get(), 0);
  cursor->scale = sqlite3_column_double(found.get(), 1);
  cursor->translated = sqlite3_column_int(found.get(), 2) != 0;
  if (sqlite3_step(found.get()) == SQLITE_ROW) {
    return Fail(
        cursor, SQLITE_ERROR,
        sqlite3_mprintf("trace: sources %lld and %lld of attempt %lld both have a channel %Q; say "
                        "which: trace(%lld, %Q, SOURCE)",
                        cursor->source, sqlite3_column_int64(found.get(), 0), cursor->attempt,
                        cursor->channel.c_str(), cursor->attempt, cursor->channel.c_str()));
  }
  if (!std::isfinite(cursor->scale) || cursor->scale == 0) {
    return Fail(cursor, SQLITE_ERROR,
                sqlite3_mprintf("trace: channel %Q of attempt %lld has the scale %g, so that its "
                                "samples mean nothing",
                                cursor->channel.c_str(), cursor->attempt, cursor->scale));
  }
  return SQLITE_OK;
}

// Samples without a description cannot be scaled: better an error than no rows.
int CheckUndescribed(TraceCursor* cursor) {
  Statement chunk;
  const int prepared = Prepare(
      cursor, "SELECT 1 FROM trace_chunk WHERE attempt = ?1 AND channel = ?2 LIMIT 1", chunk);
  if (prepared != SQLITE_OK) return FailAsHandle(cursor, prepared);
  sqlite3_bind_int64(chunk.get(), 1, cursor->attempt);
  sqlite3_bind_text(chunk.get(), 2, cursor->channel.data(),
                    static_cast<int>(cursor->channel.size()), SQLITE_STATIC);
  if (sqlite3_step(chunk.get()) != SQLITE_ROW) return SQLITE_OK;
  return Fail(cursor, SQLITE_ERROR,
              sqlite3_mprintf("trace: attempt %lld has samples of %Q, but table channel does not "
                              "describe it (for this source), so that their scale is unknown",
                              cursor->attempt, cursor->channel.c_str()));
}

int OpenChunks(TraceCursor* cursor) {
  const int prepared =
      Prepare(cursor,
              cursor->translated
                  ? "SELECT c.id, c.t0_ns, c.t1_ns, c.n, c.gap, c.data, t.t0_ns, t.t1_ns FROM "
                    "trace_chunk AS c JOIN chunk_time AS t ON t.chunk = c.id WHERE c.attempt = ?1 "
                    "AND c.source = ?2 AND c.channel = ?3 AND t.t0_ns <= ?4 AND t.t1_ns >= ?5 "
                    "ORDER BY c.t0_ns, c.id"
                  : "SELECT id, t0_ns, t1_ns, n, gap, data FROM trace_chunk WHERE attempt = ?1 AND "
                    "source = ?2 AND channel = ?3 AND t0_ns <= ?4 AND t1_ns >= ?5 ORDER BY t0_ns, "
                    "id",
              cursor->chunks);
  if (prepared != SQLITE_OK) return FailAsHandle(cursor, prepared);
  sqlite3_stmt* statement = cursor->chunks.get();
  sqlite3_bind_int64(statement, 1, cursor->attempt);
  sqlite3_bind_int64(statement, 2, cursor->source);
  sqlite3_bind_text(statement, 3, cursor->channel.data(), static_cast<int>(cursor->channel.size()),
                    SQLITE_STATIC);
  sqlite3_bind_int64(statement, 4, cursor->to_ns);
  sqlite3_bind_int64(statement, 5, cursor->from_ns);
  cursor->end = false;
  return SQLITE_OK;
}

// Decodes the chunk the statement stands on; no samples when it is a gap.
int DecodeChunk(TraceCursor* cursor) {
  sqlite3_stmt* statement = cursor->chunks.get();
  const std::int64_t t0_ns = sqlite3_column_int64(statement, 1);
  const std::int64_t t1_ns = sqlite3_column_int64(statement, 2);
  const std::int64_t n = sqlite3_column_int64(statement, 3);
  const bool gap = sqlite3_column_int64(statement, 4) != 0;
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, 5));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, 5));
  if (size == 0 && (gap || n == 0)) return SQLITE_OK;
  TraceSamples& samples = cursor->samples;
  absl::Status status =
      cursor->decoder.Decode(absl::string_view(size == 0 ? "" : data, size), samples);
  if (status.ok() && (samples.t_ns.size() != static_cast<std::size_t>(n) ||
                      samples.t_ns.front() != t0_ns || samples.t_ns.back() != t1_ns)) {
    status = absl::DataLossError("does not agree with the row's n, t0_ns and t1_ns");
  }
  if (status.ok() && cursor->translated) {
    const EvenTime time{t0_ns, t1_ns, sqlite3_column_int64(statement, 6),
                        sqlite3_column_int64(statement, 7)};
    for (std::int64_t& t : samples.t_ns) t = time.At(t);
  }
  if (status.ok()) return SQLITE_OK;
  const std::string why(status.message());
  return Fail(cursor, SQLITE_CORRUPT_VTAB,
              sqlite3_mprintf("trace_chunk %lld (attempt %lld, channel %Q, t_ns %lld to %lld) is "
                              "damaged: %s; a condition on t_ns leaves it out",
                              sqlite3_column_int64(statement, 0), cursor->attempt,
                              cursor->channel.c_str(), t0_ns, t1_ns, why.c_str()));
}

// Goes on to the next sample inside the asked time, through as many chunks as it takes.
int Advance(TraceCursor* cursor) {
  TraceSamples& samples = cursor->samples;
  for (;;) {
    for (; cursor->at < samples.t_ns.size(); ++cursor->at) {
      const std::int64_t t_ns = samples.t_ns[cursor->at];
      if (t_ns >= cursor->from_ns && t_ns <= cursor->to_ns) return SQLITE_OK;
    }
    samples.t_ns.clear();
    samples.raw.clear();
    cursor->at = 0;
    const int code = sqlite3_step(cursor->chunks.get());
    if (code == SQLITE_DONE) {
      cursor->end = true;
      return SQLITE_OK;
    }
    if (code != SQLITE_ROW) return FailAsHandle(cursor, code);
    const int decoded = DecodeChunk(cursor);
    if (decoded != SQLITE_OK) return decoded;
  }
}

bool IsNumber(sqlite3_value* value) {
  const int type = sqlite3_value_type(value);
  return type == SQLITE_INTEGER || type == SQLITE_FLOAT;
}

int Filter(TraceCursor* cursor, int plan, sqlite3_value** arguments) {
  constexpr int kNeeded = kHasAttempt | kHasChannel;
  if ((plan & kNeeded) != kNeeded) {
    return Fail(cursor, SQLITE_ERROR,
                sqlite3_mprintf("trace needs an attempt and a channel, such as trace(7, "
                                "'estimated'); table channel lists them"));
  }
  sqlite3_value* attempt = *arguments++;
  sqlite3_value* channel = *arguments++;
  sqlite3_value* source = (plan & kHasSource) != 0 ? *arguments++ : nullptr;
  // Nothing equals NULL, and no attempt is a text.
  if (sqlite3_value_numeric_type(attempt) != SQLITE_INTEGER) return SQLITE_OK;
  if (sqlite3_value_type(channel) == SQLITE_NULL) return SQLITE_OK;
  if (source != nullptr && sqlite3_value_type(source) == SQLITE_NULL) source = nullptr;
  cursor->attempt = sqlite3_value_int64(attempt);
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(channel));
  cursor->channel.assign(text == nullptr ? "" : text,
                         static_cast<std::size_t>(sqlite3_value_bytes(channel)));
  if (source != nullptr) cursor->source = sqlite3_value_int64(source);
  // Only to skip chunks: SQLite looks at the condition itself once more. It is not one on numbers,
  // where the comparison is by type.
  if ((plan & kHasFrom) != 0 && IsNumber(*arguments))
    cursor->from_ns = sqlite3_value_int64(*arguments);
  if ((plan & kHasFrom) != 0) ++arguments;
  if ((plan & kHasTo) != 0 && IsNumber(*arguments)) cursor->to_ns = sqlite3_value_int64(*arguments);
  const int found = FindChannel(cursor, source != nullptr);
  if (found == SQLITE_DONE) return CheckUndescribed(cursor);
  if (found != SQLITE_OK) return found;
  const int opened = OpenChunks(cursor);
  return opened == SQLITE_OK ? Advance(cursor) : opened;
}

// The functions of the module. Memory is the only thing that can throw.

int XConnect(sqlite3* handle, void* /*aux*/, int /*argc*/, const char* const* /*argv*/,
             sqlite3_vtab** table, char** /*error*/) {
  const int code = sqlite3_declare_vtab(handle, kDeclaration);
  if (code != SQLITE_OK) return code;
  // It only reads tables of the same database: safe in views of files from elsewhere.
  sqlite3_vtab_config(handle, SQLITE_VTAB_INNOCUOUS);
  auto* made = new (std::nothrow) TraceTable();
  if (made == nullptr) return SQLITE_NOMEM;
  made->handle = handle;
  *table = made;
  return SQLITE_OK;
}

int XDisconnect(sqlite3_vtab* table) {
  delete static_cast<TraceTable*>(table);
  return SQLITE_OK;
}

int XBestIndex(sqlite3_vtab* /*table*/, sqlite3_index_info* info) {
  // The constraint for each argument of xFilter; -1: none.
  constexpr int kSlots = 5;
  int slots[kSlots] = {-1, -1, -1, -1, -1};
  bool later[kSlots] = {};
  for (int i = 0; i < info->nConstraint; ++i) {
    const auto& constraint = info->aConstraint[i];
    const int op = constraint.op;
    if (constraint.iColumn >= kAttempt) {
      if (op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
      const int slot = constraint.iColumn - kAttempt;
      if (constraint.usable == 0) {
        later[slot] = true;
      } else {
        slots[slot] = i;
      }
    } else if (constraint.iColumn == kTimeNs && constraint.usable != 0) {
      const bool equal = op == SQLITE_INDEX_CONSTRAINT_EQ;
      if (equal || op == SQLITE_INDEX_CONSTRAINT_GE || op == SQLITE_INDEX_CONSTRAINT_GT)
        slots[3] = i;
      else if (op == SQLITE_INDEX_CONSTRAINT_LE || op == SQLITE_INDEX_CONSTRAINT_LT)
        slots[4] = i;
    }
  }
  int arguments = 0;
  info->idxNum = 0;
  for (int slot = 0; slot < kSlots; ++slot) {
    // Another order of the joined tables will have the argument.
    if (slots[slot] < 0 && later[slot]) return SQLITE_CONSTRAINT;
    if (slots[slot] < 0) continue;
    auto& usage = info->aConstraintUsage[slots[slot]];
    usage.argvIndex = ++arguments;
    // Those of time are looked at again by SQLite.
    usage.omit = slot < 3 ? 1 : 0;
    info->idxNum |= 1 << slot;
  }
  // The more of the time is left out, the cheaper.
  info->estimatedCost = 1e6;
  info->estimatedRows = 1'000'000;
  for (const int bit : {kHasFrom, kHasTo}) {
    if ((info->idxNum & bit) == 0) continue;
    info->estimatedCost /= 10;
    info->estimatedRows /= 10;
  }
  return SQLITE_OK;
}

int XOpen(sqlite3_vtab* /*table*/, sqlite3_vtab_cursor** cursor) {
  try {
    *cursor = new TraceCursor();
    return SQLITE_OK;
  } catch (const std::bad_alloc&) {
    return SQLITE_NOMEM;
  }
}

int XClose(sqlite3_vtab_cursor* cursor) {
  delete static_cast<TraceCursor*>(cursor);
  return SQLITE_OK;
}

int XFilter(sqlite3_vtab_cursor* base, int plan, const char* /*name*/, int /*count*/,
            sqlite3_value** arguments) {
  auto* cursor = static_cast<TraceCursor*>(base);
  cursor->chunks.reset();
  cursor->samples = {};
  cursor->at = 0;
  cursor->row = 0;
  cursor->end = true;
  cursor->source = 0;
  cursor->translated = false;
  cursor->from_ns = std::numeric_limits<std::int64_t>::min();
  cursor->to_ns = std::numeric_limits<std::int64_t>::max();
  try {
    return Filter(cursor, plan, arguments);
  } catch (const std::bad_alloc&) {
    return SQLITE_NOMEM;
  }
}

int XNext(sqlite3_vtab_cursor* base) {
  auto* cursor = static_cast<TraceCursor*>(base);
  ++cursor->at;
  ++cursor->row;
  try {
    return Advance(cursor);
  } catch (const std::bad_alloc&) {
    return SQLITE_NOMEM;
  }
}

int XEof(sqlite3_vtab_cursor* base) { return static_cast<TraceCursor*>(base)->end ? 1 : 0; }

int XColumn(sqlite3_vtab_cursor* base, sqlite3_context* context, int column) {
  const auto* cursor = static_cast<TraceCursor*>(base);
  switch (column) {
    case kTimeNs:
      sqlite3_result_int64(context, cursor->samples.t_ns[cursor->at]);
      break;
    case kValue:
      sqlite3_result_double(context,
                            static_cast<double>(cursor->samples.raw[cursor->at]) * cursor->scale);
      break;
    case kAttempt:
      sqlite3_result_int64(context, cursor->attempt);
      break;
    case kChannel:
      sqlite3_result_text(context, cursor->channel.data(), static_cast<int>(cursor->channel.size()),
                          SQLITE_TRANSIENT);
      break;
    default:
      sqlite3_result_int64(context, cursor->source);
      break;
  }
  return SQLITE_OK;
}

int XRowid(sqlite3_vtab_cursor* base, sqlite3_int64* row) {
  *row = static_cast<TraceCursor*>(base)->row;
  return SQLITE_OK;
}

// Without xCreate the table exists in every database without being created.
const sqlite3_module& Module() {
  static const sqlite3_module kModule = [] {
    sqlite3_module module = {};
    module.iVersion = 1;
    module.xConnect = XConnect;
    module.xBestIndex = XBestIndex;
    module.xDisconnect = XDisconnect;
    module.xOpen = XOpen;
    module.xClose = XClose;
    module.xFilter = XFilter;
    module.xNext = XNext;
    module.xEof = XEof;
    module.xColumn = XColumn;
    module.xRowid = XRowid;
    return module;
  }();
  return kModule;
}

}  // namespace

int RegisterTraceTable(sqlite3* handle) {
  return sqlite3_create_module_v2(handle, "trace", &Module(), nullptr, nullptr);
}

}  // namespace joulefarm

#ifndef SQLITE_CORE
// What `.load joulefarm_trace` calls: the name follows from the file's.
extern "C" __attribute__((visibility("default"))) int sqlite3_joulefarmtrace_init(
    sqlite3* handle, char** /*error*/, const sqlite3_api_routines* routines) {
  SQLITE_EXTENSION_INIT2(routines);
  return joulefarm::RegisterTraceTable(handle);
}
#endif
