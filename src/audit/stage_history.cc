#include "audit/stage_history.h"

#include <algorithm>
#include <utility>

namespace onceflow::audit {

void StageHistory::add(ReceiptEntry entry) {
  using Beginning = protocol::Receipt::Beginning;
  for (const protocol::Receipt::Input& input : entry.receipt.inputs) {
    if (!entry.is_settled) {
      break;
    }
    if (input.beginning != Beginning::kNone) {
      beginnings[input.source].push_back({.offset = input.from_offset,
                                          .reason = input.beginning,
                                          .entry = receipts.size(),
                                          .topic_id = input.topic_id});
    }
    if (input.beginning == Beginning::kNone || input.next_offset != input.from_offset) {
      ranges[input.source].push_back({.from = input.from_offset,
                                      .next = input.next_offset,
                                      .totals = {input.record_count, input.record_hash_sum},
                                      .entry = receipts.size(),
                                      .topic_id = input.topic_id});
    }
  }
  receipts.push_back(std::move(entry));
}

void StageHistory::sort_ranges() {
  for (auto& [source, of_source] : ranges) {
    std::ranges::sort(of_source, {},
                      [](const InputRange& range) { return std::pair(range.from, range.entry); });
  }
}

void StageHistory::set_topic_id(const std::string& topic, const TopicId& id) {
  const auto is_former = [&](const auto& said) {
    return !id.is_zero() && !said.topic_id.is_zero() && said.topic_id != id;
  };
  const auto set_aside = [&](const TopicPartition& source, const TopicId& former_id, Offset next,
                             std::int64_t record_count) {
    FormerTopic& of_source = former[source];
    of_source.topic_id = former_id;
    of_source.covered_to = std::max(of_source.covered_to, next);
    of_source.record_count += record_count;
  };
  for (auto& [source, of_source] : ranges) {
    if (source.topic == topic) {
      for (const InputRange& range : of_source) {
        if (is_former(range)) {
          set_aside(source, range.topic_id, range.next, range.totals.count);
        }
      }
      std::erase_if(of_source, is_former);
    }
  }
  for (auto& [source, of_source] : beginnings) {
    if (source.topic == topic) {
      for (const InputBeginning& beginning : of_source) {
        if (is_former(beginning)) {
          set_aside(source, beginning.topic_id, beginning.offset, 0);
        }
      }
      std::erase_if(of_source, is_former);
    }
  }
  const auto is_empty = [](const auto& entry) { return entry.second.empty(); };
  std::erase_if(ranges, is_empty);
  std::erase_if(beginnings, is_empty);
}

// A beginning is committed by itself, before anything is read; of versions that name a definition.
// Every version moves a position with a receipt.
bool StageHistory::has_lost_its_first_receipts() const {
  if (receipts.empty()) {
    return std::ranges::any_of(positions,
                               [](const auto& position) { return position.second > Offset(0); });
  }
  return receipts.front().receipt.definition != 0 &&
         std::ranges::none_of(receipts.front().receipt.inputs, [](const auto& input) {
           return input.beginning != protocol::Receipt::Beginning::kNone;
         });
}

std::map<TopicPartition, Offset> StageHistory::floors() const {
  std::map<TopicPartition, Offset> floors;
  for (const auto& [source, position] : positions) {
    if (!beginnings.contains(source)) {
      floors[source] = position;
    }
  }
  for (const auto& [source, of_source] : ranges) {
    const auto begun = beginnings.find(source);
    const std::size_t entry = std::ranges::min(of_source, {}, &InputRange::entry).entry;
    if (begun == beginnings.end() || entry < begun->second.front().entry) {
      floors[source] = std::ranges::min(of_source, {}, &InputRange::from).from;
    }
  }
  return floors;
}

const InputBeginning* StageHistory::last_reset(const TopicPartition& source) const {
  const auto place = beginnings.find(source);
  const InputBeginning* last = nullptr;
  if (place != beginnings.end()) {
    for (const InputBeginning& beginning : place->second) {
      if (beginning.reason == protocol::Receipt::Beginning::kReset) {
        last = &beginning;
      }
    }
  }
  return last;
}

std::optional<WallTime> reset_that_began(const std::vector<StageHistory>& histories,
                                         const std::vector<StageHistory>& former) {
  const ReceiptEntry* first = nullptr;
  for (const std::vector<StageHistory>* each : {&histories, &former}) {
    for (const StageHistory& history : *each) {
      for (const ReceiptEntry& entry : history.receipts) {
        const bool is_in_log = !history.subject->table;
        if (is_in_log && (first == nullptr || entry.offset < first->offset)) {
          first = &entry;
        }
      }
    }
  }
  if (first == nullptr) {
    return std::nullopt;
  }
  const auto& inputs = first->receipt.inputs;  // none where the source was not there
  const bool is_of_reset = inputs.empty() || std::ranges::any_of(inputs, [](const auto& input) {
                             return input.beginning == protocol::Receipt::Beginning::kReset;
                           });
  return is_of_reset ? std::optional(WallTime(first->receipt.committed_at_ms)) : std::nullopt;
}

Offset StageHistory::covered_to(const TopicPartition& source) const {
  const InputBeginning* reset = last_reset(source);
  Offset covered = reset != nullptr ? reset->offset : kNoOffset;
  if (const auto place = ranges.find(source); place != ranges.end()) {
    for (const InputRange& range : place->second) {
      if (reset == nullptr || range.entry >= reset->entry) {
        covered = std::max(covered, range.next);
      }
    }
  }
  if (const auto place = beginnings.find(source);
      covered == kNoOffset && place != beginnings.end()) {
    covered = place->second.front().offset;
  }
  return covered;
}

}  // namespace onceflow::audit
