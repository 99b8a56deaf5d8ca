#include "connectors/postgres_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "connectors/table_rules.h"

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
    case ColumnType::kDecimal:
      return "numeric";
    case ColumnType::kBoolean:
      return "boolean";
    case ColumnType::kTimestamptz:
    case ColumnType::kTimestamp:
    case ColumnType::kDate:
    case ColumnType::kUuid:
    case ColumnType::kJson:
    case ColumnType::kJsonb:
    case ColumnType::kBytea:
      return to_string(type);  // PostgreSQL's own names
  }
  return "text";
}

std::vector<ColumnType> kept_by(PostgresType type) {
  switch (type) {
    case PostgresType::kInt2:
    case PostgresType::kInt4:
    case PostgresType::kInt8:
      return {ColumnType::kInteger};
    case PostgresType::kFloat4:
    case PostgresType::kFloat8:
      return {ColumnType::kReal};
    case PostgresType::kNumeric:
      return {ColumnType::kDecimal, ColumnType::kInteger};
    case PostgresType::kBool:
      return {ColumnType::kBoolean};
    case PostgresType::kText:
    case PostgresType::kVarchar:
      return {ColumnType::kText};
    case PostgresType::kTimestamptz:
      return {ColumnType::kTimestamptz};
    case PostgresType::kTimestamp:
      return {ColumnType::kTimestamp};
    case PostgresType::kDate:
      return {ColumnType::kDate};
    case PostgresType::kUuid:
      return {ColumnType::kUuid};
    case PostgresType::kJson:
      return {ColumnType::kJson};
    case PostgresType::kJsonb:
      return {ColumnType::kJsonb};
    case PostgresType::kBytea:
      return {ColumnType::kBytea};
    default:
      return {};
  }
}

constexpr SqlDialect kDialect{&quote, &quote_table, &declared_type};

struct ExistingTable {
  std::vector<ExistingColumn> columns;
  std::vector<PostgresColumn> types;  // of these
};

// Parameters: the table, the key columns.
constexpr const char* kKeysDifferByBytes =
    "SELECT (coalesce(bool_and((a.atttypid IN (16, 17, 20, 21, 23, 25, 1043, 1082, 1114, 1184,"
    " 1700, 2950, 3802)"
    " OR EXISTS (SELECT FROM pg_type WHERE oid = a.atttypid AND typtype = 'e')) AND"
    " coalesce(c.collisdeterministic, true)), true) AND NOT EXISTS (SELECT FROM pg_trigger"
    " WHERE tgrelid = to_regclass($1) AND NOT tgisinternal AND tgtype & 3 = 3))::int"
    " FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation"
    " WHERE a.attrelid = to_regclass($1) AND a.attname = ANY($2) AND NOT a.attisdropped";

constexpr const char* kColumns =
    "SELECT a.attname, a.atttypid, format_type(a.atttypid, a.atttypmod),"
    " (a.attnotnull AND NOT a.atthasdef AND a.attidentity = '')::int,"
    " (a.attgenerated <> '')::int, a.atttypmod,"
    " (t.typtype = 'e')::int, (a.attidentity = 'a')::int, coalesce(base.type, 0),"
    " coalesce(base.declaration, ''), format_type(a.atttypid, NULL)"
    " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN LATERAL ("
    "  WITH RECURSIVE below (type, modifier) AS ("
    "   SELECT t.typbasetype, t.typtypmod WHERE t.typtype = 'd' UNION ALL"
    "   SELECT domain.typbasetype, domain.typtypmod FROM below"
    "   JOIN pg_type AS domain ON domain.oid = below.type AND domain.typtype = 'd')"
    "  SELECT below.type, format_type(below.type, below.modifier) AS declaration FROM below"
    "  JOIN pg_type ON pg_type.oid = below.type WHERE pg_type.typtype <> 'd') AS base ON true"
    " WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";

