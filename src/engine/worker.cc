#include "engine/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "client/admin.h"
#include "client/kafka_commands.h"
#include "engine/compaction.h"
#include "engine/definition_log.h"
#include "engine/emptied_topics.h"
#include "engine/first_read.h"
#include "engine/foreign_records.h"
#include "engine/forgotten_definition.h"
#include "engine/names_in_use.h"
#include "engine/receipt_search.h"
#include "engine/stage_reader.h"

namespace onceflow::engine {
namespace {

// Kafka's default of max.message.bytes.
constexpr std::size_t kMessageBytesMaxOfKafka = 1'048'588;
constexpr Duration kPrepareTimeout = seconds(3);
constexpr Duration kPrepareInterval = milliseconds(500);
constexpr Duration kFarewellTimeout = milliseconds(700);

// A partition that is added is read this soon. With Kafka's five minutes it would lie unread beside
// a stage that runs and knows of no lag.
constexpr Duration kMetadataMaxAge = seconds(5);

UpsertsFrom upserts_from(const Plan& plan, const Stage& stage) {
  const auto* sink = std::get_if<SinkOutput>(&stage.output);
  if (sink == nullptr || sink->table.mode != connectors::SinkMode::kUpsert) {
    return UpsertsFrom::kNothing;
  }
  return stage.source_topics == plan.stages.front().source_topics ? UpsertsFrom::kSources
                                                                  : UpsertsFrom::kStages;
}

// A mistyped source is not made by asking for it; what the plan needs is made by name.
client::ClientOptions options_of_cluster(client::ClientOptions options) {
  options.allow_auto_create_topics = false;
  options.metadata_max_age = kMetadataMaxAge;
  return options;
}
/// For all stages after one that has failed together.
constexpr Duration kDrainMax = seconds(5);

/// A rehearsal that lasts longer says so.
constexpr Duration kQuietRehearsal = seconds(3);

/// Calls once, if it lives that long.
class Alarm {
 public:
  Alarm(io::Scheduler& scheduler, Duration after, Callback<void()> call)
      : scheduler_(scheduler), timer_(scheduler.schedule_after(after, std::move(call))) {}
  ~Alarm() { scheduler_.cancel(timer_); }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

