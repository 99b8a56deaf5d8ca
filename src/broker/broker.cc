#include "broker/broker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/topic_id_text.h"
#include "broker/handlers/handlers.h"
#include "broker/meta_properties.h"
#include "log/damage.h"

namespace onceflow::broker {

namespace {

// Drawn for a log that has none yet; one that has goes on with its own.
BrokerOptions with_first_producer_id(BrokerOptions options, io::Random& random) {
  using coordinator::ProducerIds;
  const std::uint64_t drawn = 1 + random.below(ProducerIds::kLogsMax - 1);
  options.coordinator.first_producer_id =
      ProducerId(static_cast<std::int64_t>(drawn) * ProducerIds::kIdsOfALog);
  return options;
}

BrokerOptions with_notices_of_server(BrokerOptions options) {
  if (options.on_notice && !options.server.on_notice) {
    options.server.on_notice = [tell = options.on_notice](const std::string& text) {
      tell(Error{onceflow::ErrorCode::kRefused, text, Recovery::kRetriable});
    };
  }
  return options;
}

}  // namespace

Broker::Broker(io::Environment environment, std::unique_ptr<io::BlockingThread> worker,
               BrokerOptions options)
    : environment_(environment),
      options_(
          with_notices_of_server(with_first_producer_id(std::move(options), environment.random))),
      coordinator_(options_.coordinator),
      server_(environment_, options_.server, *this),
      worker_(std::move(worker)) {
  if (!options_.log.on_fatal) {
    options_.log.on_fatal = options_.on_fatal;
  }
  if (!options_.log.on_damage) {
    options_.log.on_damage = options_.on_notice;
  }
}

Broker::~Broker() { environment_.scheduler.cancel(timer_); }

// --- Starting, stopping ---

Task<Status> Broker::start() {
  started_ = environment_.scheduler.now();
  CO_RETURN_IF_ERROR(server_.listen());
  CO_RETURN_IF_ERROR(open_log());
  core_ = std::make_unique<BrokerCore>(environment_, options_, *log_, coordinator_, server_,
                                       *worker_, log_->cluster_id());
  log_->set_snapshot_writer([this](Buffer& buffer) { coordinator_.write_snapshot(buffer); });
  log_->on_partition_advanced(
      [this](log::Partition& partition) { core_->fetches.on_advanced(partition); });
  log_->on_topic_removed([this](const log::Topic& topic) {
    for (const auto& partition : topic.partitions) {
      core_->fetches.on_removed(*partition);
    }
  });
  note_known_producers();
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

// The cluster id is in meta.properties and in the log's checkpoint: one of them alone does not lose
// it, and they must agree.
Status Broker::open_log() {
  const std::string& directory = options_.log.directory;
  const auto told = read_cluster_id(environment_.disk, directory, options_.node_id);
  RETURN_IF_ERROR(told);
  options_.log.cluster_id = told->value_or(to_text(environment_.random.uuid()));
  options_.log.boot_id = options_.boot_id;
  auto log = log::Log::open(environment_, options_.log, *this);
  RETURN_IF_ERROR(log);
  log_ = std::move(*log);
  const std::string& known = log_->cluster_id();
  if (!*told) {
    RETURN_IF_ERROR(write_meta_properties(environment_.disk, directory, known, options_.node_id));
    if (known != options_.log.cluster_id && options_.on_notice) {
      options_.on_notice(log::damage_error(log::Damage::kClusterIdMissing,
                                           meta_properties_path(directory), known));
    }
  } else if (**told != known) {
    return log::fail_damaged(log::Damage::kClusterIdChanged, meta_properties_path(directory),
                             fmt::format("it says {}, and the log is of {}", **told, known));
  }
  return {};
}

void Broker::note_known_producers() {
  for (const auto& [name, topic] : log_->topics().by_name()) {
    for (const auto& partition : topic->partitions) {
      for (const auto& [id, state] : partition->producers().sorted()) {
        coordinator_.note_known_producer({id, state->epoch});
      }
    }
  }
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
  if (disposition == Disposition::kNotNow) {  // it is counted when it is handled
    --statistics.requests;
    statistics.request_bytes -= request.body.size();
    return disposition;
  }
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
  // What on_time has left for another turn waits for that, though it has been due for long.
  timer_ = environment_.scheduler.schedule_at(std::max(*deadline, environment_.scheduler.now()),
                                              [this] { on_time(); });
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
  status.open_transaction_count = coordinator_.transactions().ongoing_count();
  status.open_transactions = open_transactions();
  status.state = state_use();
  return status;
}

std::vector<StateUse> Broker::state_use() const {
  const coordinator::GroupOptions& groups = options_.coordinator.groups;
  const coordinator::GroupUsage usage = coordinator_.groups().usage();
  return {
      {"partitions", log_->topics().partition_count(), options_.log.partitions_max},
      {"topic_configs_bytes", log_->topics().config_bytes(), options_.log.config_bytes_max},
      {"groups", usage.group_count, groups.group_count_max},
      {"group_members_bytes", usage.membership_bytes, groups.membership_bytes_max},
      {"group_offsets_bytes", usage.offset_bytes, groups.offset_bytes_max},
      {"transactional_ids", coordinator_.transactions().transactional_id_count(),
       options_.coordinator.transactions.transactional_id_count_max},
      {"transactions_bytes", coordinator_.transactions().part_bytes(),
       options_.coordinator.transactions.transactions_bytes_max},
      {"producer_states", log_->producer_state_count(), options_.log.producer_states_max},
  };
}

void Broker::tell_status(TellStatus tell) {
  if (core_ == nullptr) {
    tell({.log = {}, .groups = {}, .totals = status()});
    return;
  }
  if (feed_ == nullptr) {
    feed_ = std::make_unique<StatusFeed>(environment_.scheduler, *log_, coordinator_.groups(),
                                         [this] { return status(); });
  }
  feed_->ask(std::move(tell));
}

std::vector<OpenTransaction> Broker::open_transactions() const {
  const std::int64_t now_ms = environment_.scheduler.wall_now().ms;
  std::vector<OpenTransaction> open;
  for (const auto& ongoing : coordinator_.transactions().list_soonest(kOpenTransactionsTold)) {
    open.push_back({.transactional_id = std::string(ongoing.transactional_id),
                    .producer_id = ongoing.producer.id.value,
                    .producer_epoch = ongoing.producer.epoch.value,
                    .age = milliseconds(std::max<std::int64_t>(0, now_ms - ongoing.started_at.ms)),
                    .timeout = ongoing.timeout,
                    .partition_count = ongoing.partition_count,
                    .group_count = ongoing.group_count});
  }
  std::ranges::sort(open, {}, &OpenTransaction::transactional_id);
  return open;
}

}  // namespace onceflow::broker