// Of the table and what is below it: a view; the first that inherits from it, the first that is of
// a foreign server, and the first that a crash would empty, each with its parent, if it has one. A
// table that is divided into partitions keeps no row itself.
constexpr const char* kRelation =
    "WITH RECURSIVE tree (oid, parent) AS (SELECT to_regclass($1)::oid, NULL::oid UNION ALL"
    " SELECT inhrelid, inhparent FROM tree JOIN pg_inherits ON inhparent = tree.oid"
    "), found AS (SELECT c.oid, c.relkind, c.relpersistence, c.relispartition, tree.parent,"
    " format('%I.%I', n.nspname, c.relname) AS name, (SELECT format('%I.%I', nspname, relname)"
    " FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE pg_class.oid = tree.parent) AS parent_name FROM tree"
    " JOIN pg_class AS c ON c.oid = tree.oid"
    " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    ") SELECT EXISTS (SELECT FROM found WHERE relkind = 'v' AND parent IS NULL)::int,"
    " heir.name, distant.name, distant.parent_name, emptied.name, emptied.parent_name,"
    " (emptied.relpersistence = 't')::int, heir.parent_name FROM (VALUES (1)) AS one"
    " LEFT JOIN LATERAL (SELECT name, parent_name FROM found WHERE parent IS NOT NULL"
    " AND NOT relispartition ORDER BY parent <> to_regclass($1), name LIMIT 1) AS heir ON true"
    " LEFT JOIN LATERAL (SELECT name, parent_name FROM found WHERE relkind = 'f'"
    " ORDER BY parent IS NOT NULL, name LIMIT 1) AS distant ON true"
    " LEFT JOIN LATERAL (SELECT name, parent_name, relpersistence FROM found"
    " WHERE relpersistence <> 'p'"
    " AND relkind <> 'p' ORDER BY parent IS NOT NULL, name LIMIT 1) AS emptied ON true";

// Parameters: the table, the key columns. By what else the table and its partitions are divided:
// columns, and whether by an expression.
constexpr const char* kDividedBy =
    "WITH RECURSIVE tree (oid) AS (SELECT to_regclass($1)::oid UNION ALL"
    " SELECT inhrelid FROM tree JOIN pg_inherits ON inhparent = tree.oid),"
    " part AS (SELECT p.partrelid, unnest(p.partattrs::int2[]) AS attnum FROM tree"
    "  JOIN pg_partitioned_table AS p ON p.partrelid = tree.oid)"
    " SELECT DISTINCT a.attname::text FROM part LEFT JOIN pg_attribute AS a"
    " ON a.attrelid = part.partrelid AND a.attnum = part.attnum"
    " WHERE a.attname IS NULL OR a.attname::text <> ALL($2) ORDER BY 1 NULLS FIRST";

// Of the table and its partitions, those of an insert or an update that are not disabled.
constexpr const char* kTriggers =
    "WITH RECURSIVE tree (oid) AS (SELECT to_regclass($1)::oid UNION ALL"
    " SELECT inhrelid FROM tree JOIN pg_inherits ON inhparent = tree.oid)"
    " SELECT coalesce(string_agg(DISTINCT tgname::text, ', '), '') FROM tree"
    " JOIN pg_trigger ON tgrelid = tree.oid"
    " WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 20 <> 0";

constexpr const char* kReadTableId = "SELECT to_regclass($1)::oid::text";

