// docs/values.md, row by row: what each table of the page says is what happens, with both readers
// of JSON.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/json_document.h"
#include "base/json_text.h"
#include "engine/aggregate_table.h"
#include "pipeline/expression.h"
#include "pipeline/operators.h"

namespace onceflow::pipeline {
namespace {

using Row = std::vector<std::string>;

// The text of a cell: without its back quotes, and with the bars that a table cannot hold.
std::string cell_text(std::string cell) {
  const std::size_t begin = cell.find_first_not_of(' ');
  const std::size_t end = cell.find_last_not_of(' ');
  cell = begin == std::string::npos ? "" : cell.substr(begin, end - begin + 1);
  if (cell.size() > 1 && cell.front() == '`' && cell.find('`', 1) == cell.size() - 1) {
    cell = cell.substr(1, cell.size() - 2);
  }
  for (std::size_t bar = cell.find("\\|"); bar != std::string::npos; bar = cell.find("\\|", bar)) {
    cell.erase(bar++, 1);
  }
  return cell;
}

Row cells_of(const std::string& line) {
  Row row;
  std::size_t begin = 1;
  for (std::size_t index = 1; index < line.size(); ++index) {
    if (line[index] == '|' && line[index - 1] != '\\') {
      row.push_back(cell_text(line.substr(begin, index - begin)));
      begin = index + 1;
    }
  }
  return row;
}

// The rows of every table of the page, by the names of their columns.
std::map<Row, std::vector<Row>> read_tables() {
  std::ifstream page("docs/values.md");
  EXPECT_TRUE(page.is_open()) << "run the test in the root of the repository";
  std::map<Row, std::vector<Row>> tables;
  Row header;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with('|')) {
      header.clear();
    } else if (header.empty()) {
      header = cells_of(line);
    } else if (!line.starts_with("|--")) {
      tables[header].push_back(cells_of(line));
    }
  }
  return tables;
}

void for_each_row(const Row& header, const std::function<void(const Row&)>& visit) {
  const auto tables = read_tables();
  const auto table = tables.find(header);
  ASSERT_TRUE(table != tables.end());
  for (const Row& row : table->second) {
    ASSERT_EQ(row.size(), header.size()) << row.front();
    visit(row);
  }
}

std::string shown(const Value& value) {
  if (const auto* decimal = std::get_if<Decimal>(&value)) {
    return "decimal " + std::string(decimal->digits);
  }
  std::string text;
  append_json_value(text, value);
  return text;
}

// What a row says is refused names a part of the message.
void expect_shown(const std::string& result, const std::string& expected, const Row& row,
                  const char* how) {
  if (expected.starts_with("refused: ")) {
    EXPECT_TRUE(result.starts_with("refused: ") && result.contains(expected.substr(9)))
        << how << ": " << row[0] << " | " << row[1] << ": " << result << ", not " << expected;
  } else {
    EXPECT_EQ(result, expected) << how << ": " << row[0] << " | " << row[1];
  }
}

engine::Record record_of(std::string_view value) {
  engine::Record record{.offset = Offset(17), .timestamp_ms = 1700000000000};
  record.key = as_bytes("k1");
  record.value = as_bytes(value);
  return record;
}

const TopicPartition kSource{"orders", PartitionIndex(3)};

std::string evaluated(const std::string& text, const std::string& value, Evaluator evaluator) {
  const auto expression = check_expression(text);
  if (!expression) {
    return "wrong: " + expression.error().what;
  }
  auto program = Program::prepare({{*expression, ColumnForm::kValue}}, evaluator);
  if (!program) {
    return "wrong: " + program.error().text;
  }
  if (const auto ran = (*program)->run(kSource, record_of(value)); !ran) {
    return "refused: " + ran.error().what;
  }
  const auto result = (*program)->column(0);
  return result ? shown(*result) : "refused: " + result.error().what;
}

TEST(ValuesPage, expressions_yield_what_it_says) {
  int count = 0;
  for_each_row({"value", "expression", "yields"}, [&](const Row& row) {
    ++count;
    expect_shown(evaluated(row[1], row[0], Evaluator::kFastWhereSure), row[2], row, "fast");
    expect_shown(evaluated(row[1], row[0], Evaluator::kThoroughOnly), row[2], row, "thorough");
  });
  EXPECT_GT(count, 100);
}

engine::Chunk chunk_of(const std::vector<std::string>& values) {
  engine::Chunk chunk;
  chunk.source = kSource;
  for (const std::string& value : values) {
    engine::Record record = record_of(value);
    record.value = chunk.arena.copy(as_bytes(value));
    chunk.records.push_back(record);
  }
  return chunk;
}

// `{ a: $.x, b: $.y }`, or one expression.
std::vector<std::pair<std::string, std::string>> named_expressions(const std::string& text) {
  if (!text.starts_with("{ ")) {
    return {{"key", text}};
  }
  std::vector<std::pair<std::string, std::string>> expressions;
  std::stringstream parts(text.substr(2, text.size() - 4));
  for (std::string part; std::getline(parts, part, ',');) {
    const std::size_t colon = part.find(": ");
    const std::size_t begin = part.find_first_not_of(' ');
    expressions.emplace_back(part.substr(begin, colon - begin), part.substr(colon + 2));
  }
  return expressions;
}

