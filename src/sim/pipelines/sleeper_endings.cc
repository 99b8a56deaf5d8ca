// Endings with a reset, or a changed file, and who has not heard of it: a table that is restored
// from before, or a worker that sleeps through it, a machine that was paused for longer than a
// session and wakes with all that it had open. It must do nothing more.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "client/admin.h"
#include "engine/definition_log.h"
#include "engine/start_over.h"
#include "pipeline/definition.h"
#include "sim/pipelines/ending.h"
#include "sim/pipelines/own_topics.h"

namespace onceflow::sim {

namespace {

/// The session of one that sleeps is over, and what was sent to the database has arrived.
constexpr Duration kSessionOver = seconds(8);
/// The workers beside it have begun.
constexpr Duration kBegunMax = seconds(25);
constexpr Duration kSleepMax = seconds(60);
/// One that is awake has heard from its group, and has looked at what it may go on with.
constexpr Duration kAwake = seconds(30);
constexpr Duration kPauseBetweenActs = seconds(5);
constexpr Duration kActPatience = seconds(30);

using Kind = protocol::PipelineDefinition::Kind;

/// When it wakes.
MonotonicTime put_one_to_sleep(Ending& ending, Duration at_least) {
  const Duration sleep = ending.scene.random.between(at_least, kSleepMax);
  ending.scene.workers.put_one_to_sleep(sleep, ending.scene.random);
  const MonotonicTime wakes_at = ending.scene.world.now() + sleep;
  ending.scene.world.run_for(kSessionOver);
  return wakes_at;
}

/// Until it has been awake for long enough.
void wait_for_sleeper(Ending& ending, MonotonicTime wakes_at) {
  const MonotonicTime until = std::max(wakes_at, ending.scene.world.now()) + kAwake;
  ending.scene.world.run_for(until - ending.scene.world.now());
}

void expect_sleeper_has_stopped(Ending& ending, const DrawnPipeline& pipeline,
                                const std::string& what) {
  if (ending.scene.workers.sleeper_goes_on(pipeline)) {
    ending.scene.findings.report(
        "STG-2", fmt::format("{}: {}, and it goes on as before", pipeline.name(), what));
  }
}

void file_changed_asleep(Ending& ending) {
  const MonotonicTime wakes_at = put_one_to_sleep(ending, kBegunMax);
  const std::string what = "its file was changed while a worker slept";
  std::vector<const DrawnPipeline*> changed;
  for (DrawnPipeline& pipeline : ending.scene.pipelines) {
    if (pipeline.file() != pipeline.next_file()) {
      ending.go_on_with_next_file(pipeline);
      changed.push_back(&pipeline);
    }
  }
  ending.scene.workers.take_up();
  ending.feed(ending.draw_documents());
  wait_for_sleeper(ending, wakes_at);
  ending.feed(ending.draw_documents());
  for (const DrawnPipeline* pipeline : changed) {
    expect_sleeper_has_stopped(ending, *pipeline, what);
  }
  ending.expect_right(what);
}

// What `onceflow reset --delete-rows --execute` does, by the same calls, and by hand what it
// leaves: topics of results. A group that has a member again is waited for.
class Reset {
 public:
  /// To the earliest records, or to these places.
  Reset(Ending& ending, const DrawnPipeline& pipeline,
        std::vector<engine::StartOver::Place> places = {})
      : ending_(ending),
        pipeline_(pipeline),
        places_(std::move(places)),
        planned_(DrawnPipeline::plan(pipeline.file())),
        definition_(pipeline::definition_of(planned_)) {}

  void run() {
    write(Kind::kResetBegun);
    for (const engine::Stage& stage : planned_.plan.stages) {
      pause();
      delete_group(stage.group_id);
    }
    for (const OwnTopic& topic : own_topics(planned_)) {
      if (topic.use != OwnTopic::Use::kDefinitions) {
        pause();
        delete_topic(topic.name);
      }
    }
    pause();
    ending_.scene.database.reset(pipeline_.table());
    make_receipts_topic();
    write(Kind::kAccepted);
  }

 private:
  void pause() {
    if (ending_.scene.random.below(4) == 0) {
      ending_.scene.world.run_for(ending_.scene.random.between(Duration(0), kPauseBetweenActs));
    }
  }