// What keeps no row, or does not say whether it does.
Status check_relation(PostgresConnection& connection, const SinkTable& table) {
  const auto answer = connection.execute(kRelation, {text_parameter(quote_table(table.table))});
  if (!answer) {
    return std::unexpected(to_error(answer.error()));
  }
  if (answer->integer(0, 0) != 0) {
    return refuse(
        table, "it is a view",
        table.mode == SinkMode::kAppend
            ? "PostgreSQL counts rows of a COPY that the triggers of a view drop, so that "
              "nobody would know of one that is missing"
            : "a row that a view does not show cannot be changed or deleted through it, "
              "and PostgreSQL says nothing of it",
        "name the table behind it as the sink's `table`");
  }
  if (!answer->is_null(0, 1)) {
    return refuse(table, "other tables inherit from it (INHERITS)",
                  "what is read, changed and deleted in it is so in their rows too, which its keys "
                  "do not reach",
                  fmt::format("ALTER TABLE {} NO INHERIT {}, or write to a table that no other one "
                              "inherits from; partitions (PARTITION OF) are taken",
                              answer->text(0, 1), answer->text(0, 7)));
  }
  if (!answer->is_null(0, 2)) {
    const bool is_partition = !answer->is_null(0, 3);
    return refuse(
        table,
        is_partition ? fmt::format("its partition {} is a foreign table", answer->text(0, 2))
                     : std::string("it is a foreign table"),
        "rows and positions are committed together, and a foreign server commits by itself, before "
        "this one",
        is_partition ? fmt::format("ALTER TABLE {} DETACH PARTITION {}, or write to tables of one "
                                   "server",
                                   answer->text(0, 3), answer->text(0, 2))
                     : std::string("write to a table of the foreign server, with a dsn that leads "
                                   "there"));
  }
  if (!answer->is_null(0, 4)) {
    const bool is_partition = !answer->is_null(0, 5);
    return refuse(
        table,
        fmt::format(
            "{} UNLOGGED or temporary",
            is_partition ? fmt::format("its partition {} is", answer->text(0, 4)) : "it is"),
        "rows last as long as the positions in onceflow_positions, and a crash of the server would "
        "empty it",
        answer->integer(0, 6) != 0
            ? std::string("name an ordinary table as the sink's `table`, in a schema other than "
                          "pg_temp, which ends with the session")
            : fmt::format("ALTER TABLE {} SET LOGGED, or write to an ordinary table",
                          is_partition ? answer->text(0, 4) : quote_table(table.table)));
  }
  return {};
}

// Parameters: the table, the key columns.
constexpr const char* kDeferrableKey =
    "SELECT c.conname, (c.contype = 'p')::int FROM pg_constraint AS c"
    " WHERE c.conrelid = to_regclass($1) AND c.condeferrable AND c.contype IN ('p', 'u')"
    " AND (SELECT array_agg(attname::text ORDER BY attname::text) FROM pg_attribute"
    "  WHERE attrelid = c.conrelid AND attnum = ANY(c.conkey))"
    " = (SELECT array_agg(name ORDER BY name) FROM unnest($2::text[]) AS name)";

// ON CONFLICT finds such a key and then says no for each row.
Status check_key_is_immediate(PostgresConnection& connection, const SinkTable& table,
                              const PostgresParameter& keys) {
  const auto answer =
      connection.execute(kDeferrableKey, {text_parameter(quote_table(table.table)), keys});
  if (!answer) {
    return std::unexpected(to_error(answer.error()));
  }
  if (answer->row_count() == 0) {
    return {};
  }
  const std::string name = answer->text(0, 0);
  return refuse(
      table, fmt::format("its key {} is DEFERRABLE", name),
      "PostgreSQL's ON CONFLICT takes a key that is checked at once",
      fmt::format("ALTER TABLE {} DROP CONSTRAINT {}, ADD {} ({})", quote_table(table.table),
                  quote(name), answer->integer(0, 1) != 0 ? "PRIMARY KEY" : "UNIQUE",
                  fmt::join(key_columns(table, kDialect), ", ")));
}

