// Endings of the topics that a pipeline writes: others write to them, their records are deleted, or
// they are given partitions. The pipeline goes on right, or stops and names the topic.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "client/admin.h"
#include "client/producer.h"
#include "sim/pipelines/ending.h"
#include "sim/pipelines/own_topics.h"

namespace onceflow::sim {

namespace {

using Use = OwnTopic::Use;

struct DrawnTopic {
  const DrawnPipeline& pipeline;
  OwnTopic topic;
};

DrawnTopic draw_topic(Ending& ending) {
  const DrawnPipeline& pipeline = ending.draw_pipeline();
  const std::vector<OwnTopic> topics = own_topics(DrawnPipeline::plan(pipeline.file()));
  return {pipeline, topics[ending.scene.random.below(topics.size())]};
}

// By a producer of its own, in no transaction: bytes, a document as the pipeline's own are, or a
// deletion.
void write_as_stranger(Ending& ending, const std::string& topic) {
  const Document document = ending.scene.feeder.documents().draw(ending.scene.feeder.number());
  const std::uint64_t kind = ending.scene.random.below(4);
  ending.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    client::Producer producer(cluster, {});
    protocol::NewRecord record;
    record.timestamp_ms = process.scheduler().wall_now().ms;
    record.key = as_bytes(document.key.json);
    if (kind > 0) {
      record.value = as_bytes(kind == 1 ? std::string_view("no document") : document.json);
    }
    CHECK(producer.append(producer.slot({topic, PartitionIndex(0)}), record).has_value());
    CHECK((co_await producer.flush(process.scheduler().now() + Ending::kVisitMax)).has_value());
  });
}

// Half of the time where it does most harm: to what lies between the stages of the aggregate.
DrawnTopic draw_topic_for_stranger(Ending& ending) {
  if (ending.scene.random.coin()) {
    const DrawnPipeline& pipeline = ending.scene.pipelines.back();
    const std::vector<OwnTopic> topics = own_topics(DrawnPipeline::plan(pipeline.file()));
    const auto between = std::ranges::find(topics, Use::kBetweenStages, &OwnTopic::use);
    CHECK(between != topics.end());
    return {pipeline, *between};
  }
  return draw_topic(ending);
}

void stranger_writes(Ending& ending) {
  const auto [pipeline, topic] = draw_topic_for_stranger(ending);
  const std::string what = fmt::format("a stranger writes to {}", describe(topic));
  ending.scene.world.note("world", what);
  const bool sleeps_meanwhile = ending.scene.random.coin();
  if (sleeps_meanwhile) {
    ending.take_down();
  }
  write_as_stranger(ending, topic.name);
  ending.feed(ending.draw_documents());
  ending.scene.workers.take_up();
  // Results are in a topic of the user's, which anybody may write: who reads them counts them.
  if (topic.use != Use::kResults) {
    ending.expect_right_or_refused(what, {topic.name}, Ending::Refused::kMidway);
  } else {
    ending.scene.world.run_for(seconds(30));
  }
  if (audit(ending.scene.world, ending.scene.database.image(), pipeline).find(topic.name) ==
      std::string::npos) {
    ending.scene.findings.report(
        "AUD-1", fmt::format("{}: {}: the audit does not name it", pipeline.name(), what));
  }
}

void topic_emptied(Ending& ending) {
  ending.take_down();
  const auto [pipeline, topic] = draw_topic(ending);
  const std::string what = fmt::format("the records of {} are deleted", describe(topic));
  ending.scene.world.note("world", what);
  ending.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    co_await empty_topic(cluster, topic.name, process.scheduler().now() + Ending::kVisitMax);
  });
  ending.feed(ending.draw_documents());
  ending.scene.workers.take_up();
  ending.expect_right_or_refused(what, {topic.name}, Ending::Refused::kMidway);
}

void topic_grown(Ending& ending) {
  const bool is_down = ending.scene.random.coin();
  if (is_down) {
    ending.take_down();
  }
  const auto [pipeline, topic] = draw_topic(ending);
  const std::string what = fmt::format("{} gets a partition more", describe(topic));
  ending.scene.world.note("world", what);
  ending.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    const MonotonicTime deadline = process.scheduler().now() + Ending::kVisitMax;
    const auto there = co_await cluster->existing_topic(topic.name, deadline);
    if (there) {
      co_await grow_topic(cluster, topic.name, there->partition_count() + 1, deadline);
    }
  });
  ending.feed(ending.draw_documents());
  ending.scene.workers.take_up();
  ending.expect_right_or_refused(what, {topic.name}, Ending::Refused::kMidway);
}

}  // namespace

std::span<const EndingKind> topic_endings() {
  static constexpr EndingKind kEndings[] = {
      {"stranger writes", stranger_writes},
      {"topic emptied", topic_emptied},
      {"topic grown", topic_grown},
  };
  return kEndings;
}

}  // namespace onceflow::sim
