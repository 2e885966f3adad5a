// Prepared statements of the write connection, with binding and reading of the types the store
// uses.
//
// Thread rule: one thread. Ownership: borrows the database; owns its statements. Errors: throws
// SQLite::Exception; whoever offers absl::Status outwards catches it.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <google/protobuf/generated_enum_util.h>
#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>

#include "absl/strings/string_view.h"
#include "controller/store/enum_text.h"
#include "controller/store/sqlite_handles.h"

namespace joulefarm::controller {

// Bytes, not text.
struct Blob {
  const std::string& bytes;
};

// Text that is NULL when it is empty.
struct TextOrNull {
  const std::string& text;
};

// Prepared once, used again and again. Bound and read through SQLite itself: SQLiteCpp's columns
// each share the statement, which costs more than what is read where rows come by the thousand.
class Statement {
 public:
  Statement(sqlite3* database, const char* sql) : database_(database) {
    sqlite3_stmt* raw = nullptr;
    Check(sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr));
    handle_.reset(raw);
  }

  sqlite3_stmt* handle() const { return handle_.get(); }
  // True: there is a row.
  bool Step() {
    const int code = sqlite3_step(handle());
    if (code != SQLITE_ROW && code != SQLITE_DONE) throw SQLite::Exception(database_, code);
    return code == SQLITE_ROW;
  }
  // A statement left standing after an error would hold its locks.
  void Reset() { sqlite3_reset(handle()); }
  void Check(int code) const {
    if (code != SQLITE_OK) throw SQLite::Exception(database_, code);
  }

 private:
  sqlite3* database_;
  StatementPtr handle_;
};

// The rows of a query; ends with its scope.
class Rows {
 public:
  explicit Rows(Statement& statement) : statement_(statement), handle_(statement.handle()) {}
  ~Rows() { statement_.Reset(); }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  // After the last row there is none, however often it is called.
  bool Next() {
    ended_ = ended_ || !statement_.Step();
    return !ended_;
  }
  bool IsNull(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }
  std::int64_t Int(int column) const { return sqlite3_column_int64(handle_, column); }
  int Int32(int column) const { return static_cast<int>(Int(column)); }
  double Real(int column) const { return sqlite3_column_double(handle_, column); }
  // Text or bytes; empty for NULL.
  std::string Text(int column) const { return std::string(TextView(column)); }
  // The same, until the next row.
  absl::string_view TextView(int column) const {
    const void* const bytes = sqlite3_column_blob(handle_, column);
    const int length = sqlite3_column_bytes(handle_, column);
    return {static_cast<const char*>(bytes), static_cast<std::size_t>(length)};
  }
  std::optional<std::int64_t> MaybeInt(int column) const {
    return IsNull(column) ? std::nullopt : std::make_optional(Int(column));
  }
  // UNSPECIFIED for NULL and for words this program does not know.
  template <typename E>
  E Enum(int column) const {
    return static_cast<E>(
        EnumNumber(google::protobuf::GetEnumDescriptor<E>(), TextView(column)).value_or(0));
  }

 private:
  Statement& statement_;
  sqlite3_stmt* handle_;
  bool ended_ = false;
};

class Session {
 public:
  explicit Session(SQLite::Database& database) : database_(database) {}

  // Executes a statement without rows; returns how many rows it changed. `sql` is a literal: its
  // address is the cache's key.
  template <std::size_t N, typename... Args>
  int Run(const char (&sql)[N], const Args&... args) {
    Statement& statement = Prepare(sql, args...);
    const Resetting resetting{statement};
    if (statement.Step()) throw SQLite::Exception("a statement without rows has one", SQLITE_ROW);
    return sqlite3_changes(database_.getHandle());
  }

  // The same, for a query. Text and bytes must outlive the rows.
  template <std::size_t N, typename... Args>
  Rows Query(const char (&sql)[N], const Args&... args) {
    return Rows(Prepare(sql, args...));
  }

  SQLite::Database& database() { return database_; }

 private:
  struct Resetting {
    Statement& statement;
    ~Resetting() { statement.Reset(); }
  };

  template <typename... Args>
  Statement& Prepare(const char* sql, const Args&... args) {
    auto found = statements_.find(sql);
    if (found == statements_.end())
      found = statements_.try_emplace(sql, database_.getHandle(), sql).first;
    Statement& statement = found->second;
    statement.Reset();
    [[maybe_unused]] int index = 0;
    (Bind(statement, ++index, args), ...);
    return statement;
  }

  // Texts stay where they are, and must do so until the statement has been used.
  static void BindText(Statement& statement, int index, const std::string& text) {
    statement.Check(sqlite3_bind_text64(statement.handle(), index, text.data(), text.size(),
                                        SQLITE_STATIC, SQLITE_UTF8));
  }
  static void BindNull(Statement& statement, int index) {
    statement.Check(sqlite3_bind_null(statement.handle(), index));
  }

  template <typename T>
  static void Bind(Statement& statement, int index, const T& value) {
    sqlite3_stmt* const handle = statement.handle();
    if constexpr (google::protobuf::is_proto_enum<T>::value) {
      Bind(statement, index, TextOrNull{EnumText(value)});
    } else if constexpr (std::is_same_v<T, bool>) {
      statement.Check(sqlite3_bind_int64(handle, index, value ? 1 : 0));
    } else if constexpr (std::is_integral_v<T>) {
      statement.Check(sqlite3_bind_int64(handle, index, static_cast<std::int64_t>(value)));
    } else if constexpr (std::is_floating_point_v<T>) {
      statement.Check(sqlite3_bind_double(handle, index, static_cast<double>(value)));
    } else if constexpr (std::is_same_v<T, Blob>) {
      // A null pointer would bind NULL.
      statement.Check(sqlite3_bind_blob64(handle, index, value.bytes.data(), value.bytes.size(),
                                          SQLITE_STATIC));
    } else if constexpr (std::is_same_v<T, TextOrNull>) {
      value.text.empty() ? BindNull(statement, index) : BindText(statement, index, value.text);
    } else if constexpr (std::is_same_v<T, std::nullptr_t>) {
      BindNull(statement, index);
    } else {
      static_assert(std::is_same_v<T, std::string>);
      BindText(statement, index, value);
    }
  }
  template <typename T>
  static void Bind(Statement& statement, int index, const std::optional<T>& value) {
    value ? Bind(statement, index, *value) : BindNull(statement, index);
  }

  SQLite::Database& database_;
  std::unordered_map<const char*, Statement> statements_;
};

// BEGIN IMMEDIATE … COMMIT; rolls back at the end of its scope unless committed.
class WriteTransaction {
 public:
  explicit WriteTransaction(Session& session) : session_(session) {
    session_.Run("BEGIN IMMEDIATE");
  }
  ~WriteTransaction() {
    // SQLite may have rolled back by itself (disk full), and rolling back can fail no harder than
    // the write did.
    sqlite3* handle = session_.database().getHandle();
    if (!committed_ && sqlite3_get_autocommit(handle) == 0) {
      sqlite3_exec(handle, "ROLLBACK", nullptr, nullptr, nullptr);
    }
  }
  WriteTransaction(const WriteTransaction&) = delete;
  WriteTransaction& operator=(const WriteTransaction&) = delete;

  void Commit() {
    session_.Run("COMMIT");
    committed_ = true;
  }

 private:
  Session& session_;
  bool committed_ = false;
};

}  // namespace joulefarm::controller
