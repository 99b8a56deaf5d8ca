#include "sim/pipelines/endings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <utility>
#include <variant>

#include "client/admin.h"
#include "client/cluster.h"
#include "engine/definition_log.h"
#include "pipeline/definition.h"
#include "sim/visitor.h"
#include "sim/workloads/broker_node.h"

namespace onceflow::sim {

namespace {

constexpr Duration kPatience = seconds(120);
constexpr Duration kStopPatience = seconds(30);
constexpr Duration kVisitMax = seconds(100);
/// What was sent to the database arrives within it.
constexpr Duration kSentCommitsMax = seconds(5);
constexpr Duration kLookEvery = milliseconds(200);
constexpr std::uint64_t kLateRecordsMax = 20;
constexpr int kDrawsMax = 30;
/// More than a segment holds, in batches smaller than one.
constexpr int kUnreadBatches = 6;
constexpr int kUnreadBatchRecords = 15;

bool is_empty(const SimDatabase::Table& table) {
  return table.appended.empty() && table.by_key.empty();
}

class Ending {
 public:
  explicit Ending(EndScene scene) : scene_(scene) {}

  void doubtful_record();
  void positions_set_back();
  void topic_made_again();
  void records_deleted_unread();
  void backup_restored_while_idle();
  void file_gone_on_with();
  void column_renamed_and_back();
  void column_narrowed_and_widened();
  void table_made_anew();
  void positions_lost();
  void database_lost();
  void log_restored();

 private:
  using Visit = std::function<Task<void>(SimProcess&, std::shared_ptr<client::Cluster>)>;

  void visit(const Visit& visit);
  void feed(std::vector<Document> documents);
  /// Until the log of the partition begins after that offset; where it begins.
  Offset wait_for_deletion(const TopicPartition& partition, Offset after);
  void expect_named_by_both(const std::string& named);
  void skip_deleted(PartitionIndex partition, Offset from, Offset to);
  /// Waits until each pipeline has the right rows for all of the input; none may refuse.
  void expect_right(const std::string& what);
  /// Where the first stage of the pipeline goes on, by partition.
  std::vector<std::size_t> positions_of(const DrawnPipeline& pipeline,
                                        const pipeline::PlannedPipeline& planned);
  void go_on_with_next_file(DrawnPipeline& pipeline);
  std::vector<Document> draw_documents(std::uint64_t count_max = kLateRecordsMax);
  /// The log ends where a copy of it ended: what the input was beyond that is forgotten. How many
  /// records that were; nothing if it had fewer partitions.
  std::optional<std::size_t> cut_input_to_log();
  /// What a pipeline that has stopped must have left.
  enum class Refused {
    kBefore,   ///< all as it was before: a record was refused
    kMidway,   ///< what came before the record that was refused is there, and is not judged
    kStopped,  ///< others may have gone on, as far as they came; the audit must name it too
    kAnew,     ///< as kStopped, but nothing is left that could be named: no word of "clean" then
  };
  /// Waits until each pipeline has either the right rows for all of the input, or has stopped and
  /// said something that holds one of `named`. Then model and audit judge what can be judged.
  void expect_right_or_refused(const std::string& what, const std::vector<std::string>& named,
                               Refused refused);
  bool is_right(const DrawnPipeline& pipeline) const {
    return pipeline.judge(scene_.database.image(), scene_.input).empty();
  }

  EndScene scene_;
  /// The input as it was when all was still right.
  InputTopic before_ = scene_.input;
};

void Ending::visit(const Visit& visit) {
  const bool has_ended = run_visitor(
      scene_.world, "late-visitor",
      [&](SimProcess& process) -> Task<void> {
        auto cluster =
            client::Cluster::create(process.environment(), simulated_client_options("late"));
        co_await visit(process, cluster);
        cluster->close();
      },
      kVisitMax);
  CHECK(has_ended);
}

void Ending::feed(std::vector<Document> documents) {
  visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    client::Producer producer(cluster, {});
    for (Document& document : documents) {
      scene_.feeder.feed(process, producer, std::move(document));
    }
    CHECK((co_await producer.flush(process.scheduler().now() + kVisitMax)).has_value());
  });
}

