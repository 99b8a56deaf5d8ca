// DefinitionRecords: what a pipeline has been, as it stands in <pipeline>-definitions. Receipts
// name the definition of their stage by its hash (docs/formats/definition.md); here is what it
// means. Owned by one audit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "audit/findings.h"
#include "audit/log_reader.h"
#include "audit/partition_scan.h"
#include "protocol/definition.h"

namespace onceflow::audit {

class DefinitionRecords {
 public:
  explicit DefinitionRecords(const std::string& pipeline);
  ~DefinitionRecords();

  /// Reads on, to where the topic ends now. After the receipts: what they name was written before.
  Task<Status> read_to_end(LogReader& reader);

  bool exists() const { return scan_ != nullptr; }
  /// Null: there is no topic.
  const PartitionScan* scan() const { return scan_.get(); }
  const std::string& topic() const { return topic_; }
  /// In the order of the topic.
  const std::vector<protocol::PipelineDefinition>& all() const { return all_; }
  /// Records that are no definitions of the pipeline.
  const std::vector<OddRecord>& odd() const { return odd_; }

  struct Place {
    std::size_t index = 0;  ///< in all()
    const protocol::PipelineDefinition::Stage* stage = nullptr;
  };
  /// The first record in which the stage has this hash; a null stage: there is none.
  Place find(const std::string& stage, std::uint64_t hash) const;

 private:
  class Collector;

  std::string pipeline_;
  std::string topic_;
  std::unique_ptr<Collector> collector_;
  std::unique_ptr<PartitionScan> scan_;
  std::vector<protocol::PipelineDefinition> all_;
  std::vector<OddRecord> odd_;
};

}  // namespace onceflow::audit
