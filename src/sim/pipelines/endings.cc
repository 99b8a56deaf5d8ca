#include "sim/pipelines/endings.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>

#include "client/admin.h"
#include "client/cluster.h"
#include "sim/visitor.h"
#include "sim/workloads/broker_node.h"

namespace onceflow::sim {

namespace {

constexpr Duration kPatience = seconds(120);
constexpr Duration kStopPatience = seconds(30);
constexpr Duration kVisitMax = seconds(100);
constexpr Duration kLookEvery = milliseconds(200);
constexpr std::uint64_t kLateRecordsMax = 20;
constexpr int kDrawsMax = 30;
/// More than a segment holds, in batches smaller than one.
constexpr int kUnreadBatches = 6;
constexpr int kUnreadBatchRecords = 15;

class Ending {
 public:
  explicit Ending(EndScene scene) : scene_(scene) {}

  void doubtful_record();
  void positions_set_back();
  void topic_made_again();
  void records_deleted_unread();

 private:
  using Visit = std::function<Task<void>(SimProcess&, std::shared_ptr<client::Cluster>)>;

  void visit(const Visit& visit);
  void feed(std::vector<Document> documents);
  /// Until the log of the partition begins after that offset; where it begins.
  Offset wait_for_deletion(const TopicPartition& partition, Offset after);
  void expect_named_by_both(const std::string& named);
  std::vector<Document> draw_documents();
  /// What a pipeline that has stopped must have left.
  enum class Refused {
    kBefore,   ///< all as it was before: a record was refused
    kStopped,  ///< others may have gone on, as far as they came; the audit must name it too
  };
  /// Waits until each pipeline has either the right rows for all of the input, or has stopped and
  /// said something that holds `named`. Then model and audit judge what can be judged.
  void expect_right_or_refused(const std::string& what, std::string_view named, Refused refused);
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

std::vector<Document> Ending::draw_documents() {
  std::vector<Document> drawn;
  const std::uint64_t count = 1 + scene_.random.below(kLateRecordsMax);
  drawn.reserve(count);
  for (std::uint64_t index = 0; index < count; ++index) {
    drawn.push_back(
        scene_.feeder.documents().draw(scene_.feeder.number() + static_cast<std::int64_t>(index)));
  }
  return drawn;
}

void Ending::expect_right_or_refused(const std::string& what, std::string_view named,
                                     Refused refused) {
  std::vector<Judged> judged;
  judged.reserve(scene_.pipelines.size());
  for (const DrawnPipeline& pipeline : scene_.pipelines) {
    // Rows may be right already, where no new record counts: a stop is given time to come.
    MonotonicTime next_look =
        scene_.world.now() + (refused == Refused::kStopped ? kStopPatience : Duration(0));
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
    if (!refusal.empty() && refusal.find(named) == std::string::npos) {
      scene_.findings.report("STG-1", fmt::format("{}: {}: it stops, and does not name '{}': {}",
                                                  pipeline.name(), what, named, refusal));
    } else if (refusal.empty() && !is_right(pipeline)) {
      scene_.findings.report(
          "STG-1", fmt::format("{}: {}: neither right nor refused", pipeline.name(), what));
    }
    if (refused == Refused::kBefore) {
      judged.push_back({pipeline, refusal.empty() ? scene_.input : before_});
    } else if (!refusal.empty() && audit(scene_.world, scene_.database.image(), pipeline).empty()) {
      scene_.findings.report("AUD-1",
                             fmt::format("{}: {}: the audit says clean", pipeline.name(), what));
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
  expect_right_or_refused(what, "@", Refused::kBefore);
}

// As if the positions alone came from a backup: what lies after them is in the table already.
void Ending::positions_set_back() {
  scene_.workers.take_down();
  const DrawnPipeline& pipeline = scene_.pipelines[scene_.random.below(scene_.pipelines.size())];
  const std::string moved = scene_.database.set_position_back(pipeline.table(), scene_.random);
  scene_.world.note("world", moved);
  feed(draw_documents());
  scene_.workers.take_up();
  expect_right_or_refused(moved, "offset", Refused::kStopped);
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
  expect_right_or_refused("the source topic was deleted and made again", kInputTopic,
                          Refused::kStopped);
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

}  // namespace

void end_run(EndScene scene) {
  scene.workers.may_refuse();
  Ending ending(scene);
  constexpr void (Ending::* kEndings[])() = {&Ending::doubtful_record, &Ending::positions_set_back,
                                             &Ending::topic_made_again,
                                             &Ending::records_deleted_unread};
  (ending.*kEndings[scene.random.below(std::size(kEndings))])();
}

}  // namespace onceflow::sim
