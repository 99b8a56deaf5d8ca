#include "connectors/table_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/utf8.h"
#include "connectors/convert_value.h"

namespace onceflow::connectors {
namespace {

struct Mismatch {
  std::string what;
  std::string rule;
  std::string fix;
};

bool is_number(ColumnType type) {
  return type == ColumnType::kInteger || type == ColumnType::kReal ||
         type == ColumnType::kDecimal || type == ColumnType::kBoolean;
}

// For databases that cannot change the type of a column.
std::string declare_anew(const SinkTable& table, const SqlDialect& dialect,
                         const SinkColumn& column) {
  const std::string_view type = dialect.declared_type(column.type);
  if (column.is_key) {
    return fmt::format("declare the table's {}, in a table made anew", type);
  }
  return fmt::format(
      "declare the table's {2}: ALTER TABLE {0} DROP COLUMN {1}; ALTER TABLE {0} ADD COLUMN {1} "
      "{2} (what the column holds is lost)",
      dialect.quote_table(table.table), dialect.quote(column.name), type);
}

// How the column and the sink's come to have types that fit.
std::string another_type(const SinkTable& table, const SqlDialect& dialect,
                         const ExistingColumn& existing, const SinkColumn& column) {
  const bool is_ours = column.name == kSourceColumn;
  if (!dialect.changes_types && !is_ours && !existing.keeps.empty()) {
    const ColumnType kept = existing.keeps.front();
    // A number may be written as text, but no time, document or string of bytes as a number.
    if (is_number(kept) && !is_number(column.type) && column.type != ColumnType::kText) {
      return declare_anew(table, dialect, column);
    }
    return fmt::format("if its values allow it, give the sink's column {} `type: {}`; else {}",
                       column.name, to_string(kept), declare_anew(table, dialect, column));
  }
  if (!existing.keeps.empty() && !is_ours) {
    return fmt::format("give the sink's column {} `type: {}`, or declare the table's {}",
                       column.name, to_string(existing.keeps.front()),
                       dialect.declared_type(column.type));
  }
  if (!dialect.changes_types || is_ours) {
    return fmt::format("declare it {}", dialect.declared_type(column.type));
  }
  return fmt::format(
      "ALTER TABLE {} ALTER COLUMN {} TYPE text, and give the sink's column `type: "
      "text`",
      dialect.quote_table(table.table), dialect.quote(column.name));
}

// SQLite takes ID for id, so that neither can be added beside the other.
std::optional<Mismatch> in_other_letters(const SinkTable& table, const SqlDialect& dialect,
                                         std::span<const ExistingColumn> existing,
                                         const std::string& name) {
  const auto small = [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  };
  const auto found = std::ranges::find_if(existing, [&](const ExistingColumn& column) {
    return std::ranges::equal(column.name, name, {}, small, small);
  });
  if (found == existing.end()) {
    return std::nullopt;
  }
  const std::string rename =
      fmt::format("ALTER TABLE {} RENAME COLUMN {} TO {}", dialect.quote_table(table.table),
                  dialect.quote(found->name), dialect.quote(name));
  return Mismatch{fmt::format("it has no column {}, and one that is called {}", name, found->name),
                  "a column has the name that the file gives it, to the letter",
                  name == kSourceColumn
                      ? rename
                      : fmt::format("write it as {} in the file, or {}", found->name, rename)};
}

// The one that has the column's values, where the file has given it another name: of the table's
// others that may be it.
std::string add_column(const SinkTable& table, const SqlDialect& dialect,
                       std::span<const ExistingColumn> existing, const SinkColumn& column) {
  std::string added =
      fmt::format("ALTER TABLE {} ADD COLUMN {} {}", dialect.quote_table(table.table),
                  dialect.quote(column.name), dialect.declared_type(column.type));
  const auto may_be_it = [&](const ExistingColumn& other) {
    return other.name != kSourceColumn && column.name != kSourceColumn &&
           std::ranges::find(table.columns, other.name, &SinkColumn::name) == table.columns.end() &&
           std::ranges::find(other.keeps, column.type) != other.keeps.end();
  };
  const auto other = std::ranges::find_if(existing, may_be_it);
  if (other == existing.end()) {
    return added;
  }
  return fmt::format(
      "if it is the table's {2} under another name, ALTER TABLE {0} RENAME COLUMN {2} TO {1}, "
      "which keeps its values; else {3}",
      dialect.quote_table(table.table), dialect.quote(column.name), dialect.quote(other->name),
      added);
}

std::optional<Mismatch> find_mismatch(const SinkTable& table, const SqlDialect& dialect,
                                      std::span<const ExistingColumn> existing,
                                      const SinkColumn& column) {
  const auto found = std::ranges::find(existing, column.name, &ExistingColumn::name);
  if (found == existing.end()) {
    if (auto other_case = in_other_letters(table, dialect, existing, column.name)) {
      return other_case;
    }
    return Mismatch{fmt::format("it has no column {}", column.name),
                    "an existing table has all columns that the sink writes",
                    add_column(table, dialect, existing, column)};
  }
  if (std::ranges::find(found->keeps, column.type) == found->keeps.end()) {
    return Mismatch{fmt::format("column {} is {}, the sink writes {}", column.name,
                                found->declaration, to_string(column.type)),
                    found->rule.empty() ? "a column keeps values as they are written, else the "
                                          "audit finds them altered"
                                        : found->rule,
                    found->fix.empty() ? another_type(table, dialect, *found, column) : found->fix};
  }
  return std::nullopt;
}

std::string give_default(const SinkTable& table, const SqlDialect& dialect,
                         std::string_view column) {
  return dialect.changes_types
             ? fmt::format(
                   "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL, or SET DEFAULT a value, "
                   "or add it to the sink's `columns`",
                   dialect.quote_table(table.table), dialect.quote(column))
             : std::string("give it a default, or add it to the sink's `columns`");
}

// All of them, so that a table is mended once.
std::vector<Mismatch> find_mismatches(const SinkTable& table, const SqlDialect& dialect,
                                      std::span<const ExistingColumn> existing) {
  std::vector<Mismatch> mismatches;
  const auto look_at = [&](const SinkColumn& column) {
    if (auto mismatch = find_mismatch(table, dialect, existing, column)) {
      mismatches.push_back(std::move(*mismatch));
    }
  };
  std::ranges::for_each(table.columns, look_at);
  look_at({.name = std::string(kSourceColumn), .type = ColumnType::kText});
  for (const ExistingColumn& column : existing) {
    const bool is_written =
        column.name == kSourceColumn ||
        std::ranges::find(table.columns, column.name, &SinkColumn::name) != table.columns.end();
    if (column.is_needed && !is_written) {
      mismatches.push_back({fmt::format("column {} is NOT NULL and has no default", column.name),
                            "the sink writes only its own columns",
                            give_default(table, dialect, column.name)});
    }
  }
  return mismatches;
}

}  // namespace

void refuse_generated(ExistingColumn& column, const SinkTable& table,
                      std::string_view to_ordinary) {
  const auto written = std::ranges::find(table.columns, column.name, &SinkColumn::name);
  const bool can_be_left_out = written != table.columns.end() && !written->is_key;
  column.declaration = "generated, " + column.declaration;
  column.keeps.clear();
  column.rule = "the database computes such a column, and takes no value for it";
  column.fix = fmt::format(
      "{}{}",
      can_be_left_out ? fmt::format("leave {} out of the sink's `columns`, or ", column.name) : "",
      to_ordinary);
}

std::unexpected<Error> refuse(const SinkTable& table, std::string_view what, std::string_view rule,
                              std::string_view fix) {
  return fail(ErrorCode::kRefused,
              fmt::format("table {}: {}; the rule: {}; the fix: {}", table.table, what, rule, fix));
}

Status check_columns(const SinkTable& table, const SqlDialect& dialect,
                     std::span<const ExistingColumn> existing) {
  const std::vector<Mismatch> mismatches = find_mismatches(table, dialect, existing);
  if (mismatches.empty()) {
    return {};
  }
  if (mismatches.size() == 1) {
    const Mismatch& only = mismatches.front();
    return refuse(table, only.what, only.rule, only.fix);
  }
  std::string all;
  for (std::size_t index = 0; index < mismatches.size(); ++index) {
    const Mismatch& one = mismatches[index];
    all += fmt::format("{}({}) {}; the rule: {}; the fix: {}", index == 0 ? "" : "; ", index + 1,
                       one.what, one.rule, one.fix);
  }
  return fail(ErrorCode::kRefused, fmt::format("table {} does not fit in {} places: {}",
                                               table.table, mismatches.size(), all));
}

std::string shared_key_sql(const SinkTable& table, const SqlDialect& dialect) {
  const std::vector<std::string> key = key_columns(table, dialect);
  std::vector<std::string> shown;
  std::vector<std::string> not_null;
  shown.reserve(key.size());
  not_null.reserve(key.size());
  for (const std::string& name : key) {
    shown.push_back(fmt::format("CAST({} AS text)", name));
    not_null.push_back(fmt::format("{} IS NOT NULL", name));
  }
  return fmt::format(
      "SELECT {0} FROM (SELECT {1} FROM {2} LIMIT 1000000) AS looked_at WHERE {3} GROUP BY {1} "
      "HAVING count(*) > 1 LIMIT 1",
      fmt::join(shown, " || ', ' || "), fmt::join(key, ", "), dialect.quote_table(table.table),
      fmt::join(not_null, " AND "));
}

std::unexpected<Error> refuse_without_unique_key(const SinkTable& table, const SqlDialect& dialect,
                                                 std::string_view what,
                                                 std::string_view create_index,
                                                 std::string_view shared) {
  const std::string key = fmt::format("{}", fmt::join(key_columns(table, dialect), ", "));
  const std::string rule =
      fmt::format("an upsert needs a primary key or unique index on ({})", key);
  if (shared.empty()) {
    return refuse(table, what, rule, create_index);
  }
  constexpr std::size_t kShownMax = 60;
  return refuse(
      table,
      fmt::format("{}, and several of its rows have one key, {}", what,
                  printable(shared.substr(0, kShownMax))),
      rule + ", and such an index is not made where rows share a key",
      fmt::format("give the sink another `table`, which is made with its key; or, where none of "
                  "the rows is to stay: DELETE FROM {}; {}; and onceflow reset FILE --to-earliest "
                  "--delete-rows --execute; or delete by hand all rows of each key but one, then "
                  "make the index",
                  dialect.quote_table(table.table), create_index));
}

std::string row_is_elsewhere(std::string_view triggers) {
  return fmt::format(
      "the database wrote the row, and under its key there is none of this record, as where a "
      "trigger changes the key, or puts back the row of before (the table's triggers: {}); the "
      "rule: a deletion and the audit find a row by the key that its record says; the fix: let "
      "the trigger leave the row as it is written, or drop it; a key that it makes is made in the "
      "sink's `columns` instead, for example by lower()",
      triggers);
}

std::vector<std::string> key_columns(const SinkTable& table, const SqlDialect& dialect) {
  std::vector<std::string> names;
  for (const SinkColumn& column : table.columns) {
    if (column.is_key) {
      names.push_back(dialect.quote(column.name));
    }
  }
  return names;
}

std::string create_table_sql(const SinkTable& table, const SqlDialect& dialect) {
  std::string sql = fmt::format("CREATE TABLE {} (", dialect.quote_table(table.table));
  for (const SinkColumn& column : table.columns) {
    sql += fmt::format("{} {}{}, ", dialect.quote(column.name), dialect.declared_type(column.type),
                       column.is_key ? " NOT NULL" : "");
  }
  sql += fmt::format("{} {} NOT NULL", kSourceColumn, dialect.declared_type(ColumnType::kText));
  if (const std::vector<std::string> key = key_columns(table, dialect); !key.empty()) {
    sql += fmt::format(", PRIMARY KEY ({})", fmt::join(key, ", "));
  }
  return sql + ")";
}

}  // namespace onceflow::connectors
