#include "pipeline/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <span>
#include <utility>

#include "engine/accumulator.h"
#include "pipeline/deletions.h"
#include "pipeline/exact_inputs.h"
#include "pipeline/group_rows.h"
#include "pipeline/result_columns.h"
#include "pipeline/result_conditions.h"
#include "pipeline/sink_columns.h"
#include "pipeline/sink_factory.h"
#include "pipeline/sink_targets.h"
#include "pipeline/step_to_add.h"
#include "protocol/definition.h"

namespace onceflow::pipeline {
namespace {

using engine::Guarantee;

// The stage that is being put together: it has no output yet.
struct OpenStage {
  std::vector<std::string> sources;
  std::vector<engine::Factory<engine::Operator>> operators;
  std::optional<engine::AggregateSpec> aggregate;
  std::vector<std::string> steps;
};

class Planner {
 public:
  explicit Planner(PipelineSpec spec) : spec_(std::move(spec)) {}

  std::expected<PlannedPipeline, std::vector<Problem>> plan() {
    plan_.pipeline = spec_.name;
    plan_.guarantee = spec_.guarantee;
    plan_.receipts_topic = spec_.name + "-receipts";
    plan_.topics.push_back({plan_.receipts_topic, 1, false});
    plan_.commit_interval = spec_.commit_interval;
    plan_.request_bytes_max = spec_.request_bytes_max;
    plan_.offset_reset = spec_.source.offset_reset;
    report_.guarantee = spec_.guarantee;
    check_sinks();
    std::ranges::move(check_result_conditions(spec_), std::back_inserter(problems_));
    open_.sources = spec_.source.topics;
    for (const StepSpec& step : spec_.steps) {
      add_step(step);
    }
    add_sinks();
    check_names();
    add_assumptions();
    if (!problems_.empty()) {
      return std::unexpected(with_free_step_ids(std::move(problems_), spec_));
    }
    return PlannedPipeline{std::move(spec_), std::move(plan_), std::move(report_)};
  }

 private:
  std::string internal(std::string_view middle, std::string_view end) const {
    return fmt::format("{}-{}-{}", spec_.name, middle, end);
  }

  // ------------------------------------------------------------------------------------------
  // steps

  void add_step(const StepSpec& step) {
    if (open_.aggregate) {
      // What follows an aggregate reads its results from a topic, as any other reader would.
      const std::string topic = internal(last_aggregate_->id, "results");
      plan_.topics.push_back({topic, 0, false});
      close_to_topics(last_aggregate_->id, {topic});
    }
    if (step.where) {
      const bool passes = has_tables_with_deletions(spec_) && passes_deletions(step.where->text);
      open_.operators.push_back(
          make_where(step.id, *step.where, passes ? NoValue::kPasses : NoValue::kJudged));
      open_.steps.push_back("where " + step.id);
    }
    if (!step.set.empty()) {
      open_.operators.push_back(make_set(step.id, step.set));
      open_.steps.push_back("set " + step.id);
    }
    if (step.key) {
      last_key_ = &*step.key;
      const NullKey null_key = step.aggregate ? NullKey::kRefused : NullKey::kAllowed;
      open_.operators.push_back(make_key(step.id, expressions_of(*step.key), null_key));
      open_.steps.push_back("key " + step.id);
    }
    if (step.aggregate) {
      add_aggregate(step);
    }
  }

  void add_aggregate(const StepSpec& step) {
    if (aggregate_shape_) {
      refuse(step.aggregate->line,
             fmt::format("step {} aggregates the results of step {}", step.id, last_aggregate_->id),
             "an aggregate's results are updates: a key comes again with each change, so adding "
             "them up counts it more than once",
             "aggregate once, by the key that you need");
      return;
    }
    if (!step.key) {
      // The key was set by an earlier step, which may leave it null.
      open_.operators.push_back(make_key(step.id, {*check_expression("key")}, NullKey::kRefused));
    }
    std::vector<ProjectedColumn> arguments = arguments_of(step);
    aggregate_shape_ = AggregateShape{*last_key_, *step.aggregate};
    add_guard(step, arguments);
    add_group_check(step);
    const std::string repartition = internal(step.id, "repartition");
    plan_.topics.push_back({repartition, 0, false});
    close_to_topics(step.id + "-key", {repartition});

    engine::AggregateSpec aggregate;
    aggregate.step = step.id;
    aggregate.changelog_topic = internal(step.id, "changelog");
    plan_.topics.push_back({aggregate.changelog_topic, 0, true});
    for (const NamedExpression& column : last_key_->columns) {
      aggregate.key_columns.push_back(column.name);
    }
    for (const AggregateColumnSpec& column : step.aggregate->columns) {
      aggregate.columns.push_back(column.column);
    }
    aggregate.arguments = make_projection(step.id, std::move(arguments));
    open_.aggregate = std::move(aggregate);
    open_.steps.push_back("aggregate " + step.id);
    last_aggregate_ = &step;
  }