TEST(ValuesPage, keys_become_what_it_says) {
  for_each_row({"value", "key", "becomes"}, [](const Row& row) {
    std::vector<Expression> expressions;
    for (const auto& [name, text] : named_expressions(row[1])) {
      expressions.push_back(*check_expression(text));
    }
    engine::Chunk chunk = chunk_of({row[0]});
    const Status status =
        (*make_key("k", std::move(expressions), NullKey::kAllowed)())->process(chunk);
    const auto& key = chunk.records[0].key;
    const std::string result = !status ? "refused: " + status.error().text
                               : key   ? shown(as_text(*key))
                                       : "null";
    expect_shown(result, row[2], row, "key");
  });
}

TEST(ValuesPage, set_makes_what_it_says) {
  for_each_row({"value", "set", "becomes"}, [](const Row& row) {
    const std::size_t colon = row[1].find(": ");
    const auto expression = check_expression(row[1].substr(colon + 2));
    ASSERT_TRUE(expression.has_value()) << row[1];
    engine::Chunk chunk = chunk_of({row[0]});
    const Status status =
        (*make_set("s", {{row[1].substr(0, colon), *expression}})())->process(chunk);
    expect_shown(
        status ? std::string(as_text(*chunk.records[0].value)) : "refused: " + status.error().text,
        row[2], row, "set");
  });
}

// One column called `result` over the values, through the guard and the table.
std::string aggregated(const std::string& call, bool is_decimal,
                       const std::vector<std::string>& values) {
  using engine::AggregateFunction;
  const std::map<std::string, AggregateFunction> functions = {{"count", AggregateFunction::kCount},
                                                              {"sum", AggregateFunction::kSum},
                                                              {"min", AggregateFunction::kMin},
                                                              {"max", AggregateFunction::kMax},
                                                              {"avg", AggregateFunction::kAvg}};
  const std::size_t open = call.find('(');
  engine::AggregateSpec spec;
  spec.key_columns = {"k"};
  spec.columns = {
      {.name = "result", .function = functions.at(call.substr(0, open)), .is_decimal = is_decimal}};
  const std::vector<ProjectedColumn> columns = {
      {"result",
       *check_expression(call.substr(open + 1, call.size() - open - 2),
                         is_decimal ? Numbers::kExact : Numbers::kSql),
       is_decimal ? std::optional(ColumnType::kDecimal) : std::nullopt}};
  engine::Chunk chunk = chunk_of(values);
  const auto check = [&spec](std::size_t column, const Value& value, engine::Arena&) {
    return engine::Accumulator::check(spec.columns[column], value);
  };
  if (Status guarded = (*make_guard("g", columns, check)())->process(chunk); !guarded) {
    return "refused: " + guarded.error().text;
  }
  std::vector<Value> arguments;
  EXPECT_TRUE((*make_projection("a", columns)())->evaluate(chunk, arguments).has_value());
  engine::AggregateTable table(spec, "");
  for (const Value& argument : arguments) {
    if (Status added = table.update(as_bytes("k"), {&argument, 1}); !added) {
      return "let through: " + added.error().text;
    }
  }
  std::string output;
  table.for_each_pending(
      0, 1, [&](const auto& change) { output = std::string(as_text(*change.output)); });
  JsonDocument document;
  EXPECT_FALSE(document.parse(output).has_value()) << output;
  return std::string(document.raw(*document.member(JsonDocument::kRoot, "result")));
}

TEST(ValuesPage, aggregates_are_what_it_says) {
  for_each_row({"values", "aggregate", "result"}, [](const Row& row) {
    std::vector<std::string> values;
    std::stringstream documents(row[0]);
    for (std::string document; documents >> document;) {
      values.push_back(document);
    }
    std::string call = row[1];
    const bool is_decimal = call.ends_with(", decimal");
    if (is_decimal) {
      call.resize(call.size() - std::string(", decimal").size());
    }
    expect_shown(aggregated(cell_text(call), is_decimal, values), row[2], row, "aggregate");
  });
}

std::string projected(const Row& row, TextRule rule) {
  const auto name = std::ranges::find(kColumnTypeNames, row[2]);
  EXPECT_NE(name, kColumnTypeNames.end()) << row[2];
  const auto type = static_cast<ColumnType>(name - kColumnTypeNames.begin() + 1);
  engine::Chunk chunk = chunk_of({row[0]});
  std::vector<Value> values;
  const auto expression =
      check_expression(row[1], type == ColumnType::kDecimal ? Numbers::kExact : Numbers::kSql);
  const Status status =
      (*make_projection("p", {{"c", *expression, type, rule}})())->evaluate(chunk, values);
  return status ? shown(values[0]) : "refused: " + status.error().text;
}

TEST(ValuesPage, columns_take_what_it_says) {
  for_each_row({"value", "column", "type", "SQLite", "PostgreSQL"}, [](const Row& row) {
    expect_shown(projected(row, TextRule::kUtf8), row[3], row, "SQLite");
    expect_shown(projected(row, TextRule::kUtf8WithoutZero), row[4], row, "PostgreSQL");
  });
}

}  // namespace
}  // namespace onceflow::pipeline
