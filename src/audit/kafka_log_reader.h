// KafkaLogReader: a LogReader over the Kafka protocol, of any cluster. Asks each partition's leader
// and each group's coordinator; when one of them is away or has moved it looks again until the time
// is up.
//
// Owned by the program or the simulator, runs on its environment's scheduler. One call at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "audit/broker_link.h"
#include "audit/log_reader.h"
#include "io/environment.h"
#include "io/event.h"
#include "protocol/messages/03_metadata.h"

namespace onceflow::audit {

struct KafkaLogReaderOptions {
  std::vector<io::Endpoint> bootstrap_servers;
  Duration request_timeout = seconds(30);
  /// How long a broker may be away.
  Duration retry_timeout = seconds(60);
  Duration pause = milliseconds(50);
  std::int32_t fetch_bytes_max = 8 << 20;
};

class KafkaLogReader final : public LogReader {
 public:
  KafkaLogReader(io::Environment environment, KafkaLogReaderOptions options);
  ~KafkaLogReader() override;

  Task<Result<std::optional<TopicDescription>>> describe(std::string topic) override;
  Task<Result<PartitionBounds>> bounds(TopicPartition partition) override;
  Task<Result<FetchedBatches>> fetch(TopicPartition partition, Offset from,
                                     Isolation isolation) override;
  Task<Result<std::vector<GroupPosition>>> positions(
      std::string group_id, std::vector<TopicPartition> partitions) override;
  Task<void> pause() override;

 private:
  /// Tries again, after a pause and with fresh metadata, while the error is retriable and time is
  /// left.
  template <typename T, typename Attempt>
  Task<Result<T>> retry(Attempt attempt);

  Task<Result<BrokerLink*>> any_link();
  Task<Result<BrokerLink*>> link_to(io::Endpoint endpoint);
  Task<Result<BrokerLink*>> leader_of(TopicPartition partition);
  Task<Result<BrokerLink*>> coordinator_of(std::string group_id);
  Task<Status> read_metadata(std::string topic);
  Task<Result<bool>> is_compacted(std::string topic);
  Task<Result<Offset>> list_offset(TopicPartition partition, std::int64_t timestamp,
                                   Isolation isolation);
  Task<Result<std::vector<GroupPosition>>> fetch_positions(
      BrokerLink& link, std::string group_id, const std::vector<TopicPartition>& partitions);

  io::Environment environment_;
  KafkaLogReaderOptions options_;
  io::Event never_;  ///< waited for until the pause is over
  std::map<io::Endpoint, std::unique_ptr<BrokerLink>> links_;
  /// Nullopt: the topic does not exist.
  std::map<std::string, std::optional<std::map<PartitionIndex, io::Endpoint>>> leaders_;
  std::map<std::string, TopicId> topic_ids_;
};

}  // namespace onceflow::audit