  std::span<const StepSpec> steps_after(const StepSpec& step) const {
    return std::span(spec_.steps).subspan(static_cast<std::size_t>(&step - spec_.steps.data()) + 1);
  }

  // Each group is a row of its own in the tables behind it, which take what is in its key.
  void add_group_check(const StepSpec& step) {
    const std::span<const StepSpec> later = steps_after(step);
    std::vector<GroupColumn> checked;
    for (const SinkSpec& sink : spec_.sinks) {
      const bool upserts =
          sink.kind != SinkKind::kKafka && sink.mode == connectors::SinkMode::kUpsert;
      const auto columns = resolve_columns(sink, aggregate_shape_, spec_);
      if (sink.kind == SinkKind::kKafka || !columns) {
        continue;  // a problem of the columns is reported where the stage is closed
      }
      std::vector<GroupColumn> others =
          match_group_to_columns(sink, *columns, *aggregate_shape_, later);
      if (!upserts) {
        std::ranges::move(others, std::back_inserter(checked));
        continue;
      }
      auto matched = match_group_to_row(sink, *columns, *aggregate_shape_, later);
      if (!matched) {
        problems_.push_back(std::move(matched).error());
        continue;
      }
      std::erase_if(others, [&](const GroupColumn& other) {
        return std::ranges::find(*matched, other.column, &GroupColumn::column) != matched->end();
      });
      std::ranges::move(*matched, std::back_inserter(checked));
      std::ranges::move(others, std::back_inserter(checked));
    }
    if (!checked.empty()) {
      open_.operators.push_back(
          make_group_check(step.id, last_key_->columns.size(), std::move(checked)));
    }
  }

  static std::vector<ProjectedColumn> arguments_of(const StepSpec& step) {
    std::vector<ProjectedColumn> arguments;
    for (const AggregateColumnSpec& column : step.aggregate->columns) {
      arguments.push_back(
          {.name = column.column.name,
           .expression = column.argument ? *column.argument : *check_expression("null"),
           .type = column.column.is_decimal ? std::optional(ColumnType::kDecimal) : std::nullopt,
           .is_argument = true});
    }
    return arguments;
  }

  // An argument of the aggregate, and who must take it.
  struct Guarded {
    engine::AggregateColumn aggregate;
    std::vector<ResultColumn> results;

    Status check(const Value& value, engine::Arena& arena) const {
      Status checked = engine::Accumulator::check(aggregate, value);
      for (const ResultColumn& result : results) {
        checked = checked ? check_argument(result, value, arena) : std::move(checked);
      }
      if (!checked) {
        checked.error().text = fmt::format("column '{}': {}", aggregate.name, checked.error().text);
      }
      return checked;
    }
  };

  // What the aggregate, or a table behind it, would refuse about a record must not come into the
  // topic before it, from which nothing can be taken out.
  void add_guard(const StepSpec& step, const std::vector<ProjectedColumn>& arguments) {
    const std::vector<ResultColumn> results = result_columns(step);
    std::vector<ProjectedColumn> columns;
    std::vector<Guarded> guarded;
    for (std::size_t index = 0; index < arguments.size(); ++index) {
      if (!step.aggregate->columns[index].argument) {
        continue;
      }
      columns.push_back(arguments[index]);
      guarded.push_back({step.aggregate->columns[index].column, {}});
      std::ranges::copy_if(results, std::back_inserter(guarded.back().results),
                           [&](const ResultColumn& each) { return each.aggregate == index; });
    }
    if (!guarded.empty()) {
      open_.operators.push_back(
          make_guard(step.id, std::move(columns),
                     [guarded = std::move(guarded)](std::size_t column, const Value& value,
                                                    engine::Arena& arena) {
                       return guarded[column].check(value, arena);
                     }));
    }
  }