// Parameters: the table, the key columns. Of the indexes that ON CONFLICT takes, the first that
// holds other values of a column to be equal than the column itself does: its name, the column and
// by what it compares, then the index to drop and its table, which are a parent's where the table
// is a partition. An operator class that PostgreSQL does not bring may sort as it likes, too.
constexpr const char* kOtherEquality =
    "WITH class AS (SELECT c.oid, c.opcmethod, c.opcintype, c.opcdefault, (SELECT amopopr"
    "  FROM pg_amop WHERE amopfamily = c.opcfamily AND amopstrategy = 3"
    "  AND amoplefttype = c.opcintype AND amoprighttype = c.opcintype) AS equals,"
    "  (SELECT amproc::oid FROM pg_amproc WHERE amprocfamily = c.opcfamily AND amprocnum = 1"
    "  AND amproclefttype = c.opcintype AND amprocrighttype = c.opcintype) AS sorts,"
    "  format('%I.%I', n.nspname, c.opcname) AS name"
    "  FROM pg_opclass AS c JOIN pg_namespace AS n ON n.oid = c.opcnamespace)"
    " SELECT named.index, a.attname, CASE WHEN other.is_class THEN 'operator class ' || used.name"
    "  ELSE format('collation %I.%I', ns.nspname, own.collname) END, top.index, top.relation"
    " FROM pg_index AS i"
    " CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indcollation::oid[], i.indclass::oid[])"
    " WITH ORDINALITY AS part (attnum, compared, class, place)"
    " JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = part.attnum"
    " JOIN pg_type AS t ON t.oid = a.atttypid"
    " JOIN class AS used ON used.oid = part.class"
    " LEFT JOIN class AS usual ON usual.opcmethod = used.opcmethod AND usual.opcdefault"
    "  AND usual.opcintype = CASE WHEN t.typtype = 'e' THEN 'anyenum'::regtype"
    "  WHEN t.oid = 'varchar'::regtype THEN 'text'::regtype ELSE t.oid END"
    " LEFT JOIN pg_collation AS own ON own.oid = part.compared"
    " LEFT JOIN pg_namespace AS ns ON ns.oid = own.collnamespace"
    " LEFT JOIN pg_collation AS columns ON columns.oid = a.attcollation"
    " CROSS JOIN LATERAL (SELECT used.equals IS DISTINCT FROM usual.equals OR (used.oid >= 16384"
    "  AND used.sorts IS DISTINCT FROM usual.sorts) AS is_class, part.compared <> a.attcollation"
    "  AND NOT (own.collisdeterministic AND columns.collisdeterministic) AS is_collation) AS other"
    " CROSS JOIN LATERAL (SELECT format('%I.%I', n.nspname, c.relname) AS index FROM pg_class AS c"
    "  JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = i.indexrelid) AS named"
    " CROSS JOIN LATERAL (SELECT format('%I.%I', n.nspname, c.relname) AS index,"
    "  format('%I.%I', rn.nspname, r.relname) AS relation FROM pg_index AS whole"
    "  JOIN pg_class AS c ON c.oid = whole.indexrelid"
    "  JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    "  JOIN pg_class AS r ON r.oid = whole.indrelid"
    "  JOIN pg_namespace AS rn ON rn.oid = r.relnamespace WHERE whole.indexrelid"
    "  = coalesce(pg_partition_root(i.indexrelid)::oid, i.indexrelid)) AS top"
    " WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL"
    " AND i.indexprs IS NULL AND part.place <= i.indnkeyatts"
    " AND (other.is_class OR other.is_collation)"
    " AND (SELECT array_agg(DISTINCT named.attname::text ORDER BY named.attname::text)"
    "  FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS each (attnum, place)"
    "  JOIN pg_attribute AS named ON named.attrelid = i.indrelid AND named.attnum = each.attnum"
    "  WHERE each.place <= i.indnkeyatts)"
    " = (SELECT array_agg(name ORDER BY name) FROM unnest($2::text[]) AS name)"
    " ORDER BY 1, part.place LIMIT 1";

// Rows are written to by the equality of the index, and deleted by that of the column.
Status check_key_is_of_one_equality(PostgresConnection& connection, const SinkTable& table,
                                    const PostgresParameter& keys) {
  const auto answer =
      connection.execute(kOtherEquality, {text_parameter(quote_table(table.table)), keys});
  if (!answer) {
    return std::unexpected(to_error(answer.error()));
  }
  if (answer->row_count() == 0) {
    return {};
  }
  return refuse(
      table,
      fmt::format("its unique index {} compares column {} by the {}, and the column has another",
                  answer->text(0, 0), answer->text(0, 1), answer->text(0, 2)),
      "an upsert finds its row by the index and a deletion by the column; where one holds keys to "
      "be equal that are two for the other, the row of another key is changed or deleted",
      fmt::format("CREATE UNIQUE INDEX ON {} ({}); DROP INDEX {}", answer->text(0, 4),
                  fmt::join(key_columns(table, kDialect), ", "), answer->text(0, 3)));
}

