#include "connectors/postgres_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace onceflow::connectors {
namespace {

using enum ErrorClass;

constexpr std::string_view kMendRecord = "mend the record, the columns or the table";

// Sorted. Codes are those of PostgreSQL's manual, appendix A.
constexpr PostgresErrorRule kRules[] = {
    {"08", kLost, "the connection to the server ended, or a pooler ended it", ""},
    {"08P01", kLost, "a pooler gives no connection, or the protocol went out of step", ""},
    {"0A", kSetUp, "the server cannot do this to such a table", "write to an ordinary table"},
    {"21", kRecord, "a query in a trigger found more rows than one", kMendRecord},
    {"22", kRecord, "a value does not fit its column", kMendRecord},
    {"23", kRecord, "the row breaks a constraint of the table", kMendRecord},
    {"23502", kRecord, "a column of the table takes no null",
     "coalesce(…, a value) in the sink's `columns`, or ALTER TABLE ... ALTER COLUMN ... DROP NOT "
     "NULL"},
    {"25006", kPasses, "the server is read-only: a standby, or a disk that fills up", ""},
    {"25P", kPasses, "the server ended a transaction that took too long", ""},
    {"26", kSetUp, "a prepared statement is gone: a pooler changed the session",
     "connect to the server itself, or to a pooler in session mode"},
    {"28", kSetUp, "the server does not let this user in",
     "check user and password of the dsn, and pg_hba.conf"},
    {"2F", kRecord, "a routine that a trigger calls failed", kMendRecord},
    {"38", kRecord, "a routine that a trigger calls failed", kMendRecord},
    {"39", kRecord, "a routine that a trigger calls failed", kMendRecord},
    {"3D", kSetUp, "there is no such database", "CREATE DATABASE, or mend the dsn"},
    {"3F", kSetUp, "there is no such schema",
     "CREATE SCHEMA and GRANT USAGE on it, or mend the sink's `table`"},
    {"40", kPasses, "another transaction was in the way: serialization or deadlock", ""},
    {"40002", kRecord, "the row breaks a constraint of the table", kMendRecord},
    {"40003", kLost, "the server does not know whether the statement was completed", ""},
    {"42", kSetUp, "the statement does not fit the database",
     "compare the table and its triggers with the sink's columns"},
    {"42501", kSetUp, "the user may not do this",
     "GRANT SELECT, INSERT, UPDATE, DELETE on the table, onceflow_positions and "
     "onceflow_receipts; CREATE on the schema until they are there"},
    {"42703", kSetUp, "a column is not there",
     "ALTER TABLE ... ADD COLUMN, or mend the sink's `columns` or the table's triggers"},
    {"42P01", kSetUp, "a table is not there",
     "restore it, or mend the sink's `table` or the table's triggers"},
    {"42P05", kSetUp, "a prepared statement is there already: a pooler changed the session",
     "connect to the server itself, or to a pooler in session mode"},
    {"44", kRecord, "the row breaks the view's check option", kMendRecord},
    {"53", kPasses, "the server is out of disk, memory or connections", ""},
    {"54", kRecord, "the row is beyond a limit of the server", kMendRecord},
    {"54011", kSetUp, "the table would have too many columns", "write fewer columns"},
    {"55", kSetUp, "the table is not in a state in which rows can be written",
     "see the server's words; a published table needs a replica identity"},
    {"55006", kPasses, "what is needed is in use", ""},
    {"55P03", kPasses, "another session held a lock for too long", ""},
    {"55P04", kPasses, "a value of an enum is not committed yet", ""},
    {"57", kPasses, "an operator stepped in", ""},
    {"57014", kPasses, "the statement was cancelled or took longer than statement_timeout", ""},
    {"57P01", kLost, "the server is shutting down, or ended the session", ""},
    {"57P02", kLost, "the server is crashing", ""},
    {"57P03", kPasses, "the server is starting, recovering or shutting down", ""},
    {"57P04", kSetUp, "the database was dropped", "restore it, or mend the dsn"},
    {"57P05", kLost, "the session was idle for too long", ""},
    {"58", kPasses, "the server's own system failed it: an error of input or output", ""},
    {"58P01", kSetUp, "a file of the server is missing", "restore the database"},
    {"58P02", kSetUp, "a file of the server is in the way", "see the server's log"},
    {"72", kPasses, "the snapshot was too old", ""},
    {"F0", kSetUp, "the server's configuration is at fault", "see the server's log"},
    {"HV", kSetUp, "the foreign table's server says no", "see its words"},
    {"HV00N", kPasses, "the foreign table's server is away", ""},
    {"P0", kRecord, "a trigger raised an error", kMendRecord},
    {"XX000", kOnce, "the server found a fault in itself", "see the server's log"},
    {"XX001", kSetUp, "the database is damaged", "restore it"},
    {"XX002", kSetUp, "an index is damaged", "REINDEX it, after a look at the server's log"},
};

static_assert(std::ranges::is_sorted(kRules, {}, &PostgresErrorRule::sqlstate));

// What libpq says itself, where there is no SQLSTATE and waiting does not help.
constexpr std::array<std::string_view, 6> kFinalWords = {
    "no password supplied",      "was required",       "root certificate file",
    "certificate verify failed", "invalid connection", "private key file",
};

constexpr std::size_t kCodeSize = 5;

bool is_code_letter(char letter) {
  return (letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'Z');
}

// libpq writes "SEVERITY:  CODE: text", the severity in the server's language.
std::string_view sqlstate_in(std::string_view line) {
  constexpr std::string_view kBefore = ":  ";
  for (std::size_t at = line.find(kBefore); at != std::string_view::npos;
       at = line.find(kBefore, at + 1)) {
    const std::string_view rest = line.substr(at + kBefore.size());
    if (rest.size() > kCodeSize && rest[kCodeSize] == ':' &&
        std::ranges::all_of(rest.substr(0, kCodeSize), is_code_letter)) {
      return rest.substr(0, kCodeSize);
    }
  }
  return {};
}

ErrorClass judge_line(std::string_view line) {
  if (const std::string_view sqlstate = sqlstate_in(line); !sqlstate.empty()) {
    const ErrorClass error_class = class_of_sqlstate(sqlstate);
    return error_class == kLost ? kPasses : error_class;
  }
  const bool is_final = std::ranges::any_of(
      kFinalWords, [&](std::string_view words) { return line.contains(words); });
  return is_final ? kSetUp : kPasses;
}

}  // namespace