  // Of all tables behind the aggregate.
  std::vector<ResultColumn> result_columns(const StepSpec& step) {
    std::vector<ResultColumn> results;
    for (const SinkSpec& sink : spec_.sinks) {
      const auto columns = resolve_columns(sink, aggregate_shape_, spec_);
      if (sink.kind == SinkKind::kKafka || !columns) {
        continue;  // a problem of the columns is reported where the stage is closed
      }
      auto matched = match_results_to_columns(sink, *columns, *step.aggregate, steps_after(step));
      if (!matched) {
        problems_.push_back(std::move(matched).error());
        continue;
      }
      for (const ResultColumn& result : *matched) {
        const engine::AggregateColumn& column = step.aggregate->columns[result.aggregate].column;
        if (column.function == engine::AggregateFunction::kSum && !column.is_decimal &&
            result.column.type == ColumnType::kReal) {
          real_sums_.push_back(fmt::format("`{}` of sink {}", result.column.name, sink.id));
        }
      }
      std::ranges::move(*matched, std::back_inserter(results));
    }
    return results;
  }

  // ------------------------------------------------------------------------------------------
  // sinks

  void add_sinks() {
    std::vector<std::string> topics;
    std::vector<const SinkSpec*> databases;
    for (const SinkSpec& sink : spec_.sinks) {
      if (sink.kind == SinkKind::kKafka) {
        topics.push_back(sink.topic);
        plan_.topics.push_back({.name = sink.topic,
                                .is_internal = false,
                                .message_bytes_max = sink.message_bytes_max,
                                .is_users = true});
      } else {
        databases.push_back(&sink);
      }
    }
    if (!databases.empty() && !topics.empty()) {
      // The database's stage reads it again: it stays until it has been read.
      plan_.topics[plan_.topics.size() - topics.size()].is_internal = true;
    }
    if (topics.empty() && databases.size() == 1 && !open_.aggregate) {
      close_to_database(*databases.front());
      return;
    }
    if (topics.empty()) {
      topics.push_back(internal(databases.front()->id, "rows"));
      plan_.topics.push_back({topics.front(), 0, false});
    }
    if (!open_.aggregate) {
      for (const SinkSpec* sink : databases) {
        add_guard(*sink);
      }
    }
    const std::string first_topic = topics.front();
    close_to_topics(last_stage_id(), topics);
    for (const SinkSpec* sink : databases) {
      open_ = {};
      open_.sources = {first_topic};
      close_to_database(*sink);
    }
  }

  // A record that a table of a later stage cannot take is refused before it is in the topic.
  void add_guard(const SinkSpec& sink) {
    auto columns = resolve_columns(sink, aggregate_shape_, spec_);
    if (!columns) {
      return;  // reported where the stage is closed
    }
    open_.operators.push_back(make_guard(sink.id, projected(sink, *columns), {}));
  }

  static std::vector<ProjectedColumn> projected(const SinkSpec& sink,
                                                const std::vector<ResolvedColumn>& columns) {
    std::vector<ProjectedColumn> result;
    result.reserve(columns.size());
    for (const ResolvedColumn& column : columns) {
      result.push_back(pipeline::projected(sink, column));
    }
    return result;
  }

  // The stage that ends in topics is called after the aggregate in it, else after its first sink.
  std::string last_stage_id() const {
    if (open_.aggregate) {
      return last_aggregate_->id;
    }
    const SinkSpec& first = spec_.sinks.front();
    return first.kind == SinkKind::kKafka ? first.id : first.id + "-rows";
  }

  // -----------------------------------------------------------------------------------------
  // stages

  engine::Stage begin_close(std::string id, StageReport& report) {
    engine::Stage stage;
    stage.id = std::move(id);
    stage.source_topics = std::move(open_.sources);
    stage.group_id =
        plan_.stages.empty() ? spec_.source.group_id : fmt::format("{}-{}", spec_.name, stage.id);
    stage.operators = std::move(open_.operators);
    stage.aggregate = std::move(open_.aggregate);
    report.id = stage.id;
    report.sources = stage.source_topics;
    report.group_id = stage.group_id;
    report.steps = std::move(open_.steps);
    open_ = {};
    return stage;
  }

