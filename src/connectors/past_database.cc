#include "connectors/past_database.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "connectors/positions.h"
#include "connectors/postgres_positions.h"
#include "connectors/postgres_table.h"
#include "connectors/sqlite_positions.h"

namespace onceflow::connectors {
namespace {

// A table may be in a schema: each part has quotes of its own.
std::string quoted_table(const std::string& table) {
  const std::size_t dot = table.find('.');
  return dot == std::string::npos ? quote_identifier(table)
                                  : quote_identifier(table.substr(0, dot)) + "." +
                                        quote_identifier(table.substr(dot + 1));
}

Result<std::string> oid_of_table(PostgresConnection& connection, const std::string& quoted) {
  const auto answer =
      connection.execute("SELECT to_regclass($1)::oid::text", {text_parameter(quoted)});
  if (!answer) {
    return std::unexpected(to_error(answer.error()));
  }
  return std::string(answer->text(0, 0));
}

Result<bool> is_of_postgres_table(PostgresConnection& connection, const std::string& id) {
  const auto answer = connection.execute("SELECT count(*)::int FROM pg_class WHERE oid::text = $1",
                                         {text_parameter(id)});
  if (!answer) {
    return std::unexpected(to_error(answer.error()));
  }
  return answer->integer(0, 0) != 0;
}

}  // namespace

std::string bare_table_name(const std::string& table) {
  std::string name = table.substr(table.rfind('.') + 1);
  std::ranges::transform(name, name.begin(), [](const char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  return name;
}

PastDatabase sqlite_past_database(SqliteConnection& connection, const SinkTable& table) {
  return {.run = [&connection](const std::string& sql, const PastDatabase::Row& values)
              -> Result<std::vector<PastDatabase::Row>> {
            std::string text = sql;
            for (std::size_t place = 0; (place = text.find('$', place)) != std::string::npos;) {
              text[place] = '?';
            }
            auto statement = connection.prepare(text);
            RETURN_IF_ERROR(statement);
            for (std::size_t index = 0; index < values.size(); ++index) {
              statement->bind(static_cast<int>(index) + 1, std::string_view(values[index]));
            }
            std::vector<PastDatabase::Row> rows;
            while (true) {
              const auto step = statement->step();
              RETURN_IF_ERROR(step);
              if (*step == SqliteStatement::Step::kDone) {
                return rows;
              }
              PastDatabase::Row& row = rows.emplace_back();
              for (int column = 0; column < statement->column_count(); ++column) {
                row.emplace_back(statement->text(column));
              }
            }
          },
          .table = quote_identifier(table.table),
          .has_table_sql =
              "SELECT CAST(count(*) AS TEXT) FROM sqlite_schema WHERE type = 'table' AND name = $1 "
              "COLLATE NOCASE",
          .table_name = table.table,
          .ensure_positions = [&connection] { return ensure_sqlite_positions(connection); },
          .begin = "BEGIN IMMEDIATE",
          .check_now = "SELECT 1",
          .number = "INTEGER",
          .receipt = "CAST($3 AS BLOB)",
          .to_receipt_text = [](std::string_view bytes) { return std::string(bytes); },
          .read_receipt = "receipt",
          .from_receipt_text = [](std::string_view text) { return to_buffer(text); },
          .members = "SELECT value AS source FROM json_each($2)",
          .for_each = [&connection](const std::string& sql,
                                    const PastDatabase::VisitText& visit) -> Status {
            auto statement = connection.prepare(sql);
            RETURN_IF_ERROR(statement);
            while (true) {
              const auto step = statement->step();
              RETURN_IF_ERROR(step);
              if (*step == SqliteStatement::Step::kDone) {
                return {};
              }
              const std::string text(statement->text(0));
              RETURN_IF_ERROR(visit(text));
            }
          },
          .table_id = [&connection, &table] { return read_sqlite_table_id(connection, table); },
          // schema_version:rootpage:name
          .is_of_another_table = [&table](const std::string& id) -> Result<bool> {
            const std::size_t name = id.find(':', id.find(':') + 1);
            return id.contains(':') && name != std::string::npos &&
                   bare_table_name(id.substr(name + 1)) != bare_table_name(table.table);
          }};
}

PastDatabase postgres_past_database(PostgresConnection& connection, const SinkTable& table) {
  const std::string quoted = quoted_table(table.table);
  return {
      .run = [&connection](const std::string& sql, const PastDatabase::Row& values)
          -> Result<std::vector<PastDatabase::Row>> {
        std::vector<PostgresParameter> parameters;
        parameters.reserve(values.size());
        for (const std::string& value : values) {
          parameters.push_back(text_parameter(value));
        }
        const auto answer =
            parameters.empty() ? connection.execute(sql) : connection.execute(sql, parameters);
        if (!answer) {
          return std::unexpected(to_error(answer.error()));
        }
        std::vector<PastDatabase::Row> rows(answer->row_count());
        for (std::size_t row = 0; row < rows.size(); ++row) {
          for (int column = 0; column < answer->column_count(); ++column) {
            rows[row].push_back(answer->text(row, column));
          }
        }
        return rows;
      },
      .table = quoted,
      .has_table_sql = "SELECT (to_regclass($1) IS NOT NULL)::int::text",
      .table_name = quoted,
      .ensure_positions = [&connection] { return ensure_postgres_positions(connection); },
      .begin = "BEGIN",
      .check_now = "SET CONSTRAINTS ALL IMMEDIATE",
      .number = "bigint",
      .receipt = "decode($3, 'hex')",
      .to_receipt_text =
          [](std::string_view bytes) {
            return fmt::format(
                "{:02x}", fmt::join(std::vector<std::uint8_t>(bytes.begin(), bytes.end()), ""));
          },
      .read_receipt = "encode(receipt, 'hex')",
      .from_receipt_text = from_hex,
      .members = "SELECT jsonb_array_elements_text(CAST($2 AS jsonb)) AS source",
      .for_each = [&connection](const std::string& sql,
                                const PastDatabase::VisitText& visit) -> Status {
        const auto begun = connection.execute("DECLARE onceflow_rows NO SCROLL CURSOR FOR " + sql);
        if (!begun) {
          return std::unexpected(to_error(begun.error()));
        }
        while (true) {
          const auto page = connection.execute("FETCH 1000 FROM onceflow_rows");
          if (!page) {
            return std::unexpected(to_error(page.error()));
          }
          for (std::size_t row = 0; row < page->row_count(); ++row) {
            const std::string text = page->text(row, 0);
            RETURN_IF_ERROR(visit(text));
          }
          if (page->row_count() == 0) {
            const auto closed = connection.execute("CLOSE onceflow_rows");
            return closed ? Status{} : Status(std::unexpected(to_error(closed.error())));
          }
        }
      },
      .table_id = [&connection, quoted] { return oid_of_table(connection, quoted); },
      .is_of_another_table =
          [&connection](const std::string& id) { return is_of_postgres_table(connection, id); }};
}

}  // namespace onceflow::connectors
