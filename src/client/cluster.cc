// Cluster: connections, metadata and coordinators, each asked for again until the caller's
// deadline.
#include "client/cluster.h"

#include <fmt/format.h>

#include "client/broker_error.h"
#include "protocol/messages/03_metadata.h"
#include "protocol/messages/10_find_coordinator.h"

namespace onceflow::client {

namespace {

Error cancelled() {
  return Error{ErrorCode::kCancelled, "the client was closed", Recovery::kFatal};
}

}  // namespace

Duration Backoff::next() {
  const Duration full = next_;
  next_ = std::min(next_ * 2, max_);
  const auto fifth = static_cast<std::uint64_t>(full.count() / 5);
  return fifth == 0 ? full : full - Duration(static_cast<std::int64_t>(random_.below(fifth)));
}

std::shared_ptr<Cluster> Cluster::create(io::Environment environment, ClientOptions options) {
  struct Created : Cluster {
    Created(io::Environment e, ClientOptions o) : Cluster(e, std::move(o)) {}
  };
  return std::make_shared<Created>(environment, std::move(options));
}

Cluster::Cluster(io::Environment environment, ClientOptions options)
    : environment_(environment), options_(std::move(options)), changed_(environment.scheduler) {}

Cluster::~Cluster() { close(); }

void Cluster::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  for (auto& [key, slot] : slots_) {
    if (slot.connection) {
      slot.connection->close(cancelled());
    }
  }
  slots_.clear();
  changed_.notify_all();
  for (const std::weak_ptr<ClusterUser>& user : std::exchange(users_, {})) {
    if (const auto alive = user.lock()) {
      alive->close();
    }
  }
}

void Cluster::add_user(std::weak_ptr<ClusterUser> user) {
  std::erase_if(users_, [](const auto& known) { return known.expired(); });
  users_.push_back(std::move(user));
}

Error Cluster::ended(MonotonicTime deadline, std::string_view what,
                     const std::optional<Error>& last) const {
  if (closed_) {
    return cancelled();
  }
  static_cast<void>(deadline);
  return Error{ErrorCode::kTimedOut,
               last ? fmt::format("{}: not in time; last: {}", what, last->text)
                    : fmt::format("{}: not in time", what),
               Recovery::kRetriable};
}

MonotonicTime Cluster::request_deadline(MonotonicTime deadline) const {
  return std::min(deadline, environment_.scheduler.now() + options_.request_timeout);
}

Task<Status> Cluster::pause(Duration duration, MonotonicTime deadline) {
  const auto self = shared_from_this();
  const MonotonicTime until = std::min(deadline, environment_.scheduler.now() + duration);
  while (!closed_ && environment_.scheduler.now() < until) {
    co_await changed_.wait_until(until);
  }
  if (closed_) {
    co_return std::unexpected(cancelled());
  }
  if (environment_.scheduler.now() >= deadline) {
    co_return std::unexpected(ended(deadline, "pause", std::nullopt));
  }
  co_return Status{};
}

// ---- connections

void Cluster::learn_features(const BrokerFeatures& features) {
  // The epoch of finalized features only grows; an older answer is of a broker that lags behind.
  if (features.finalized_epoch >= finalized_epoch_) {
    finalized_epoch_ = features.finalized_epoch;
    transaction_version_ = features.finalized_level(kTransactionVersionFeature);
  }
}

Task<void> Cluster::open_slot(std::shared_ptr<Cluster> self, SlotKey key) {
  const MonotonicTime deadline =
      self->environment_.scheduler.now() + self->options_.connection_setup_timeout;
  auto opened =
      co_await BrokerConnection::open(self->environment_, self->options_, key.endpoint, deadline);
  if (self->closed_) {
    if (opened) {
      (*opened)->close(cancelled());
    }
    co_return;
  }
  ConnectionSlot& slot = self->slots_[key];
  slot.opening = false;
  if (opened) {
    self->learn_features((*opened)->features());
    slot.connection = std::move(*opened);
    slot.last_error.reset();
    slot.trouble.reset();
    slot.backoff = {};
  } else {
    slot.last_error = slot.trouble = opened.error();
    slot.backoff = slot.backoff == Duration{}
                       ? self->options_.retry_backoff
                       : std::min(slot.backoff * 2, self->options_.retry_backoff_max);
    slot.retry_at = self->environment_.scheduler.now() + slot.backoff;
  }
  self->changed_.notify_all();
}

