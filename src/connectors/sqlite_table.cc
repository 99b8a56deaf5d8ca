#include "connectors/sqlite_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "connectors/convert_value.h"

namespace onceflow::connectors {
namespace {

std::string_view declared_type(ColumnType type) {
  switch (type) {
    case ColumnType::kInteger:
      return "INTEGER";
    case ColumnType::kReal:
      return "REAL";
    case ColumnType::kText:
      return "TEXT";
  }
  return "TEXT";
}

// How SQLite treats values of a column with this declaration (its documentation, "Datatypes", 3.1).
// Numeric and real affinity both turn numbers written as text into numbers; none leaves all as it
// is.
enum class Affinity { kInteger, kText, kNone, kReal, kNumeric };

Affinity affinity_of(std::string declaration) {
  std::ranges::transform(declaration, declaration.begin(), [](char letter) {
    return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
  });
  const auto holds = [&](std::string_view part) {
    return declaration.find(part) != std::string::npos;
  };
  if (holds("INT")) {
    return Affinity::kInteger;
  }
  if (holds("CHAR") || holds("CLOB") || holds("TEXT")) {
    return Affinity::kText;
  }
  if (declaration.empty() || holds("BLOB")) {
    return Affinity::kNone;
  }
  if (holds("REAL") || holds("FLOA") || holds("DOUB")) {
    return Affinity::kReal;
  }
  return Affinity::kNumeric;
}

bool keeps(Affinity affinity, ColumnType type) {
  if (affinity == Affinity::kNone) {
    return true;
  }
  switch (type) {
    case ColumnType::kInteger:
      return affinity == Affinity::kInteger || affinity == Affinity::kNumeric;
    case ColumnType::kReal:
      return affinity == Affinity::kReal;
    case ColumnType::kText:
      return affinity == Affinity::kText;
  }
  return false;
}

struct ExistingColumn {
  std::string name;
  std::string declaration;
  bool is_needed = false;  ///< not null, and no default
};

Result<std::vector<ExistingColumn>> existing_columns(SqliteConnection& connection,
                                                     const std::string& table) {
  Result<SqliteStatement> statement = connection.prepare(
      "SELECT name, type, \"notnull\" <> 0 AND dflt_value IS NULL FROM pragma_table_info(?1)");
  RETURN_IF_ERROR(statement);
  statement->bind(1, std::string_view(table));
  std::vector<ExistingColumn> columns;
  for (;;) {
    const auto step = statement->step();
    if (!step) {
      return std::unexpected(step.error());
    }
    if (*step == SqliteStatement::Step::kDone) {
      return columns;
    }
    columns.push_back({std::string(statement->text(0)), std::string(statement->text(1)),
                       statement->integer(2) != 0});
  }
}

std::unexpected<Error> refuse(const SinkTable& table, std::string what, std::string rule,
                              std::string fix) {
  return fail(ErrorCode::kRefused,
              fmt::format("table {}: {}; the rule: {}; the fix: {}", table.table, what, rule, fix));
}

Status check_column(const SinkTable& table, const std::vector<ExistingColumn>& existing,
                    std::string_view name, ColumnType type) {
  const auto found = std::ranges::find(existing, name, &ExistingColumn::name);
  if (found == existing.end()) {
    return refuse(table, fmt::format("it has no column {}", name),
                  "an existing table has all columns that the sink writes",
                  fmt::format("ALTER TABLE {} ADD COLUMN {} {}", quote_identifier(table.table),
                              quote_identifier(name), declared_type(type)));
  }
  if (!keeps(affinity_of(found->declaration), type)) {
    return refuse(table,
                  fmt::format("column {} is declared {}, the sink writes {}", name,
                              found->declaration, to_string(type)),
                  "a column keeps values as they are written, else the audit finds them altered",
                  fmt::format("declare it {}, or give the sink's column another `type:`",
                              declared_type(type)));
  }
  return {};
}

Status check_table(const SinkTable& table, const std::vector<ExistingColumn>& existing) {
  for (const SinkColumn& column : table.columns) {
    RETURN_IF_ERROR(check_column(table, existing, column.name, column.type));
  }
  RETURN_IF_ERROR(check_column(table, existing, kSourceColumn, ColumnType::kText));
  for (const ExistingColumn& column : existing) {
    const bool is_written =
        column.name == kSourceColumn ||
        std::ranges::find(table.columns, column.name, &SinkColumn::name) != table.columns.end();
    if (column.is_needed && !is_written) {
      return refuse(table, fmt::format("column {} is NOT NULL and has no default", column.name),
                    "the sink writes only its own columns",
                    "give it a default, or add it to the sink's `columns`");
    }
  }
  return {};
}

std::vector<std::string> key_columns(const SinkTable& table) {
  std::vector<std::string> names;
  for (const SinkColumn& column : table.columns) {
    if (column.is_key) {
      names.push_back(quote_identifier(column.name));
    }
  }
  return names;
}

std::string create_table_sql(const SinkTable& table) {
  std::string sql = fmt::format("CREATE TABLE {} (", quote_identifier(table.table));
  for (const SinkColumn& column : table.columns) {
    sql += fmt::format("{} {}{}, ", quote_identifier(column.name), declared_type(column.type),
                       column.is_key ? " NOT NULL" : "");
  }
  sql += fmt::format("{} TEXT NOT NULL", kSourceColumn);
  if (const std::vector<std::string> key = key_columns(table); !key.empty()) {
    sql += fmt::format(", PRIMARY KEY ({})", fmt::join(key, ", "));
  }
  return sql + ")";
}

}  // namespace

Result<TableState> ensure_sqlite_table(SqliteConnection& connection, const SinkTable& table) {
  const Result<std::vector<ExistingColumn>> existing = existing_columns(connection, table.table);
  RETURN_IF_ERROR(existing);
  if (existing->empty()) {
    RETURN_IF_ERROR(connection.execute(create_table_sql(table)));
    return TableState::kCreated;
  }
  RETURN_IF_ERROR(check_table(table, *existing));
  if (table.mode == SinkMode::kUpsert) {
    // SQLite itself says whether the key is unique in the table.
    if (const auto prepared = connection.prepare(sqlite_write_row_sql(table)); !prepared) {
      const std::string key = fmt::format("{}", fmt::join(key_columns(table), ", "));
      return refuse(
          table, prepared.error().text,
          fmt::format("an upsert needs a primary key or unique index on ({})", key),
          fmt::format("CREATE UNIQUE INDEX {} ON {} ({})", quote_identifier(table.table + "_key"),
                      quote_identifier(table.table), key));
    }
  }
  return TableState::kExisting;
}

std::string sqlite_write_row_sql(const SinkTable& table) {
  std::vector<std::string> names;
  std::vector<std::string> places;
  std::vector<std::string> updates;
  const auto add = [&](std::string_view name, bool is_key) {
    const std::string quoted = quote_identifier(name);
    names.push_back(quoted);
    places.push_back(fmt::format("?{}", names.size()));
    if (!is_key) {
      updates.push_back(fmt::format("{0} = excluded.{0}", quoted));
    }
  };
  for (const SinkColumn& column : table.columns) {
    add(column.name, column.is_key);
  }
  add(kSourceColumn, false);
  std::string sql = fmt::format("INSERT INTO {} ({}) VALUES ({})", quote_identifier(table.table),
                                fmt::join(names, ", "), fmt::join(places, ", "));
  if (table.mode == SinkMode::kUpsert) {
    sql += fmt::format(" ON CONFLICT ({}) DO UPDATE SET {}", fmt::join(key_columns(table), ", "),
                       fmt::join(updates, ", "));
  }
  return sql;
}

std::string sqlite_delete_row_sql(const SinkTable& table) {
  std::vector<std::string> conditions;
  for (const std::string& name : key_columns(table)) {
    conditions.push_back(fmt::format("{} = ?{}", name, conditions.size() + 1));
  }
  return fmt::format("DELETE FROM {} WHERE {}", quote_identifier(table.table),
                     fmt::join(conditions, " AND "));
}

}  // namespace onceflow::connectors