  void write(Kind kind) {
    ending_.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
      engine::DefinitionLog definitions(cluster, definition_, {});
      protocol::PipelineDefinition record = definition_;
      record.kind = kind;
      record.flags = places_.empty() ? "--to-earliest --delete-rows" : "--to-latest --delete-rows";
      if (kind == Kind::kAccepted) {
        record.flags += engine::places_text(places_);
      }
      CHECK((co_await definitions.write(std::move(record),
                                        process.scheduler().now() + Ending::kVisitMax))
                .has_value());
    });
  }

  void delete_group(const std::string& group) {
    Status done;
    ending_.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
      client::Admin admin(cluster);
      const MonotonicTime until = process.scheduler().now() + kActPatience;
      while (process.scheduler().now() < until) {
        done = co_await admin.delete_group(group, until);
        if (done || done.error().code == ErrorCode::kNotFound) {
          done = {};
          co_return;
        }
        co_await process.scheduler().sleep_for(milliseconds(200));
      }
    });
    if (!done) {
      ending_.scene.findings.report(
          "STG-2", fmt::format("{}: a worker goes on while a reset is under way: {}",
                               pipeline_.name(), done.error().text));
    }
  }

  void delete_topic(const std::string& topic) {
    ending_.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
      client::Admin admin(cluster);
      const Status deleted =
          co_await admin.delete_topic(topic, process.scheduler().now() + Ending::kVisitMax);
      CHECK(deleted || deleted.error().code == ErrorCode::kNotFound);
    });
  }

  void make_receipts_topic() {
    ending_.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
      client::Admin admin(cluster);
      const MonotonicTime deadline = process.scheduler().now() + Ending::kVisitMax;
      CHECK((co_await admin.create_topic({.name = planned_.plan.receipts_topic,
                                          .partition_count = 1,
                                          .replication_factor = -1,
                                          .configs = client::kept_for_ever()},
                                         deadline))
                .has_value());
    });
  }

  Ending& ending_;
  const DrawnPipeline& pipeline_;
  const std::vector<engine::StartOver::Place> places_;
  const pipeline::PlannedPipeline planned_;
  const protocol::PipelineDefinition definition_;
};

// One that begins at the end would begin at the new end: what lies before is not its input any
// more.
const DrawnPipeline& draw_from_the_beginning(Ending& ending) {
  const DrawnPipeline& drawn = ending.draw_pipeline();
  return drawn.begins_at_latest() ? ending.scene.pipelines.back() : drawn;
}

void reset(Ending& ending) {
  ending.take_down();
  const DrawnPipeline& pipeline = draw_from_the_beginning(ending);
  ending.scene.world.note("world", fmt::format("{} is reset", pipeline.name()));
  Reset(ending, pipeline).run();
  ending.feed(ending.draw_documents());
  ending.scene.workers.take_up();
  ending.expect_right("it was reset");
}

// The ends of its input.
std::vector<engine::StartOver::Place> latest(Ending& ending) {
  std::vector<engine::StartOver::Place> places;
  ending.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    const auto topic = co_await cluster->existing_topic(
        kInputTopic, process.scheduler().now() + Ending::kVisitMax);
    CHECK(topic.has_value());
    for (std::size_t index = 0; index < ending.scene.input.partitions.size(); ++index) {
      const auto end =
          static_cast<std::int64_t>(ending.scene.input.partitions[index].documents.size());
      places.push_back({{kInputTopic, PartitionIndex(static_cast<std::int32_t>(index))},
                        engine::topic_id_text(topic->id),
                        Offset(end)});
    }
  });
  return places;
}

// Its topic deleted, or all that is in it.
void lose_definitions(Ending& ending, const DrawnPipeline& pipeline) {
  const std::string topic = pipeline::definition_of(DrawnPipeline::plan(pipeline.file())).topic();
  const bool is_deleted = ending.scene.random.coin();
  ending.scene.world.note("world",
                          fmt::format("{} is {}", topic, is_deleted ? "deleted" : "emptied"));
  ending.visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    const MonotonicTime deadline = process.scheduler().now() + Ending::kVisitMax;
    if (!is_deleted) {
      co_await empty_topic(cluster, topic, deadline);
      co_return;
    }
    client::Admin admin(cluster);
    CHECK((co_await admin.delete_topic(topic, deadline)).has_value());
  });
}