std::vector<Document> Ending::draw_documents(std::uint64_t count_max) {
  std::vector<Document> drawn;
  const std::uint64_t count = 1 + scene_.random.below(count_max);
  drawn.reserve(count);
  for (std::uint64_t index = 0; index < count; ++index) {
    drawn.push_back(
        scene_.feeder.documents().draw(scene_.feeder.number() + static_cast<std::int64_t>(index)));
  }
  return drawn;
}

void Ending::expect_right_or_refused(const std::string& what, const std::vector<std::string>& named,
                                     Refused refused) {
  const bool may_come_late = refused == Refused::kStopped || refused == Refused::kAnew;
  std::vector<Judged> judged;
  judged.reserve(scene_.pipelines.size());
  for (const DrawnPipeline& pipeline : scene_.pipelines) {
    // Rows may be right already, where no new record counts: a stop is given time to come.
    MonotonicTime next_look = scene_.world.now() + (may_come_late ? kStopPatience : Duration(0));
    scene_.world.run_until(
        [&] {
          if (!scene_.workers.refusal_of(pipeline).empty()) {
            return true;
          }
          if (scene_.world.now() < next_look) {
            return false;
          }
          next_look = scene_.world.now() + kLookEvery;
          return is_right(pipeline);
        },
        kPatience);
    const std::string refusal = scene_.workers.refusal_of(pipeline);
    if (!refusal.empty() && std::ranges::none_of(named, [&](const std::string& words) {
          return refusal.contains(words);
        })) {
      scene_.findings.report(
          "STG-1", fmt::format("{}: {}: it stops, and does not name '{}': {}", pipeline.name(),
                               what, fmt::join(named, "' or '"), refusal));
    } else if (refusal.empty() && !is_right(pipeline)) {
      scene_.findings.report(
          "STG-1", fmt::format("{}: {}: neither right nor refused", pipeline.name(), what));
    }
    if (refused == Refused::kBefore) {
      judged.push_back({pipeline, refusal.empty() ? scene_.input : before_});
    } else if (refused == Refused::kStopped && !refusal.empty() &&
               audit(scene_.world, scene_.database.image(), pipeline).empty()) {
      scene_.findings.report("AUD-1",
                             fmt::format("{}: {}: the audit says clean", pipeline.name(), what));
    } else if (refused == Refused::kAnew && !refusal.empty() &&
               says_all_is_there(scene_.world, scene_.database.image(), pipeline)) {
      scene_.findings.report(
          "AUD-1", fmt::format("{}: {}: the audit says that all is there", pipeline.name(), what));
    }
  }
  judge_by_both(scene_.world, scene_.database.image(), judged, scene_.findings);
}

// One record of which something is more than programs hold. Where it counts, the row is right to
// the last digit, or the record refused by its place.
void Ending::doubtful_record() {
  const auto is_foretold = [&](const Document& document) {
    return std::ranges::none_of(scene_.pipelines, [&](const DrawnPipeline& pipeline) {
      return pipeline.decides_by(document.doubtful);
    });
  };
  Document document = scene_.feeder.documents().draw_doubtful(scene_.feeder.number());
  for (int tries = 0; !is_foretold(document); ++tries) {
    if (tries == kDrawsMax) {
      return;
    }
    document = scene_.feeder.documents().draw_doubtful(scene_.feeder.number());
  }
  const std::string what = fmt::format("a record with {}", document.doubt);
  scene_.world.note("world", fmt::format("{}: {}", what, document.json));
  std::vector<Document> one;
  one.push_back(std::move(document));
  feed(std::move(one));
  expect_right_or_refused(what, {"@"}, Refused::kBefore);
}

// As if the positions alone came from a backup: what lies after them is in the table already.
void Ending::positions_set_back() {
  scene_.workers.take_down();
  const DrawnPipeline& pipeline = scene_.pipelines[scene_.random.below(scene_.pipelines.size())];
  const std::string moved = scene_.database.set_position_back(pipeline.table(), scene_.random);
  scene_.world.note("world", moved);
  feed(draw_documents());
  scene_.workers.take_up();
  expect_right_or_refused(moved, {"offset"}, Refused::kStopped);
}

