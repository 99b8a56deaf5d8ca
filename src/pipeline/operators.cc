#include "pipeline/operators.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/json_document.h"
#include "base/json_text.h"
#include "base/utf8.h"
#include "engine/refusals.h"
#include "pipeline/deletion_condition.h"
#include "pipeline/deletion_key.h"
#include "pipeline/deletions.h"
#include "pipeline/json_fields.h"
#include "pipeline/sink_columns.h"
#include "pipeline/yaml_text.h"

namespace onceflow::pipeline {
namespace {

using engine::Chunk;
using engine::Record;

// What every operator here has: its step's name for messages, and the prepared program.
class Step {
 public:
  Step(std::string name, std::unique_ptr<Program> program, StepBefore before = StepBefore::kHelps)
      : name_(std::move(name)), program_(std::move(program)), before_(before) {}

  Program& program() { return *program_; }

  Status run(const Chunk& chunk, const Record& record) {
    auto ran = program_->run(chunk.source, record);
    if (!ran) [[unlikely]] {
      return refuse(chunk, record, ran.error());
    }
    return {};
  }

  Result<Value> column(const Chunk& chunk, const Record& record, std::size_t index) {
    const auto value = program_->column(index);
    if (!value) [[unlikely]] {
      return refuse(chunk, record, value.error());
    }
    return *value;
  }

  std::unexpected<Error> refuse(const Chunk& chunk, const Record& record,
                                const RecordProblem& problem) const {
    return refuse_record(name_, chunk, record, problem, before_);
  }
  std::unexpected<Error> refuse(const Chunk& chunk, const Record& record, std::string what,
                                std::string rule, std::string fix) const {
    return refuse(chunk, record, RecordProblem{std::move(what), std::move(rule), std::move(fix)});
  }

 private:
  std::string name_;
  std::unique_ptr<Program> program_;
  StepBefore before_;
};

class Where : public engine::Operator {
 public:
  /// `deletions` is null where records without a value are judged as any other.
  Where(Step step, std::unique_ptr<DeletionCondition> deletions)
      : step_(std::move(step)), deletions_(std::move(deletions)) {}

