// SQLite's handles as owners of what they name.
//
// Thread rule: of the connection. Ownership: as unique_ptr.
#pragma once

#include <sqlite3.h>

#include <memory>

namespace joulefarm::controller {

struct Closing {
  void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
};
using ConnectionPtr = std::unique_ptr<sqlite3, Closing>;

struct Finalizing {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using StatementPtr = std::unique_ptr<sqlite3_stmt, Finalizing>;

}  // namespace joulefarm::controller