 private:
  io::Scheduler& scheduler_;
  const io::TimerId timer_;
};

LogEvent long_rehearsal(const Stage& stage) {
  const std::string_view cause =
      std::holds_alternative<SinkOutput>(stage.output)
          ? "the database has not answered: another transaction may hold the table or the file"
      : stage.aggregate ? "a large state takes longest to read, and the cluster may be slow"
                        : "the cluster may be slow";
  return {
      .level = LogLevel::kWarn,
      .stage = stage.id,
      .event = "still looking",
      .text = fmt::format("what it keeps is read before the file is recorded, for {} so far; {}",
                          to_text(kQuietRehearsal), cause)};
}

}  // namespace

Worker::Worker(io::Environment environment, const Plan& plan, WorkerOptions options)
    : environment_(environment),
      plan_(plan),
      options_(std::move(options)),
      tell_once_([this](LogEvent event) {
        if (told_.insert(event.stage + ' ' + event.event + ' ' + event.text).second) {
          options_.stage.tell(std::move(event));
        }
      }),
      cluster_(client::Cluster::create(environment, options_of_cluster(options_.client))),
      changed_(environment.scheduler) {
  if (environment.seeded_bug == SeededBug::kGoOnWithForeignState) {
    options_.definition.reset();
  }
  StageOptions& stage_options = stage_options_;
  stage_options = options_.stage;
  if (!options_.file.empty()) {
    stage_options.file = options_.file;
  }
  stage_options.pipeline = plan.pipeline;
  stage_options.receipts_topic = plan.receipts_topic;
  stage_options.guarantee = plan.guarantee;
  stage_options.commit_interval = plan.commit_interval;
  stage_options.seeded_bug = environment.seeded_bug;
  if (options_.definition) {
    if (environment.seeded_bug != SeededBug::kSleeperGoesOn) {
      stage_options.on_assignment = [this] { return check_others(); };
      stage_options.on_claimed = [this] { return check_definition(); };
    }
  }
  if (plan.request_bytes_max) {
    stage_options.producer.request_bytes_max = static_cast<std::size_t>(*plan.request_bytes_max);
    stage_options.producer.request_bytes_follow_topics = false;
  }
  begin_with_definition();
}

void Worker::begin_with_definition() {
  if (options_.definition) {
    stage_options_.group.member_note =
        with_definition(with_databases(options_.stage.group.member_note, options_.databases),
                        *options_.definition, options_.rolling);
  }
  stages_ = make_stages(stage_options_);
}

void Worker::spell_as(const KnownDefinition& known) {
  if (!options_.spelled_as) {
    return;
  }
  protocol::PipelineDefinition spelled = options_.spelled_as(*options_.definition, known);
  if (!spelled.is_same_pipeline(*options_.definition)) {
    *options_.definition = std::move(spelled);
    begin_with_definition();
  }
}

std::vector<std::unique_ptr<StageTask>> Worker::make_stages(StageOptions options) const {
  std::vector<std::unique_ptr<StageTask>> stages;
  for (const Stage& stage : plan_.stages) {
    const bool is_sink = std::holds_alternative<SinkOutput>(stage.output);
    // What lies between the stages is never passed over.
    options.offset_reset = stages.empty() ? plan_.offset_reset : OffsetReset::kEarliest;
    options.has_state = stage.aggregate.has_value();
    options.upserts_from = upserts_from(plan_, stage);
    const auto* definition = options_.definition ? options_.definition->find(stage.id) : nullptr;
    options.definition = definition != nullptr ? protocol::definition_hash(definition->text()) : 0;
    if (is_sink) {
      stages.push_back(make_sink_stage(cluster_, stage, options));
      continue;
    }
    stages.push_back(make_topic_stage(cluster_, stage, options,
                                      definition != nullptr ? definition->state : std::string()));
  }
  return stages;
}

Worker::~Worker() {
  environment_.scheduler.cancel(patience_);
  cluster_->close();
}

Task<Status> Worker::run() {
  CO_RETURN_IF_ERROR(check_times(options_.stage));
  bool was_tried_again = false;
  while (!stopping_) {
    const Status prepared = co_await prepare();
    if (prepared || stopping_) {
      break;
    }
    if (is_final(prepared.error(), std::exchange(was_tried_again, is_unclear(prepared.error())))) {
      report(StageEvent::kFailedForGood, {prepared.error().text, {}});
      co_return prepared;
    }
    if (!is_waiting_for_source_) {
      report(StageEvent::kTrouble, {prepared.error().text, "it tries again by itself"});
    }
    co_await changed_.wait_for(kPrepareInterval);
  }
  if (stopping_) {
    report(StageEvent::kEnded, {});
    co_return Status{};
  }
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    running_.insert(stage.get());
  }
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    environment_.scheduler.spawn(run_stage(*stage));
  }
  while (!running_.empty() && !has_given_up_) {
    co_await changed_.wait();
  }
  co_return ended_;
}

