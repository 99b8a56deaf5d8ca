#include "connectors/postgres_rights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "connectors/postgres_table.h"

namespace onceflow::connectors {
namespace {

constexpr std::string_view kUniqueViolation = "23505";

// The tables of a sink with what it does to them, and those of them that are there, seen or not:
// anybody may read the catalog. Parameters: name and schema (may be empty) of the user's table,
// what is done to it and to the receipts, whether temporary tables are made.
constexpr const char* kTables =
    "WITH path AS ("
    "  SELECT n.oid, n.nspname, one.place FROM unnest(string_to_array(replace("
    "  current_setting('search_path'), '\"$user\"', current_user), ',')) WITH ORDINALITY"
    "  AS one (name, place) JOIN pg_namespace AS n ON n.nspname = trim(both ' \"' from one.name)"
    "), named (relname, nspname, rights, place) AS (VALUES"
    "  ('onceflow_positions', '', ARRAY['SELECT', 'INSERT', 'UPDATE'], 2),"
    "  ('onceflow_receipts', '', $4::text[], 3),"
    "  ($1::text, $2::text, $3::text[], 1)"
    "), found AS ("
    "  SELECT DISTINCT ON (named.place) c.oid, c.relname, n.oid AS schema, n.nspname, named.rights,"
    "  named.place FROM named JOIN pg_class AS c ON c.relname = named.relname"
    "  AND c.relkind IN ('r', 'p', 'v', 'f') JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    "  LEFT JOIN path ON path.oid = n.oid"
    "  WHERE CASE named.nspname WHEN '' THEN path.oid IS NOT NULL ELSE n.nspname = named.nspname"
    "  END ORDER BY named.place, path.place"
    ")";

// Of the schemas first, for without them nothing else can be seen.
constexpr const char* kGrants =
    ", schemas AS ("
    "  SELECT schema AS oid, nspname FROM found UNION SELECT oid, nspname FROM pg_namespace"
    "  WHERE nspname = $2 UNION SELECT oid, nspname FROM path WHERE current_schema() IS NULL"
    "), made AS ("
    "  SELECT DISTINCT n.oid, n.nspname FROM named JOIN pg_namespace AS n ON n.nspname ="
    "  CASE named.nspname WHEN '' THEN coalesce(current_schema(), (SELECT nspname FROM path"
    "  ORDER BY place DESC LIMIT 1)) ELSE named.nspname END"
    "  WHERE NOT EXISTS (SELECT FROM found WHERE found.place = named.place)"
    "  AND 'INSERT' = ANY(named.rights)"
    "), sequences AS MATERIALIZED ("
    "  SELECT DISTINCT s.oid, n.nspname, s.relname FROM found"
    "  JOIN pg_attrdef AS d ON d.adrelid = found.oid"
    "  JOIN pg_depend AS p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid"
    "  AND p.refclassid = 'pg_class'::regclass"
    "  JOIN pg_class AS s ON s.oid = p.refobjid AND s.relkind = 'S'"
    "  JOIN pg_namespace AS n ON n.oid = s.relnamespace WHERE 'INSERT' = ANY(found.rights)"
    ") SELECT sql FROM ("
    "  SELECT 1 AS place, format('GRANT USAGE ON SCHEMA %I TO %I', nspname, current_user) AS sql"
    "  FROM schemas WHERE NOT has_schema_privilege(oid, 'USAGE')"
    "  UNION ALL SELECT 2, format('GRANT CREATE ON SCHEMA %I TO %I', nspname, current_user)"
    "  FROM made WHERE NOT has_schema_privilege(oid, 'CREATE')"
    "  UNION ALL SELECT 3, format('GRANT %s ON %I.%I TO %I', string_agg(privilege, ', '), nspname,"
    "  relname, current_user) FROM found, unnest(rights) AS privilege"
    "  WHERE NOT has_table_privilege(oid, privilege) AND (privilege = 'DELETE'"
    "  OR NOT has_any_column_privilege(oid, privilege)) GROUP BY nspname, relname"
    "  UNION ALL SELECT 4, format('GRANT USAGE ON SEQUENCE %I.%I TO %I', nspname, relname,"
    "  current_user) FROM sequences WHERE NOT has_sequence_privilege(oid, 'USAGE')"
    "  AND NOT has_sequence_privilege(oid, 'UPDATE')"
    "  UNION ALL SELECT 5, format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(),"
    "  current_user) WHERE $5::bigint <> 0 AND NOT has_database_privilege(current_database(),"
    "  'TEMPORARY')"
    "  UNION ALL SELECT 6, format('ALTER TABLE %I.%I ADD COLUMN %I text NOT NULL DEFAULT %L',"
    "  found.nspname, found.relname, one.name, '') FROM found JOIN pg_class ON pg_class.oid ="
    "  found.oid, unnest(ARRAY['topic_id', 'table_id']) AS one (name)"
    "  WHERE found.relname = 'onceflow_positions' AND NOT pg_has_role(relowner, 'USAGE')"
    "  AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = found.oid"
    "  AND attname = one.name AND NOT attisdropped)"
    "  UNION ALL SELECT 7, format('ALTER TABLE %I.%I DISABLE ROW LEVEL SECURITY', nspname, relname)"
    "  FROM found WHERE row_security_active(oid)"
    ") AS missing ORDER BY place, sql";

constexpr const char* kHidden =
    " SELECT format('%I.%I', nspname, relname), format('%I', nspname), format('%I', current_user)"
    " FROM found WHERE NOT has_schema_privilege(schema, 'USAGE') ORDER BY place LIMIT 1";

// The sequence of receipt_id, whether it can be raised (kRaiseReceiptIds has done so), and the
// newest id.
constexpr const char* kReceiptIds =
    "SELECT ids.name::text, (has_sequence_privilege(ids.name, 'SELECT')"
    " AND has_sequence_privilege(ids.name, 'UPDATE'))::int,"
    " (SELECT coalesce(max(receipt_id), 0) FROM onceflow_receipts), format('%I', current_user)"
    " FROM (SELECT pg_get_serial_sequence('onceflow_receipts', 'receipt_id')::regclass AS name)"
    " AS ids WHERE ids.name IS NOT NULL";

// Takes an id, which the rollback does not give back.
constexpr const char* kTryReceiptId =
    "INSERT INTO onceflow_receipts (pipeline, stage, receipt) VALUES ('', '', '')"
    " RETURNING receipt_id";

std::vector<PostgresParameter> table_parameters(const SinkTable& table,
                                                const NeededRights& needed) {
  const std::size_t dot = table.table.find('.');
  const std::string schema = dot == std::string::npos ? "" : table.table.substr(0, dot);
  PostgresArray on_table(PostgresType::kText);
  for (const std::string_view right : needed.on_table) {
    on_table.add(right);
  }
  PostgresArray on_receipts(PostgresType::kText);
  for (const std::string_view right : needed.on_receipts) {
    on_receipts.add(right);
  }
  return {text_parameter(table.table.substr(dot == std::string::npos ? 0 : dot + 1)),
          text_parameter(schema), on_table.finish(), on_receipts.finish(),
          integer_parameter(needed.makes_temporary_tables ? 1 : 0)};
}

}  // namespace

NeededRights rights_to_write(const SinkTable& table) {
  NeededRights needed{.on_table = {"SELECT", "INSERT"}, .on_receipts = {"SELECT", "INSERT"}};
  if (table.mode == SinkMode::kUpsert) {
    needed.on_table.insert(needed.on_table.end(), {"UPDATE", "DELETE"});
  }
  return needed;
}

Result<std::vector<std::string>> missing_grants(PostgresConnection& connection,
                                                const SinkTable& table,
                                                const NeededRights& needed) {
  const auto answer =
      connection.execute(std::string(kTables) + kGrants, table_parameters(table, needed));
  if (!answer) {
    return std::unexpected(to_error(answer.error()));
  }
  std::vector<std::string> grants;
  grants.reserve(answer->row_count());
  for (std::size_t row = 0; row < answer->row_count(); ++row) {
    grants.push_back(answer->text(row, 0));
  }
  return grants;
}

PostgresFailure with_grants(PostgresConnection& connection, const SinkTable& table,
                            const NeededRights& needed, PostgresFailure failure) {
  if (!is_missing_right(failure.sqlstate) || !connection.execute("ROLLBACK")) {
    return failure;
  }
  // Where nothing is known to be missing, the words of PostgreSQL stand in the message.
  if (const auto grants = missing_grants(connection, table, needed); grants && !grants->empty()) {
    failure.fix = fmt::format("{}", fmt::join(*grants, "; "));
  }
  return failure;
}

void add_grants(PostgresConnection& connection, const SinkTable& table, const NeededRights& needed,
                Error& error) {
  const PostgresFailure* refusal = connection.last_refusal();
  if (refusal != nullptr && error.text == refusal->explained()) {
    error.text = with_grants(connection, table, needed, *refusal).explained();
  }
}

Status check_visible(PostgresConnection& connection, const SinkTable& table) {
  const auto answer = connection.execute(std::string(kTables) + kHidden,
                                         table_parameters(table, rights_to_write(table)));
  if (!answer) {
    return std::unexpected(to_error(answer.error()));
  }
  if (answer->row_count() == 0) {
    return {};
  }
  return fail(ErrorCode::kRefused,
              fmt::format("table {0} is in a schema that user {2} may not use; the rule: a sink "
                          "goes on with the tables that are there, and does not make others "
                          "beside them; the fix: GRANT USAGE ON SCHEMA {1} TO {2}",
                          answer->text(0, 0), answer->text(0, 1), answer->text(0, 2)));
}

Status check_receipt_ids(PostgresConnection& connection) {
  const auto ids = connection.execute(kReceiptIds);
  if (!ids) {
    return std::unexpected(to_error(ids.error()));
  }
  if (ids->row_count() == 0 || ids->integer(0, 1) != 0 || ids->integer(0, 2) == 0) {
    return {};
  }
  if (const auto saved = connection.execute("SAVEPOINT onceflow_id"); !saved) {
    return std::unexpected(to_error(saved.error()));
  }
  const auto tried = connection.execute(kTryReceiptId);
  if (!tried && tried.error().sqlstate != kUniqueViolation) {
    return std::unexpected(to_error(tried.error()));
  }
  if (const auto back = connection.execute("ROLLBACK TO onceflow_id; RELEASE onceflow_id"); !back) {
    return std::unexpected(to_error(back.error()));
  }
  if (tried && tried->integer(0, 0) > ids->integer(0, 2)) {
    return {};
  }
  return fail(
      ErrorCode::kRefused,
      fmt::format("the next receipt would not be numbered above the newest in onceflow_receipts, "
                  "{}, as after rows that were copied back, and user {} may not change that; the "
                  "rule: receipts are numbered in the order of commits; the fix: GRANT SELECT, "
                  "UPDATE ON SEQUENCE {} TO {}",
                  ids->integer(0, 2), ids->text(0, 3), ids->text(0, 0), ids->text(0, 3)));
}

}  // namespace onceflow::connectors