// Under the old positions, which are of another topic.
void Ending::topic_made_again() {
  scene_.workers.take_down();
  visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    client::Admin admin(cluster);
    const MonotonicTime deadline = process.scheduler().now() + kVisitMax;
    CHECK((co_await admin.delete_topic(kInputTopic, deadline)).has_value());
    client::NewTopic topic{
        .name = kInputTopic,
        .partition_count = static_cast<std::int32_t>(scene_.input.partitions.size())};
    CHECK((co_await admin.create_topic(std::move(topic), deadline)).has_value());
  });
  feed(draw_documents());
  scene_.workers.take_up();
  expect_right_or_refused("the source topic was deleted and made again",
                          {"another topic of that name"}, Refused::kStopped);
}

// Retention overtakes a stage that is down. Running again, it must say which records it never read;
// so must the audit.
void Ending::records_deleted_unread() {
  scene_.workers.take_down();
  const PartitionIndex index(
      static_cast<std::int32_t>(scene_.random.below(scene_.input.partitions.size())));
  const TopicPartition partition{kInputTopic, index};
  const Offset position(static_cast<std::int64_t>(
      scene_.input.partitions[static_cast<std::size_t>(index.value)].documents.size()));
  for (int batch = 0; batch < kUnreadBatches; ++batch) {
    visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
      client::Producer producer(cluster, {});
      for (int record = 0; record < kUnreadBatchRecords; ++record) {
        scene_.feeder.feed_to(index, process, producer,
                              scene_.feeder.documents().draw(scene_.feeder.number()));
      }
      CHECK((co_await producer.flush(process.scheduler().now() + kVisitMax)).has_value());
    });
  }
  scene_.shorten_retention();
  const Offset start = wait_for_deletion(partition, position);
  const std::string named =
      fmt::format("offset{} {}", start - position == 1 ? "" : "s", position.value);
  scene_.world.note("world", fmt::format("{}-{} {} to {} are deleted unread", kInputTopic,
                                         index.value, named, start.value - 1));
  scene_.workers.take_up();
  expect_named_by_both(named);
  // What was fed has no regard for keys, and between partitions there is no last record of one.
  const bool has_order = std::ranges::none_of(scene_.pipelines, &DrawnPipeline::keeps_last_of_key);
  if (scene_.findings.empty() && has_order && scene_.random.coin()) {
    skip_deleted(index, position, start);
  }
}

// As with --skip-deleted: all that is left is there, and the audit says what was passed over.
void Ending::skip_deleted(PartitionIndex partition, Offset from, Offset to) {
  InputPartition& skipped = scene_.input.partitions[static_cast<std::size_t>(partition.value)];
  skipped.skipped_from = static_cast<std::size_t>(from.value);
  skipped.skipped_to = static_cast<std::size_t>(to.value);
  scene_.workers.take_down();
  scene_.workers.skip_deleted();
  scene_.workers.take_up();
  expect_right("what was deleted unread is skipped");
  for (const DrawnPipeline& pipeline : scene_.pipelines) {
    const std::string notes = audit_notes(scene_.world, scene_.database.image(), pipeline);
    const std::string named =
        fmt::format("skipped by operator: {}-{} offset", kInputTopic, partition.value);
    if (notes.find(named) == std::string::npos) {
      scene_.findings.report("AUD-1", fmt::format("{}: the audit does not note '{}': {}",
                                                  pipeline.name(), named, notes));
    }
  }
}

Offset Ending::wait_for_deletion(const TopicPartition& partition, Offset after) {
  Offset start;
  visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    client::Admin admin(cluster);
    while (start <= after) {
      std::vector<TopicPartition> asked;
      asked.push_back(partition);
      const auto listed = co_await admin.list_offsets(std::move(asked), client::Admin::kEarliest,
                                                      client::IsolationLevel::kReadUncommitted,
                                                      process.scheduler().now() + seconds(10));
      start = listed ? listed->front().offset : start;
      co_await process.scheduler().sleep_for(milliseconds(100));
    }
  });
  return start;
}

