// PostgresConnection: libpq with a deadline on every wait and results instead of codes. Used by one
// thread at a time; its calls block.
//
// After a failure of class kLost the connection is of no use and what it was doing may have
// happened or not. After any other failure the server has said no, and the transaction is to be
// rolled back.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "connectors/postgres_binary.h"
#include "connectors/postgres_errors.h"
#include "connectors/postgres_sink.h"

struct pg_conn;
struct pg_result;

namespace onceflow::connectors {

struct PostgresFailure {
  std::string sqlstate{};  ///< empty: the connection went before an answer came
  std::string text;
  /// What mends this one; empty: what mends its SQLSTATE (postgres_errors.h).
  std::string fix{};
  /// There was no error at all, but the database did not write what it was sent.
  bool is_dropped_row = false;

  ErrorClass error_class() const {
    if (is_dropped_row) {
      return ErrorClass::kRecord;
    }
    return sqlstate.empty() ? ErrorClass::kLost : class_of_sqlstate(sqlstate);
  }
  /// The text with the SQLSTATE and, where a person has to mend something, the fix.
  std::string explained() const;
};

class PostgresResult {
 public:
  explicit PostgresResult(pg_result* result) : result_(result) {}

  std::size_t row_count() const;
  int column_count() const;
  bool is_null(std::size_t row, int column) const;
  std::string text(std::size_t row, int column) const;
  std::int64_t integer(std::size_t row, int column) const;
  /// Rows that the statement touched.
  std::int64_t affected_rows() const;
  /// "COMMIT", "ROLLBACK", "INSERT 0 1", …
  std::string command_tag() const;

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

class PostgresConnection {
 public:
  /// kConnectionLost is retriable: the server is away, starting, full. kRefused says what to mend:
  /// the server does not let us in, or the dsn is none.
  static Result<std::unique_ptr<PostgresConnection>> open(const PostgresSinkOptions& options);

  using Outcome = std::expected<PostgresResult, PostgresFailure>;

  /// What the server said no to last; null: nothing yet.
  const PostgresFailure* last_refusal() const { return last_refusal_ ? &*last_refusal_ : nullptr; }

  /// One statement or several, without parameters; the result is the last one's.
  Outcome execute(const std::string& sql);
  Outcome execute(const std::string& sql, const std::vector<PostgresParameter>& parameters);
  Outcome prepare(const std::string& name, const std::string& sql);
  Outcome execute_prepared(const std::string& name,
                           const std::vector<PostgresParameter>& parameters);

  /// COPY … FROM STDIN: begin, then data in any pieces, then end.
  std::expected<void, PostgresFailure> begin_copy(const std::string& sql);
  std::expected<void, PostgresFailure> copy(ByteView bytes);
  Outcome end_copy();

 private:
  struct Finish {
    void operator()(pg_conn* connection) const;
  };

  /// No step of it may take longer than the connect timeout.
  Status connect(const PostgresSinkOptions& options);
  Status finish_connecting(milliseconds timeout);
  static PostgresFailure lost(std::string text);
  std::expected<void, PostgresFailure> flush();
  /// Sends what is queued and collects all results of what was sent.
  Outcome collect(bool was_sent);
  std::expected<pg_result*, PostgresFailure> next_result();

  std::unique_ptr<pg_conn, Finish> connection_;
  milliseconds wait_timeout_{0};
  std::optional<PostgresFailure> last_refusal_;
};

}  // namespace onceflow::connectors
