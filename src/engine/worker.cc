#include "engine/worker.h"

#include <variant>

#include "client/admin.h"

namespace onceflow::engine {
namespace {

// Kafka's default of max.message.bytes.
constexpr std::size_t kMessageBytesMaxOfKafka = 1'048'588;

}  // namespace

Worker::Worker(io::Environment environment, const Plan& plan, WorkerOptions options)
    : environment_(environment),
      plan_(plan),
      options_(std::move(options)),
      cluster_(client::Cluster::create(environment, options_.client)),
      changed_(environment.scheduler) {
  StageOptions stage_options = options_.stage;
  stage_options.pipeline = plan.pipeline;
  stage_options.receipts_topic = plan.receipts_topic;
  stage_options.guarantee = plan.guarantee;
  stage_options.commit_interval = plan.commit_interval;
  stage_options.seeded_bug = environment.seeded_bug;
  if (plan.request_bytes_max) {
    stage_options.producer.request_bytes_max = static_cast<std::size_t>(*plan.request_bytes_max);
    stage_options.producer.request_bytes_follow_topics = false;
  }
  for (const Stage& stage : plan.stages) {
    const bool is_sink = std::holds_alternative<SinkOutput>(stage.output);
    // What lies between the stages is never passed over.
    stage_options.offset_reset = stages_.empty() ? plan.offset_reset : OffsetReset::kEarliest;
    stages_.push_back(is_sink ? make_sink_stage(cluster_, stage, stage_options)
                              : make_topic_stage(cluster_, stage, stage_options));
  }
}

Worker::~Worker() { cluster_->close(); }

Task<Status> Worker::run() {
  while (!stopping_) {
    const Status created = co_await create_topics();
    if (created) {
      break;
    }
    if (is_final(created.error())) {
      co_return created;
    }
    co_await changed_.wait_for(options_.stage.retry_backoff);
  }
  if (stopping_) {
    co_return Status{};
  }
  running_count_ = stages_.size();
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    environment_.scheduler.spawn(run_stage(*stage));
  }
  while (running_count_ > 0) {
    co_await changed_.wait();
  }
  co_return ended_;
}

Task<void> Worker::run_stage(StageTask& stage) {
  Status ended = co_await stage.run();
  --running_count_;
  if (!ended && ended_) {
    ended_ =
        fail(ended.error().code, "stage '" + stage.status().stage + "': " + ended.error().text);
    stop();
  }
  changed_.notify_all();
}

void Worker::stop() {
  stopping_ = true;
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    stage->stop();
  }
  changed_.notify_all();
}

Task<Status> Worker::create_topics() {
  client::Admin admin(cluster_);
  const MonotonicTime deadline = environment_.scheduler.now() + options_.stage.call_timeout;
  std::int32_t source_partition_count = 0;
  std::size_t source_bytes_max = 0;
  if (!plan_.stages.empty()) {
    for (const std::string& source : plan_.stages.front().source_topics) {
      const auto topic = co_await cluster_->topic(source, deadline);
      CO_RETURN_IF_ERROR(topic);
      source_partition_count = std::max(source_partition_count, topic->partition_count());
      const auto bytes_max = co_await admin.message_bytes_max(source, deadline);
      source_bytes_max = std::max(source_bytes_max, bytes_max.value_or(0));
    }
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
    // What the engine keeps its truth in must not be deleted by age or size.
    if (spec.is_internal) {
      topic.configs = {{"retention.ms", "-1"}, {"retention.bytes", "-1"}};
    }
    if (spec.message_bytes_max) {
      topic.configs.emplace_back("max.message.bytes", std::to_string(*spec.message_bytes_max));
    } else if (spec.is_internal && source_bytes_max > kMessageBytesMaxOfKafka) {
      // A key that a step has set may be as large as the value that it was taken from.
      topic.configs.emplace_back("max.message.bytes", std::to_string(2 * source_bytes_max));
    }
    if (spec.compacted) {
      topic.configs.emplace_back("cleanup.policy", "compact");
    }
    const Status created = co_await admin.create_topic(std::move(topic), deadline);
    if (!created && created.error().code != ErrorCode::kAlreadyExists) {
      co_return created;
    }
  }
  co_return Status{};
}

std::vector<const StageStatus*> Worker::statuses() const {
  std::vector<const StageStatus*> statuses;
  statuses.reserve(stages_.size());
  for (const std::unique_ptr<StageTask>& stage : stages_) {
    statuses.push_back(&stage->status());
  }
  return statuses;
}

}  // namespace onceflow::engine
