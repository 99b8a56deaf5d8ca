#include "connectors/sqlite_errors.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>

namespace onceflow::connectors {
namespace {

using enum ErrorClass;

constexpr std::string_view kMendRecord = "mend the record, the columns or the table";

constexpr SqliteErrorRule kRules[] = {
    {SQLITE_ERROR, "SQLITE_ERROR", kSetUp, "the statement does not fit the database",
     "compare the table and its triggers with the sink's columns"},
    {SQLITE_PERM, "SQLITE_PERM", kSetUp, "the file may not be used so",
     "give the user the right to write the file and its directory"},
    {SQLITE_BUSY, "SQLITE_BUSY", kPasses, "another connection held the file for too long", ""},
    {SQLITE_LOCKED, "SQLITE_LOCKED", kPasses, "another connection holds the table", ""},
    {SQLITE_NOMEM, "SQLITE_NOMEM", kPasses, "there was not enough memory", ""},
    {SQLITE_READONLY, "SQLITE_READONLY", kSetUp, "the file or its directory cannot be written",
     "give the user the right to write both"},
    {SQLITE_READONLY_DBMOVED, "SQLITE_READONLY_DBMOVED", kPasses,
     "the file was moved or replaced while it was open; it is opened anew", ""},
    {SQLITE_INTERRUPT, "SQLITE_INTERRUPT", kPasses, "the statement was interrupted", ""},
    {SQLITE_IOERR, "SQLITE_IOERR", kPasses, "the disk or the file system failed", ""},
    {SQLITE_CORRUPT, "SQLITE_CORRUPT", kSetUp, "the database is damaged",
     "restore it; `PRAGMA integrity_check` says what is damaged"},
    {SQLITE_FULL, "SQLITE_FULL", kPasses, "the disk, or the database's own limit, is full", ""},
    {SQLITE_CANTOPEN, "SQLITE_CANTOPEN", kSetUp, "the file cannot be opened",
     "make its directory, and give the user the right to write it"},
    {SQLITE_PROTOCOL, "SQLITE_PROTOCOL", kPasses, "other connections were in the way", ""},
    {SQLITE_SCHEMA, "SQLITE_SCHEMA", kPasses, "the tables changed at the same time", ""},
    {SQLITE_TOOBIG, "SQLITE_TOOBIG", kRecord, "a value is longer than SQLite allows", kMendRecord},
    {SQLITE_CONSTRAINT, "SQLITE_CONSTRAINT", kRecord,
     "the row breaks a constraint of the table, or a trigger raised an error", kMendRecord},
    {SQLITE_MISMATCH, "SQLITE_MISMATCH", kRecord, "a value has the wrong type for its column",
     kMendRecord},
    {SQLITE_NOLFS, "SQLITE_NOLFS", kSetUp, "the file system takes no files of this size",
     "move the file"},
    {SQLITE_AUTH, "SQLITE_AUTH", kSetUp, "the file may not be used so",
     "give the user the right to write the file"},
    {SQLITE_NOTADB, "SQLITE_NOTADB", kSetUp, "the file is not a database of SQLite",
     "mend the sink's `file`, or move the file away"},
};

}  // namespace

std::span<const SqliteErrorRule> sqlite_error_rules() { return kRules; }

const SqliteErrorRule* find_sqlite_rule(int extended_code) {
  for (const int code : {extended_code, extended_code & 0xff}) {
    const auto found = std::ranges::find(kRules, code, &SqliteErrorRule::code);
    if (found != std::end(kRules)) {
      return &*found;
    }
  }
  return nullptr;
}

ErrorClass class_of_sqlite_code(int extended_code) {
  const SqliteErrorRule* rule = find_sqlite_rule(extended_code);
  return rule == nullptr ? kOnce : rule->error_class;
}

Error sqlite_error(int extended_code, std::string_view text) {
  const SqliteErrorRule* rule = find_sqlite_rule(extended_code);
  if (rule == nullptr) {
    return unclear_error(
        fmt::format("{} (code {}, which onceflow does not know)", text, extended_code));
  }
  const bool passes = rule->error_class == kPasses;
  // What is to be done about a record is said where the record is named.
  const bool has_fix = !rule->fix.empty() && rule->error_class != kRecord;
  return {passes ? ErrorCode::kTimedOut : ErrorCode::kRefused,
          has_fix
              ? fmt::format("{} ({}: {}); the fix: {}", text, rule->name, rule->meaning, rule->fix)
              : fmt::format("{} ({})", text, rule->name),
          recovery_of(rule->error_class)};
}

}  // namespace onceflow::connectors