  Status process(Chunk& chunk) override {
    std::size_t kept = 0;
    for (std::size_t index = 0; index < chunk.records.size(); ++index) {
      const Record& record = chunk.records[index];
      bool is_kept = false;
      if (deletions_ && !record.value) [[unlikely]] {
        is_kept = deletions_->judge(chunk.source, record).may_be_true;
      } else {
        RETURN_IF_ERROR(step_.run(chunk, record));
        is_kept = step_.program().is_true(0);
      }
      if (is_kept) {
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
  std::unique_ptr<DeletionCondition> deletions_;
};

// What is made of JSON nests deeper than its parts, and nobody reads it beyond JsonDocument's
// limit.
std::optional<RecordProblem> problem_of_depth(std::string_view what, std::string_view made) {
  constexpr std::size_t kDepthMax = JsonDocument::kDepthMax;
  if (made.size() < 2 * kDepthMax || std::ranges::count_if(made, [](char letter) {
                                       return letter == '[' || letter == '{';
                                     }) <= static_cast<std::ptrdiff_t>(kDepthMax)) {
    return std::nullopt;
  }
  JsonDocument document;
  const auto problem = document.parse(made);
  return problem ? std::optional(RecordProblem{
                       fmt::format("{} would not be JSON: {}", what, problem->what),
                       "a value that is made of others nests no deeper than one that is read",
                       "set or group by less of it, a part or its text: cast(… as text)"})
                 : std::nullopt;
}

class Set : public engine::Operator {
 public:
  Set(Step step, std::vector<std::string> paths) : step_(std::move(step)) {
    for (std::string& path : paths) {
      const auto steps = parse_json_path(path);
      CHECK(steps.has_value());
      fields_.push_back({std::move(path), *steps});
    }
  }

  Status process(Chunk& chunk) override {
    for (Record& record : chunk.records) {
      if (record.value) {
        RETURN_IF_ERROR(step_.run(chunk, record));
        RETURN_IF_ERROR(set(chunk, record));
      }
    }
    return {};
  }

 private:
  struct Field {
    std::string path;
    JsonPath steps;
  };

  Status set(Chunk& chunk, Record& record) {
    json_.assign(as_text(*record.value));
    for (std::size_t index = 0; index < fields_.size(); ++index) {
      if (const auto problem = document_.parse(json_)) [[unlikely]] {
        return step_.refuse(chunk, record, malformed(*problem));
      }
      if (document_.node(JsonDocument::kRoot).kind != JsonDocument::Kind::kObject) [[unlikely]] {
        return step_.refuse(chunk, record, "the value is JSON, but not an object",
                            "`set` sets fields of an object",
                            step_before("value is null or json_type(value) = 'object'"));
      }
      const Result<Value> value = step_.column(chunk, record, index);
      RETURN_IF_ERROR(value);
      auto edited = edit_json(document_, fields_[index].steps, std::get<std::string_view>(*value),
                              JsonEdit::kSet);
      if (!edited) [[unlikely]] {
        return step_.refuse(
            chunk, record,
            fmt::format("there is no place for {} in the value", fields_[index].path),
            "a field is set in an object, an element in a list, without a gap",
            "set the whole list or object, or keep such records out by a step before this one");
      }
      json_ = std::move(*edited);
    }
    if (const auto problem = problem_of_depth("its value", json_)) [[unlikely]] {
      return step_.refuse(chunk, record, *problem);
    }
    record.value = chunk.arena.copy(as_bytes(json_));
    return {};
  }

  Step step_;
  std::vector<Field> fields_;
  JsonDocument document_;
  std::string json_;
};

// What a key says of a record without a value.
class KeyOfDeletion {
 public:
  static Result<KeyOfDeletion> make(const std::string& step, const std::vector<Expression>& parts) {
    auto key = DeletionKey::prepare(parts, DeletionCondition::Unknown::kNothing);
    RETURN_IF_ERROR(key);
    std::vector<std::string> made_of;
    std::vector<std::string> of_else;
    for (std::size_t index = 0; index < parts.size(); ++index) {
      made_of.push_back(fmt::format("`{}`", parts[index].text));
      if (!key->is_always_same(index)) {
        of_else.push_back(made_of.back());
      }
    }
    const std::string told = told_by_key(parts.front().text, ColumnType::kText);
    const std::string fix =
        parts.size() > 1 || told == "key"
            ? "tell rows by the record's own key: leave this step out"
            : fmt::format("where the record's own key is the one meant, write `key: {}`",
                          as_yaml_scalar(told));
    return KeyOfDeletion(
        std::move(*key),
        {step, fmt::format("{}", fmt::join(of_else.empty() ? made_of : of_else, ", ")), fix});
  }

  /// Of the record as it comes to the step.
  const engine::LostKey* judge(const TopicPartition& source, const Record& record) const {
    return key_.judge(source, record).may_be_lost ? &lost_ : record.lost_key;
  }

 private:
  KeyOfDeletion(DeletionKey key, engine::LostKey lost)
      : key_(std::move(key)), lost_(std::move(lost)) {}

  DeletionKey key_;
  engine::LostKey lost_;
};

class Key : public engine::Operator {
 public:
  Key(Step step, std::size_t part_count, NullKey null_key, KeyOfDeletion of_deletion)
      : step_(std::move(step)),
        part_count_(part_count),
        null_key_(null_key),
        of_deletion_(std::move(of_deletion)) {}

  Status process(Chunk& chunk) override {
    for (Record& record : chunk.records) {
      if (!record.value) {
        record.lost_key = of_deletion_.judge(chunk.source, record);
      }
      RETURN_IF_ERROR(step_.run(chunk, record));
      RETURN_IF_ERROR(part_count_ == 1 ? set_text(chunk, record) : set_list(chunk, record));
    }
    return {};
  }

 private:
  Status set_text(Chunk& chunk, Record& record) {
    const Result<Value> value = step_.column(chunk, record, 0);
    RETURN_IF_ERROR(value);
    if (is_null(*value)) {
      if (null_key_ == NullKey::kRefused) {
        return step_.refuse(chunk, record, "its key is null", "an aggregate groups by a key",
                            "give such records a key with coalesce(…, 'none'), with a value of the "
                            "type where a table's key column has another one than text, or keep "
                            "them out by a step before this one: `where: … is not null`");
      }
      record.key.reset();
      return {};
    }
    const std::string_view text = render_text(*value, chunk.arena);
    if (null_key_ == NullKey::kRefused && !is_utf8(text)) {
      return step_.refuse(chunk, record, "its key is not UTF-8",
                          "an aggregate writes its key into JSON, which is UTF-8",
                          "group by the bytes in digits, hex(key), or mend the producer");
    }
    record.key = copy_of(*value, text, chunk.arena);
    return {};
  }

  // A JSON array of the parts; null is one of them.
  Status set_list(Chunk& chunk, Record& record) {
    list_ = "[";
    for (std::size_t index = 0; index < part_count_; ++index) {
      const Result<Value> part = step_.column(chunk, record, index);
      RETURN_IF_ERROR(part);
      list_ += index > 0 ? "," : "";
      list_ += std::get<std::string_view>(*part);
    }
    list_ += ']';
    if (const auto problem = problem_of_depth("its key", list_)) [[unlikely]] {
      return step_.refuse(chunk, record, *problem);
    }
    record.key = chunk.arena.copy(as_bytes(list_));
    return {};
  }

  // Text and digits live in the program only until its next run; rendered numbers are in the arena
  // already.
  static ByteView copy_of(const Value& value, std::string_view text, engine::Arena& arena) {
    const bool is_in_arena =
        std::holds_alternative<std::int64_t>(value) || std::holds_alternative<double>(value);
    return is_in_arena ? as_bytes(text) : arena.copy(as_bytes(text));
  }

  Step step_;
  std::size_t part_count_;
  NullKey null_key_;
  KeyOfDeletion of_deletion_;
  std::string list_;
};

class ColumnProjection : public engine::Projection {
 public:
  static Result<ColumnProjection> make(Step step, std::vector<ProjectedColumn> columns) {
    ColumnProjection made(std::move(step), std::move(columns));
    std::vector<Expression> key;
    for (std::size_t index = 0; index < made.columns_.size(); ++index) {
      if (made.columns_[index].is_key) {
        made.key_columns_.push_back(index);
        key.push_back(made.columns_[index].expression);
      }
    }
    if (!key.empty()) {
      auto prepared = DeletionKey::prepare(key, DeletionCondition::Unknown::kNothing);
      RETURN_IF_ERROR(prepared);
      made.key_ = std::move(*prepared);
    }
    return made;
  }

  Status evaluate(Chunk& chunk, std::vector<Value>& values) override {
    values.clear();
    values.reserve(chunk.records.size() * columns_.size());
    for (const Record& record : chunk.records) {
      RETURN_IF_ERROR(step_.run(chunk, record));
      if (!record.value && key_) [[unlikely]] {
        if (const auto problem = problem_of_deletion(chunk, record)) {
          return step_.refuse(chunk, record, *problem);
        }
      }
      for (std::size_t index = 0; index < columns_.size(); ++index) {
        const Result<Value> value = step_.column(chunk, record, index);
        RETURN_IF_ERROR(value);
        if (columns_[index].is_key) {
          if (const auto problem = problem_of_key(index, *value)) [[unlikely]] {
            return step_.refuse(chunk, record, *problem);
          }
        }
        const auto kept = fit_column(columns_[index], *value, chunk.arena);
        if (!kept) [[unlikely]] {
          return step_.refuse(chunk, record, kept.error());
        }
        values.push_back(*kept);
      }
    }
    return {};
  }

  const Step& step() const { return step_; }

 private:
  ColumnProjection(Step step, std::vector<ProjectedColumn> columns)
      : step_(std::move(step)), columns_(std::move(columns)) {}

  // It deletes a row; which one, its key does not tell.
  std::optional<RecordProblem> problem_of_deletion(const Chunk& chunk, const Record& record) const {
    constexpr std::string_view kRule =
        "a record without a value has no fields; what tells its row is the key that it came with";
    if (const auto lost = key_->judge(chunk.source, record).may_be_lost) {
      return RecordProblem{
          fmt::format("it has no value, so it deletes a row, and {}", why(*lost)),
          std::string(kRule),
          fmt::format("{}; or {}", fix_of_deletion(*lost), step_before("value is not null"))};
    }
    if (record.lost_key != nullptr) {
      return RecordProblem{
          fmt::format("it has no value, so it deletes a row, and step {} makes its key of {}",
                      record.lost_key->step, record.lost_key->made_of),
          std::string(kRule),
          fmt::format("{}; or {}", record.lost_key->fix, step_before("value is not null"))};
    }
    return std::nullopt;
  }

  std::string why(const DeletionKey::Lost& lost) const {
    const ProjectedColumn& column = columns_[key_columns_[lost.part]];
    switch (lost.why) {
      case DeletionKey::Why::kNoPart:
        return key_columns_.size() > 1
                   ? "no column of the row's key comes to its key"
                   : fmt::format("key column {} is made of `{}`, the same for other keys",
                                 column.name, column.expression.text);
      case DeletionKey::Why::kSamePart:
        return fmt::format("key column {}, made of `{}`, comes to its whole key beside another",
                           column.name, column.expression.text);
      case DeletionKey::Why::kPart:
        break;
    }
    return fmt::format("key column {} is made of `{}`", column.name, column.expression.text);
  }

  std::string fix_of_deletion(const DeletionKey::Lost& lost) const {
    const ProjectedColumn& column = columns_[key_columns_[lost.part]];
    const std::string told =
        told_by_key(column.expression.text, column.type.value_or(ColumnType::kText));
    if (key_columns_.size() == 1) {
      return fmt::format("where the record's own key is the column's value, write {}",
                         line_of(column, told));
    }
    if (lost.why == DeletionKey::Why::kNoPart) {
      return "tell rows by the record's own key: make the sink's `key` one column of `key`, and "
             "give the table a unique index on it";
    }
    const auto member = told_by_member_of_key(column.expression.text);
    return fmt::format(
        "where the other columns tell the row, leave {} out of the sink's `key`, and give the "
        "table a unique index on them{}",
        column.name,
        member ? fmt::format("; where the record's key is JSON with this field, write {}",
                             line_of(column, *member))
               : "");
  }

  // Null, and what a column of text would write as another value's text.
  std::optional<RecordProblem> problem_of_key(std::size_t index, const Value& value) {
    const ProjectedColumn& column = columns_[index];
    if (is_null(value)) {
      return RecordProblem{
          fmt::format("key column {} would be null", column.name),
          "a row is found by its key, and null is equal to nothing",
          fmt::format("give it a value: write {}, or in the `key` of the aggregate where one "
                      "groups by it; or {}",
                      line_of(column, fmt::format("coalesce({}, {})", column.expression.text,
                                                  in_place_of_null(
                                                      column.type.value_or(ColumnType::kText)))),
                      step_before(fmt::format("{} is not null", column.expression.text)))};
    }
    const auto* text = std::get_if<std::string_view>(&value);
    const bool is_json = text != nullptr && step_.program().is_json(index);
    if (column.type != ColumnType::kText || (text != nullptr && !is_json)) {
      return std::nullopt;
    }
    constexpr std::size_t kShownMax = 40;
    std::string shown;
    append_json_value(shown, value);
    const std::string_view other = std::holds_alternative<std::int64_t>(value) ? "integer"
                                   : std::holds_alternative<double>(value)     ? "real"
                                                                               : "decimal";
    return RecordProblem{
        fmt::format("key column {} is text but got the {} {}", column.name,
                    is_json ? "list or object" : "number",
                    is_json ? text->substr(0, kShownMax) : std::string_view(shown)),
        "a key tells rows apart, 7 from \"7\", so that the row of neither is lost",
        fmt::format("write `{}: {}` where both are one{}", column.name,
                    as_yaml_scalar(fmt::format("cast({} as text)", column.expression.text)),
                    is_json ? ""
                            : fmt::format(", or start over (onceflow reset) with the column of "
                                          "`type: {}`",
                                          other))};
  }

  Step step_;
  std::vector<ProjectedColumn> columns_;
  std::vector<std::size_t> key_columns_;
  std::optional<DeletionKey> key_;
};

class Guard : public engine::Operator {
 public:
  Guard(ColumnProjection projection, std::size_t width, ColumnCheck check)
      : projection_(std::move(projection)), width_(width), check_(std::move(check)) {}

  Status process(Chunk& chunk) override {
    RETURN_IF_ERROR(projection_.evaluate(chunk, values_));
    for (std::size_t index = 0; check_ && index < values_.size(); ++index) {
      if (Status checked = check_(index % width_, values_[index], chunk.arena); !checked)
          [[unlikely]] {
        return projection_.step().refuse(chunk, chunk.records[index / width_],
                                         as_problem(checked.error().text));
      }
    }
    return {};
  }

 private:
  // The text says what is wrong, then, after a semicolon, the fix.
  static RecordProblem as_problem(std::string_view text) {
    const std::size_t end = text.find("; ");
    const std::string_view fix = end == std::string_view::npos ? "" : text.substr(end + 2);
    return {std::string(text.substr(0, end)),
            "what a later stage refuses is refused where it enters",
            fmt::format("{}{}keep such records out by a step before this one", fix,
                        fix.empty() ? "" : ", or ")};
  }

  ColumnProjection projection_;
  std::size_t width_;
  ColumnCheck check_;
  std::vector<Value> values_;
};

Result<Step> make_step(const std::string& name, std::vector<ProgramColumn> columns,
                       StepBefore before = StepBefore::kHelps) {
  Result<std::unique_ptr<Program>> program = Program::prepare(std::move(columns));
  if (!program) {
    return fail(program.error().code, fmt::format("step {}: {}", name, program.error().text));
  }
  return Step(name, std::move(*program), before);
}

Result<ColumnProjection> make_column_projection(const std::string& step,
                                                const std::vector<ProjectedColumn>& columns,
                                                StepBefore before = StepBefore::kHelps) {
  std::vector<ProgramColumn> program;
  program.reserve(columns.size());
  for (const ProjectedColumn& column : columns) {
    program.push_back(
        {column.expression, is_json(column.type) ? ColumnForm::kDocument : ColumnForm::kValue});
  }
  Result<Step> made = make_step(step, std::move(program), before);
  RETURN_IF_ERROR(made);
  return ColumnProjection::make(std::move(*made), columns);
}

}  // namespace

std::unexpected<Error> refuse_record(std::string_view step, const Chunk& chunk,
                                     const Record& record, const RecordProblem& problem,
                                     StepBefore before) {
  std::string past_it;
  if (before == StepBefore::kIsTooLate) {
    past_it = fmt::format(
        "; the record is in topic {} already, past all steps of the file: another column or "
        "expression in the sink's `columns` takes it where it is; a step or a `key` that is "
        "changed makes it anew: onceflow reset FILE --to-earliest --delete-rows --execute",
        chunk.source.topic);
  } else if (!problem.fix.contains("- { id: known, where: ")) {
    // Where no condition tells such records from others, their place does.
    past_it = "; " + engine::way_past(chunk.source, record.offset);
  }
  return fail(ErrorCode::kRefused,
              fmt::format("step {}, record {}/{}@{}: {}; the rule: {}; the fix: {}{}", step,
                          chunk.source.topic, chunk.source.partition.value, record.offset.value,
                          printable(problem.what), problem.rule, problem.fix, past_it));
}

engine::Factory<engine::Operator> make_where(std::string step, Expression condition,
                                             NoValue no_value) {
  return [step = std::move(step), condition = std::move(condition),
          no_value]() -> Result<std::unique_ptr<engine::Operator>> {
    Result<Step> made = make_step(step, {{condition, ColumnForm::kTruth}});
    RETURN_IF_ERROR(made);
    std::unique_ptr<DeletionCondition> deletions;
    if (no_value == NoValue::kPasses) {
      auto prepared =
          DeletionCondition::prepare(condition.text, DeletionCondition::Unknown::kFields);
      RETURN_IF_ERROR(prepared);
      deletions = std::move(*prepared);
    }
    return std::make_unique<Where>(std::move(*made), std::move(deletions));
  };
}

engine::Factory<engine::Operator> make_set(std::string step, std::vector<Assignment> assignments) {
  return [step = std::move(step),
          assignments = std::move(assignments)]() -> Result<std::unique_ptr<engine::Operator>> {
    std::vector<ProgramColumn> columns;
    std::vector<std::string> paths;
    for (const Assignment& assignment : assignments) {
      columns.push_back({assignment.expression, ColumnForm::kJson});
      paths.push_back(assignment.path);
    }
    Result<Step> made = make_step(step, std::move(columns));
    RETURN_IF_ERROR(made);
    return std::make_unique<Set>(std::move(*made), std::move(paths));
  };
}

engine::Factory<engine::Operator> make_key(std::string step, std::vector<Expression> expressions,
                                           NullKey null_key) {
  return [step = std::move(step), expressions = std::move(expressions),
          null_key]() -> Result<std::unique_ptr<engine::Operator>> {
    std::vector<ProgramColumn> columns;
    for (const Expression& expression : expressions) {
      columns.push_back(
          {expression, expressions.size() == 1 ? ColumnForm::kValue : ColumnForm::kJson});
    }
    Result<Step> made = make_step(step, std::move(columns));
    RETURN_IF_ERROR(made);
    auto of_deletion = KeyOfDeletion::make(step, expressions);
    RETURN_IF_ERROR(of_deletion);
    return std::make_unique<Key>(std::move(*made), expressions.size(), null_key,
                                 std::move(*of_deletion));
  };
}

engine::Factory<engine::Projection> make_projection(std::string step,
                                                    std::vector<ProjectedColumn> columns,
                                                    StepBefore before) {
  return [step = std::move(step), columns = std::move(columns),
          before]() -> Result<std::unique_ptr<engine::Projection>> {
    Result<ColumnProjection> made = make_column_projection(step, columns, before);
    RETURN_IF_ERROR(made);
    return std::make_unique<ColumnProjection>(std::move(*made));
  };
}

engine::Factory<engine::Operator> make_guard(std::string step, std::vector<ProjectedColumn> columns,
                                             ColumnCheck check) {
  return [step = std::move(step), columns = std::move(columns),
          check = std::move(check)]() -> Result<std::unique_ptr<engine::Operator>> {
    Result<ColumnProjection> made = make_column_projection(step, columns);
    RETURN_IF_ERROR(made);
    return std::make_unique<Guard>(std::move(*made), columns.size(), check);
  };
}

}  // namespace onceflow::pipeline
