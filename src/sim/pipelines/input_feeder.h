// InputFeeder: writes documents to the source topic and remembers them. Its producer is idempotent,
// and it is the topic's only writer. Owned by the workload.
#pragma once

#include <memory>

#include "client/producer.h"
#include "sim/pipelines/input_topic.h"
#include "sim/world/sim_process.h"

namespace onceflow::sim {

inline constexpr const char* kInputTopic = "numbers";

class InputFeeder {
 public:
  enum class Placing {
    kAnywhere,
    kByKey,  ///< all records of a key in one partition, however many are added
  };
  InputFeeder(InputTopic& input, SimRandom& random, Placing placing,
              DocumentSource::Tombstones tombstones)
      : input_(input), random_(random), placing_(placing), documents_(random, tombstones) {}

  DocumentSource& documents() { return documents_; }
  /// How many partitions there are now; those that are new are empty.
  void know_partitions(std::size_t count);
  /// The next number.
  std::int64_t number() const { return static_cast<std::int64_t>(input_.record_count()); }
  void feed(SimProcess& process, client::Producer& producer, Document document);
  void feed_to(PartitionIndex partition, SimProcess& process, client::Producer& producer,
               Document document);

 private:
  InputTopic& input_;
  SimRandom& random_;
  const Placing placing_;
  DocumentSource documents_;
  std::size_t first_partition_count_ = 0;
};

}  // namespace onceflow::sim
