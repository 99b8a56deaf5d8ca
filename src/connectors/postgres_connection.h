// PostgresConnection: libpq with a deadline on every wait and results instead of codes. Used by one
// thread at a time; its calls block.
//
// After a failure with `is_lost` the connection is of no use and what it was doing may have
// happened or not. After any other failure the server has said no, and the transaction is to be
// rolled back.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "connectors/postgres_binary.h"
#include "connectors/postgres_sink.h"

struct pg_conn;
struct pg_result;

namespace onceflow::connectors {

struct PostgresFailure {
  bool is_lost = false;
  std::string sqlstate;  ///< empty if lost
  std::string text;

  /// The row's own fault: data exceptions, constraints, limits of a row, what a trigger raises.
  bool is_of_row() const;
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
  /// kConnectionLost is retriable; kRefused if the server knows us not, or the dsn is no dsn.
  static Result<std::unique_ptr<PostgresConnection>> open(const PostgresSinkOptions& options);

  using Outcome = std::expected<PostgresResult, PostgresFailure>;

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

  PostgresFailure lost(std::string text) const;
  std::expected<void, PostgresFailure> flush();
  /// Sends what is queued and collects all results of what was sent.
  Outcome collect(bool was_sent);
  std::expected<pg_result*, PostgresFailure> next_result();

  std::unique_ptr<pg_conn, Finish> connection_;
  milliseconds wait_timeout_{0};
};

}  // namespace onceflow::connectors
