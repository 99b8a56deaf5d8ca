#include "audit/definition_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "audit/names.h"

namespace onceflow::audit {

/// No worker writes definitions in transactions: what a stranger has aborted there is nothing.
class DefinitionRecords::Collector final : public RecordObserver {
 public:
  explicit Collector(DefinitionRecords& records) : records_(records) {}

  void record(const protocol::RecordBatchHeader& batch, const protocol::RecordView& record,
              bool is_decided) override {
    auto definition = protocol::decode_definition(record.value.value_or(ByteView{}));
    if (definition && is_decided && definition->pipeline == records_.pipeline_) {
      records_.all_.push_back(std::move(*definition));
      return;
    }
    const Offset offset = batch.offset_of(record);
    (is_decided ? records_.odd_ : open_[batch.producer_id])
        .push_back({definition ? FindingKind::kForeign : kind_of_odd(definition.error()),
                    fmt::format("{}-0 {}: {}", records_.topic_, name_offsets(offset, offset + 1),
                                what_is_odd(definition))});
  }
  void decided(ProducerId producer, bool is_committed) override {
    auto node = open_.extract(producer);
    if (!node.empty() && is_committed) {
      std::ranges::move(node.mapped(), std::back_inserter(records_.odd_));
    }
  }

 private:
  std::string what_is_odd(const Result<protocol::PipelineDefinition>& definition) const {
    if (!definition) {
      return definition.error().text;
    }
    return definition->pipeline == records_.pipeline_
               ? "a definition in a transaction, as no worker writes it"
               : "a definition of pipeline " + definition->pipeline;
  }

  DefinitionRecords& records_;
  std::map<ProducerId, std::vector<OddRecord>> open_;
};

DefinitionRecords::DefinitionRecords(const std::string& pipeline)
    : pipeline_(pipeline),
      topic_(protocol::definitions_topic(pipeline)),
      collector_(std::make_unique<Collector>(*this)) {}

DefinitionRecords::~DefinitionRecords() = default;

Task<Status> DefinitionRecords::read_to_end(LogReader& reader) {
  if (scan_ == nullptr) {
    const auto topic = co_await reader.describe(topic_);
    CO_RETURN_IF_ERROR(topic);
    if (!*topic) {
      co_return Status{};
    }
    scan_ = std::make_unique<PartitionScan>(TopicPartition{topic_, PartitionIndex(0)},
                                            PartitionScan::Options{.observer = collector_.get()});
  }
  co_return co_await scan_->read_to_end(reader);
}

DefinitionRecords::Place DefinitionRecords::find(const std::string& stage,
                                                 std::uint64_t hash) const {
  for (std::size_t index = 0; index < all_.size(); ++index) {
    const auto* found = all_[index].find(stage);
    if (found != nullptr && protocol::definition_hash(found->text()) == hash) {
      return {index, found};
    }
  }
  return {};
}

}  // namespace onceflow::audit