  void close_to_topics(std::string id, const std::vector<std::string>& topics) {
    StageReport report;
    const bool keeps_state = open_.aggregate.has_value();
    engine::Stage stage = begin_close(std::move(id), report);
    std::vector<engine::TopicOutput> outputs;
    for (const std::string& topic : topics) {
      outputs.push_back({topic});
      report.outputs.push_back("topic " + topic);
    }
    stage.output = std::move(outputs);
    report.guarantee = spec_.guarantee;
    const std::string_view moved =
        keeps_state ? "records, changelog, offsets and receipt" : "records, offsets and receipt";
    if (spec_.guarantee == Guarantee::kExactlyOnce) {
      report.commit_point = fmt::format("one Kafka transaction: {}", moved);
      report.mechanism = "Kafka transaction, zombies fenced by group generation and producer epoch";
    } else {
      report.commit_point = "flush of the records, then the commit of the offsets";
      report.mechanism = "offsets are committed after the records; a crash between repeats some";
    }
    plan_.stages.push_back(std::move(stage));
    report_.stages.push_back(std::move(report));
    open_.sources = {topics.front()};
  }

  void close_to_database(const SinkSpec& sink) {
    auto columns = resolve_columns(sink, aggregate_shape_, spec_);
    if (!columns) {
      problems_.push_back(std::move(columns).error());
      return;
    }
    std::ranges::move(check_column_names(sink, *columns), std::back_inserter(problems_));
    StageReport report;
    engine::Stage stage = begin_close(sink.id, report);
    connectors::SinkTable table{spec_.name, sink.id, sink.table, sink.mode, {}};
    for (const ResolvedColumn& column : *columns) {
      table.columns.push_back(column.column);
    }
    const std::string kind = to_string(sink.kind);
    const bool upserts = sink.mode == connectors::SinkMode::kUpsert;
    report.outputs.push_back(
        fmt::format("table {} ({}, {})", sink.table, kind, upserts ? "upsert" : "append"));
    report.commit_point = fmt::format("one {} transaction: rows, positions and receipt", kind);
    report.guarantee = Guarantee::kExactlyOnce;
    report.mechanism = "positions in the rows' own transaction, zombies fenced by claimed epoch";
    const StepBefore before = plan_.stages.empty() ? StepBefore::kHelps : StepBefore::kIsTooLate;
    stage.output =
        engine::SinkOutput{kind, table, make_projection(sink.id, projected(sink, *columns), before),
                           make_sink_factory(sink, table)};
    plan_.stages.push_back(std::move(stage));
    report_.stages.push_back(std::move(report));
  }

  // -----------------------------------------------------------------------------------------
  // checks

  void refuse(int line, std::string what, std::string rule, std::string fix) {
    problems_.push_back({line, std::move(what), std::move(rule), std::move(fix)});
  }

  void check_sinks() {
    std::set<std::string> targets;
    for (const SinkSpec& sink : spec_.sinks) {
      const bool is_topic = sink.kind == SinkKind::kKafka;
      if (is_topic &&
          std::ranges::find(spec_.source.topics, sink.topic) != spec_.source.topics.end()) {
        refuse(sink.line, fmt::format("sink {} writes the source topic {}", sink.id, sink.topic),
               "a pipeline that reads what it writes never ends, and no record is processed "
               "exactly once",
               "write to another topic");
      }
      if (!targets.insert(target_of(sink)).second) {
        refuse(sink.line,
               is_topic ? fmt::format("two sinks write topic {}", sink.topic)
                        : fmt::format("two sinks write table {}", sink.table),
               is_topic ? "each record goes to a topic once"
                        : "a table belongs to one sink, else each record would be in it twice",
               is_topic ? "remove one of them" : "give each sink a table of its own");
      }
    }
  }