bool is_missing_right(std::string_view sqlstate) {
  constexpr std::string_view kInsufficientPrivilege = "42501";
  constexpr std::string_view kInvalidSchemaName = "3F000";
  return sqlstate == kInsufficientPrivilege || sqlstate == kInvalidSchemaName;
}

std::span<const PostgresErrorRule> postgres_error_rules() { return kRules; }

const PostgresErrorRule* find_postgres_rule(std::string_view sqlstate) {
  // The longest row that the code begins with: its own, then of three letters, then its class.
  for (std::size_t size = sqlstate.size(); size >= 2; --size) {
    const auto found = std::ranges::lower_bound(kRules, sqlstate.substr(0, size), {},
                                                &PostgresErrorRule::sqlstate);
    if (found != std::end(kRules) && found->sqlstate == sqlstate.substr(0, size)) {
      return &*found;
    }
  }
  return nullptr;
}

ErrorClass class_of_sqlstate(std::string_view sqlstate) {
  const PostgresErrorRule* rule = find_postgres_rule(sqlstate);
  return rule == nullptr ? kOnce : rule->error_class;
}

std::string explain_sqlstate(std::string_view sqlstate) {
  const PostgresErrorRule* rule = find_postgres_rule(sqlstate);
  if (rule == nullptr) {
    return fmt::format("(SQLSTATE {}, which onceflow does not know)", sqlstate);
  }
  // What is to be done about a record is said where the record is named.
  const bool has_fix = !rule->fix.empty() && rule->error_class != kRecord;
  return has_fix ? fmt::format("(SQLSTATE {}: {}); the fix: {}", sqlstate, rule->meaning, rule->fix)
                 : fmt::format("(SQLSTATE {})", sqlstate);
}

ConnectFailure judge_connect_failure(std::string_view message) {
  ConnectFailure failure{.text = "no connection, and no reason given"};
  bool is_judged = false;
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    const std::string_view line = message.substr(0, end);
    message.remove_prefix(std::min(end + 1, message.size()));
    // Where a dsn names several hosts there is a line for each; one that may come back is enough.
    // What follows a line in upper case letters is its detail, or the place in the server's source.
    if (line.empty() || line.starts_with("LOCATION") || (is_judged && !line.contains("failed: "))) {
      continue;
    }
    const ErrorClass error_class = judge_line(line);
    if (!is_judged || (failure.error_class == kSetUp && error_class != kSetUp)) {
      failure = {error_class, std::string(line), std::string(sqlstate_in(line))};
      is_judged = true;
      if (is_missing_right(failure.sqlstate)) {
        failure.text +=
            fmt::format(" (SQLSTATE {})", failure.sqlstate);  // the caller knows of what
      } else if (!failure.sqlstate.empty()) {
        failure.text += " " + explain_sqlstate(failure.sqlstate);
      }
    }
  }
  return failure;
}

}  // namespace onceflow::connectors
