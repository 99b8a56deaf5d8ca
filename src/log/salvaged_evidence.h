// SalvagedEvidence: what the journal tells of the batches in segments' files, for salvage. A file
// may be another's, or of a topic that had the name before; the journal's own batches cannot.
// Pure; owned by a Salvage.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/ids.h"
#include "log/journal_reader.h"
#include "log/topics.h"
#include "protocol/record_batch.h"

namespace onceflow::log {

class SalvagedEvidence {
 public:
  /// Of the checkpoint.
  void add(const Topic& topic) { ids_of_names_[topic.name].insert(topic.id); }
  /// Of the journal, in order.
  void read(const JournalEntry& entry);

  enum class Verdict {
    kUnknown,  ///< the journal has nothing at these offsets
    kSame,
    kOther,
  };
  Verdict judge(const TopicIdPartition& partition, const protocol::RecordBatchHeader& header) const;
  /// A batch or a marker begins in [from, next).
  bool has_batch_in(const TopicIdPartition& partition, Offset from, Offset next) const;
  /// The journal tells how the topic began, so the files in its folders may be older.
  bool was_created_in_journal(const TopicId& topic) const { return created_.contains(topic); }
  /// Another topic had the name.
  bool had_another(const std::string& name, const TopicId& topic) const {
    const auto ids = ids_of_names_.find(name);
    return ids != ids_of_names_.end() && ids->second.size() > ids->second.count(topic);
  }
  /// Something was written to the partition, or it was made, behind `position`: if the journal is
  /// whole from there on, so is the partition's end.
  bool has_entry_behind(const TopicIdPartition& partition, JournalPosition position) const;

 private:
  /// At each offset where a batch begins: its checksum; nullopt: a marker's.
  using Batches = std::map<Offset, std::optional<std::uint32_t>>;

  void note(const TopicIdPartition& partition, JournalPosition end) {
    last_entry_[partition] = end;
  }

  std::map<std::string, std::set<TopicId>> ids_of_names_;
  std::set<TopicId> created_;
  std::map<TopicIdPartition, Batches> batches_;
  std::map<TopicIdPartition, JournalPosition> last_entry_;
};

}  // namespace onceflow::log