void Ending::expect_named_by_both(const std::string& named) {
  for (const DrawnPipeline& pipeline : scene_.pipelines) {
    const auto refusal = [&] { return scene_.workers.refusal_of(pipeline); };
    scene_.world.run_until([&] { return !refusal().empty(); }, kPatience);
    if (refusal().find(named) == std::string::npos) {
      scene_.findings.report("STG-1", fmt::format("{}: records were deleted before they were read, "
                                                  "and it does not name '{}': {}",
                                                  pipeline.name(), named, refusal()));
    }
    const std::string audited = audit(scene_.world, scene_.database.image(), pipeline);
    if (audited.find(named) == std::string::npos) {
      scene_.findings.report("AUD-1", fmt::format("{}: records were deleted before they were read, "
                                                  "and the audit does not name '{}': {}",
                                                  pipeline.name(), named, audited));
    }
  }
}

void Ending::expect_right(const std::string& what) {
  std::vector<Judged> judged;
  judged.reserve(scene_.pipelines.size());
  for (const DrawnPipeline& pipeline : scene_.pipelines) {
    MonotonicTime next_look = scene_.world.now();
    scene_.world.run_until(
        [&] {
          if (scene_.world.now() < next_look) {
            return false;
          }
          next_look = scene_.world.now() + kLookEvery;
          return is_right(pipeline) || !scene_.workers.refusal_of(pipeline).empty();
        },
        kPatience);
    const std::string refusal = scene_.workers.refusal_of(pipeline);
    if (!refusal.empty()) {
      scene_.findings.report("STG-1",
                             fmt::format("{}: {}: it stops: {}", pipeline.name(), what, refusal));
    }
    judged.push_back({pipeline, scene_.input});
  }
  judge_by_both(scene_.world, scene_.database.image(), judged, scene_.findings);
}

// No commit will find it: nothing comes that is to be committed.
void Ending::backup_restored_while_idle() {
  const DrawnPipeline& pipeline = scene_.pipelines[scene_.random.below(scene_.pipelines.size())];
  const std::string what =
      fmt::format("a backup of table {} is restored while nothing is fed", pipeline.table());
  scene_.world.note("world", what);
  scene_.database.restore(pipeline.table(), scene_.backup);
  expect_right(what);
}

// Each pipeline goes on with other steps, from where it was. Where they are part of what its state
// was made of, a reset says that the state is kept.
void Ending::file_gone_on_with() {
  scene_.workers.take_down();
  scene_.world.run_for(kSentCommitsMax);
  for (DrawnPipeline& pipeline : scene_.pipelines) {
    go_on_with_next_file(pipeline);
  }
  feed(draw_documents());
  scene_.workers.take_up();
  expect_right("its file was changed");
}

void Ending::go_on_with_next_file(DrawnPipeline& pipeline) {
  scene_.world.note("world", pipeline.next_file());
  const pipeline::PlannedPipeline planned = DrawnPipeline::plan(pipeline.next_file());
  pipeline.go_on_with_next_file(positions_of(pipeline, planned));
  protocol::PipelineDefinition definition = pipeline::definition_of(planned);
  visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    engine::DefinitionLog definitions(cluster, definition, {});
    const MonotonicTime deadline = process.scheduler().now() + kVisitMax;
    const auto known = co_await definitions.read(deadline);
    CHECK(known.has_value());
    const auto changes = co_await definitions.changes(*known, deadline);
    CHECK(changes.has_value());
    if (!engine::has_refusal(*changes)) {
      co_return;
    }
    if (!engine::may_keep_states(*changes)) {
      scene_.findings.report("STG-2", pipeline.name() + ": its state may not be kept");
    }
    protocol::PipelineDefinition kept = definition;
    kept.kind = protocol::PipelineDefinition::Kind::kStatesKept;
    CHECK((co_await definitions.write(std::move(kept), deadline)).has_value());
  });
}

