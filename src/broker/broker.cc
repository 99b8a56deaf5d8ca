#include "broker/broker.h"

#include <algorithm>
#include <utility>

#include "broker/handlers/handlers.h"
#include "broker/meta_properties.h"

namespace onceflow::broker {

Broker::Broker(io::Environment environment, BrokerOptions options)
    : environment_(environment),
      options_(std::move(options)),
      coordinator_(options_.coordinator),
      server_(environment_, options_.server, *this) {
  if (!options_.log.on_fatal) {
    options_.log.on_fatal = options_.on_fatal;
  }
  if (!options_.log.on_damage) {
    options_.log.on_damage = options_.on_notice;
  }
}

Broker::~Broker() { environment_.scheduler.cancel(timer_); }

// --- Starting, ---
// stopping

Task<Status> Broker::start() {
  started_ = environment_.scheduler.now();
  CO_RETURN_IF_ERROR(server_.listen());
  auto log = log::Log::open(environment_, options_.log, *this);
  CO_RETURN_IF_ERROR(log);
  log_ = std::move(*log);
  auto cluster_id = read_or_make_cluster_id();
  CO_RETURN_IF_ERROR(cluster_id);
  core_ = std::make_unique<BrokerCore>(environment_, options_, *log_, coordinator_, server_,
                                       std::move(*cluster_id));
  log_->set_snapshot_writer([this](Buffer& buffer) { coordinator_.write_snapshot(buffer); });
  log_->on_partition_advanced([this](log::Partition& partition) {
    core_->fetches.on_advanced(partition.id(), [this](const ParkedFetch& fetch) {
      return fetch_has_enough(*core_, fetch.request, fetch.api_version);
    });
  });
  log_->on_topic_removed([this](const log::Topic& topic) {
    for (const auto& partition : topic.partitions) {
      core_->fetches.on_removed(partition->id());
    }
  });
  coordinator_.start(core_->moment(), core_->effects);
  core_->settle();
  arm_timer();
  server_.start();
  co_return Status{};
}

Task<Status> Broker::stop() {
  co_await server_.stop(options_.stop_patience);
  environment_.scheduler.cancel(std::exchange(timer_, 0));
  timer_due_ = MonotonicTime::max();
  // What connections and fetches have posted about their end runs before this returns.
  co_await environment_.scheduler.yield();
  if (log_ == nullptr) {
    co_return Status{};
  }
  co_return co_await log_->close();
}

Result<std::string> Broker::read_or_make_cluster_id() {
  return broker::read_or_make_cluster_id(environment_.disk, environment_.random,
                                         options_.log.directory, options_.node_id);
}

Status Broker::on_snapshot(ByteView snapshot) { return coordinator_.restore(snapshot); }

Status Broker::on_record(ByteView record) { return coordinator_.replay(record); }

// Decision and record are one entry; the record alone tells the coordinators.
Status Broker::on_end_transaction(const log::EndTransaction&, ByteView record) {
  return coordinator_.replay(record);
}

void Broker::on_topic_deleted(const TopicId& topic) { coordinator_.on_topic_deleted(topic); }

// --- Requests ---

Disposition Broker::handle(const Request& request, Reply& reply) {
  const Api* const api = find_api(request.header.api_key);
  if (api == nullptr) {
    return Disposition::kClose;
  }
  ApiStatistics& statistics = core_->statistics.apis[api->key];
  ++statistics.requests;
  statistics.request_bytes += request.body.size();
  const std::int16_t version = request.header.api_version;
  if (version < api->version_min || version > api->version_max) {
    if (api->key != protocol::ApiKey::kApiVersions) {
      // No body could be written that the client reads; Kafka closes as well.
      ++statistics.errors[protocol::ErrorCode::kUnsupportedVersion];
      return Disposition::kClose;
    }
    answer_unsupported_api_versions(request, reply);
    ++statistics.errors[reply.error];
    return Disposition::kAnswer;
  }
  const Disposition disposition = api->handle(*core_, request, reply);
  if (reply.error != protocol::ErrorCode::kNone) {
    ++statistics.errors[reply.error];
  }
  if (api->when == AnswerWhen::kDurable) {
    reply.durable_at = log_->end();
  }
  return disposition;
}

void Broker::on_connection_closed(ConnectionNumber connection) {
  if (core_ != nullptr) {
    core_->on_connection_closed(connection);
    if (timer_ != 0) {  // it is while anybody waits, until stop()
      arm_timer();
    }
  }
}

// --- Time ---

// A timer that is due earlier than needed is left alone: it finds nothing to do and sets itself
// anew.
void Broker::arm_timer() {
  const auto deadline = coordinator_.next_deadline();
  if (!deadline || (timer_ != 0 && timer_due_ <= *deadline)) {
    return;
  }
  environment_.scheduler.cancel(timer_);
  timer_due_ = *deadline;
  timer_ = environment_.scheduler.schedule_at(*deadline, [this] { on_time(); });
}

void Broker::on_time() {
  timer_ = 0;
  coordinator_.on_time(core_->moment(), core_->effects);
  core_->settle();
  arm_timer();
}

// --- Status ---

BrokerStatus Broker::status() const {
  BrokerStatus status;
  status.node_id = options_.node_id;
  status.uptime = environment_.scheduler.now() - started_;
  status.server = server_.statistics();
  if (core_ == nullptr) {
    return status;
  }
  status.cluster_id = core_->cluster_id;
  status.log = log_->statistics();
  status.counters = core_->statistics;
  status.topic_count = log_->topics().by_name().size();
  status.parked_fetches = core_->fetches.size();
  status.open_transactions = open_transactions();
  for (const auto& [name, topic] : log_->topics().by_name()) {
    for (const auto& partition : topic->partitions) {
      status.partitions.push_back({.topic = name,
                                   .partition = partition->id().partition.value,
                                   .log_start_offset = partition->log_start_offset().value,
                                   .high_watermark = partition->high_watermark().value,
                                   .last_stable_offset = partition->last_stable_offset().value,
                                   .size_bytes = partition->size_bytes()});
    }
  }
  add_groups(status);
  return status;
}

std::vector<OpenTransaction> Broker::open_transactions() const {
  const coordinator::Moment moment = core_->moment();
  std::vector<OpenTransaction> open;
  for (const auto& transaction : coordinator_.transactions().list(
           {.states = {coordinator::TransactionState::kOngoing}}, moment)) {
    const std::int64_t started_ms =
        transaction.started_at ? transaction.started_at->ms : moment.wall.ms;
    open.push_back({.transactional_id = transaction.transactional_id,
                    .producer_id = transaction.producer.id.value,
                    .producer_epoch = transaction.producer.epoch.value,
                    .age = milliseconds(std::max<std::int64_t>(0, moment.wall.ms - started_ms)),
                    .timeout = transaction.timeout,
                    .partition_count = transaction.partitions.size(),
                    .group_count = transaction.groups.size()});
  }
  return open;
}

void Broker::add_groups(BrokerStatus& status) const {
  for (const auto& group : coordinator_.groups().list()) {
    status.groups.push_back(
        {.group_id = group.group_id,
         .state = group.state,
         .member_count = coordinator_.groups().describe(group.group_id).members.size()});
    for (const auto& fetched :
         coordinator_.groups().fetch_all_offsets(group.group_id, coordinator::RequireStable::kNo)) {
      const log::Partition* const partition = log_->topics().find(fetched.partition);
      if (partition != nullptr && fetched.offset != kNoOffset) {
        status.lags.push_back(
            {.group_id = group.group_id,
             .topic = partition->topic().name,
             .partition = fetched.partition.partition.value,
             .committed_offset = fetched.offset.value,
             .lag = std::max<std::int64_t>(
                 0, partition->last_stable_offset().value - fetched.offset.value)});
      }
    }
  }
}

}  // namespace onceflow::broker