Task<Result<ConnectionPointer>> Cluster::try_connect(Channel channel, io::Endpoint endpoint,
                                                     MonotonicTime deadline) {
  const auto self = shared_from_this();
  const SlotKey key{channel, endpoint};
  bool attempted = false;
  while (!closed_) {
    ConnectionSlot& slot = slots_[key];
    if (slot.connection && slot.connection->is_open()) {
      co_return slot.connection;
    }
    if (attempted && !slot.opening && slot.last_error) {
      co_return std::unexpected(*slot.last_error);
    }
    const MonotonicTime now = environment_.scheduler.now();
    if (now >= deadline) {
      break;
    }
    if (!slot.opening && now >= slot.retry_at) {
      slot.opening = true;
      slot.last_error.reset();
      environment_.scheduler.spawn(open_slot(self, key));
    }
    attempted = attempted || slot.opening;
    // `slot` is not used after this: the map may change while we wait.
    const MonotonicTime until = slot.opening ? deadline : std::min(deadline, slot.retry_at);
    co_await changed_.wait_until(until);
  }
  const auto place = slots_.find(key);
  co_return std::unexpected(ended(deadline, "connecting to " + io::to_string(endpoint),
                                  place == slots_.end() ? std::nullopt : place->second.last_error));
}

Task<Result<ConnectionPointer>> Cluster::connection(Channel channel, NodeId node,
                                                    MonotonicTime deadline) {
  const auto self = shared_from_this();
  Backoff backoff(options_, environment_.random);
  std::optional<Error> last;
  while (!closed_ && environment_.scheduler.now() < deadline) {
    if (const auto place = nodes_.find(node); place != nodes_.end()) {
      auto connected = co_await try_connect(channel, place->second, deadline);
      if (connected) {
        co_return connected;
      }
      last = connected.error();
    }
    // The node may have come back at another address.
    if (const Status learned = co_await request_metadata(
            std::vector<std::string>{}, IfMissing::kFail,
            std::min(deadline, environment_.scheduler.now() + options_.retry_backoff_max));
        !learned) {
      last = learned.error();
      co_await pause(backoff.next(), deadline);
    } else if (!nodes_.contains(node)) {
      co_await pause(backoff.next(), deadline);
    }
  }
  co_return std::unexpected(
      ended(deadline, fmt::format("connecting to node {}", node.value), last));
}

std::vector<io::Endpoint> Cluster::endpoints() const {
  std::vector<io::Endpoint> all;
  all.reserve(nodes_.size() + options_.bootstrap_servers.size());
  for (const auto& [node, endpoint] : nodes_) {
    all.push_back(endpoint);
  }
  for (const io::Endpoint& endpoint : options_.bootstrap_servers) {
    if (std::ranges::find(all, endpoint) == all.end()) {
      all.push_back(endpoint);
    }
  }
  return all;
}

Task<Result<ConnectionPointer>> Cluster::any_connection(Channel channel, MonotonicTime deadline) {
  const auto self = shared_from_this();
  std::optional<Error> last;
  if (options_.bootstrap_servers.empty()) {
    co_return fail(ErrorCode::kInvalidArgument, "bootstrap.servers is empty");
  }
  while (!closed_ && environment_.scheduler.now() < deadline) {
    const std::vector<io::Endpoint> all = endpoints();
    for (const io::Endpoint& endpoint : all) {
      const auto place = slots_.find(SlotKey{channel, endpoint});
      if (place != slots_.end() && place->second.connection &&
          place->second.connection->is_open()) {
        co_return place->second.connection;
      }
    }
    // A broker that swallows packets must not keep us from the next one for ever.
    const std::size_t first = environment_.random.below(all.size());
    for (std::size_t index = 0; index < all.size() && !closed_; ++index) {
      const MonotonicTime share = environment_.scheduler.now() + options_.connection_setup_timeout;
      auto connected = co_await try_connect(channel, all[(first + index) % all.size()],
                                            std::min(deadline, share));
      if (connected) {
        co_return connected;
      }
      last = connected.error();
    }
  }
  co_return std::unexpected(ended(deadline, "connecting to bootstrap.servers", last));
}

ConnectionPointer Cluster::open_connection(Channel channel, NodeId node) const {
  const auto endpoint = nodes_.find(node);
  if (endpoint == nodes_.end()) {
    return nullptr;
  }
  const auto slot = slots_.find(SlotKey{channel, endpoint->second});
  return slot != slots_.end() && slot->second.connection && slot->second.connection->is_open()
             ? slot->second.connection
             : nullptr;
}

void Cluster::close_channel(Channel channel, const Error& why) {
  for (auto& [key, slot] : slots_) {
    if (key.channel == channel && slot.connection) {
      slot.connection->close(why);
      slot.connection.reset();
    }
  }
}

Task<Status> Cluster::connect(MonotonicTime deadline) {
  const auto self = shared_from_this();
  Backoff backoff(options_, environment_.random);
  while (true) {
    Status learned =
        co_await request_metadata(std::vector<std::string>{}, IfMissing::kFail, deadline);
    if (learned || closed_ || environment_.scheduler.now() >= deadline ||
        learned.error().recovery != Recovery::kRetriable) {
      co_return learned;
    }
    co_await pause(backoff.next(), deadline);
  }
}