// A table that has not the columns of the file is refused; once it has them again, all is right.
void Ending::column_renamed_and_back() {
  const DrawnPipeline& pipeline = scene_.pipelines[scene_.random.below(scene_.pipelines.size())];
  const std::string column = scene_.database.rename_column(pipeline.table(), scene_.random);
  const std::string what =
      fmt::format("column {} of table {} is renamed", column, pipeline.table());
  scene_.world.note("world", what);
  feed(draw_documents());
  expect_right_or_refused(what, {column}, Refused::kBefore);
  scene_.workers.take_down();
  scene_.database.rename_back(pipeline.table());
  scene_.workers.take_up();
  expect_right(what + " and renamed back");
}

// What does not fit a column any more is refused by its record; once it fits again, all is right.
void Ending::column_narrowed_and_widened() {
  const DrawnPipeline& pipeline = scene_.pipelines[scene_.random.below(scene_.pipelines.size())];
  scene_.database.set_integers(pipeline.table(), SimDatabase::Integers::kNarrow);
  const std::string what = fmt::format("integers of table {} get 32 bits", pipeline.table());
  scene_.world.note("world", what);
  feed(draw_documents());
  expect_right_or_refused(what, {"@"}, Refused::kMidway);
  scene_.workers.take_down();
  scene_.database.set_integers(pipeline.table(), SimDatabase::Integers::kWide);
  scene_.workers.take_up();
  expect_right(what + " and 64 again");
}

// Its rows stay in the one that was renamed.
void Ending::table_made_anew() {
  const DrawnPipeline& pipeline = scene_.pipelines[scene_.random.below(scene_.pipelines.size())];
  if (is_empty(scene_.database.table(pipeline.table()))) {
    return;
  }
  const std::string what = fmt::format("table {} is made anew", pipeline.table());
  scene_.world.note("world", what);
  scene_.database.forget_rows(pipeline.table());
  if (is_right(pipeline)) {
    scene_.findings.report("AUD-1", "the model does not see that the rows are gone");
  }
  if (audit(scene_.world, scene_.database.image(), pipeline).empty()) {
    scene_.findings.report("AUD-1", "the audit does not see that the rows are gone");
  }
  feed(draw_documents());
  expect_right_or_refused(what, {"another one than rows were written to"}, Refused::kStopped);
}

// As if our tables, one of them or both, were dropped or restored alone. Rows are there.
void Ending::positions_lost() {
  scene_.workers.take_down();
  scene_.world.run_for(kSentCommitsMax);
  const DrawnPipeline& pipeline = scene_.pipelines[scene_.random.below(scene_.pipelines.size())];
  const bool all = scene_.random.coin();
  scene_.database.forget_positions(
      pipeline.table(), all ? SimDatabase::Receipts::kGoToo : SimDatabase::Receipts::kStay);
  const std::string what =
      fmt::format("positions{} of table {} are lost", all ? " and receipts" : "", pipeline.table());
  scene_.world.note("world", what);
  feed(draw_documents());
  scene_.workers.take_up();
  expect_right_or_refused(
      what, {"the position is gone", "know nothing of them", "holds no position of this sink"},
      is_empty(scene_.database.table(pipeline.table())) ? Refused::kAnew : Refused::kStopped);
}

// As if another, empty one were named in the file. What can be is written again from the beginning.
void Ending::database_lost() {
  scene_.workers.take_down();
  scene_.world.run_for(kSentCommitsMax);
  for (const DrawnPipeline& pipeline : scene_.pipelines) {
    scene_.database.forget_all(pipeline.table());
  }
  scene_.world.note("world", "the database is made anew");
  feed(draw_documents());
  scene_.workers.take_up();
  expect_right_or_refused("the database is made anew", {"holds no position of this sink"},
                          Refused::kAnew);
}

