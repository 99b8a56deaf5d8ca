#include "connectors/postgres_connection.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <array>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "io/os/wait_socket.h"

namespace onceflow::connectors {
namespace {

// Beyond the server's own statement timeout, for its answer to arrive.
constexpr milliseconds kAnswerGrace{5'000};

void ignore_notice(void*, const char*) {}

std::string trim(const char* text) {
  std::string trimmed = text == nullptr ? "" : text;
  while (trimmed.ends_with('\n') || trimmed.ends_with(' ')) {
    trimmed.pop_back();
  }
  return trimmed;
}

std::string quoted_name(std::string_view name) {
  std::string quoted = "\"";
  for (const char letter : name) {
    quoted.append(letter == '"' ? 2 : 1, letter);
  }
  return quoted + '"';
}

PostgresFailure failure_of(const pg_result* result) {
  const auto field = [&](int code) { return trim(PQresultErrorField(result, code)); };
  PostgresFailure failure{.sqlstate = field(PG_DIAG_SQLSTATE),
                          .text = field(PG_DIAG_MESSAGE_PRIMARY)};
  for (const int code : {PG_DIAG_MESSAGE_DETAIL, PG_DIAG_CONTEXT}) {
    if (const std::string more = field(code); !more.empty()) {
      failure.text += fmt::format(" ({})", more);
    }
  }
  if (failure.text.empty()) {
    failure.text = trim(PQresultErrorMessage(result));
  }
  return failure;
}

bool is_ok(const pg_result* result) {
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_COPY_IN:
    case PGRES_EMPTY_QUERY:
      return true;
    default:
      return false;
  }
}

std::unexpected<Error> refuse_encoding(std::string_view what) {
  return fail(ErrorCode::kRefused,
              fmt::format("{}; the rule: text is kept as it is, and in a code of several bytes "
                          "that is not UTF8 PostgreSQL may write a character as another one "
                          "(EUC_JP: U+00A6 as U+FFE4); the fix: CREATE DATABASE … ENCODING 'UTF8' "
                          "LOCALE 'C.UTF-8' TEMPLATE template0, and name it in the sink's `dsn`",
                          what));
}

// In a code of one byte PostgreSQL refuses what that lacks, and SQL_ASCII takes bytes as they come.
Status check_encoding(std::string_view encoding) {
  const bool is_refused = encoding.starts_with("EUC_") || encoding == "MULE_INTERNAL";
  return is_refused ? refuse_encoding(
                          fmt::format("the database keeps text as {} (server_encoding)", encoding))
                    : Status();
}

// Parameters in the shape in which libpq takes them; views into `parameters`.
struct ParameterArrays {
  std::vector<Oid> types;
  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats;