// One that is put to the end of its input; null if the position of the first one is its group's, or
// it begins at the end by itself.
DrawnPipeline* reset_one_to_latest(Ending& ending) {
  ending.take_down();
  DrawnPipeline& pipeline = ending.scene.pipelines.front();
  if (DrawnPipeline::plan(pipeline.file()).plan.stages.size() > 1 || pipeline.begins_at_latest()) {
    return nullptr;
  }
  std::vector<engine::StartOver::Place> places = latest(ending);
  std::vector<std::size_t> begins;
  std::ranges::transform(places, std::back_inserter(begins), [](const auto& place) {
    return static_cast<std::size_t>(place.offset.value);
  });
  ending.scene.world.note("world", pipeline.name() + " is reset to the latest records");
  pipeline.begin_at(std::move(begins));
  Reset(ending, pipeline, std::move(places)).run();
  return &pipeline;
}

// The database that was told of it is gone: where it was to begin is in the log alone.
void database_lost_after_a_reset(Ending& ending) {
  const DrawnPipeline* pipeline = reset_one_to_latest(ending);
  if (pipeline == nullptr) {
    return;
  }
  const std::string what = "it was reset to the latest records, and its database lost";
  ending.scene.world.note("world", fmt::format("{}: {}", pipeline->name(), what));
  ending.scene.database.forget_all(pipeline->table());
  ending.feed(ending.draw_documents());
  ending.scene.workers.take_up();
  ending.expect_right(what);
}

// The record of it is gone as well, but receipts told of it before the database was lost: nobody
// knows where to begin, and that is said.
void start_over_forgotten(Ending& ending) {
  const DrawnPipeline* pipeline = reset_one_to_latest(ending);
  if (pipeline == nullptr) {
    return;
  }
  const auto go_on = [&] {
    ending.feed(ending.draw_documents());
    ending.scene.workers.take_up();
  };
  const std::string what = "it was reset to the latest records, and the record of it lost";
  go_on();
  ending.expect_right("it was reset to the latest records");
  ending.take_down();
  lose_definitions(ending, *pipeline);
  go_on();
  ending.expect_right(what);
  ending.take_down();
  ending.scene.world.note("world",
                          fmt::format("{}: {}, then its database", pipeline->name(), what));
  ending.scene.database.forget_all(pipeline->table());
  go_on();
  ending.expect_right_or_refused(what + ", then its database", {"holds no position of this sink"},
                                 Ending::Refused::kAnew);
}

// Its rows and its position are of before: what comes now would be beside them.
void table_of_before_the_reset(Ending& ending) {
  ending.take_down();
  const DrawnPipeline& pipeline = draw_from_the_beginning(ending);
  const SimDatabase::Image backup = ending.scene.database.image();
  const auto kept = backup.find(pipeline.table());
  if (kept == backup.end() || kept->second.receipts.empty()) {
    return;
  }
  const std::string what = "it was reset, and its table restored from before";
  ending.scene.world.note("world", fmt::format("{}: {}", pipeline.name(), what));
  Reset(ending, pipeline).run();
  ending.scene.database.restore(pipeline.table(), backup);
  ending.feed(ending.draw_documents());
  ending.scene.workers.take_up();
  ending.expect_right_or_refused(what, {"newest start-over", "another topic of that name"},
                                 Ending::Refused::kStopped);
  if (ending.scene.workers.refusal_of(pipeline).empty()) {
    ending.scene.findings.report("STG-1",
                                 fmt::format("{}: {}, and it goes on", pipeline.name(), what));
  }
}

void reset_asleep(Ending& ending) {
  const DrawnPipeline& pipeline = draw_from_the_beginning(ending);
  const MonotonicTime wakes_at = put_one_to_sleep(ending, kSessionOver);
  const std::string what = "it was reset while a worker slept";
  ending.scene.world.note("world", fmt::format("{} is reset", pipeline.name()));
  Reset(ending, pipeline).run();
  ending.scene.workers.take_up();
  ending.feed(ending.draw_documents());
  wait_for_sleeper(ending, wakes_at);
  ending.feed(ending.draw_documents());
  expect_sleeper_has_stopped(ending, pipeline, what);
  ending.expect_right(what);
}

}  // namespace

std::span<const EndingKind> sleeper_endings() {
  static constexpr EndingKind kEndings[] = {
      {"file changed asleep", file_changed_asleep},
      {"reset", reset},
      {"table of before the reset", table_of_before_the_reset},
      {"database lost after a reset", database_lost_after_a_reset},
      {"start-over forgotten", start_over_forgotten},
      {"reset asleep", reset_asleep},
  };
  return kEndings;
}

}  // namespace onceflow::sim