Task<Status> Worker::prepare() {
  if (!options_.definition) {
    CO_RETURN_IF_ERROR(co_await prepare_topics());
    co_return co_await take_place();
  }
  DefinitionLog definitions(cluster_, *options_.definition, options_.file);
  const auto deadline = [&] { return environment_.scheduler.now() + kPrepareTimeout; };
  const auto before = co_await definitions.read(deadline());
  CO_RETURN_IF_ERROR(before);
  spell_as(*before);
  tell_of_strange_records(definitions.strangers());
  auto changes = co_await definitions.check(*before, deadline());
  CO_RETURN_IF_ERROR(changes);
  CO_RETURN_IF_ERROR(co_await check_own_topics(definitions, *before));
  CO_RETURN_IF_ERROR(co_await check_compaction(cluster_, plan_, deadline(), tell_once_));
  CO_RETURN_IF_ERROR(
      co_await tell_of_gone_outputs(cluster_, plan_, *before, stage_options_, tell_once_));
  client::Admin admin(cluster_);
  CO_RETURN_IF_ERROR(co_await look_at_sources(admin, deadline()));
  CO_RETURN_IF_ERROR(co_await take_place());
  CO_RETURN_IF_ERROR(
      co_await look_at_others(*before, describe(*changes, DefinitionChange::Weight::kNote)));
  CO_RETURN_IF_ERROR(co_await check_names(*before));
  const auto is_complete = co_await has_all_topics(deadline());
  CO_RETURN_IF_ERROR(is_complete);
  if (!definitions.is_recorded(*before) || !*is_complete || has_forgotten_start_over_) {
    CO_RETURN_IF_ERROR(co_await rehearse_stages(*before, *changes));
  }
  CO_RETURN_IF_ERROR(co_await prepare_topics());
  const auto known =
      co_await definitions.record(has_forgotten_start_over_ ? DefinitionLog::Forgotten::kStartOver
                                                            : DefinitionLog::Forgotten::kNothing,
                                  deadline());
  CO_RETURN_IF_ERROR(known);
  fence_.begin(*known);
  co_await tell_of_topic_settings();
  for (std::size_t index = 0; index < stages_.size(); ++index) {
    stages_[index]->accept_states(known->accepted_states(plan_.stages[index].id));
    stages_[index]->begin_after(known->newest_start_over());
    stages_[index]->expect_writers(writers_before(plan_.stages[index], *known));
  }
  if (!changes->empty() && options_.on_notice) {
    options_.on_notice("the file was changed, and the pipeline goes on with it:\n" +
                       describe(*changes, DefinitionChange::Weight::kNote));
  }
  co_return Status{};
}

Task<Status> Worker::check_names(const KnownDefinition& known) {
  const auto deadline = [&] { return environment_.scheduler.now() + options_.stage.call_timeout; };
  if (!known.is_known()) {
    CO_RETURN_IF_ERROR(co_await check_names_are_free(cluster_, plan_, deadline()));
  }
  co_return co_await check_topics_of_others(cluster_, *options_.definition, deadline(), tell_once_);
}

Task<Result<bool>> Worker::has_all_topics(MonotonicTime deadline) {
  for (const TopicSpec& spec : plan_.topics) {
    const auto topic = co_await cluster_->existing_topic(spec.name, deadline);
    if (!topic && topic.error().code == ErrorCode::kNotFound) {
      co_return false;
    }
    CO_RETURN_IF_ERROR(topic);
  }
  co_return true;
}

// What a stage refuses to begin with is refused before a topic is made or the file is recorded: one
// that was refused is not what the pipeline was, and the one before it still fits. The stages that
// look are others than those that begin; what is worth a word these will say.
//
// Another worker may begin meanwhile. What is refused between a look at a topic that it makes and
// one at the position that it commits after that is looked at once more: by then all of it is
// there.
Task<Status> Worker::rehearse_stages(const KnownDefinition& known,
                                     std::vector<DefinitionChange>& changes) {
  std::vector<StageRehearsal> found;
  Status rehearsed = co_await rehearse_stages_once(known, found);
  if (!rehearsed && rehearsed.error().code == ErrorCode::kRefused) {
    for (const TopicSpec& topic : plan_.topics) {
      cluster_->forget_topic(topic.name);
    }
    found.clear();
    rehearsed = co_await rehearse_stages_once(known, found);
  }
  CO_RETURN_IF_ERROR(rehearsed);
  say_what_is_kept(changes, found);
  co_return Status{};
}

Task<Status> Worker::rehearse_stages_once(const KnownDefinition& known,
                                          std::vector<StageRehearsal>& found) {
  StageOptions options = stage_options_;
  options.tell = tell_nobody();
  const std::vector<std::unique_ptr<StageTask>> stages = make_stages(std::move(options));
  for (std::size_t index = 0; index < stages.size(); ++index) {
    found.push_back({.stage = plan_.stages[index].id});
    const Alarm alarm(environment_.scheduler, kQuietRehearsal,
                      [this, index] { options_.stage.tell(long_rehearsal(plan_.stages[index])); });
    const Status rehearsed = co_await rehearse_stage(*stages[index], known, found.back());
    if (!rehearsed) {
      Error error = rehearsed.error();
      error.text = fmt::format("stage '{}': {}", found.back().stage, error.text);
      co_return std::unexpected(std::move(error));
    }
  }
  co_return Status{};
}

