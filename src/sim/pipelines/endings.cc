#include "sim/pipelines/endings.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "client/admin.h"
#include "client/cluster.h"
#include "sim/pipelines/switched_off.h"
#include "sim/visitor.h"
#include "sim/workloads/broker_node.h"

namespace onceflow::sim {

namespace {

constexpr Duration kPatience = seconds(120);
constexpr Duration kVisitMax = seconds(100);
constexpr Duration kLookEvery = milliseconds(200);
constexpr std::uint64_t kLateRecordsMax = 20;
constexpr int kDrawsMax = 30;

class Ending {
 public:
  explicit Ending(EndScene scene) : scene_(scene) {}

  void doubtful_record();
  void positions_set_back();
  void topic_made_again();

 private:
  using Visit = std::function<Task<void>(SimProcess&, std::shared_ptr<client::Cluster>)>;

  void visit(const Visit& visit);
  void feed(std::vector<Document> documents);
  std::vector<Document> draw_documents();
  /// Waits until each pipeline has either the right rows for all of the input, or has stopped and
  /// said something that holds `named`. Then model and audit judge what can be judged.
  void expect_right_or_refused(const std::string& what, std::string_view named);
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

void Ending::expect_right_or_refused(const std::string& what, std::string_view named) {
  std::vector<Judged> judged;
  judged.reserve(scene_.pipelines.size());
  for (const DrawnPipeline& pipeline : scene_.pipelines) {
    MonotonicTime next_look{};
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
    judged.push_back({pipeline, refusal.empty() ? scene_.input : before_});
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
  expect_right_or_refused(what, "@");
}

// As if the positions alone came from a backup: what lies after them is in the table already.
void Ending::positions_set_back() {
  scene_.workers.take_down();
  const DrawnPipeline& pipeline = scene_.pipelines[scene_.random.below(scene_.pipelines.size())];
  const std::string moved = scene_.database.set_position_back(pipeline.table(), scene_.random);
  scene_.world.note("world", moved);
  feed(draw_documents());
  scene_.workers.take_up();
  expect_right_or_refused(moved, "offset");
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
  expect_right_or_refused("the source topic was deleted and made again", kInputTopic);
}

}  // namespace

void end_run(EndScene scene) {
  scene.workers.may_refuse();
  Ending ending(scene);
  std::vector<void (Ending::*)()> drawn = {&Ending::doubtful_record};
  if (kDrawsPositionsSetBack) {
    drawn.push_back(&Ending::positions_set_back);
  }
  if (kDrawsTopicsMadeAgain) {
    drawn.push_back(&Ending::topic_made_again);
  }
  (ending.*drawn[scene.random.below(drawn.size())])();
}

}  // namespace onceflow::sim
