// SqliteConnection, SqliteStatement: SQLite's calls with results instead of codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "base/value.h"
#include "io/os/file_identity.h"

struct sqlite3;
struct sqlite3_stmt;

namespace onceflow::connectors {

class SqliteStatement {
 public:
  SqliteStatement() = default;

  /// Parameters count from 1. Text and blobs are not copied: they live until reset().
  void bind(int parameter, const Value& value);
  void bind_blob(int parameter, ByteView bytes);

  enum class Step { kRow, kDone };
  Result<Step> step();
  /// Steps to the end and resets.
  Status run();
  void reset();

  /// Columns of the current row count from 0.
  int column_count() const;
  bool is_null(int column) const;
  std::int64_t integer(int column) const;
  std::string_view text(int column) const;

 private:
  friend class SqliteConnection;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class SqliteConnection {
 public:
  SqliteConnection() = default;
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;
  /// What has moved is closed as it is: SQLite would write into the file that is there now.
  ~SqliteConnection();

  /// Opens or creates the file, in WAL mode with synchronous=FULL.
  static Result<std::unique_ptr<SqliteConnection>> open(const std::string& file,
                                                        milliseconds busy_timeout);
  /// Opens a file that is there, and leaves its journal mode as it is.
  static Result<std::unique_ptr<SqliteConnection>> open_to_look(const std::string& file,
                                                                milliseconds busy_timeout);

  /// Runs statements without parameters and results.
  Status execute(const std::string& sql);
  Result<SqliteStatement> prepare(const std::string& sql);
  /// From now on statements are interrupted (SQLITE_INTERRUPT) after so many million steps of
  /// SQLite's machine together, a few million a second; 0: never.
  void limit_steps(std::size_t millions);
  /// Whether the last error came of that.
  bool was_interrupted() const;
  /// By which a column of a table compares texts: BINARY, NOCASE and their like, in capitals.
  Result<std::string> collation_of(const std::string& table, const std::string& column) const;
  /// Rows that the last statement touched.
  int changes() const;
  /// Whether the path, or the name of the write-ahead log or its index beside it, no longer leads
  /// to what is open: deleted, moved or replaced.
  bool has_moved();
  /// Whether another file stands at the path, and the write-ahead log beside it is that of the one
  /// that is open.
  bool left_its_log() const;
  /// The last error's extended code, its text, and what both mean to the caller.
  int error_code() const;
  std::string error_text() const;
  Error error() const;

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  // A file as it was when it was first looked at after it was opened.
  struct OpenFile {
    std::string path;
    std::optional<io::FileIdentity> identity;
  };
  static Result<std::unique_ptr<SqliteConnection>> open(const std::string& file,
                                                        milliseconds busy_timeout, int flags);
  /// What the files are from now on.
  void remember_files(const std::string& file);
  bool is_elsewhere() const;

  std::unique_ptr<sqlite3, Close> database_;
  std::size_t million_steps_left_ = 0;
  std::vector<OpenFile> files_;  // the path as it was given, then those beside it
};

/// "name" in double quotes, as both databases write identifiers.
std::string quote_identifier(std::string_view name);

}  // namespace onceflow::connectors
