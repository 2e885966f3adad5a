#include "controller/store/sql_guard.h"

#include <sqlite3.h>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace joulefarm::controller {
namespace {

// Instructions of SQLite's machine between two looks at the budget.
constexpr int kInstructionsPerTick = 1000;

bool IsSchemaPragma(absl::string_view name) {
  for (const absl::string_view allowed :
       {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
        "foreign_key_list", "function_list", "collation_list", "compile_options"}) {
    if (absl::EqualsIgnoreCase(name, allowed)) return true;
  }
  return false;
}

// These take an argument when they are set: reading them has none.
bool IsReadablePragma(absl::string_view name) {
  for (const absl::string_view allowed :
       {"user_version", "application_id", "page_size", "page_count", "freelist_count", "encoding",
        "journal_mode", "auto_vacuum", "schema_version"}) {
    if (absl::EqualsIgnoreCase(name, allowed)) return true;
  }
  return false;
}

// Called while a statement is prepared. For FUNCTION the name is the second text, for PRAGMA the
// first, its argument the second.
int Authorize(void* /*unused*/, int action, const char* first, const char* second,
              const char* /*database*/, const char* /*view*/) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_FUNCTION:
      return second != nullptr && (absl::EqualsIgnoreCase(second, "load_extension") ||
                                   absl::EqualsIgnoreCase(second, "fts3_tokenizer"))
                 ? SQLITE_DENY
                 : SQLITE_OK;
    case SQLITE_UPDATE:
      // What declaring a built-in table function (json_each, pragma_table_info) looks like. A real
      // update of it is refused by SQLite.
      return first != nullptr && absl::string_view(first) == "sqlite_master" ? SQLITE_OK
                                                                             : SQLITE_DENY;
    case SQLITE_PRAGMA:
      return first != nullptr &&
                     (IsSchemaPragma(first) || (second == nullptr && IsReadablePragma(first)))
                 ? SQLITE_OK
                 : SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

}  // namespace

void AllowOnlyReading(sqlite3* handle) {
  sqlite3_set_authorizer(handle, &Authorize, nullptr);
  // "name" in double quotes is a column or an error, never silently a text.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
}

QueryBudget::QueryBudget(sqlite3* handle, std::chrono::milliseconds time,
                         std::optional<std::int64_t> instructions)
    : handle_(handle), deadline_(std::chrono::steady_clock::now() + time) {
  if (instructions) ticks_left_ = *instructions / kInstructionsPerTick;
  sqlite3_progress_handler(handle_, kInstructionsPerTick, &QueryBudget::OnProgress, this);
}

QueryBudget::~QueryBudget() { sqlite3_progress_handler(handle_, 0, nullptr, nullptr); }

int QueryBudget::OnProgress(void* self) {
  auto* budget = static_cast<QueryBudget*>(self);
  if (budget->ticks_left_ && --*budget->ticks_left_ < 0) budget->used_up_ = true;
  if (std::chrono::steady_clock::now() >= budget->deadline_) budget->used_up_ = true;
  return budget->used_up_ ? 1 : 0;
}

}  // namespace joulefarm::controller