// A COPY writes such a column, an INSERT and an UPDATE do not.
void refuse_identity(ExistingColumn& column, const SinkTable& table) {
  column.declaration += " GENERATED ALWAYS AS IDENTITY";
  column.keeps.clear();
  column.rule = "PostgreSQL numbers its rows itself, and an upsert gives it values";
  column.fix = postgres_alter_column(table, column.name) + " SET GENERATED BY DEFAULT";
}

// Its checks refuse records in the midst of a batch, and its name says no type that COPY knows.
void refuse_domain(ExistingColumn& column, const SinkTable& table, PostgresType base,
                   std::string_view declaration) {
  const std::vector<ColumnType> keeps = kept_by(base);
  if (keeps.empty()) {
    return;
  }
  column.declaration += fmt::format(", a domain over {}", declaration);
  column.rule = "a column has a type of PostgreSQL's own, as the sink writes its binary form";
  column.fix = fmt::format("{} TYPE {}, with the domain's checks as constraints of the table",
                           postgres_alter_column(table, column.name), declaration);
  const auto written = std::ranges::find(table.columns, column.name, &SinkColumn::name);
  if (written != table.columns.end() && std::ranges::find(keeps, written->type) == keeps.end()) {
    column.fix += fmt::format(", and give the sink's column {} `type: {}`", column.name,
                              to_string(keeps.front()));
  }
}

Result<ExistingTable> read_table(PostgresConnection& connection, const SinkTable& table) {
  const auto answer = connection.execute(kColumns, {text_parameter(quote_table(table.table))});
  if (!answer) {
    return std::unexpected(to_error(answer.error()));
  }
  ExistingTable existing;
  for (std::size_t row = 0; row < answer->row_count(); ++row) {
    const bool is_enum = answer->integer(row, 6) != 0;
    const auto type =
        is_enum ? PostgresType::kText : static_cast<PostgresType>(answer->integer(row, 1));
    ExistingColumn column{.name = answer->text(row, 0),
                          .declaration = answer->text(row, 2),
                          .keeps = kept_by(type),
                          .is_needed = answer->integer(row, 3) != 0};
    if (answer->integer(row, 4) != 0) {
      refuse_generated(
          column, table,
          fmt::format("{} DROP EXPRESSION", postgres_alter_column(table, column.name)));
    } else if (answer->integer(row, 7) != 0 && table.mode == SinkMode::kUpsert) {
      refuse_identity(column, table);
    } else if (answer->integer(row, 8) != 0) {
      refuse_domain(column, table, static_cast<PostgresType>(answer->integer(row, 8)),
                    answer->text(row, 9));
    }
    existing.columns.push_back(std::move(column));
    existing.types.push_back({.type = type,
                              .modifier = static_cast<std::int32_t>(answer->integer(row, 5)),
                              .declaration = answer->text(row, 2),
                              .type_name = answer->text(row, 10)});
  }
  return existing;
}

// Of the columns that the sink writes; all of them are there.
std::vector<PostgresColumn> written_columns(const SinkTable& table, const ExistingTable& existing) {
  std::vector<PostgresColumn> types;
  const auto add = [&](std::string_view name) {
    const auto found = std::ranges::find(existing.columns, name, &ExistingColumn::name);
    types.push_back(existing.types[static_cast<std::size_t>(found - existing.columns.begin())]);
  };
  for (const SinkColumn& column : table.columns) {
    add(column.name);
  }
  add(kSourceColumn);
  return types;
}

// Names in the order of the statements' parameters.
std::vector<std::string> all_columns(const SinkTable& table) {
  std::vector<std::string> names;
  names.reserve(table.columns.size() + 1);
  for (const SinkColumn& column : table.columns) {
    names.push_back(quote(column.name));
  }
  names.push_back(quote(kSourceColumn));
  return names;
}

// `$1::bigint[]::integer[], $2::text[]::text[]` for the columns for which `wanted` says yes: values
// in the column's own type, so that each statement finds a row by the equality of its unique index.
// What a cast would round was refused before; that of a length would cut.
template <typename Wanted>
std::vector<std::string> array_places(const SinkTable& table, const PostgresTable& written,
                                      Wanted wanted) {
  std::vector<std::string> places;
  for (std::size_t index = 0; index < table.columns.size(); ++index) {
    const SinkColumn& column = table.columns[index];
    if (wanted(column)) {
      places.push_back(fmt::format("${}::{}[]::{}[]", places.size() + 1, declared_type(column.type),
                                   written.columns[index].type_name));
    }
  }
  return places;
}