// ---- metadata

Task<Status> Cluster::request_metadata(std::optional<std::vector<std::string>> topics,
                                       IfMissing if_missing, MonotonicTime deadline) {
  using protocol::MetadataRequest;
  const auto self = shared_from_this();
  const auto connection = co_await any_connection(metadata_channel_, deadline);
  CO_RETURN_IF_ERROR(connection);
  MetadataRequest request;
  request.allow_auto_topic_creation =
      if_missing == IfMissing::kWait && options_.allow_auto_create_topics;
  if (topics) {
    auto& names = request.topics.emplace();
    for (std::string& name : *topics) {
      names.emplace_back().name = std::move(name);
    }
  } else {
    request.topics.reset();
  }
  const auto reply = co_await (*connection)->send(std::move(request), request_deadline(deadline));
  CO_RETURN_IF_ERROR(reply);
  if (!reply->body.brokers.empty()) {
    nodes_.clear();
  }
  for (const auto& broker : reply->body.brokers) {
    nodes_[NodeId(broker.node_id)] = {broker.host, static_cast<std::uint16_t>(broker.port)};
  }
  controller_ = NodeId(reply->body.controller_id);
  for (const auto& topic : reply->body.topics) {
    if (!topic.name) {
      continue;
    }
    KnownTopic known;
    known.error = topic.error_code;
    known.learned_at = environment_.scheduler.now();
    known.metadata.name = *topic.name;
    known.metadata.id = topic.topic_id;
    known.metadata.leaders.assign(topic.partitions.size(), kNoNode);
    for (const auto& partition : topic.partitions) {
      const auto index = static_cast<std::size_t>(partition.partition_index);
      if (partition.partition_index >= 0 && index < known.metadata.leaders.size()) {
        known.metadata.leaders[index] = NodeId(partition.leader_id);
      }
    }
    topics_[*topic.name] = std::move(known);
  }
  co_return Status{};
}

Task<Result<TopicMetadata>> Cluster::find_topic(std::string name, IfMissing if_missing,
                                                MonotonicTime deadline) {
  const auto self = shared_from_this();
  Backoff backoff(options_, environment_.random);
  std::optional<Error> last;
  while (!closed_) {
    const auto place = topics_.find(name);
    const MonotonicTime now = environment_.scheduler.now();
    if (place != topics_.end() && place->second.error == protocol::ErrorCode::kNone &&
        now - place->second.learned_at < options_.metadata_max_age) {
      co_return place->second.metadata;
    }
    if (now >= deadline) {
      break;
    }
    const Status asked =
        co_await request_metadata(std::vector<std::string>{name}, if_missing, deadline);
    const auto answer = topics_.find(name);
    if (!asked) {
      last = asked.error();
      if (last->recovery == Recovery::kFatal) {
        co_return std::unexpected(*last);
      }
    } else if (answer == topics_.end()) {
      last = Error{ErrorCode::kNotFound, "topic '" + name + "' is not in the answer"};
    } else if (const protocol::ErrorCode code = answer->second.error;
               code != protocol::ErrorCode::kNone) {
      topics_.erase(answer);
      const bool is_missing = code == protocol::ErrorCode::kUnknownTopicOrPartition;
      last = Error{is_missing ? ErrorCode::kNotFound : ErrorCode::kRefused,
                   fmt::format("topic '{}': {}{}", name, protocol::to_string(code),
                               fix_of_broker_error(code))};
      if (!protocol::retriable(code) || (is_missing && if_missing == IfMissing::kFail)) {
        co_return std::unexpected(*last);
      }
    } else {
      continue;
    }
    co_await pause(backoff.next(), deadline);
  }
  if (!closed_ && last && last->code == ErrorCode::kNotFound) {
    co_return std::unexpected(*last);
  }
  co_return std::unexpected(ended(deadline, "metadata of topic '" + name + "'", last));
}

Task<Result<TopicMetadata>> Cluster::topic(std::string name, MonotonicTime deadline) {
  return find_topic(std::move(name), IfMissing::kWait, deadline);
}

Task<Result<TopicMetadata>> Cluster::existing_topic(std::string name, MonotonicTime deadline) {
  return find_topic(std::move(name), IfMissing::kFail, deadline);
}

Task<Result<NodeId>> Cluster::leader(TopicPartition partition, MonotonicTime deadline) {
  const auto self = shared_from_this();
  Backoff backoff(options_, environment_.random);
  while (true) {
    const auto found = co_await topic(partition.topic, deadline);
    CO_RETURN_IF_ERROR(found);
    if (const NodeId node = known_leader(partition); node != kNoNode) {
      co_return node;
    }
    forget_topic(partition.topic);
    CO_RETURN_IF_ERROR(co_await pause(backoff.next(), deadline));
  }
}