  void check_names() {
    std::set<std::string> stages;
    std::set<std::string> groups;
    for (const engine::Stage& stage : plan_.stages) {
      if (!stages.insert(stage.id).second || !groups.insert(stage.group_id).second) {
        refuse(1,
               fmt::format("two stages are called {} or share group {}", stage.id, stage.group_id),
               "stages take their names from steps and sinks, and each has a consumer group",
               "rename the step or the sink, or change group.id");
      }
    }
    std::set<std::string> topics(spec_.source.topics.begin(), spec_.source.topics.end());
    const auto take = [&](const std::string& topic) {
      if (!topics.insert(topic).second && problems_.empty()) {
        refuse(1, fmt::format("topic {} is used twice", topic),
               "internal topics are named after the pipeline and its steps",
               "rename the pipeline, the step, or the topic");
      }
    };
    take(protocol::definitions_topic(spec_.name));
    for (const engine::TopicSpec& topic : plan_.topics) {
      if (topic.name.size() > 249) {
        refuse(
            1,
            fmt::format("internal topic {} would be {} bytes long", topic.name, topic.name.size()),
            "a topic's name has at most 249", "shorten the pipeline's name or the step's id");
      }
      take(topic.name);
    }
  }

  void add_assumptions() {
    auto& list = report_.assumptions;
    const bool exactly_once = spec_.guarantee == Guarantee::kExactlyOnce;
    bool writes_topics = false;
    bool upserts = false;
    for (const SinkSpec& sink : spec_.sinks) {
      writes_topics = writes_topics || sink.kind == SinkKind::kKafka;
      upserts = upserts || sink.mode == connectors::SinkMode::kUpsert;
    }
    if (spec_.source.offset_reset == engine::OffsetReset::kLatest) {
      list.push_back(
          "auto.offset.reset is latest: records written before the first start are not "
          "part of the input");
    }
    list.push_back(
        "source and internal topics keep their records until every stage has "
        "committed them (retention longer than the longest outage)");
    if (exactly_once) {
      list.push_back(
          "producers of the source topics are idempotent or transactional: a record "
          "sent twice is two records here");
      if (writes_topics) {
        list.push_back("readers of the output topics use isolation.level=read_committed");
      }
    }
    if (plan_.stages.size() > 1) {
      list.push_back("nobody else writes the topics between stages");
    }
    for (const std::string& sum : real_sums_) {
      list.push_back(fmt::format(
          "sums of integers in {}, whose column is real, stay within 2^53 (9007199254740992); "
          "`type: integer` or `type: decimal` takes more",
          sum));
    }
    std::ranges::move(assumptions_of_exact_inputs(spec_), std::back_inserter(list));
    std::ranges::move(assumptions_of_result_conditions(spec_), std::back_inserter(list));
    if (upserts) {
      list.push_back(
          "all records of one row's key are in one partition, as they are when the "
          "record key is the row's key; the last of them is the row");
    }
    for (const SinkSpec& sink : spec_.sinks) {
      if (sink.kind == SinkKind::kPostgres) {
        list.push_back(
            "the database answers for what it has committed (fsync on; after a "
            "failover, a replica that had it)");
        break;
      }
    }
    if (spec_.bootstrap_servers.empty()) {
      list.push_back("the embedded log's disk keeps what it has synced; there is one copy");
    } else {
      list.push_back(
          "the cluster keeps what it has acknowledged (acks=all, "
          "min.insync.replicas)");
    }
  }

  PipelineSpec spec_;
  engine::Plan plan_;
  GuaranteeReport report_;
  std::vector<Problem> problems_;
  OpenStage open_;
  const KeySpec* last_key_ = nullptr;
  const StepSpec* last_aggregate_ = nullptr;
  std::optional<AggregateShape> aggregate_shape_;
  std::vector<std::string> real_sums_;  ///< columns that take a sum of integers to 2^53
};

}  // namespace

std::expected<PlannedPipeline, std::vector<Problem>> plan_pipeline(PipelineSpec spec) {
  return Planner(std::move(spec)).plan();
}

std::expected<PlannedPipeline, std::vector<Problem>> plan_file(const std::string& file,
                                                               std::string_view text,
                                                               const Variables& variables) {
  auto spec = parse_pipeline(file, text, variables);
  if (!spec) {
    return std::unexpected(std::move(spec).error());
  }
  const Secrets secrets = spec->secrets;
  auto planned = plan_pipeline(std::move(*spec));
  if (!planned) {
    return std::unexpected(masked(std::move(planned).error(), secrets));
  }
  return planned;
}

std::string_view to_string(Guarantee guarantee) {
  return guarantee == Guarantee::kExactlyOnce ? "exactly once" : "at least once";
}

}  // namespace onceflow::pipeline
