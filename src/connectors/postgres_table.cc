#include "connectors/postgres_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "connectors/convert_value.h"

namespace onceflow::connectors {
namespace {

std::string quote(std::string_view name) {
  std::string quoted = "\"";
  for (const char letter : name) {
    quoted.append(letter == '"' ? 2 : 1, letter);
  }
  return quoted + '"';
}

// `schema.table` names a table in a schema.
std::string quote_table(std::string_view table) {
  const std::size_t dot = table.find('.');
  return dot == std::string_view::npos
             ? quote(table)
             : fmt::format("{}.{}", quote(table.substr(0, dot)), quote(table.substr(dot + 1)));
}

std::string_view declared_type(ColumnType type) {
  switch (type) {
    case ColumnType::kInteger:
      return "bigint";
    case ColumnType::kReal:
      return "double precision";
    case ColumnType::kText:
      return "text";
  }
  return "text";
}

bool keeps(PostgresType type, ColumnType column) {
  switch (column) {
    case ColumnType::kInteger:
      return type == PostgresType::kInt2 || type == PostgresType::kInt4 ||
             type == PostgresType::kInt8;
    case ColumnType::kReal:
      return type == PostgresType::kFloat8;
    case ColumnType::kText:
      return type == PostgresType::kText || type == PostgresType::kVarchar;
  }
  return false;
}

struct ExistingColumn {
  std::string name;
  PostgresType type = PostgresType::kText;
  std::string declaration;
  bool is_needed = false;     ///< not null, and no default
  bool is_generated = false;  ///< cannot be written
};

constexpr const char* kColumns =
    "SELECT a.attname, a.atttypid, format_type(a.atttypid, a.atttypmod),"
    " (a.attnotnull AND NOT a.atthasdef AND a.attidentity = '')::int,"
    " (a.attgenerated <> '')::int"
    " FROM pg_attribute a"
    " WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";

std::unexpected<Error> refuse(const SinkTable& table, std::string what, std::string rule,
                              std::string fix) {
  return fail(ErrorCode::kRefused,
              fmt::format("table {}: {}; the rule: {}; the fix: {}", table.table, what, rule, fix));
}

Result<std::vector<ExistingColumn>> existing_columns(PostgresConnection& connection,
                                                     const SinkTable& table) {
  const auto answer = connection.execute(kColumns, {text_parameter(quote_table(table.table))});
  if (!answer) {
    return std::unexpected(to_error(answer.error()));
  }
  std::vector<ExistingColumn> columns;
  for (std::size_t row = 0; row < answer->row_count(); ++row) {
    columns.push_back({answer->text(row, 0), static_cast<PostgresType>(answer->integer(row, 1)),
                       answer->text(row, 2), answer->integer(row, 3) != 0,
                       answer->integer(row, 4) != 0});
  }
  return columns;
}

Result<PostgresType> check_column(const SinkTable& table,
                                  const std::vector<ExistingColumn>& existing,
                                  std::string_view name, ColumnType type) {
  const auto found = std::ranges::find(existing, name, &ExistingColumn::name);
  if (found == existing.end()) {
    return refuse(table, fmt::format("it has no column {}", name),
                  "an existing table has all columns that the sink writes",
                  fmt::format("ALTER TABLE {} ADD COLUMN {} {}", quote_table(table.table),
                              quote(name), declared_type(type)));
  }
  if (found->is_generated || !keeps(found->type, type)) {
    return refuse(
        table,
        fmt::format("column {} is {}{}, the sink writes {}", name,
                    found->is_generated ? "generated, " : "", found->declaration, to_string(type)),
        "a column keeps values as they are written, else the audit finds them altered",
        fmt::format("declare it {}, or give the sink's column another `type:`",
                    declared_type(type)));
  }
  return found->type;
}

Result<std::vector<PostgresType>> check_table(const SinkTable& table,
                                              const std::vector<ExistingColumn>& existing) {
  std::vector<PostgresType> types;
  const auto check = [&](std::string_view name, ColumnType type) -> Status {
    const Result<PostgresType> checked = check_column(table, existing, name, type);
    RETURN_IF_ERROR(checked);
    types.push_back(*checked);
    return {};
  };
  for (const SinkColumn& column : table.columns) {
    RETURN_IF_ERROR(check(column.name, column.type));
  }
  RETURN_IF_ERROR(check(kSourceColumn, ColumnType::kText));
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
  return types;
}

// Names in the order of the statements' parameters.
std::vector<std::string> all_columns(const SinkTable& table) {
  std::vector<std::string> names;
  for (const SinkColumn& column : table.columns) {
    names.push_back(quote(column.name));
  }
  names.push_back(quote(kSourceColumn));
  return names;
}

std::vector<std::string> key_columns(const SinkTable& table) {
  std::vector<std::string> names;
  for (const SinkColumn& column : table.columns) {
    if (column.is_key) {
      names.push_back(quote(column.name));
    }
  }
  return names;
}

std::string create_table_sql(const SinkTable& table) {
  std::string sql = fmt::format("CREATE TABLE {} (", quote_table(table.table));
  for (const SinkColumn& column : table.columns) {
    sql += fmt::format("{} {}{}, ", quote(column.name), declared_type(column.type),
                       column.is_key ? " NOT NULL" : "");
  }
  sql += fmt::format("{} text NOT NULL", kSourceColumn);
  if (const std::vector<std::string> key = key_columns(table); !key.empty()) {
    sql += fmt::format(", PRIMARY KEY ({})", fmt::join(key, ", "));
  }
  return sql + ")";
}

// `$1::bigint[], $2::text[]` for the columns for which `wanted` says yes.
template <typename Wanted>
std::vector<std::string> array_places(const SinkTable& table, Wanted wanted) {
  std::vector<std::string> places;
  for (const SinkColumn& column : table.columns) {
    if (wanted(column)) {
      places.push_back(fmt::format("${}::{}[]", places.size() + 1, declared_type(column.type)));
    }
  }
  return places;
}

}  // namespace

Error to_error(const PostgresFailure& failure) {
  if (failure.is_lost || failure.sqlstate.starts_with("08") ||
      failure.sqlstate.starts_with("57P")) {
    return {ErrorCode::kConnectionLost, failure.text, Recovery::kRetriable};
  }
  // Out of resources, deadlock or serialisation, lock and statement timeouts, and in a schema that
  // two claims create at once: the next attempt may succeed.
  if (failure.sqlstate.starts_with("53") || failure.sqlstate.starts_with("40") ||
      failure.sqlstate.starts_with("55") || failure.sqlstate == "57014" ||
      failure.sqlstate.starts_with("25P")) {
    return {ErrorCode::kTimedOut, failure.text, Recovery::kRetriable};
  }
  return {ErrorCode::kRefused, fmt::format("{} ({})", failure.text, failure.sqlstate),
          Recovery::kFatal};
}

Result<PostgresTable> ensure_postgres_table(PostgresConnection& connection,
                                            const SinkTable& table) {
  Result<std::vector<ExistingColumn>> existing = existing_columns(connection, table);
  RETURN_IF_ERROR(existing);
  PostgresTable result;
  if (existing->empty()) {
    if (const auto created = connection.execute(create_table_sql(table)); !created) {
      return std::unexpected(to_error(created.error()));
    }
    result.was_created = true;
    existing = existing_columns(connection, table);
    RETURN_IF_ERROR(existing);
  }
  Result<std::vector<PostgresType>> types = check_table(table, *existing);
  RETURN_IF_ERROR(types);
  result.types = std::move(*types);
  return result;
}

std::string unique_key_needed(const SinkTable& table, std::string_view what) {
  const std::string key = fmt::format("{}", fmt::join(key_columns(table), ", "));
  return fmt::format(
      "table {}: {}; the rule: an upsert needs a primary key or unique index on ({}); the fix: "
      "CREATE UNIQUE INDEX ON {} ({})",
      table.table, what, key, quote_table(table.table), key);
}

PostgresType array_element_type(ColumnType type) {
  switch (type) {
    case ColumnType::kInteger:
      return PostgresType::kInt8;
    case ColumnType::kReal:
      return PostgresType::kFloat8;
    case ColumnType::kText:
      return PostgresType::kText;
  }
  return PostgresType::kText;
}

std::string postgres_copy_sql(const SinkTable& table) {
  return fmt::format("COPY {} ({}) FROM STDIN (FORMAT binary)", quote_table(table.table),
                     fmt::join(all_columns(table), ", "));
}

std::string postgres_upsert_sql(const SinkTable& table) {
  std::vector<std::string> places = array_places(table, [](const SinkColumn&) { return true; });
  places.push_back(fmt::format("${}::text[]", places.size() + 1));
  std::vector<std::string> updates;
  for (const SinkColumn& column : table.columns) {
    if (!column.is_key) {
      updates.push_back(fmt::format("{0} = excluded.{0}", quote(column.name)));
    }
  }
  updates.push_back(fmt::format("{0} = excluded.{0}", quote(kSourceColumn)));
  return fmt::format(
      "INSERT INTO {} ({}) SELECT * FROM unnest({}) ON CONFLICT ({}) DO UPDATE SET {}",
      quote_table(table.table), fmt::join(all_columns(table), ", "), fmt::join(places, ", "),
      fmt::join(key_columns(table), ", "), fmt::join(updates, ", "));
}

std::string postgres_delete_sql(const SinkTable& table) {
  const std::vector<std::string> places =
      array_places(table, [](const SinkColumn& column) { return column.is_key; });
  const std::vector<std::string> names = key_columns(table);
  std::vector<std::string> conditions;
  for (const std::string& name : names) {
    conditions.push_back(fmt::format("written.{0} = gone.{0}", name));
  }
  return fmt::format("DELETE FROM {} AS written USING unnest({}) AS gone ({}) WHERE {}",
                     quote_table(table.table), fmt::join(places, ", "), fmt::join(names, ", "),
                     fmt::join(conditions, " AND "));
}

}  // namespace onceflow::connectors