NodeId Cluster::known_leader(const TopicPartition& partition) const {
  const auto place = topics_.find(partition.topic);
  const auto index = static_cast<std::size_t>(partition.partition.value);
  if (place == topics_.end() || partition.partition.value < 0 ||
      index >= place->second.metadata.leaders.size()) {
    return kNoNode;
  }
  return place->second.metadata.leaders[index];
}

TopicId Cluster::known_topic_id(const std::string& topic) const {
  const auto place = topics_.find(topic);
  return place == topics_.end() ? TopicId{} : place->second.metadata.id;
}

std::vector<NodeId> Cluster::nodes() const {
  std::vector<NodeId> nodes;
  nodes.reserve(nodes_.size());
  for (const auto& [node, endpoint] : nodes_) {
    nodes.push_back(node);
  }
  return nodes;
}

std::optional<Error> Cluster::unreachable() const {
  std::optional<Error> last;
  for (const auto& [key, slot] : slots_) {
    if (slot.connection && slot.connection->is_open()) {
      return std::nullopt;
    }
    if (slot.trouble) {
      last = Error{slot.trouble->code, "no broker answers: " + slot.trouble->text,
                   slot.trouble->recovery};
    }
  }
  return last;
}

void Cluster::forget_topic(const std::string& topic) { topics_.erase(topic); }

Task<Result<std::vector<std::string>>> Cluster::list_topics(MonotonicTime deadline) {
  const auto self = shared_from_this();
  Backoff backoff(options_, environment_.random);
  while (true) {
    Status asked = co_await request_metadata(std::nullopt, IfMissing::kFail, deadline);
    if (asked) {
      break;
    }
    if (closed_ || asked.error().recovery != Recovery::kRetriable) {
      co_return std::unexpected(std::move(asked).error());
    }
    CO_RETURN_IF_ERROR(co_await pause(backoff.next(), deadline));
  }
  std::vector<std::string> names;
  for (const auto& [name, known] : topics_) {
    if (known.error == protocol::ErrorCode::kNone) {
      names.push_back(name);
    }
  }
  co_return names;
}

// ---- coordinators

Task<Result<NodeId>> Cluster::request_coordinator(CoordinatorType type, std::string key,
                                                  MonotonicTime deadline) {
  const auto connection = co_await any_connection(metadata_channel_, deadline);
  CO_RETURN_IF_ERROR(connection);
  protocol::FindCoordinatorRequest request;
  request.key = key;
  request.key_type = static_cast<std::int8_t>(type);
  request.coordinator_keys = {key};
  auto reply = co_await (*connection)->send(std::move(request), request_deadline(deadline));
  CO_RETURN_IF_ERROR(reply);
  auto& body = reply->body;
  if (reply->version >= 4) {
    if (body.coordinators.size() != 1) {
      co_return fail(ErrorCode::kCorrupt, "FindCoordinator answers for another key",
                     Recovery::kRetriable);
    }
    const auto& only = body.coordinators.front();
    body.error_code = only.error_code;
    body.node_id = only.node_id;
    body.host = only.host;
    body.port = only.port;
  }
  if (body.error_code != protocol::ErrorCode::kNone) {
    co_return fail(
        ErrorCode::kRefused,
        fmt::format("coordinator of '{}': {}{}", key, protocol::to_string(body.error_code),
                    fix_of_broker_error(body.error_code)),
        protocol::retriable(body.error_code) ? Recovery::kRetriable : Recovery::kFatal);
  }
  nodes_[NodeId(body.node_id)] = {body.host, static_cast<std::uint16_t>(body.port)};
  co_return NodeId(body.node_id);
}

Task<Result<NodeId>> Cluster::coordinator(CoordinatorType type, std::string key,
                                          MonotonicTime deadline) {
  const auto self = shared_from_this();
  Backoff backoff(options_, environment_.random);
  std::optional<Error> last;
  while (!closed_) {
    if (const auto place = coordinators_.find({type, key}); place != coordinators_.end()) {
      co_return place->second;
    }
    if (environment_.scheduler.now() >= deadline) {
      break;
    }
    auto found = co_await request_coordinator(type, key, deadline);
    if (found) {
      coordinators_[{type, key}] = *found;
      co_return found;
    }
    if (found.error().recovery == Recovery::kFatal) {
      co_return found;
    }
    last = found.error();
    co_await pause(backoff.next(), deadline);
  }
  co_return std::unexpected(ended(deadline, "coordinator of '" + key + "'", last));
}

void Cluster::forget_coordinator(CoordinatorType type, const std::string& key) {
  coordinators_.erase({type, key});
}

}  // namespace onceflow::client
