// Endings of the input: records, the files that say what becomes of them, and the log that holds
// them.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "base/check.h"
#include "client/admin.h"
#include "sim/pipelines/ending.h"

namespace onceflow::sim {

namespace {

constexpr int kDrawsMax = 30;
/// More than a segment holds, in batches smaller than one.
constexpr int kUnreadBatches = 6;
constexpr int kUnreadBatchRecords = 15;

Offset wait_for_deletion(Ending& ending, const TopicPartition& partition, Offset after) {
  Offset start;
  ending.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
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

void expect_named_by_both(Ending& ending, const std::string& named) {
  for (const DrawnPipeline& pipeline : ending.scene.pipelines) {
    const auto refusal = [&] { return ending.scene.workers.refusal_of(pipeline); };
    ending.scene.world.run_until([&] { return !refusal().empty(); }, Ending::kPatience);
    if (refusal().find(named) == std::string::npos) {
      ending.scene.findings.report("STG-1",
                                   fmt::format("{}: records were deleted before they were read, "
                                               "and it does not name '{}': {}",
                                               pipeline.name(), named, refusal()));
    }
    const std::string audited = audit(ending.scene.world, ending.scene.database.image(), pipeline);
    if (audited.find(named) == std::string::npos) {
      ending.scene.findings.report("AUD-1",
                                   fmt::format("{}: records were deleted before they were read, "
                                               "and the audit does not name '{}': {}",
                                               pipeline.name(), named, audited));
    }
  }
}

// One record of which something is more than programs hold. Where it counts, the row is right to
// the last digit, or the record refused by its place.
void doubtful_record(Ending& ending) {
  const auto is_foretold = [&](const Document& document) {
    return std::ranges::none_of(ending.scene.pipelines, [&](const DrawnPipeline& pipeline) {
      return pipeline.decides_by(document.doubtful);
    });
  };
  Document document = ending.scene.feeder.documents().draw_doubtful(ending.scene.feeder.number());
  for (int tries = 0; !is_foretold(document); ++tries) {
    if (tries == kDrawsMax) {
      return;
    }
    document = ending.scene.feeder.documents().draw_doubtful(ending.scene.feeder.number());
  }
  const std::string what = fmt::format("a record with {}", document.doubt);
  ending.scene.world.note("world", fmt::format("{}: {}", what, document.json));
  std::vector<Document> one;
  one.push_back(std::move(document));
  ending.feed(std::move(one));
  ending.expect_right_or_refused(what, {"@"}, Ending::Refused::kBefore);
}

// Under the old positions, which are of another topic.
void topic_made_again(Ending& ending) {
  ending.take_down();
  ending.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    client::Admin admin(cluster);
    const MonotonicTime deadline = process.scheduler().now() + Ending::kVisitMax;
    CHECK((co_await admin.delete_topic(kInputTopic, deadline)).has_value());
    client::NewTopic topic{
        .name = kInputTopic,
        .partition_count = static_cast<std::int32_t>(ending.scene.input.partitions.size())};
    CHECK((co_await admin.create_topic(std::move(topic), deadline)).has_value());
  });
  ending.feed(ending.draw_documents());
  ending.scene.workers.take_up();
  ending.expect_right_or_refused("the source topic was deleted and made again",
                                 {"another topic of that name"}, Ending::Refused::kStopped);
}

// As with --skip-deleted: all that is left is there, and the audit says what was passed over.
void skip_deleted(Ending& ending, PartitionIndex partition, Offset from, Offset to) {
  InputPartition& skipped =
      ending.scene.input.partitions[static_cast<std::size_t>(partition.value)];
  skipped.skipped_from = static_cast<std::size_t>(from.value);
  skipped.skipped_to = static_cast<std::size_t>(to.value);
  ending.take_down();
  ending.scene.workers.skip_deleted();
  ending.scene.workers.take_up();
  ending.expect_right("what was deleted unread is skipped");
  for (const DrawnPipeline& pipeline : ending.scene.pipelines) {
    const std::string notes =
        audit_notes(ending.scene.world, ending.scene.database.image(), pipeline);
    const std::string named =
        fmt::format("skipped by operator: {}-{} offset", kInputTopic, partition.value);
    if (notes.find(named) == std::string::npos) {
      ending.scene.findings.report("AUD-1", fmt::format("{}: the audit does not note '{}': {}",
                                                        pipeline.name(), named, notes));
    }
  }
}

// Retention overtakes a stage that is down. Running again, it must say which records it never read;
// so must the audit.
void records_deleted_unread(Ending& ending) {
  ending.take_down();
  const PartitionIndex index(
      static_cast<std::int32_t>(ending.scene.random.below(ending.scene.input.partitions.size())));
  const TopicPartition partition{kInputTopic, index};
  const Offset position(static_cast<std::int64_t>(
      ending.scene.input.partitions[static_cast<std::size_t>(index.value)].documents.size()));
  for (int batch = 0; batch < kUnreadBatches; ++batch) {
    ending.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
      client::Producer producer(cluster, {});
      for (int record = 0; record < kUnreadBatchRecords; ++record) {
        ending.scene.feeder.feed_to(
            index, process, producer,
            ending.scene.feeder.documents().draw(ending.scene.feeder.number()));
      }
      CHECK((co_await producer.flush(process.scheduler().now() + Ending::kVisitMax)).has_value());
    });
  }
  ending.scene.shorten_retention();
  const Offset start = wait_for_deletion(ending, partition, position);
  const std::string named =
      fmt::format("offset{} {}", start - position == 1 ? "" : "s", position.value);
  ending.scene.world.note("world", fmt::format("{}-{} {} to {} are deleted unread", kInputTopic,
                                               index.value, named, start.value - 1));
  ending.scene.workers.take_up();
  expect_named_by_both(ending, named);
  // What was fed has no regard for keys, and between partitions there is no last record of one.
  const bool has_order =
      std::ranges::none_of(ending.scene.pipelines, &DrawnPipeline::keeps_last_of_key);
  if (ending.scene.findings.empty() && has_order && ending.scene.random.coin()) {
    skip_deleted(ending, index, position, start);
  }
}

