#include "pipeline/operators.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "connectors/convert_value.h"

namespace onceflow::pipeline {
namespace {

using engine::Chunk;
using engine::Record;

// What every operator here has: its step's name for messages, and the prepared program.
class Step {
 public:
  Step(std::string name, std::unique_ptr<Program> program)
      : name_(std::move(name)), program_(std::move(program)) {}

  Program& program() { return *program_; }

  Status run(const Chunk& chunk, const Record& record) {
    Status status = program_->run(chunk.source, record);
    if (!status) [[unlikely]] {
      return refuse(chunk, record, status.error().text, "fields are read from a value that is JSON",
                    "mend the producer, or keep such records out by a step before this one: "
                    "`where: json_valid(value)`");
    }
    return status;
  }

  Result<Value> column(const Chunk& chunk, const Record& record, std::size_t index) {
    Result<Value> value = program_->column(index);
    if (!value) [[unlikely]] {
      return refuse(chunk, record, value.error().text, "expressions yield text, numbers or null",
                    "use hex() or cast(… as text)");
    }
    return value;
  }

  std::unexpected<Error> refuse(const Chunk& chunk, const Record& record, std::string_view what,
                                std::string_view rule, std::string_view fix) const {
    return fail(ErrorCode::kRefused,
                fmt::format("step {}, record {}/{}@{}: {}; {}; {}", name_, chunk.source.topic,
                            chunk.source.partition.value, record.offset.value, what, rule, fix));
  }

 private:
  std::string name_;
  std::unique_ptr<Program> program_;
};

class Where : public engine::Operator {
 public:
  explicit Where(Step step) : step_(std::move(step)) {}

  Status process(Chunk& chunk) override {
    std::size_t kept = 0;
    for (std::size_t index = 0; index < chunk.records.size(); ++index) {
      RETURN_IF_ERROR(step_.run(chunk, chunk.records[index]));
      if (step_.program().is_true(0)) {
        if (kept != index) {
          chunk.records[kept] = chunk.records[index];
        }
        ++kept;
      }
    }
    chunk.records.resize(kept);
    return {};
  }

 private:
  Step step_;
};

// SQLite writes an infinite number as Inf, which is no JSON. Outside of strings no JSON has an I.
bool holds_infinity(std::string_view json) {
  if (json.find("Inf") == std::string_view::npos) [[likely]] {
    return false;
  }
  bool in_string = false;
  for (std::size_t index = 0; index < json.size(); ++index) {
    if (in_string && json[index] == '\\') {
      ++index;
    } else if (json[index] == '"') {
      in_string = !in_string;
    } else if (!in_string && json[index] == 'I') {
      return true;
    }
  }
  return false;
}

class Set : public engine::Operator {
 public:
  explicit Set(Step step) : step_(std::move(step)) {}

  Status process(Chunk& chunk) override {
    for (Record& record : chunk.records) {
      if (!record.value) {
        continue;
      }
      RETURN_IF_ERROR(step_.run(chunk, record));
      if (!step_.program().is_true(1)) [[unlikely]] {
        return step_.refuse(chunk, record, "the value is JSON, but not an object",
                            "`set` sets fields of an object",
                            "keep such records out by a step before this one: "
                            "`where: json_type(value) = 'object'`");
      }
      const Result<Value> value = step_.column(chunk, record, 0);
      RETURN_IF_ERROR(value);
      const std::string_view json = std::get<std::string_view>(*value);
      if (holds_infinity(json)) [[unlikely]] {
        return step_.refuse(chunk, record, "a field would be infinite", "JSON has no infinity",
                            "keep such records out by a step before this one, or bound the value "
                            "with min(…, 1e308)");
      }
      record.value = chunk.arena.copy(as_bytes(json));
    }
    return {};
  }

 private:
  Step step_;
};

class Key : public engine::Operator {
 public:
  Key(Step step, NullKey null_key) : step_(std::move(step)), null_key_(null_key) {}

  Status process(Chunk& chunk) override {
    for (Record& record : chunk.records) {
      RETURN_IF_ERROR(step_.run(chunk, record));
      const Result<Value> value = step_.column(chunk, record, 0);
      RETURN_IF_ERROR(value);
      if (!is_null(*value)) [[likely]] {
        record.key = copy_of(*value, chunk.arena);
      } else if (null_key_ == NullKey::kAllowed) {
        record.key.reset();
      } else {
        return step_.refuse(chunk, record, "its key is null", "an aggregate groups by a key",
                            "give such records a key with coalesce(…, 'none'), or keep them out "
                            "by a step before this one: `where: … is not null`");
      }
    }
    return {};
  }

 private:
  // Text lives in the statement only until its next run; rendered numbers are in the arena already.
  static ByteView copy_of(const Value& value, engine::Arena& arena) {
    const ByteView bytes = as_bytes(render_text(value, arena));
    return std::holds_alternative<std::string_view>(value) ? arena.copy(bytes) : bytes;
  }

  Step step_;
  NullKey null_key_;
};

class ColumnProjection : public engine::Projection {
 public:
  ColumnProjection(Step step, std::vector<ProjectedColumn> columns)
      : step_(std::move(step)), columns_(std::move(columns)) {}