PostgresParameter key_names(const SinkTable& table) {
  PostgresArray names(PostgresType::kText);
  for (const SinkColumn& column : table.columns) {
    if (column.is_key) {
      names.add(std::string_view(column.name));
    }
  }
  return names.finish();
}

// Of all columns of rows, then of onceflow_source.
std::vector<std::string> places_of_rows(const SinkTable& table, const PostgresTable& written) {
  std::vector<std::string> places =
      array_places(table, written, [](const SinkColumn&) { return true; });
  places.push_back(fmt::format("${}::text[]", places.size() + 1));
  return places;
}

// The keys given as arrays, and the condition that joins them with the rows of `written`.
std::string keys_that_match(const SinkTable& table, const PostgresTable& written) {
  const std::vector<std::string> places =
      array_places(table, written, [](const SinkColumn& column) { return column.is_key; });
  const std::vector<std::string> names = key_columns(table, kDialect);
  std::vector<std::string> conditions;
  conditions.reserve(names.size());
  for (const std::string& name : names) {
    conditions.push_back(fmt::format("written.{0} = gone.{0}", name));
  }
  return fmt::format("unnest({}) AS gone ({}) WHERE {}", fmt::join(places, ", "),
                     fmt::join(names, ", "), fmt::join(conditions, " AND "));
}

}  // namespace

Error to_error(const PostgresFailure& failure) {
  const ErrorClass error_class = failure.error_class();
  const ErrorCode code = error_class == ErrorClass::kLost     ? ErrorCode::kConnectionLost
                         : error_class == ErrorClass::kPasses ? ErrorCode::kTimedOut
                         : error_class == ErrorClass::kOnce   ? ErrorCode::kUnsupported
                                                              : ErrorCode::kRefused;
  return {code, failure.explained(), recovery_of(error_class)};
}

std::string postgres_table_name(const SinkTable& table) { return quote_table(table.table); }

std::string postgres_alter_column(const SinkTable& table, std::string_view name) {
  return fmt::format("ALTER TABLE {} ALTER COLUMN {}", quote_table(table.table), quote(name));
}

// Ordinary partitions may come and go. Each look into pg_class is by its index, whatever else the
// database has; one into pg_trigger is made where the table has had a trigger or a foreign key.
// Those of our two tables give no row another key.
std::string postgres_shape_sql(std::string_view parameter) {
  return fmt::format(
      "((SELECT string_agg(concat_ws(' ', a.attrelid, a.attname, a.atttypid, a.atttypmod,"
      " a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated, a.attcollation), ','"
      " ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = to_regclass({0})"
      " AND a.attnum > 0 AND NOT a.attisdropped) || ' by ' ||"
      " coalesce((SELECT string_agg(concat_ws(' ', i.indkey, i.indcollation, i.indclass), ','"
      " ORDER BY i.indexrelid) FROM pg_index AS i WHERE i.indrelid = to_regclass({0})"
      " AND i.indisunique AND i.indisvalid), '') || ' in ' ||"
      " (WITH RECURSIVE tree AS (SELECT one.oid FROM unnest(ARRAY[to_regclass({0})::oid,"
      " to_regclass('onceflow_positions')::oid, to_regclass('onceflow_receipts')::oid])"
      " AS one (oid) UNION ALL SELECT below.inhrelid FROM tree, LATERAL (SELECT inhrelid"
      " FROM pg_inherits WHERE inhparent = tree.oid OFFSET 0) AS below)"
      " SELECT string_agg((SELECT concat_ws(' ', c.oid, c.relkind, c.relpersistence, fired.ids)"
      " FROM pg_class AS c LEFT JOIN LATERAL (SELECT string_agg(g.oid::text, '+' ORDER BY g.oid)"
      " AS ids FROM pg_trigger AS g WHERE c.relhastriggers AND g.tgrelid = c.oid"
      " AND c.oid IS DISTINCT FROM to_regclass('onceflow_positions')::oid"
      " AND c.oid IS DISTINCT FROM to_regclass('onceflow_receipts')::oid"
      " AND NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 20 <> 0) AS fired ON true"
      " WHERE c.oid = tree.oid AND (NOT c.relispartition OR c.relkind = 'f'"
      " OR c.relpersistence <> 'p' OR fired.ids IS NOT NULL)), ',' ORDER BY oid) FROM tree))",
      parameter);
}

