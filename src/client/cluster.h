// Cluster: what a client knows of a Kafka cluster: its brokers, who leads which partition, who
// coordinates which group and transactional id; and the connections to them.
//
// Shared by the producers, consumers and admins of one worker; runs on their scheduler. Held by
// shared_ptr, because their background coroutines may outlive their owners by a turn.
//
// A broker that is down is waited for: everything here tries again, with back-off, until the
// deadline of the call. close() ends every wait with kCancelled.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "client/connection.h"
#include "client/options.h"
#include "io/environment.h"
#include "io/event.h"

namespace onceflow::client {

using NodeId = NamedInteger<struct NodeIdTag, std::int32_t>;
inline constexpr NodeId kNoNode{-1};

/// A set of connections, one per node. Requests of one channel to one node keep their order; a slow
/// request (Fetch, JoinGroup) holds up only its own channel.
using Channel = NamedInteger<struct ChannelTag, std::uint32_t>;

enum class CoordinatorType : std::int8_t { kGroup = 0, kTransaction = 1 };

struct TopicMetadata {
  std::string name;
  TopicId id;
  std::vector<NodeId> leaders;  ///< by partition; kNoNode while there is none

  std::int32_t partition_count() const { return static_cast<std::int32_t>(leaders.size()); }
};

using ConnectionPointer = std::shared_ptr<BrokerConnection>;

/// A pause that grows: the first is `retry_backoff`, each next one twice as long, up to the
/// maximum, each shortened at random by up to a fifth so that clients do not march in step.
class Backoff {
 public:
  Backoff(const ClientOptions& options, io::Random& random)
      : first_(options.retry_backoff),
        next_(options.retry_backoff),
        max_(options.retry_backoff_max),
        random_(random) {}
  Duration next();
  void reset() { next_ = first_; }

 private:
  Duration first_;
  Duration next_;
  Duration max_;
  io::Random& random_;
};

/// Told when the cluster is closed, to end its own waits.
class ClusterUser {
 public:
  virtual ~ClusterUser() = default;
  virtual void close() = 0;
};

class Cluster : public std::enable_shared_from_this<Cluster> {
 public:
  static std::shared_ptr<Cluster> create(io::Environment environment, ClientOptions options);
  ~Cluster();

  io::Environment& environment() { return environment_; }
  const ClientOptions& options() const { return options_; }
  io::Scheduler& scheduler() { return environment_.scheduler; }

  /// Ends all connections and waits, and closes its users. Nothing works after it.
  void close();
  void add_user(std::weak_ptr<ClusterUser> user);
  bool is_closed() const { return closed_; }

  Channel new_channel() { return Channel(next_channel_++); }

  /// Waits until a broker answers. kTimedOut, kCancelled.
  Task<Status> connect(MonotonicTime deadline);

  /// The open connection of the channel to the node; opens one if need be, tries until the
  /// deadline.
  Task<Result<ConnectionPointer>> connection(Channel channel, NodeId node, MonotonicTime deadline);
  /// To any broker that answers.
  Task<Result<ConnectionPointer>> any_connection(Channel channel, MonotonicTime deadline);
  /// Only if it is open now.
  ConnectionPointer open_connection(Channel channel, NodeId node) const;
  /// Closes what the channel has open; what was in flight has an unknown fate.
  void close_channel(Channel channel, const Error& why);

  /// From memory if known, else asked for; creates the topic if the broker does so by itself.
  /// kNotFound if the broker still says so at the deadline.
  Task<Result<TopicMetadata>> topic(std::string name, MonotonicTime deadline);
  /// As topic(), but a topic that does not exist is kNotFound at once.
  Task<Result<TopicMetadata>> existing_topic(std::string name, MonotonicTime deadline);
  /// Waits for a leader.
  Task<Result<NodeId>> leader(TopicPartition partition, MonotonicTime deadline);
  /// What is known now; kNoNode: unknown. Never asks.
  NodeId known_leader(const TopicPartition& partition) const;
  /// As of the last answer; zeros: unknown. Never asks.
  TopicId known_topic_id(const std::string& topic) const;
  /// Somebody answered that this is no longer so; the next question goes to the cluster.
  void forget_topic(const std::string& topic);
  Task<Result<std::vector<std::string>>> list_topics(MonotonicTime deadline);
  NodeId controller() const { return controller_; }
  /// As last heard.
  std::vector<NodeId> nodes() const;
  /// Why no broker can be reached now; none while any connection is open, or none was tried.
  std::optional<Error> unreachable() const;

  Task<Result<NodeId>> coordinator(CoordinatorType type, std::string key, MonotonicTime deadline);
  void forget_coordinator(CoordinatorType type, const std::string& key);

  /// Finalized level of transaction.version, from the broker whose features are newest; 0 before
  /// any broker has answered.
  std::int16_t transaction_version() const { return transaction_version_; }

  /// Pauses, unless the cluster is closed meanwhile (kCancelled) or the deadline comes (kTimedOut).
  Task<Status> pause(Duration duration, MonotonicTime deadline);
  /// now + request.timeout.ms, but not after `deadline`.
  MonotonicTime request_deadline(MonotonicTime deadline) const;

 private:
  struct ConnectionSlot {
    ConnectionPointer connection;
    bool opening = false;
    std::optional<Error> last_error;  ///< of the last attempt, if it failed
    std::optional<Error> trouble;     ///< the same, kept through further attempts until one works
    MonotonicTime retry_at;           ///< not before
    Duration backoff{};
  };
  struct SlotKey {
    Channel channel;
    io::Endpoint endpoint;
    friend auto operator<=>(const SlotKey&, const SlotKey&) = default;
  };
  struct KnownTopic {
    TopicMetadata metadata;
    protocol::ErrorCode error{};
    MonotonicTime learned_at;
  };
  using CoordinatorKey = std::pair<CoordinatorType, std::string>;
  enum class IfMissing { kWait, kFail };

  Cluster(io::Environment environment, ClientOptions options);
  /// One attempt; waits out the back-off of the attempts before.
  Task<Result<ConnectionPointer>> try_connect(Channel channel, io::Endpoint endpoint,
                                              MonotonicTime deadline);
  static Task<void> open_slot(std::shared_ptr<Cluster> self, SlotKey key);
  void learn_features(const BrokerFeatures& features);
  std::vector<io::Endpoint> endpoints() const;
  Task<Result<TopicMetadata>> find_topic(std::string name, IfMissing if_missing,
                                         MonotonicTime deadline);
  /// One question to one broker; no names: all topics.
  Task<Status> request_metadata(std::optional<std::vector<std::string>> topics,
                                IfMissing if_missing, MonotonicTime deadline);
  Task<Result<NodeId>> request_coordinator(CoordinatorType type, std::string key,
                                           MonotonicTime deadline);
  Error ended(MonotonicTime deadline, std::string_view what,
              const std::optional<Error>& last) const;

  io::Environment environment_;
  ClientOptions options_;
  bool closed_ = false;
  std::vector<std::weak_ptr<ClusterUser>> users_;
  io::Event changed_;  ///< a connection opened or failed, or the cluster was closed
  std::uint32_t next_channel_ = 1;
  Channel metadata_channel_{0};
  std::map<SlotKey, ConnectionSlot> slots_;
  std::map<NodeId, io::Endpoint> nodes_;
  NodeId controller_ = kNoNode;
  std::map<std::string, KnownTopic> topics_;
  std::map<CoordinatorKey, NodeId> coordinators_;
  std::int16_t transaction_version_ = 0;
  std::int64_t finalized_epoch_ = -1;
};

}  // namespace onceflow::client