  Status evaluate(Chunk& chunk, std::vector<Value>& values) override {
    values.clear();
    values.reserve(chunk.records.size() * columns_.size());
    for (const Record& record : chunk.records) {
      RETURN_IF_ERROR(step_.run(chunk, record));
      for (std::size_t index = 0; index < columns_.size(); ++index) {
        const Result<Value> value = step_.column(chunk, record, index);
        RETURN_IF_ERROR(value);
        const Result<Value> kept = keep(columns_[index], *value, chunk.arena);
        if (!kept) [[unlikely]] {
          return step_.refuse(chunk, record, kept.error().text,
                              "a column takes values of its type, or null",
                              "give the column another `type:`, or convert with cast(… as …)");
        }
        values.push_back(*kept);
      }
    }
    return {};
  }

 private:
  static Result<Value> keep(const ProjectedColumn& column, const Value& value,
                            engine::Arena& arena) {
    if (column.type == ColumnType::kText && !is_null(value) &&
        !std::holds_alternative<std::string_view>(value)) {
      return render_text(value, arena);
    }
    Result<Value> converted =
        column.type ? connectors::convert_value(column.name, *column.type, value) : value;
    if (converted) {
      if (const auto* text = std::get_if<std::string_view>(&*converted)) {
        return as_text(arena.copy(as_bytes(*text)));
      }
    }
    return converted;
  }

  Step step_;
  std::vector<ProjectedColumn> columns_;
};

Result<Step> make_step(const std::string& name, const std::vector<ColumnSql>& columns) {
  Result<std::unique_ptr<Program>> program = Program::prepare(columns);
  if (!program) {
    return fail(program.error().code, fmt::format("step {}: {}", name, program.error().text));
  }
  return Step(name, std::move(*program));
}

// `before`, the expressions separated by commas, `after`.
ColumnSql enclose(std::string_view before, const std::vector<const Expression*>& expressions,
                  std::string_view after) {
  ColumnSql column{std::string(before), std::string(before)};
  bool is_fast = true;
  for (const Expression* expression : expressions) {
    const std::string_view comma = expression == expressions.front() ? "" : ", ";
    column.sql += fmt::format("{}{}", comma, expression->sql);
    column.fast_sql += fmt::format("{}{}", comma, expression->fast_sql);
    is_fast = is_fast && !expression->fast_sql.empty();
  }
  column.sql += after;
  column.fast_sql += after;
  if (!is_fast) {
    column.fast_sql.clear();
  }
  return column;
}

std::string quoted(std::string_view text) {
  std::string result = "'";
  for (const char letter : text) {
    result.append(letter == '\'' ? 2 : 1, letter);
  }
  return result + '\'';
}

}  // namespace

engine::Factory<engine::Operator> make_where(std::string step, Expression condition) {
  return [step = std::move(step),
          condition = std::move(condition)]() -> Result<std::unique_ptr<engine::Operator>> {
    Result<Step> made = make_step(step, {enclose("(", {&condition}, ") IS TRUE")});
    RETURN_IF_ERROR(made);
    return std::make_unique<Where>(std::move(*made));
  };
}

engine::Factory<engine::Operator> make_set(std::string step, std::vector<Assignment> assignments) {
  return [step = std::move(step),
          assignments = std::move(assignments)]() -> Result<std::unique_ptr<engine::Operator>> {
    std::string arguments;
    for (const Assignment& assignment : assignments) {
      arguments += fmt::format(", {}, {}", quoted(assignment.path), assignment.expression.sql);
    }
    Result<Step> made = make_step(step, {{fmt::format("json_set(:value{})", arguments), {}},
                                         {"json_type(:value) = 'object'", {}}});
    RETURN_IF_ERROR(made);
    return std::make_unique<Set>(std::move(*made));
  };
}

engine::Factory<engine::Operator> make_key(std::string step, std::vector<Expression> expressions,
                                           NullKey null_key) {
  return [step = std::move(step), expressions = std::move(expressions),
          null_key]() -> Result<std::unique_ptr<engine::Operator>> {
    std::vector<const Expression*> all;
    for (const Expression& expression : expressions) {
      all.push_back(&expression);
    }
    Result<Step> made = make_step(
        step, {all.size() == 1 ? enclose("(", all, ")") : enclose("json_array(", all, ")")});
    RETURN_IF_ERROR(made);
    return std::make_unique<Key>(std::move(*made), null_key);
  };
}

engine::Factory<engine::Projection> make_projection(std::string step,
                                                    std::vector<ProjectedColumn> columns) {
  return [step = std::move(step),
          columns = std::move(columns)]() -> Result<std::unique_ptr<engine::Projection>> {
    std::vector<ColumnSql> sql;
    for (const ProjectedColumn& column : columns) {
      sql.push_back(enclose("(", {&column.expression}, ")"));
    }
    Result<Step> made = make_step(step, sql);
    RETURN_IF_ERROR(made);
    return std::make_unique<ColumnProjection>(std::move(*made), columns);
  };
}

}  // namespace onceflow::pipeline