Result<PostgresTable> ensure_postgres_table(PostgresConnection& connection,
                                            const SinkTable& table) {
  Result<ExistingTable> existing = read_table(connection, table);
  RETURN_IF_ERROR(existing);
  PostgresTable result;
  if (existing->columns.empty()) {
    if (const auto created = connection.execute(create_table_sql(table, kDialect)); !created) {
      return std::unexpected(to_error(created.error()));
    }
    result.was_created = true;
    existing = read_table(connection, table);
    RETURN_IF_ERROR(existing);
  }
  RETURN_IF_ERROR(check_relation(connection, table));
  RETURN_IF_ERROR(check_columns(table, kDialect, existing->columns));
  result.columns = written_columns(table, *existing);
  const PostgresParameter name = text_parameter(quote_table(table.table));
  const PostgresParameter keys = key_names(table);
  if (table.mode == SinkMode::kUpsert) {
    RETURN_IF_ERROR(check_key_is_immediate(connection, table, keys));
    RETURN_IF_ERROR(check_key_is_of_one_equality(connection, table, keys));
  }
  const auto shape = connection.execute("SELECT " + postgres_shape_sql("$1"), {name});
  if (!shape) {
    return std::unexpected(to_error(shape.error()));
  }
  const auto keys_differ = connection.execute(kKeysDifferByBytes, {name, keys});
  if (!keys_differ) {
    return std::unexpected(to_error(keys_differ.error()));
  }
  const auto id = connection.execute(kReadTableId, {name});
  if (!id) {
    return std::unexpected(to_error(id.error()));
  }
  const auto triggers = connection.execute(kTriggers, {name});
  if (!triggers) {
    return std::unexpected(to_error(triggers.error()));
  }
  result.triggers = triggers->text(0, 0);
  result.id = id->text(0, 0);
  result.shape = shape->text(0, 0);
  result.keys_differ_by_bytes = keys_differ->integer(0, 0) != 0;
  return result;
}

namespace {

// PostgreSQL makes no unique index over partitions but with all that the rows are divided by.
Status check_key_divides(PostgresConnection& connection, const SinkTable& table) {
  const auto divided =
      connection.execute(kDividedBy, {text_parameter(quote_table(table.table)), key_names(table)});
  if (!divided) {
    return std::unexpected(to_error(divided.error()));
  }
  if (divided->row_count() == 0) {
    return {};
  }
  constexpr std::string_view kRule =
      "an upsert needs a unique index on its key, and PostgreSQL makes one over partitions only "
      "where the key has all columns that they are divided by";
  constexpr std::string_view kOther =
      "write to a table that is not partitioned, or is by columns of its key";
  if (divided->is_null(0, 0)) {
    return refuse(table, "it is partitioned by an expression", kRule, kOther);
  }
  std::vector<std::string> key;
  for (const SinkColumn& column : table.columns) {
    if (column.is_key) {
      key.push_back(column.name);
    }
  }
  std::vector<std::string> missing;
  std::vector<std::string> quoted = key_columns(table, kDialect);
  for (std::size_t row = 0; row < divided->row_count(); ++row) {
    missing.push_back(divided->text(row, 0));
    quoted.push_back(quote(missing.back()));
  }
  return refuse(
      table,
      fmt::format("it is partitioned by {0}, and the sink's key ({1}) has no {0}",
                  fmt::join(missing, ", "), fmt::join(key, ", ")),
      kRule,
      fmt::format("where the rows of one ({0}) never change their {1}, give the sink `key: [{0}, "
                  "{1}]`, and CREATE UNIQUE INDEX ON {2} ({3}); else {4}",
                  fmt::join(key, ", "), fmt::join(missing, ", "), quote_table(table.table),
                  fmt::join(quoted, ", "), kOther));
}

}  // namespace