Task<Status> Worker::rehearse_stage(StageTask& stage, const KnownDefinition& known,
                                    StageRehearsal& found) const {
  stage.accept_states(known.accepted_states(found.stage));
  stage.begin_after(start_over_of(known));
  co_return co_await stage.rehearse(found);
}

// Topics of a user are anyone's; those between stages are the pipeline's alone.
SourceWriters Worker::writers_before(const Stage& stage, const KnownDefinition& known) const {
  const auto is_between_stages = [this](const std::string& topic) {
    return std::ranges::any_of(plan_.topics, [&](const TopicSpec& spec) {
      return spec.is_internal && spec.name == topic;
    });
  };
  if (!std::ranges::all_of(stage.source_topics, is_between_stages) ||
      environment_.seeded_bug == SeededBug::kStrangerIsCounted) {
    return SourceWriters::kAnyone;
  }
  return known.was_at_least_once() ? SourceWriters::kPipeline
                                   : SourceWriters::kPipelineInTransactions;
}

// Nothing that they say is taken for the pipeline's own; the audit reports each.
void Worker::tell_of_strange_records(const std::vector<std::string>& strangers) const {
  if (!strangers.empty()) {
    tell_once_(foreign_records(strangers.front(), strangers.size()));
  }
}

Task<Rehearsal> Worker::rehearse() {
  Rehearsal found;
  found.add(co_await rehearse_before_stages(found));
  if (found.has_ended() || found.known.is_being_reset() || has_refusal(found.changes)) {
    co_return found;
  }
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    StageRehearsal of_stage{.stage = stage->status().stage};
    Status rehearsed = co_await rehearse_stage(*stage, found.known, of_stage);
    of_stage.has_stopped = !rehearsed;
    if (rehearsed) {
      rehearsed = co_await try_first_read(cluster_, stage_options_.fetch, of_stage);
    }
    found.add(rehearsed, of_stage.stage);
    found.stages.push_back(std::move(of_stage));
  }
  say_what_is_kept(found.changes, found.stages);
  co_return found;
}

// As run() and prepare(), without what they write.
Task<Status> Worker::rehearse_before_stages(Rehearsal& found) {
  CO_RETURN_IF_ERROR(check_times(options_.stage));
  DefinitionLog definitions(cluster_, *options_.definition, options_.file);
  const auto deadline = [&] { return environment_.scheduler.now() + options_.stage.call_timeout; };
  const auto known = co_await definitions.read(deadline());
  CO_RETURN_IF_ERROR(known);
  found.known = *known;
  spell_as(*known);
  tell_of_strange_records(definitions.strangers());
  const auto changes = co_await definitions.changes(*known, deadline());
  CO_RETURN_IF_ERROR(changes);
  found.changes = *changes;
  if (known->is_being_reset() || has_refusal(*changes)) {
    co_return Status{};
  }
  CO_RETURN_IF_ERROR(co_await check_own_topics(definitions, *known));
  CO_RETURN_IF_ERROR(co_await check_compaction(cluster_, plan_, deadline(), tell_once_));
  CO_RETURN_IF_ERROR(
      co_await tell_of_gone_outputs(cluster_, plan_, *known, stage_options_, tell_once_));
  client::Admin admin(cluster_);
  const auto sources = co_await look_at_sources(admin, deadline());
  if (!sources && sources.error().code != ErrorCode::kNotFound) {
    co_return std::unexpected(sources.error());
  }
  co_await tell_of_topic_settings();
  CO_RETURN_IF_ERROR(
      co_await rehearse_others(*known, describe(*changes, DefinitionChange::Weight::kNote)));
  co_return co_await check_names(*known);
}