// Each pipeline goes on with other steps, from where it was. Where they are part of what its state
// was made of, a reset says that the state is kept.
void file_gone_on_with(Ending& ending) {
  ending.take_down();
  for (DrawnPipeline& pipeline : ending.scene.pipelines) {
    ending.go_on_with_next_file(pipeline);
  }
  ending.feed(ending.draw_documents());
  ending.scene.workers.take_up();
  ending.expect_right("its file was changed");
}

// The log ends where a copy of it ended: what the input was beyond that is forgotten. How many
// records that were; nothing if it had fewer partitions.
std::optional<std::size_t> cut_input_to_log(Ending& ending) {
  std::vector<Offset> ends;
  ending.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    const MonotonicTime deadline = process.scheduler().now() + Ending::kVisitMax;
    const auto topic = co_await cluster->topic(kInputTopic, deadline);
    CHECK(topic.has_value());
    std::vector<TopicPartition> asked;
    asked.reserve(static_cast<std::size_t>(topic->partition_count()));
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
  if (ends.size() != ending.scene.input.partitions.size()) {
    return std::nullopt;
  }
  const std::size_t before = ending.scene.input.record_count();
  for (std::size_t index = 0; index < ends.size(); ++index) {
    std::vector<Document>& documents = ending.scene.input.partitions[index].documents;
    documents.erase(
        documents.begin() + std::min<std::ptrdiff_t>(ends[index].value, std::ssize(documents)),
        documents.end());
  }
  return before - ending.scene.input.record_count();
}

// The tables hold rows of records that are gone, and others come at their offsets.
void log_restored(Ending& ending) {
  ending.take_down();
  ending.scene.restore_log();
  const auto lost_count = cut_input_to_log(ending);
  if (!lost_count) {
    return;
  }
  const std::string what = fmt::format("the log is {} records older than the tables", *lost_count);
  ending.scene.world.note("world", what);
  ending.feed(ending.draw_documents(Ending::kLateRecordsMax +
                                    (ending.scene.random.coin() ? 2 * *lost_count : 0)));
  ending.scene.workers.take_up();
  ending.expect_right_or_refused(
      what,
      {"another topic of that name", "but the topic ends at offset",
       "are not the records that this stage has read", "is not of the pipeline's newest start-over",
       "or in an older copy of the log"},
      // Of an input that is whole, topics between stages are made again as they were, also once a
      // stage behind them has stopped.
      *lost_count > 0 ? Ending::Refused::kStopped : Ending::Refused::kAnew);
}

}  // namespace

std::span<const EndingKind> input_endings() {
  static constexpr EndingKind kEndings[] = {
      {"doubtful record", doubtful_record},
      {"topic made again", topic_made_again},
      {"records deleted unread", records_deleted_unread},
      {"log restored", log_restored},
      {"file gone on with", file_gone_on_with},
  };
  return kEndings;
}

}  // namespace onceflow::sim
