#include "sim/checkers/log_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/crc32c.h"
#include "protocol/record_batch.h"

namespace onceflow::sim {

namespace {
constexpr std::size_t kReadBytes = 64 * 1024;
}  // namespace

std::string to_string(const SentBatch& batch) {
  return fmt::format("batch of producer {} epoch {} from sequence {} on partition {}",
                     batch.producer.id.value, batch.producer.epoch.value,
                     batch.first_sequence.value, batch.partition);
}

LogHistory::LogHistory(std::size_t partition_count, Findings& findings)
    : findings_(findings), partitions_(partition_count) {}

SentBatch& LogHistory::send(SentBatch batch) {
  SentBatch& sent = *batches_.emplace_back(std::make_unique<SentBatch>(std::move(batch)));
  batch_by_key_[{sent.partition, sent.producer.id, sent.producer.epoch, sent.first_sequence}] =
      &sent;
  if (sent.transaction != nullptr) {
    sent.transaction->batches.push_back(&sent);
  }
  return sent;
}

void LogHistory::acknowledge(SentBatch& batch, Offset base_offset) {
  if (batch.is_acknowledged()) {
    if (batch.acknowledged_at != base_offset) {
      findings_.report(
          "PRD-1", fmt::format("{} was acknowledged at offset {}, its retry at {}",
                               to_string(batch), batch.acknowledged_at.value, base_offset.value));
    }
    return;
  }
  batch.acknowledged_at = base_offset;
  ++acknowledged_count_;
  const auto [other, is_new] =
      partitions_[batch.partition].acknowledged.emplace(base_offset, &batch);
  if (!is_new) {
    findings_.report("LOG-2", fmt::format("offset {} was given to {} and to {}", base_offset.value,
                                          to_string(*other->second), to_string(batch)));
  }
}

SentTransaction& LogHistory::begin(ProducerIdentity producer) {
  auto transaction = std::make_unique<SentTransaction>();
  transaction->number = transactions_.size() + 1;
  transaction->producer = producer;
  return *transactions_.emplace_back(std::move(transaction));
}

std::size_t LogHistory::committed_count() const {
  return static_cast<std::size_t>(std::ranges::count_if(transactions_, [](const auto& transaction) {
    return transaction->outcome == SentTransaction::Outcome::kCommitted;
  }));
}

void LogHistory::read_new(std::size_t index, log::Partition& partition) {
  read(index, partition,
       std::min(partitions_[index].seen_until, partitions_[index].committed_until));
}

void LogHistory::read_all(std::size_t index, log::Partition& partition) {
  read(index, partition, Offset(0));
  judge_order(index);
}

void LogHistory::read(std::size_t index, log::Partition& partition, Offset from) {
  History& history = partitions_[index];
  if (partition.high_watermark() < history.seen_until) {
    findings_.report("LOG-3", fmt::format("{} was visible and is not there any more; the high "
                                          "watermark is {}",
                                          place(index, history.seen_until - 1),
                                          partition.high_watermark().value));
    return;
  }
  // From the beginning of the batch that holds it.
  if (const auto after = history.seen.upper_bound(from); after != history.seen.begin()) {
    from = from >= std::prev(after)->second.next_offset ? from : std::prev(after)->first;
  }
  Offset expected = from;
  while (true) {
    Buffer bytes;
    const auto read =
        partition.read(expected, kReadBytes, log::IsolationLevel::kReadUncommitted, bytes);
    if (!read) {
      findings_.report("LOG-1", fmt::format("{} cannot be read: {}", place(index, expected),
                                            protocol::to_string(read.error())));
      return;
    }
    if (bytes.empty()) {
      break;
    }
    protocol::RecordBatchReader batches{ByteView(bytes)};
    while (true) {
      const auto batch = batches.next();
      if (!batch || (*batch && !(*batch)->crc_matches())) {
        findings_.report("LOG-1", fmt::format("{} does not decode", place(index, expected)));
        return;
      }
      if (!*batch) {
        break;
      }
      judge_batch(index, **batch, expected);
      expected = (*batch)->header().next_offset();
    }
    if (expected != read->end) {
      findings_.report("LOG-2", fmt::format("a read from {} ended before {} and said {}",
                                            place(index, from), expected.value, read->end.value));
      return;
    }
  }
  if (expected != partition.high_watermark()) {
    findings_.report("LOG-2",
                     fmt::format("{} is the last that can be read; the high watermark is {}",
                                 place(index, expected - 1), partition.high_watermark().value));
  }
  history.seen_until = std::max(history.seen_until, expected);
  judge_committed(index, partition, from);
}

void LogHistory::judge_batch(std::size_t index, const protocol::RecordBatchView& batch,
                             Offset expected) {
  History& history = partitions_[index];
  const protocol::RecordBatchHeader& header = batch.header();
  if (header.base_offset != expected) {
    findings_.report("LOG-2", fmt::format("{} is followed by offset {}", place(index, expected - 1),
                                          header.base_offset.value));
  }
  const SeenBatch now{header.next_offset(), crc32c(batch.record_bytes()), false,
                      !header.is_control()};
  const auto [seen, is_new] = history.seen.emplace(header.base_offset, now);
  if (!is_new &&
      (seen->second.content != now.content || seen->second.next_offset != now.next_offset)) {
    findings_.report(
        "LOG-3", fmt::format("{} has changed since it was seen", place(index, header.base_offset)));
  }
  if (const auto told = history.acknowledged.find(header.base_offset);
      told != history.acknowledged.end() && told->second->content != now.content) {
    findings_.report("LOG-1", fmt::format("{} is not what was acknowledged there",
                                          place(index, header.base_offset)));
  }
  if (!header.is_control() &&
      !batch_by_key_.contains(
          {index, header.producer_id, header.producer_epoch, header.base_sequence})) {
    findings_.report("LOG-1", fmt::format("{} was never sent", place(index, header.base_offset)));
  }
}

void LogHistory::judge_committed(std::size_t index, log::Partition& partition, Offset from) {
  History& history = partitions_[index];
  const Offset stable = partition.last_stable_offset();
  if (stable > partition.high_watermark() || stable < history.committed_until) {
    findings_.report("LOG-3",
                     fmt::format("the last stable offset of partition {} is {} with a high "
                                 "watermark of {}, and was {}",
                                 index, stable.value, partition.high_watermark().value,
                                 history.committed_until.value));
    return;
  }
  Buffer bytes;
  Offset position = from;
  while (position < stable) {
    bytes.clear();
    const auto read =
        partition.read(position, kReadBytes, log::IsolationLevel::kReadCommitted, bytes);
    if (!read || bytes.empty()) {
      findings_.report("TXN-1", fmt::format("{} is below the last stable offset and cannot be read",
                                            place(index, position)));
      return;
    }
    const auto aborted = partition.aborted_transactions(position, read->end);
    protocol::RecordBatchReader batches{ByteView(bytes)};
    while (const auto batch = batches.next().value_or(std::nullopt)) {
      const protocol::RecordBatchHeader& header = batch->header();
      position = header.next_offset();
      if (header.is_control()) {
        continue;
      }
      const bool is_hidden =
          header.is_transactional() &&
          std::ranges::any_of(aborted, [&](const log::AbortedTransaction& transaction) {
            return transaction.producer == header.producer_id &&
                   transaction.first_offset <= header.base_offset &&
                   header.base_offset <= transaction.last_offset;
          });
      SeenBatch& seen = history.seen[header.base_offset];
      if (seen.was_committed && is_hidden) {
        findings_.report("LOG-3", fmt::format("{} was visible to read_committed and is hidden now",
                                              place(index, header.base_offset)));
      }
      seen.was_committed |= !is_hidden;
      const auto sent = batch_by_key_.find(
          {index, header.producer_id, header.producer_epoch, header.base_sequence});
      if (sent == batch_by_key_.end() || sent->second->transaction == nullptr) {
        continue;
      }
      const SentTransaction& transaction = *sent->second->transaction;
      if (!is_hidden && !transaction.may_be_visible()) {
        findings_.report("TXN-1", fmt::format("{} of a transaction that did not commit is visible",
                                              place(index, header.base_offset)));
      }
      if (is_hidden && transaction.outcome == SentTransaction::Outcome::kCommitted) {
        findings_.report("TXN-1", fmt::format("{} of a committed transaction is hidden",
                                              place(index, header.base_offset)));
      }
    }
  }
  history.committed_until = std::max(history.committed_until, stable);
}

void LogHistory::judge_order(std::size_t index) {
  // What was acknowledged is there: every acknowledged offset begins a batch that was seen.
  const History& history = partitions_[index];
  for (const auto& [offset, batch] : history.acknowledged) {
    if (!history.seen.contains(offset)) {
      findings_.report("LOG-1", fmt::format("{}, acknowledged at offset {}, is not there",
                                            to_string(*batch), offset.value));
    }
  }
}

void LogHistory::check_end(std::size_t index, log::Partition& partition) {
  read_all(index, partition);
  if (partition.last_stable_offset() != partition.high_watermark()) {
    findings_.report("TXN-3", fmt::format("no transaction is open on partition {}, and its last "
                                          "stable offset is {} below the high watermark {}",
                                          index, partition.last_stable_offset().value,
                                          partition.high_watermark().value));
  }
  // PRD-1 and PRD-2 over the whole partition.
  std::set<BatchKey> present;
  std::map<ProducerId, ProducerEpoch> last_epoch;
  Offset position{0};
  while (position < partition.high_watermark()) {
    Buffer bytes;
    const auto read =
        partition.read(position, kReadBytes, log::IsolationLevel::kReadUncommitted, bytes);
    if (!read || bytes.empty()) {
      return;
    }
    protocol::RecordBatchReader batches{ByteView(bytes)};
    while (const auto batch = batches.next().value_or(std::nullopt)) {
      const protocol::RecordBatchHeader& header = batch->header();
      position = header.next_offset();
      if (!header.has_producer_id()) {
        continue;
      }
      if (!header.is_control() &&
          !present.insert({index, header.producer_id, header.producer_epoch, header.base_sequence})
               .second) {
        findings_.report(
            "PRD-1", fmt::format("{} is there a second time", place(index, header.base_offset)));
      }
      ProducerEpoch& last =
          last_epoch.emplace(header.producer_id, header.producer_epoch).first->second;
      if (header.producer_epoch < last) {
        findings_.report("PRD-2", fmt::format("{} has epoch {} behind epoch {}",
                                              place(index, header.base_offset),
                                              header.producer_epoch.value, last.value));
      }
      last = std::max(last, header.producer_epoch);
    }
  }
}

std::string LogHistory::place(std::size_t index, Offset offset) const {
  return fmt::format("partition {} offset {}", index, offset.value);
}

}  // namespace onceflow::sim