std::unexpected<Error> refuse_without_unique_key(PostgresConnection& connection,
                                                 const SinkTable& table, std::string_view what) {
  if (const Status checked = check_key_divides(connection, table); !checked) {
    return std::unexpected(checked.error());
  }
  const auto shared = connection.execute(shared_key_sql(table, kDialect));
  return refuse_without_unique_key(
      table, kDialect, what,
      fmt::format("CREATE UNIQUE INDEX ON {} ({})", quote_table(table.table),
                  fmt::join(key_columns(table, kDialect), ", ")),
      shared && shared->row_count() > 0 ? shared->text(0, 0) : std::string());
}

PostgresType array_element_type(ColumnType type) {
  switch (type) {
    case ColumnType::kInteger:
      return PostgresType::kInt8;
    case ColumnType::kReal:
      return PostgresType::kFloat8;
    case ColumnType::kText:
      return PostgresType::kText;
    case ColumnType::kDecimal:
      return PostgresType::kNumeric;
    case ColumnType::kBoolean:
      return PostgresType::kBool;
    case ColumnType::kTimestamptz:
      return PostgresType::kTimestamptz;
    case ColumnType::kTimestamp:
      return PostgresType::kTimestamp;
    case ColumnType::kDate:
      return PostgresType::kDate;
    case ColumnType::kUuid:
      return PostgresType::kUuid;
    case ColumnType::kJson:
      return PostgresType::kJson;
    case ColumnType::kJsonb:
      return PostgresType::kJsonb;
    case ColumnType::kBytea:
      return PostgresType::kBytea;
  }
  return PostgresType::kText;
}

std::string postgres_copy_sql(const SinkTable& table) {
  return fmt::format("COPY {} ({}) FROM STDIN (FORMAT binary)", quote_table(table.table),
                     fmt::join(all_columns(table), ", "));
}

std::string postgres_upsert_sql(const SinkTable& table, const PostgresTable& written,
                                bool writes_keys) {
  std::vector<std::string> updates;
  for (const SinkColumn& column : table.columns) {
    if (!column.is_key || writes_keys) {
      updates.push_back(fmt::format("{0} = excluded.{0}", quote(column.name)));
    }
  }
  updates.push_back(fmt::format("{0} = excluded.{0}", quote(kSourceColumn)));
  return fmt::format(
      "INSERT INTO {} ({}) SELECT * FROM unnest({}) ON CONFLICT ({}) DO UPDATE SET {}",
      quote_table(table.table), fmt::join(all_columns(table), ", "),
      fmt::join(places_of_rows(table, written), ", "),
      fmt::join(key_columns(table, kDialect), ", "), fmt::join(updates, ", "));
}

std::string postgres_delete_sql(const SinkTable& table, const PostgresTable& written) {
  return fmt::format("DELETE FROM {} AS written USING {}", quote_table(table.table),
                     keys_that_match(table, written));
}

std::string postgres_remaining_sql(const SinkTable& table, const PostgresTable& written) {
  return fmt::format("SELECT count(*) FROM {} AS written, {}", quote_table(table.table),
                     keys_that_match(table, written));
}

std::string postgres_in_place_sql(const SinkTable& table, const PostgresTable& written) {
  std::vector<std::string> conditions;
  for (const std::string& name : key_columns(table, kDialect)) {
    conditions.push_back(fmt::format("written.{0} = sent.{0}", name));
  }
  conditions.push_back(fmt::format("written.{0} = sent.{0}", quote(kSourceColumn)));
  return fmt::format("SELECT count(*) FROM {} AS written, unnest({}) AS sent ({}) WHERE {}",
                     quote_table(table.table), fmt::join(places_of_rows(table, written), ", "),
                     fmt::join(all_columns(table), ", "), fmt::join(conditions, " AND "));
}

}  // namespace onceflow::connectors