// Those that cannot be seen are taken to live.
Task<Status> Worker::rehearse_others(const KnownDefinition& known, std::string difference) {
  while (difference.ends_with('\n')) {
    difference.pop_back();
  }
  const OthersQuestion question = others_question(&known);
  const std::vector<OtherWorker> others = co_await find_others(cluster_, options_.place, question);
  CO_RETURN_IF_ERROR(check_one_pipeline(others, plan_.pipeline));
  CO_RETURN_IF_ERROR(check_one_database(others, plan_.pipeline));
  std::vector<OtherWorker> strangers = others;
  std::erase_if(strangers, [](const OtherWorker& other) {
    return other.kind != OtherWorker::Kind::kNoWorker;
  });
  tell_of_strangers(std::move(strangers));
  co_return check_one_definition(others, question, difference, options_.file);
}

Task<Status> Worker::check_own_topics(const DefinitionLog& definitions,
                                      const KnownDefinition& known) {
  has_forgotten_start_over_ = false;
  if (!known.is_known()) {
    co_return co_await check_forgotten_definitions();
  }
  if (definitions.is_cut()) {
    CO_RETURN_IF_ERROR(co_await check_forgotten_start_over(known));
  }
  const auto writes_topics = [](const protocol::PipelineDefinition::Stage& stage) {
    return !stage.is_database();
  };
  const auto topic = co_await cluster_->existing_topic(
      plan_.receipts_topic, environment_.scheduler.now() + kPrepareTimeout);
  if (topic) {
    co_return co_await check_receipts_are_kept(cluster_, plan_, known, stage_options_);
  }
  if (topic.error().code != ErrorCode::kNotFound ||
      std::ranges::none_of(known.current().stages, writes_topics)) {
    co_return Status{};
  }
  co_return has_run_before(fmt::format("topic {} is gone", plan_.receipts_topic), stage_options_);
}

// Either nothing has run, or an earlier version did, or the topic was deleted: receipts tell, and
// are where the commits are.
Task<Status> Worker::check_forgotten_definitions() {
  const auto receipts = co_await all_receipts();
  CO_RETURN_IF_ERROR(receipts);
  if (receipts->empty()) {
    CO_RETURN_IF_ERROR(
        co_await check_nothing_was_emptied(cluster_, options_.definition->topic(), stage_options_));
  }
  const auto judged = judge_receipts(*receipts, *options_.definition, stage_options_.file);
  CO_RETURN_IF_ERROR(judged);
  remember_start_over(*receipts);
  if (!judged->warning.empty()) {
    const bool is_same = judged->found == ForgottenDefinition::Found::kSame;
    tell_once_({.level = LogLevel::kWarn,
                .stage = {},
                .event = is_same ? "changed" : "unknown definition",
                .text = judged->warning});
  }
  co_return Status{};
}

Task<Result<protocol::ReceiptsByStage>> Worker::all_receipts() {
  auto receipts = co_await find_receipts_by_stage(cluster_, stage_options_);
  CO_RETURN_IF_ERROR(receipts);
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    auto in_database = co_await stage->receipts_by_stage();
    CO_RETURN_IF_ERROR(in_database);
    receipts->merge(*in_database);
  }
  co_return receipts;
}

Task<Status> Worker::check_forgotten_start_over(const KnownDefinition& known) {
  if (known.newest_start_over() || known.is_being_reset()) {
    co_return Status{};
  }
  const auto receipts = co_await all_receipts();
  CO_RETURN_IF_ERROR(receipts);
  remember_start_over(*receipts);
  co_return Status{};
}

void Worker::remember_start_over(const protocol::ReceiptsByStage& receipts) {
  has_forgotten_start_over_ = environment_.seeded_bug != SeededBug::kStartOverStaysForgotten &&
                              may_have_been_reset(receipts, *options_.definition);
}

std::optional<StartOver> Worker::start_over_of(const KnownDefinition& known) const {
  if (known.newest_start_over() || !has_forgotten_start_over_) {
    return known.newest_start_over();
  }
  protocol::PipelineDefinition told = *options_.definition;
  told.written_at_ms = environment_.scheduler.wall_now().ms;
  told.flags = forgotten_places_text();
  return take_start_over({}, told);
}