// The tables hold rows of records that are gone, and others come at their offsets.
void Ending::log_restored() {
  scene_.workers.take_down();
  scene_.world.run_for(kSentCommitsMax);
  scene_.restore_log();
  const auto lost_count = cut_input_to_log();
  if (!lost_count) {
    return;
  }
  const std::string what = fmt::format("the log is {} records older than the tables", *lost_count);
  scene_.world.note("world", what);
  feed(draw_documents(kLateRecordsMax + (scene_.random.coin() ? 2 * *lost_count : 0)));
  scene_.workers.take_up();
  expect_right_or_refused(what,
                          {"another topic of that name", "but the topic ends at offset",
                           "are not the records that this stage has read"},
                          Refused::kStopped);
}

std::optional<std::size_t> Ending::cut_input_to_log() {
  std::vector<Offset> ends;
  visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    const MonotonicTime deadline = process.scheduler().now() + kVisitMax;
    const auto topic = co_await cluster->topic(kInputTopic, deadline);
    CHECK(topic.has_value());
    std::vector<TopicPartition> asked;
    for (std::int32_t index = 0; index < topic->partition_count(); ++index) {
      asked.push_back({kInputTopic, PartitionIndex(index)});
    }
    client::Admin admin(cluster);
    const auto listed = co_await admin.list_offsets(
        asked, client::Admin::kLatest, client::IsolationLevel::kReadUncommitted, deadline);
    CHECK(listed.has_value());
    for (const TopicPartition& partition : asked) {
      ends.push_back(
          std::ranges::find(*listed, partition, &client::ListedOffset::partition)->offset);
    }
  });
  if (ends.size() != scene_.input.partitions.size()) {
    return std::nullopt;
  }
  const std::size_t before = scene_.input.record_count();
  for (std::size_t index = 0; index < ends.size(); ++index) {
    std::vector<Document>& documents = scene_.input.partitions[index].documents;
    documents.erase(
        documents.begin() + std::min<std::ptrdiff_t>(ends[index].value, std::ssize(documents)),
        documents.end());
  }
  return before - scene_.input.record_count();
}

std::vector<std::size_t> Ending::positions_of(const DrawnPipeline& pipeline,
                                              const pipeline::PlannedPipeline& planned) {
  const engine::Stage& first = planned.plan.stages.front();
  std::vector<TopicPartition> sources;
  sources.reserve(scene_.input.partitions.size());
  for (std::size_t index = 0; index < scene_.input.partitions.size(); ++index) {
    sources.push_back({kInputTopic, PartitionIndex(static_cast<std::int32_t>(index))});
  }
  std::vector<std::size_t> positions(sources.size());
  const auto keep = [&](std::size_t index, Offset offset) {
    positions[index] = static_cast<std::size_t>(std::max(offset, Offset(0)).value);
  };
  if (std::holds_alternative<engine::SinkOutput>(first.output)) {
    const auto& stored = scene_.database.table(pipeline.table()).positions;
    for (std::size_t index = 0; index < sources.size(); ++index) {
      const auto place = stored.find(sources[index]);
      keep(index, place == stored.end() ? Offset(0) : place->second.next_offset);
    }
    return positions;
  }
  visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    client::Admin admin(cluster);
    const auto committed =
        co_await admin.committed(first.group_id, sources, process.scheduler().now() + kVisitMax);
    CHECK(committed.has_value());
    for (const client::CommittedOffset& offset : *committed) {
      keep(static_cast<std::size_t>(offset.partition.partition.value), offset.offset);
    }
  });
  return positions;
}

}  // namespace

void end_run(EndScene scene) {
  scene.workers.may_refuse();
  Ending ending(scene);
  constexpr void (Ending::* kEndings[])() = {&Ending::doubtful_record,
                                             &Ending::positions_set_back,
                                             &Ending::topic_made_again,
                                             &Ending::positions_lost,
                                             &Ending::database_lost,
                                             &Ending::log_restored,
                                             &Ending::records_deleted_unread,
                                             &Ending::backup_restored_while_idle,
                                             &Ending::file_gone_on_with,
                                             &Ending::column_renamed_and_back,
                                             &Ending::column_narrowed_and_widened,
                                             &Ending::table_made_anew};
  (ending.*kEndings[scene.random.below(std::size(kEndings))])();
}

}  // namespace onceflow::sim
