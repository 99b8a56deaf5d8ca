// Doubts: parts of one transaction that were refused, and that their producer sends again. As long
// as one is left the transaction cannot commit, for its commit may have been on its way when the
// part was refused; when the part has been accepted after all, nothing is missing, and the doubt is
// settled. A value; owned by a transaction of the TransactionCoordinator. Its bytes are drawn in
// docs/formats/coordinator_records.md.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "base/ids.h"
#include "base/wire.h"

namespace onceflow::coordinator {

/// A batch, or the offset of one partition for one group. By the topic's name: a topic that was
/// refused because it does not exist has no id.
struct TransactionPart {
  std::string_view group_id;  ///< empty: a batch
  std::string_view topic;
  PartitionIndex partition{-1};
  Sequence last_sequence = kNoSequence;  ///< of the batch
};

class Doubts {
 public:
  /// More than this many at a time, and the transaction is lost.
  static constexpr std::size_t kCountMax = 1000;
  /// Longer than this is no topic's name: it cannot be made, and so not be accepted later.
  static constexpr std::size_t kTopicBytesMax = 249;

  bool empty() const { return last_refused_.empty(); }
  bool is_full() const { return last_refused_.size() >= kCountMax; }
  /// In memory: of all, and of one part.
  std::size_t size_bytes() const { return size_bytes_; }
  static std::size_t bytes_of(const TransactionPart& part) {
    return kBytesOfOne + part.group_id.size() + part.topic.size();
  }
  void clear() {
    last_refused_.clear();
    size_bytes_ = 0;
  }

  void add(const TransactionPart& refused);
  /// Whether add(refused) would change nothing: clients may try again many times.
  bool has(const TransactionPart& refused) const;
  /// Whether `accepted` covers what was refused. Batches of a partition are accepted in the order
  /// of their sequences and without a gap, so the last sequence says it for all before it.
  bool is_settled_by(const TransactionPart& accepted) const;
  void settle(const TransactionPart& accepted);

  void encode(WireWriter& writer) const;
  void decode(WireReader& reader);
  static void encode_part(WireWriter& writer, const TransactionPart& part);
  /// Views of what the reader reads.
  static TransactionPart decode_part(WireReader& reader);

 private:
  using Key = std::tuple<std::string, std::string, PartitionIndex>;
  static Key key_of(const TransactionPart& part) {
    return {std::string(part.group_id), std::string(part.topic), part.partition};
  }

  // A node of the map, with two short texts.
  static constexpr std::size_t kBytesOfOne = 128;

  std::map<Key, Sequence> last_refused_;
  std::size_t size_bytes_ = 0;
};

}  // namespace onceflow::coordinator