Task<Status> Worker::look_at_others(const KnownDefinition& known, std::string difference) {
  while (difference.ends_with('\n')) {
    difference.pop_back();
  }
  co_return co_await wait_for_others(
      cluster_, options_.place, others_question(&known), options_.rolling, std::move(difference),
      options_.file, options_.stage.group.session_timeout, [this] { return stopping_; },
      [this](StageCause cause) { report(StageEvent::kNoPartitions, cause); });
}

// A change of group.id goes on where positions are in a database: the others may be in the group of
// before.
OthersQuestion Worker::others_question(const KnownDefinition* known) const {
  OthersQuestion question{.group_ids = {},
                          .pipeline = plan_.pipeline,
                          .group_instance_id = options_.stage.group.group_instance_id.value_or(""),
                          .definition = protocol::definition_hash(options_.definition->text()),
                          .is_known = known == nullptr || !known->is_known() ||
                                      known->current().is_same_pipeline(*options_.definition),
                          .databases = options_.databases};
  std::set<std::string> groups;
  for (const Stage& stage : plan_.stages) {
    groups.insert(stage.group_id);
  }
  if (known != nullptr) {
    for (const protocol::PipelineDefinition::Stage& stage : known->current().stages) {
      groups.insert(stage.group_id);
    }
  }
  question.group_ids.assign(groups.begin(), groups.end());
  return question;
}

Task<Status> Worker::check_others() {
  std::vector<OtherWorker> others =
      co_await find_others(cluster_, options_.place, others_question(nullptr));
  CO_RETURN_IF_ERROR(check_one_pipeline(others, plan_.pipeline));
  CO_RETURN_IF_ERROR(check_database(others));
  std::vector<OtherWorker> strangers = others;
  std::erase_if(strangers, [](const OtherWorker& other) {
    return other.kind != OtherWorker::Kind::kNoWorker;
  });
  std::erase_if(others,
                [](const OtherWorker& other) { return other.kind != OtherWorker::Kind::kWorker; });
  tell_of_strangers(std::move(strangers));
  const bool is_news = others != others_;
  others_ = std::move(others);
  CO_RETURN_IF_ERROR(co_await check_definition());
  if (others_.empty()) {
    if (is_news) {
      tell_of_others(LogLevel::kInfo, "all workers go by one definition again");
    }
    co_return Status{};
  }
  if (is_news) {
    const bool is_rolling = is_rolling_change(options_.rolling, others_);
    tell_of_others(
        LogLevel::kWarn,
        fmt::format("goes on beside workers with another definition{}: {}; what becomes "
                    "of a record depends on its partition until all have the same",
                    is_rolling ? " (--rolling-change)" : ", which are to end", describe(others_)));
  }
  co_return Status{};
}

Task<Status> Worker::check_definition() {
  DefinitionLog definitions(cluster_, *options_.definition, options_.file);
  cluster_->forget_topic(options_.definition->topic());  // It may have been deleted.
  const auto known =
      co_await definitions.read(environment_.scheduler.now() + options_.stage.call_timeout);
  CO_RETURN_IF_ERROR(known);
  if (environment_.seeded_bug == SeededBug::kResetReachesTheFileOnly) {
    fence_.begin(*known);
  }
  co_return fence_.check({.known = *known,
                          .own = *options_.definition,
                          .others = others_,
                          .rolling = options_.rolling,
                          .file = options_.file},
                         environment_.scheduler.now());
}

Status Worker::check_database(const std::vector<OtherWorker>& others) const {
  std::vector<OtherWorker> before = others;
  std::erase_if(before,
                [this](const OtherWorker& other) { return other.worker > options_.stage.worker; });
  return check_one_database(before, plan_.pipeline);
}

