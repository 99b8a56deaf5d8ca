#include "connectors/sqlite_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "connectors/table_rules.h"

namespace onceflow::connectors {
namespace {

std::string_view declared_type(ColumnType type) {
  switch (type) {
    case ColumnType::kInteger:
    case ColumnType::kBoolean:  // 0 and 1, as SQLite has it
      return "INTEGER";
    case ColumnType::kReal:
      return "REAL";
    case ColumnType::kBytea:
      return "BLOB";
    case ColumnType::kText:
    case ColumnType::kDecimal:  // SQLite has no exact numbers beyond 64 bits: their digits
    case ColumnType::kTimestamptz:
    case ColumnType::kTimestamp:
    case ColumnType::kDate:
    case ColumnType::kUuid:
    case ColumnType::kJson:
    case ColumnType::kJsonb:
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

std::vector<ColumnType> kept_by(Affinity affinity) {
  switch (affinity) {
    case Affinity::kNone:
      return {ColumnType::kInteger,     ColumnType::kReal,      ColumnType::kText,
              ColumnType::kDecimal,     ColumnType::kBoolean,   ColumnType::kBytea,
              ColumnType::kTimestamptz, ColumnType::kTimestamp, ColumnType::kDate,
              ColumnType::kUuid,        ColumnType::kJson,      ColumnType::kJsonb};
    case Affinity::kInteger:
      return {ColumnType::kInteger, ColumnType::kBoolean};
    case Affinity::kNumeric:
      // DATE, TIMESTAMP and UUID are declarations of this kind; hyphens keep their texts from being
      // taken for numbers.
      return {ColumnType::kInteger,   ColumnType::kBoolean, ColumnType::kTimestamptz,
              ColumnType::kTimestamp, ColumnType::kDate,    ColumnType::kUuid};
    case Affinity::kReal:
      return {ColumnType::kReal};
    case Affinity::kText:
      return {ColumnType::kText,      ColumnType::kDecimal, ColumnType::kTimestamptz,
              ColumnType::kTimestamp, ColumnType::kDate,    ColumnType::kUuid,
              ColumnType::kJson,      ColumnType::kJsonb};
  }
  return {};
}

constexpr SqlDialect kDialect{&quote_identifier, &quote_identifier, &declared_type,
                              /*changes_types=*/false};

Result<std::vector<ExistingColumn>> existing_columns(SqliteConnection& connection,
                                                     const SinkTable& table) {
  Result<SqliteStatement> statement = connection.prepare(
      "SELECT name, type, \"notnull\" <> 0 AND dflt_value IS NULL AND hidden = 0, hidden > 1"
      " FROM pragma_table_xinfo(?1) WHERE hidden <> 1");
  RETURN_IF_ERROR(statement);
  statement->bind(1, std::string_view(table.table));
  std::vector<ExistingColumn> columns;
  for (;;) {
    const auto step = statement->step();
    if (!step) {
      return std::unexpected(step.error());
    }
    if (*step == SqliteStatement::Step::kDone) {
      return columns;
    }
    std::string declaration(statement->text(1));
    ExistingColumn column{.name = std::string(statement->text(0)),
                          .declaration = "declared " + declaration,
                          .keeps = kept_by(affinity_of(declaration)),
                          .is_needed = statement->integer(2) != 0};
    if (statement->integer(3) != 0) {
      refuse_generated(
          column, table,
          fmt::format("ALTER TABLE {0} DROP COLUMN {1}; ALTER TABLE {0} ADD COLUMN "
                      "{1} {2}",
                      quote_identifier(table.table), quote_identifier(column.name), declaration));
    }
    columns.push_back(std::move(column));
  }
}

std::string rows_of_key(const SinkTable& table) {
  std::vector<std::string> conditions;
  for (const std::string& name : key_columns(table, kDialect)) {
    conditions.push_back(fmt::format("{} = ?{}", name, conditions.size() + 1));
  }
  return fmt::format("{} WHERE {}", quote_identifier(table.table), fmt::join(conditions, " AND "));
}

// Whether what is known of the table under its name holds.
Result<bool> schema_says(SqliteConnection& connection, const SinkTable& table,
                         std::string_view condition) {
  Result<SqliteStatement> statement = connection.prepare(fmt::format(
      "SELECT count(*) FROM sqlite_master WHERE name = ?1 COLLATE NOCASE AND {}", condition));
  RETURN_IF_ERROR(statement);
  statement->bind(1, std::string_view(table.table));
  const auto step = statement->step();
  RETURN_IF_ERROR(step);
  return statement->integer(0) != 0;
}

// As shared_key_sql() has it; empty: there is none.
Result<std::string> shared_key(SqliteConnection& connection, const SinkTable& table) {
  Result<SqliteStatement> statement = connection.prepare(shared_key_sql(table, kDialect));
  RETURN_IF_ERROR(statement);
  const auto step = statement->step();
  RETURN_IF_ERROR(step);
  return *step == SqliteStatement::Step::kRow ? std::string(statement->text(0)) : std::string();
}

struct IndexedColumn {
  std::string index;
  std::string column;
  std::string collation;
  bool is_made_by_hand = false;  // CREATE INDEX, not a constraint of the table
};

// Those of unique indexes on exactly the key columns.
Result<std::vector<IndexedColumn>> indexed_key_columns(SqliteConnection& connection,
                                                       const SinkTable& table) {
  Result<SqliteStatement> statement = connection.prepare(
      "SELECT list.name, part.name, upper(part.coll), list.origin = 'c'"
      " FROM pragma_index_list(?1) AS list JOIN pragma_index_xinfo(list.name) AS part"
      " WHERE list.\"unique\" AND NOT list.partial AND part.key ORDER BY list.seq, part.seqno");
  RETURN_IF_ERROR(statement);
  statement->bind(1, std::string_view(table.table));
  std::vector<IndexedColumn> found;
  std::vector<IndexedColumn> one;
  const auto keep = [&] {
    const auto indexed = [&](const std::string& name) {
      return std::ranges::find(one, name, &IndexedColumn::column) != one.end();
    };
    const bool has_all = std::ranges::all_of(table.columns, [&](const SinkColumn& column) {
      return column.is_key == indexed(column.name);
    });
    const bool has_no_other = std::ranges::all_of(one, [&](const IndexedColumn& each) {
      return std::ranges::find(table.columns, each.column, &SinkColumn::name) !=
             table.columns.end();
    });
    if (has_all && has_no_other) {
      std::ranges::move(one, std::back_inserter(found));
    }
    one.clear();
  };
  for (;;) {
    const auto step = statement->step();
    RETURN_IF_ERROR(step);
    if (*step == SqliteStatement::Step::kDone) {
      keep();
      return found;
    }
    std::string index(statement->text(0));
    if (!one.empty() && one.front().index != index) {
      keep();
    }
    one.push_back({std::move(index), std::string(statement->text(1)),
                   std::string(statement->text(2)), statement->integer(3) != 0});
  }
}

// As PostgreSQL names one: an index of another key may have a shorter name.
std::string name_of_key_index(const SinkTable& table) {
  std::string name = table.table;
  for (const SinkColumn& column : table.columns) {
    name += column.is_key ? "_" + column.name : "";
  }
  return quote_identifier(name + "_key");
}

// Rows are written to by the equality of the index, and deleted by that of the column.
Status check_key_is_of_one_equality(SqliteConnection& connection, const SinkTable& table) {
  const auto indexed = indexed_key_columns(connection, table);
  RETURN_IF_ERROR(indexed);
  for (const IndexedColumn& each : *indexed) {
    const Result<std::string> own = connection.collation_of(table.table, each.column);
    RETURN_IF_ERROR(own);
    if (*own == each.collation) {
      continue;
    }
    const std::string unique =
        fmt::format("CREATE UNIQUE INDEX {} ON {} ({})", name_of_key_index(table),
                    quote_identifier(table.table), fmt::join(key_columns(table, kDialect), ", "));
    return refuse(
        table,
        fmt::format("its unique index {} compares column {} by the collation {}, and the column by "
                    "{}",
                    each.index, each.column, each.collation, *own),
        "an upsert finds its row by the index and a deletion by the column; where one holds keys "
        "to be equal that are two for the other, the row of another key is changed or deleted",
        each.is_made_by_hand
            ? fmt::format("{}; DROP INDEX {}", unique, quote_identifier(each.index))
            : fmt::format("make the table anew with COLLATE {} at the column itself, or at neither",
                          each.collation));
  }
  return {};
}

}  // namespace

Result<TableState> ensure_sqlite_table(SqliteConnection& connection, const SinkTable& table) {
  const Result<std::vector<ExistingColumn>> existing = existing_columns(connection, table);
  RETURN_IF_ERROR(existing);
  if (existing->empty()) {
    RETURN_IF_ERROR(connection.execute(create_table_sql(table, kDialect)));
    return TableState::kCreated;
  }
  const Result<bool> is_view = schema_says(connection, table, "type = 'view'");
  RETURN_IF_ERROR(is_view);
  if (*is_view) {
    return refuse(table, "it is a view",
                  "SQLite counts no rows that the triggers of a view write, so that nobody would "
                  "know of one that is missing",
                  "name the table behind it as the sink's `table`");
  }
  RETURN_IF_ERROR(check_columns(table, kDialect, *existing));
  if (table.mode == SinkMode::kUpsert) {
    // SQLite itself says whether the key is unique in the table.
    if (const auto prepared = connection.prepare(sqlite_write_row_sql(table)); !prepared) {
      const Result<std::string> shared = shared_key(connection, table);
      RETURN_IF_ERROR(shared);
      return refuse_without_unique_key(
          table, kDialect, prepared.error().text,
          fmt::format("CREATE UNIQUE INDEX {} ON {} ({})", name_of_key_index(table),
                      quote_identifier(table.table), fmt::join(key_columns(table, kDialect), ", ")),
          *shared);
    }
    RETURN_IF_ERROR(check_key_is_of_one_equality(connection, table));
  }
  return TableState::kExisting;
}

Result<SqliteShape> read_sqlite_shape(SqliteConnection& connection, const SinkTable& table,
                                      const SqliteShape& known) {
  SqliteShape shape;
  Result<SqliteStatement> version = connection.prepare("PRAGMA schema_version");
  RETURN_IF_ERROR(version);
  const auto has_version = version->step();
  RETURN_IF_ERROR(has_version);
  shape.schema_version = version->integer(0);
  if (shape.schema_version == known.schema_version && !known.definition.empty()) {
    return known;
  }
  Result<SqliteStatement> parts = connection.prepare(
      "SELECT coalesce(sql, name) FROM sqlite_master WHERE tbl_name = ?1 COLLATE NOCASE"
      " ORDER BY type, name");
  RETURN_IF_ERROR(parts);
  parts->bind(1, std::string_view(table.table));
  for (;;) {
    const auto step = parts->step();
    RETURN_IF_ERROR(step);
    if (*step == SqliteStatement::Step::kDone) {
      return shape;
    }
    shape.definition += parts->text(0);
    shape.definition += ";";
  }
}

Result<bool> sqlite_has_conflict_clause(SqliteConnection& connection, const SinkTable& table) {
  return schema_says(connection, table, "type = 'table' AND sql LIKE '%conflict%'");
}

Result<std::string> sqlite_triggers(SqliteConnection& connection, const SinkTable& table) {
  Result<SqliteStatement> statement = connection.prepare(
      "SELECT group_concat(name, ', ') FROM (SELECT name FROM sqlite_master"
      " WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE ORDER BY name)");
  RETURN_IF_ERROR(statement);
  statement->bind(1, std::string_view(table.table));
  const auto step = statement->step();
  RETURN_IF_ERROR(step);
  return std::string(statement->text(0));
}

Result<std::string> remark_on_foreign_keys(SqliteConnection& connection, const SinkTable& table) {
  Result<SqliteStatement> statement = connection.prepare(
      "SELECT group_concat(others.name, ', ') FROM ("
      "SELECT \"table\" AS name FROM pragma_foreign_key_list(?1) UNION SELECT each.name"
      " FROM sqlite_master AS each, pragma_foreign_key_list(each.name) AS of_each"
      " WHERE each.type = 'table' AND of_each.\"table\" = ?1 COLLATE NOCASE) AS others");
  RETURN_IF_ERROR(statement);
  statement->bind(1, std::string_view(table.table));
  const auto step = statement->step();
  RETURN_IF_ERROR(step);
  const std::string others(statement->text(0));
  return others.empty()
             ? others
             : fmt::format(
                   "table {0} has FOREIGN KEYs from it or to it ({1}), which SQLite does "
                   "not apply to rows of a sink: what one would refuse is written, and no "
                   "row of another table goes with one that is deleted; `PRAGMA "
                   "foreign_key_check` lists such rows, and a trigger refuses them",
                   table.table, others);
}

Result<std::string> sqlite_rowid_column(SqliteConnection& connection, const SinkTable& table) {
  // Any other primary key (of another type, DESC, of several columns, WITHOUT ROWID) has an index.
  Result<SqliteStatement> statement = connection.prepare(
      "SELECT name FROM pragma_table_info(?1) WHERE pk <> 0"
      " AND NOT EXISTS (SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'pk')");
  RETURN_IF_ERROR(statement);
  statement->bind(1, std::string_view(table.table));
  const auto step = statement->step();
  RETURN_IF_ERROR(step);
  return *step == SqliteStatement::Step::kRow ? std::string(statement->text(0)) : std::string();
}

Result<bool> sqlite_keys_differ_by_bytes(SqliteConnection& connection, const SinkTable& table) {
  // Of the two zeros of real numbers, too, the bytes differ.
  if (std::ranges::any_of(table.columns, [](const SinkColumn& column) {
        return column.is_key && column.type == ColumnType::kReal;
      })) {
    return false;
  }
  Result<SqliteStatement> collations = connection.prepare(
      "SELECT part.name FROM pragma_index_list(?1) AS list"
      " JOIN pragma_index_xinfo(list.name) AS part"
      " WHERE list.\"unique\" AND part.key AND upper(part.coll) <> 'BINARY'");
  RETURN_IF_ERROR(collations);
  collations->bind(1, std::string_view(table.table));
  for (;;) {
    const auto step = collations->step();
    RETURN_IF_ERROR(step);
    if (*step == SqliteStatement::Step::kDone) {
      return true;
    }
    const auto column = std::ranges::find(table.columns, collations->text(0), &SinkColumn::name);
    if (column != table.columns.end() && column->is_key) {
      return false;
    }
  }
}

std::string sqlite_write_row_sql(const SinkTable& table, SqliteWriting writing) {
  std::vector<std::string> names;
  std::vector<std::string> places;
  std::vector<std::string> updates;
  const auto add = [&](std::string_view name, bool is_key) {
    const std::string quoted = quote_identifier(name);
    names.push_back(quoted);
    places.push_back(fmt::format("?{}", names.size()));
    if (!is_key || writing.writes_keys) {
      updates.push_back(fmt::format("{0} = excluded.{0}", quoted));
    }
  };
  for (const SinkColumn& column : table.columns) {
    add(column.name, column.is_key);
  }
  add(kSourceColumn, false);
  std::string sql = fmt::format(
      "INSERT {}INTO {} ({}) VALUES ({})", writing.overrides_conflict_clauses ? "OR ABORT " : "",
      quote_identifier(table.table), fmt::join(names, ", "), fmt::join(places, ", "));
  if (table.mode == SinkMode::kUpsert) {
    sql += fmt::format(" ON CONFLICT ({}) DO UPDATE SET {}",
                       fmt::join(key_columns(table, kDialect), ", "), fmt::join(updates, ", "));
  }
  return sql;
}

std::string sqlite_delete_row_sql(const SinkTable& table) {
  return fmt::format("DELETE FROM {}", rows_of_key(table));
}

std::string sqlite_remaining_row_sql(const SinkTable& table) {
  return fmt::format("SELECT count(*) FROM {}", rows_of_key(table));
}

std::string sqlite_in_place_sql(const SinkTable& table) {
  std::vector<std::string> conditions;
  for (std::size_t index = 0; index < table.columns.size(); ++index) {
    if (table.columns[index].is_key) {
      conditions.push_back(
          fmt::format("{} = ?{}", quote_identifier(table.columns[index].name), index + 1));
    }
  }
  return fmt::format("SELECT count(*) FROM {} WHERE {} AND {} = ?{}", quote_identifier(table.table),
                     fmt::join(conditions, " AND "), quote_identifier(kSourceColumn),
                     table.columns.size() + 1);
}

}  // namespace onceflow::connectors