  explicit ParameterArrays(const std::vector<PostgresParameter>& parameters) {
    for (const PostgresParameter& parameter : parameters) {
      types.push_back(static_cast<Oid>(parameter.type));
      formats.push_back(1);
      if (!parameter.bytes) {
        values.push_back(nullptr);
        lengths.push_back(0);
      } else {
        // Empty, not null: a pointer is needed.
        values.push_back(
            parameter.bytes->empty() ? "" : reinterpret_cast<const char*>(parameter.bytes->data()));
        lengths.push_back(static_cast<int>(parameter.bytes->size()));
      }
    }
  }
  int count() const { return static_cast<int>(values.size()); }
};

}  // namespace

std::string PostgresFailure::explained() const {
  if (!fix.empty()) {
    return fmt::format("{} (SQLSTATE {}); the fix: {}", text, sqlstate, fix);
  }
  return sqlstate.empty() ? text : fmt::format("{} {}", text, explain_sqlstate(sqlstate));
}

void PostgresResult::Clear::operator()(pg_result* result) const { PQclear(result); }
void PostgresConnection::Finish::operator()(pg_conn* connection) const { PQfinish(connection); }

std::size_t PostgresResult::row_count() const {
  return static_cast<std::size_t>(PQntuples(result_.get()));
}

int PostgresResult::column_count() const { return PQnfields(result_.get()); }

bool PostgresResult::is_null(std::size_t row, int column) const {
  return PQgetisnull(result_.get(), static_cast<int>(row), column) != 0;
}

std::string PostgresResult::text(std::size_t row, int column) const {
  return PQgetvalue(result_.get(), static_cast<int>(row), column);
}

std::int64_t PostgresResult::integer(std::size_t row, int column) const {
  const std::string digits = text(row, column);
  std::int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

std::int64_t PostgresResult::affected_rows() const {
  const std::string_view digits = PQcmdTuples(result_.get());
  std::int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

std::string PostgresResult::command_tag() const { return PQcmdStatus(result_.get()); }

Result<std::unique_ptr<PostgresConnection>> PostgresConnection::open(
    const PostgresSinkOptions& options) {
  char* parse_error = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(options.dsn.c_str(), &parse_error);
  PQconninfoFree(parsed);
  PQfreemem(parse_error);
  if (parsed == nullptr) {
    // libpq's own words may quote a part of the dsn, which is a secret.
    return fail(ErrorCode::kRefused,
                "the dsn is not one that libpq understands; write postgresql://user@host/database "
                "or `host=… dbname=…`");
  }
  auto connection = std::make_unique<PostgresConnection>();
  RETURN_IF_ERROR(connection->connect(options));
  PQsetnonblocking(connection->connection_.get(), 1);
  PQsetNoticeProcessor(connection->connection_.get(), ignore_notice, nullptr);
  connection->wait_timeout_ = options.statement_timeout + kAnswerGrace;
  const Outcome settings = connection->execute(
      // With row_security off, what a policy would hide is an error.
      fmt::format("SET row_security = off; SET statement_timeout = {}; SET lock_timeout = {}; "
                  "SET idle_in_transaction_session_timeout = {}; SHOW server_encoding",
                  options.statement_timeout.count(), options.lock_timeout.count(),
                  options.idle_in_transaction_timeout.count()));
  if (!settings) {
    return fail(ErrorCode::kConnectionLost, settings.error().text, Recovery::kRetriable);
  }
  RETURN_IF_ERROR(check_encoding(settings->text(0, 0)));
  return connection;
}

Status PostgresConnection::connect(const PostgresSinkOptions& options) {
  const std::string connect_timeout =
      fmt::format("{}", std::max<std::int64_t>(2, options.connect_timeout.count() / 1000));
  const std::string tcp_timeout =
      fmt::format("{}", (options.statement_timeout + kAnswerGrace).count());
  const std::array<const char*, 7> names = {"dbname",
                                            "fallback_application_name",
                                            "connect_timeout",
                                            "tcp_user_timeout",
                                            "keepalives_idle",
                                            "client_encoding",
                                            nullptr};
  const std::array<const char*, 7> values = {options.dsn.c_str(),
                                             "onceflow",
                                             connect_timeout.c_str(),
                                             tcp_timeout.c_str(),
                                             "10",
                                             "UTF8",
                                             nullptr};
  // Only libpq itself goes on to the next host when one does not answer.
  if (options.dsn.contains(',')) {
    connection_.reset(PQconnectdbParams(names.data(), values.data(), 1));
  } else {
    connection_.reset(PQconnectStartParams(names.data(), values.data(), 1));
    RETURN_IF_ERROR(finish_connecting(options.connect_timeout));
  }
  pg_conn* raw = connection_.get();
  if (raw != nullptr && PQstatus(raw) == CONNECTION_OK) {
    return {};
  }
  ConnectFailure failure = judge_connect_failure(raw == nullptr ? "" : PQerrorMessage(raw));
  // The client speaks UTF-8.
  if (failure.sqlstate == "0A000" && failure.text.contains("conversion between")) {
    return refuse_encoding(
        std::string_view(failure.text).substr(0, failure.text.find(" (SQLSTATE")));
  }
  if (is_missing_right(failure.sqlstate)) {
    failure.text += fmt::format("; the fix: GRANT CONNECT ON DATABASE {} TO {}",
                                quoted_name(PQdb(raw)), quoted_name(PQuser(raw)));
  }
  if (failure.error_class == ErrorClass::kPasses) {
    return fail(ErrorCode::kConnectionLost, failure.text, Recovery::kRetriable);
  }
  return failure.error_class == ErrorClass::kOnce ? std::unexpected(unclear_error(failure.text))
                                                  : fail(ErrorCode::kRefused, failure.text);
}

// In steps of our own, because only between them can libpq be told to say SQLSTATEs.
Status PostgresConnection::finish_connecting(milliseconds timeout) {
  pg_conn* raw = connection_.get();
  if (raw == nullptr) {
    return fail(ErrorCode::kConnectionLost, "out of memory", Recovery::kRetriable);
  }
  PQsetErrorVerbosity(raw, PQERRORS_VERBOSE);
  PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;
  while (PQstatus(raw) != CONNECTION_BAD && wanted != PGRES_POLLING_OK &&
         wanted != PGRES_POLLING_FAILED) {
    const auto need =
        wanted == PGRES_POLLING_READING ? io::SocketNeed::kRead : io::SocketNeed::kReadOrWrite;
    if (const Status ready = io::wait_socket(PQsocket(raw), need, timeout); !ready) {
      return fail(ErrorCode::kConnectionLost, "no connection: " + ready.error().text,
                  Recovery::kRetriable);
    }
    wanted = PQconnectPoll(raw);
  }
  return {};
}

PostgresFailure PostgresConnection::lost(std::string text) { return {.text = std::move(text)}; }

std::expected<void, PostgresFailure> PostgresConnection::flush() {
  pg_conn* raw = connection_.get();
  for (;;) {
    const int left = PQflush(raw);
    if (left == 0) {
      return {};
    }
    if (left < 0) {
      return std::unexpected(lost(trim(PQerrorMessage(raw))));
    }
    // The server may want to be read from before it reads on.
    if (Status ready = io::wait_socket(PQsocket(raw), io::SocketNeed::kReadOrWrite, wait_timeout_);
        !ready) {
      return std::unexpected(lost(ready.error().text));
    }
    if (PQconsumeInput(raw) == 0) {
      return std::unexpected(lost(trim(PQerrorMessage(raw))));
    }
  }
}

std::expected<pg_result*, PostgresFailure> PostgresConnection::next_result() {
  pg_conn* raw = connection_.get();
  while (PQisBusy(raw) != 0) {
    if (Status ready = io::wait_socket(PQsocket(raw), io::SocketNeed::kRead, wait_timeout_);
        !ready) {
      return std::unexpected(lost(ready.error().text));
    }
    if (PQconsumeInput(raw) == 0) {
      return std::unexpected(lost(trim(PQerrorMessage(raw))));
    }
  }
  return PQgetResult(raw);
}

PostgresConnection::Outcome PostgresConnection::collect(bool was_sent) {
  if (!was_sent) {
    return std::unexpected(lost(trim(PQerrorMessage(connection_.get()))));
  }
  if (auto flushed = flush(); !flushed) {
    return std::unexpected(std::move(flushed).error());
  }
  PostgresResult last(nullptr);
  std::expected<void, PostgresFailure> outcome;
  for (;;) {
    const auto result = next_result();
    if (!result) {
      return std::unexpected(result.error());
    }
    if (*result == nullptr) {
      break;
    }
    last = PostgresResult(*result);
    if (!is_ok(*result) && outcome) {
      outcome = std::unexpected(failure_of(*result));
    }
    if (PQresultStatus(*result) == PGRES_COPY_IN) {
      break;  // More results come when the copying has ended.
    }
  }
  if (!outcome) {
    last_refusal_ = outcome.error();
    return std::unexpected(std::move(outcome).error());
  }
  if (PQstatus(connection_.get()) == CONNECTION_BAD) {
    return std::unexpected(lost(trim(PQerrorMessage(connection_.get()))));
  }
  return last;
}

PostgresConnection::Outcome PostgresConnection::execute(const std::string& sql) {
  return collect(PQsendQuery(connection_.get(), sql.c_str()) == 1);
}

PostgresConnection::Outcome PostgresConnection::execute(
    const std::string& sql, const std::vector<PostgresParameter>& parameters) {
  const ParameterArrays arrays(parameters);
  return collect(PQsendQueryParams(connection_.get(), sql.c_str(), arrays.count(),
                                   arrays.types.data(), arrays.values.data(), arrays.lengths.data(),
                                   arrays.formats.data(), 0) == 1);
}

PostgresConnection::Outcome PostgresConnection::prepare(const std::string& name,
                                                        const std::string& sql) {
  return collect(PQsendPrepare(connection_.get(), name.c_str(), sql.c_str(), 0, nullptr) == 1);
}

PostgresConnection::Outcome PostgresConnection::execute_prepared(
    const std::string& name, const std::vector<PostgresParameter>& parameters) {
  const ParameterArrays arrays(parameters);
  return collect(PQsendQueryPrepared(connection_.get(), name.c_str(), arrays.count(),
                                     arrays.values.data(), arrays.lengths.data(),
                                     arrays.formats.data(), 0) == 1);
}

std::expected<void, PostgresFailure> PostgresConnection::begin_copy(const std::string& sql) {
  if (auto started = execute(sql); !started) {
    return std::unexpected(std::move(started).error());
  }
  return {};
}

std::expected<void, PostgresFailure> PostgresConnection::copy(ByteView bytes) {
  pg_conn* raw = connection_.get();
  for (;;) {
    const int queued = PQputCopyData(raw, reinterpret_cast<const char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
    if (queued < 0) {
      return std::unexpected(lost(trim(PQerrorMessage(raw))));
    }
    if (auto flushed = flush(); !flushed || queued == 1) {
      return flushed;
    }
  }
}

PostgresConnection::Outcome PostgresConnection::end_copy() {
  pg_conn* raw = connection_.get();
  for (;;) {
    const int ended = PQputCopyEnd(raw, nullptr);
    if (ended != 0) {
      return collect(ended == 1);
    }
    if (auto flushed = flush(); !flushed) {
      return std::unexpected(std::move(flushed).error());
    }
  }
}

}  // namespace onceflow::connectors