// What they get is not processed for as long as they live.
void Worker::tell_of_strangers(std::vector<OtherWorker> strangers) {
  if (strangers == strangers_) {
    return;
  }
  strangers_ = std::move(strangers);
  options_.stage.tell({.level = strangers_.empty() ? LogLevel::kInfo : LogLevel::kWarn,
                       .stage = {},
                       .event = "strangers in its group",
                       .text = strangers_.empty()
                                   ? "they have gone"
                                   : fmt::format("{}; {}; {}", describe(strangers_),
                                                 kStrangersCause, kStrangersRemedy)});
}

void Worker::tell_of_others(LogLevel level, std::string text) const {
  options_.stage.tell(
      {.level = level, .stage = {}, .event = "rolling change", .text = std::move(text)});
}

Task<Status> Worker::take_place() {
  PlaceQuestion question{.group_ids = {},
                         .group_instance_id = options_.stage.group.group_instance_id.value_or(""),
                         .worker = options_.stage.worker,
                         .session_timeout = options_.stage.group.session_timeout};
  for (const Stage& stage : plan_.stages) {
    question.group_ids.push_back(stage.group_id);
  }
  co_return co_await engine::take_place(
      cluster_, options_.place, std::move(question), [this] { return stopping_; },
      [this](StageCause cause) { report(StageEvent::kNoPartitions, cause); });
}

void Worker::report(StageEvent event, const StageCause& cause) {
  // All are in it; one says so.
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    stage->report(event, cause, stage == stages_.front() ? Aloud::kYes : Aloud::kNo);
  }
}

Task<void> Worker::run_stage(StageTask& stage) {
  Status ended = co_await stage.run();
  running_.erase(&stage);
  changed_.notify_all();
  if (!ended && ended_) {
    ended_ =
        fail(ended.error().code, "stage '" + stage.status().stage + "': " + ended.error().text);
    co_await drain_after(stage);
    stop();
  }
}

// What the stage has committed goes on its way before the worker ends.
Task<void> Worker::drain_after(const StageTask& failed) {
  const MonotonicTime until = environment_.scheduler.now() + kDrainMax;
  bool comes_after = false;
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    if (stage.get() == &failed) {
      comes_after = true;
    } else if (!comes_after) {
      stage->stop();
    } else {
      stage->drain();
      while (running_.contains(stage.get()) && !stopping_ && co_await changed_.wait_until(until)) {
      }
    }
  }
}

void Worker::stop() {
  if (std::exchange(stopping_, true)) {
    return;
  }
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    stage->stop();
  }
  if (running_.empty()) {
    // Nothing is open: whatever is waited for needs not be waited for.
    cluster_->close();
  } else {
    patience_ = environment_.scheduler.schedule_after(
        kStopPatience, [this] { environment_.scheduler.spawn(give_up()); });
  }
  changed_.notify_all();
}

// The others need not wait for the session of a worker that only waits for its database.
Task<void> Worker::give_up() {
  patience_ = 0;
  const MonotonicTime deadline = environment_.scheduler.now() + kFarewellTimeout;
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    const StageState state = stage->status().state();
    if (state != StageState::kStopped && state != StageState::kFailed) {
      environment_.scheduler.spawn(stage->leave_group(deadline));
    }
  }
  while (!running_.empty() && co_await changed_.wait_until(deadline)) {
  }
  cluster_->close();
  co_await environment_.scheduler.sleep_for(milliseconds(100));
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    const StageStatus& status = stage->status();
    if (!running_.empty() && status.state() == StageState::kStopping) {
      options_.stage.tell({.level = LogLevel::kWarn,
                           .stage = status.stage,
                           .event = "stopping",
                           .text = "does not end in time: it is " +
                                   (status.doing.empty() ? std::string("working") : status.doing) +
                                   "; left as by a crash: nothing is lost, the next start decides "
                                   "what became of it"});
    }
  }
  has_given_up_ = true;
  changed_.notify_all();
}

