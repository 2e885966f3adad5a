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

namespace joulefarm::controller {

// Bytes, not text.
struct Blob {
  const std::string& bytes;
};

// Text that is NULL when it is empty.
struct TextOrNull {
  const std::string& text;
};

// The rows of a query; ends with its scope.
class Rows {
 public:
  explicit Rows(SQLite::Statement& statement) : statement_(statement) {}
  ~Rows() { statement_.tryReset(); }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  bool Next() { return statement_.executeStep(); }
  bool IsNull(int column) const { return statement_.isColumnNull(column); }
  std::int64_t Int(int column) const { return statement_.getColumn(column).getInt64(); }
  int Int32(int column) const { return static_cast<int>(Int(column)); }
  double Real(int column) const { return statement_.getColumn(column).getDouble(); }
  // Text or bytes; empty for NULL.
  std::string Text(int column) const { return statement_.getColumn(column).getString(); }
  std::optional<std::int64_t> MaybeInt(int column) const {
    return IsNull(column) ? std::nullopt : std::make_optional(Int(column));
  }
  // UNSPECIFIED for NULL and for words this program does not know.
  template <typename E>
  E Enum(int column) const {
    return static_cast<E>(
        EnumNumber(google::protobuf::GetEnumDescriptor<E>(), Text(column)).value_or(0));
  }

 private:
  SQLite::Statement& statement_;
};

class Session {
 public:
  explicit Session(SQLite::Database& database) : database_(database) {}

  // Executes a statement without rows; returns how many rows it changed. `sql` is a literal: its
  // address is the cache's key.
  template <std::size_t N, typename... Args>
  int Run(const char (&sql)[N], const Args&... args) {
    SQLite::Statement& statement = Prepare(sql, args...);
    const Resetting resetting{statement};
    return statement.exec();
  }

  // The same, for a query. Text and bytes must outlive the rows.
  template <std::size_t N, typename... Args>
  Rows Query(const char (&sql)[N], const Args&... args) {
    return Rows(Prepare(sql, args...));
  }

  SQLite::Database& database() { return database_; }

 private:
  // A statement left standing after an error would hold its locks.
  struct Resetting {
    SQLite::Statement& statement;
    ~Resetting() { statement.tryReset(); }
  };

  template <typename... Args>
  SQLite::Statement& Prepare(const char* sql, const Args&... args) {
    auto found = statements_.find(sql);
    if (found == statements_.end()) {
      found = statements_.try_emplace(sql, database_, sql).first;
    }
    SQLite::Statement& statement = found->second;
    statement.tryReset();
    [[maybe_unused]] int index = 0;
    (Bind(statement, ++index, args), ...);
    return statement;
  }

  template <typename T>
  static void Bind(SQLite::Statement& statement, int index, const T& value) {
    if constexpr (google::protobuf::is_proto_enum<T>::value) {
      Bind(statement, index, TextOrNull{EnumText(value)});
    } else if constexpr (std::is_same_v<T, bool>) {
      statement.bind(index, value ? 1 : 0);
    } else if constexpr (std::is_integral_v<T>) {
      statement.bind(index, static_cast<std::int64_t>(value));
    } else if constexpr (std::is_floating_point_v<T>) {
      statement.bind(index, static_cast<double>(value));
    } else if constexpr (std::is_same_v<T, Blob>) {
      // A null pointer would bind NULL.
      statement.bindNoCopy(index, value.bytes.data(), static_cast<int>(value.bytes.size()));
    } else if constexpr (std::is_same_v<T, TextOrNull>) {
      value.text.empty() ? statement.bind(index) : statement.bindNoCopy(index, value.text);
    } else if constexpr (std::is_same_v<T, std::nullptr_t>) {
      statement.bind(index);
    } else {
      static_assert(std::is_same_v<T, std::string>);
      statement.bindNoCopy(index, value);
    }
  }
  template <typename T>
  static void Bind(SQLite::Statement& statement, int index, const std::optional<T>& value) {
    value ? Bind(statement, index, *value) : statement.bind(index);
  }

  SQLite::Database& database_;
  std::unordered_map<const char*, SQLite::Statement> statements_;
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