Task<Result<Worker::Sources>> Worker::look_at_sources(client::Admin& admin,
                                                      MonotonicTime deadline) {
  Sources sources;
  std::vector<std::string> missing;
  Status found;
  for (const std::string& source : plan_.stages.front().source_topics) {
    const auto topic = co_await cluster_->existing_topic(source, deadline);
    if (!topic && topic.error().code == ErrorCode::kNotFound) {
      missing.push_back(source);
      found = std::unexpected(topic.error());
      continue;
    }
    CO_RETURN_IF_ERROR(topic);
    sources.partition_count = std::max(sources.partition_count, topic->partition_count());
    const auto bytes_max = co_await admin.message_bytes_max(source, deadline);
    sources.record_bytes_max = std::max(sources.record_bytes_max, bytes_max.value_or(0));
  }
  is_waiting_for_source_ = !missing.empty();
  if (is_waiting_for_source_) {
    report(StageEvent::kTopicMissing, missing_topics(missing));
  }
  CO_RETURN_IF_ERROR(found);
  co_return sources;
}

Task<Status> Worker::prepare_topics() {
  client::Admin admin(cluster_);
  const MonotonicTime deadline = environment_.scheduler.now() + kPrepareTimeout;
  std::int32_t source_partition_count = 0;
  std::size_t source_bytes_max = 0;
  if (!plan_.stages.empty()) {
    const auto sources = co_await look_at_sources(admin, deadline);
    CO_RETURN_IF_ERROR(sources);
    source_partition_count = sources->partition_count;
    source_bytes_max = sources->record_bytes_max;
  }
  for (const TopicSpec& spec : plan_.topics) {
    const auto existing = co_await cluster_->existing_topic(spec.name, deadline);
    if (existing) {
      continue;
    }
    if (existing.error().code != ErrorCode::kNotFound) {
      co_return std::unexpected(existing.error());
    }
    client::NewTopic topic{
        .name = spec.name,
        .partition_count = spec.partition_count > 0 ? spec.partition_count : source_partition_count,
        .replication_factor = -1,
        .configs = {}};
    // What the engine keeps its truth in must not be deleted by age or size, nor be compacted where
    // the cluster's default says so.
    if (spec.is_internal) {
      topic.configs = client::kept_for_ever(spec.compacted ? "compact" : "delete");
    }
    if (spec.message_bytes_max) {
      topic.configs.emplace_back("max.message.bytes", std::to_string(*spec.message_bytes_max));
    } else if (spec.is_internal && source_bytes_max > kMessageBytesMaxOfKafka) {
      // A key that a step has set may be as large as the value that it was taken from.
      topic.configs.emplace_back("max.message.bytes", std::to_string(2 * source_bytes_max));
    }
    const Status created = co_await admin.create_topic(std::move(topic), deadline);
    if (!created && created.error().code != ErrorCode::kAlreadyExists) {
      co_return created;
    }
  }
  co_return Status{};
}

Task<void> Worker::tell_of_topic_settings() {
  client::Admin admin(cluster_);
  const MonotonicTime deadline = environment_.scheduler.now() + kPrepareTimeout;
  for (const TopicSpec& spec : plan_.topics) {
    if (!spec.message_bytes_max || !co_await cluster_->existing_topic(spec.name, deadline)) {
      continue;
    }
    const auto bytes_max = co_await admin.message_bytes_max(spec.name, deadline);
    if (bytes_max && static_cast<std::int64_t>(*bytes_max) != *spec.message_bytes_max) {
      options_.stage.tell(
          {.level = LogLevel::kWarn,
           .stage = {},
           .event = "no effect",
           .text = fmt::format(
               "max.message.bytes: {} in the file holds for a topic that is made, and topic {} is "
               "there with {}; the fix: {}, or write {} into the file",
               *spec.message_bytes_max, spec.name, *bytes_max,
               client::settings_command(
                   cluster_->options(), spec.name,
                   fmt::format("max.message.bytes={}", *spec.message_bytes_max)),
               *bytes_max)});
    }
  }
}

std::vector<const StageStatus*> Worker::statuses() const {
  std::vector<const StageStatus*> statuses;
  statuses.reserve(stages_.size());
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    statuses.push_back(&stage->status());
  }
  return statuses;
}

void Worker::refresh_statuses() const {
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    stage->refresh_status();
  }
}

}  // namespace onceflow::engine
