#include "log/salvage_target.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "log/journal_note.h"
#include "log/lost_offsets.h"

namespace onceflow::log {

namespace {

constexpr std::uint64_t kFlushBytes = 1u << 20;

LogOptions log_options(const std::string& directory) {
  LogOptions options;
  options.directory = directory;
  return options;
}

}  // namespace

SalvageTarget::SalvageTarget(const io::Environment& environment, const std::string& directory,
                             SalvageReport& report)
    : environment_(environment), state_(environment, log_options(directory)), report_(report) {}

ProducerId SalvageTarget::producer_id_max() const {
  ProducerId greatest = kNoProducerId;
  for (const auto& [name, topic] : state_.topics.by_name()) {
    for (const auto& partition : topic->partitions) {
      for (const auto& [id, producer] : partition->producers().sorted()) {
        greatest = std::max(greatest, id);
      }
    }
  }
  return greatest;
}

Status SalvageTarget::make_directories() {
  io::Disk& disk = environment_.disk;
  const std::string& directory = state_.options.directory;
  RETURN_IF_ERROR(disk.make_directory(state_.topics_directory()));
  RETURN_IF_ERROR(disk.make_directory(state_.journal_directory()));
  RETURN_IF_ERROR(disk.sync_directory(io::parent_directory(directory)));
  RETURN_IF_ERROR(disk.sync_directory(directory));
  state_.journal_id = environment_.random.next();
  return {};
}

Status SalvageTarget::make_topics(const std::map<TopicId, TopicEntry>& wanted) {
  for (const auto& [id, entry] : wanted) {
    TopicEntry made = entry;
    auto topic = state_.make_topic(made);
    if (!topic) {
      report_.lost_states.push_back(
          fmt::format("the configuration of topic {} is not valid and was left out: {}", entry.name,
                      topic.error().text));
      made.overrides.clear();
      topic = state_.make_topic(made);
    }
    RETURN_IF_ERROR(topic);
    if (state_.topics.find(entry.name) != nullptr) {
      report_.lost_states.push_back(
          fmt::format("two topics are called {}; the second was left out", entry.name));
      continue;
    }
    state_.topics.add(*std::move(topic));
  }
  return {};
}

// --- Batches ---

void SalvageTarget::begin(Partition& partition, Offset begin, Offset log_start) {
  partition.log_end_offset_ = begin;
  partition.log_start_offset_ = std::max(begin, log_start);
  partition.high_watermark_ = partition.last_stable_offset_ = begin;
  partition.durable_end_ = begin;
}

Status SalvageTarget::take(Partition& partition, const protocol::RecordBatchView& batch) {
  const protocol::RecordBatchHeader& header = batch.header();
  if (partition.segments_.empty() && header.base_offset < partition.log_end_offset() &&
      header.next_offset() > partition.log_end_offset()) {
    // The log start may lie within a batch.
    begin(partition, header.base_offset, partition.log_start_offset());
  }
  if (header.base_offset < partition.log_end_offset()) {
    return {};
  }
  RETURN_IF_ERROR(lose(partition, header.base_offset, "it was not found"));
  missing_cause_.erase(partition.id());
  const MonotonicTime now = environment_.scheduler.now();
  if (header.is_control()) {
    if (const auto marker = protocol::parse_end_transaction_marker(batch); marker && *marker) {
      ++report_.batch_count;
      return apply_marker(partition, **marker);
    }
  }
  partition.apply_batch({batch.bytes(), nullptr}, header, {}, now);
  ++report_.batch_count;
  return keep(partition);
}

Status SalvageTarget::take_end(Partition& partition, const EndTransaction& end) {
  partition.apply_marker(marker_of(end), environment_.scheduler.now());
  return keep(partition);
}

Status SalvageTarget::take_marker(Partition& partition, const EndTransaction& end, Offset offset) {
  if (offset < partition.log_end_offset()) {
    return {};
  }
  RETURN_IF_ERROR(lose(partition, offset, "the journal does not hold it"));
  return apply_marker(partition, marker_of(end));
}

Status SalvageTarget::lose(Partition& partition, Offset next, std::string_view cause) {
  const Offset from = partition.log_end_offset();
  if (next <= from) {
    return {};
  }
  const auto known_cause = missing_cause_.find(partition.id());
  if (next > partition.log_start_offset() && environment_.seeded_bug != SeededBug::kLostIsNotTold) {
    report_.lost.push_back(
        {partition.topic().name, partition.id().partition,
         std::max(from, partition.log_start_offset()), next,
         known_cause == missing_cause_.end() ? std::string(cause) : known_cause->second});
  }
  put_lost_offsets(partition, next);
  if (next <= partition.log_start_offset()) {
    return {};  // what was open there had ended when the log start moved
  }
  for (const auto& [first, producer] : partition.open_transactions()) {
    doubtful_.emplace(std::pair(partition.id(), producer), first);
  }
  return {};
}

// Its own marker may be lost, and this one be that of a later transaction: what was aborted must
// not be shown.
Status SalvageTarget::apply_marker(Partition& partition, protocol::EndTransactionMarker marker) {
  const ProducerId producer = marker.producer.id;
  const auto doubtful = doubtful_.extract({partition.id(), producer});
  if (doubtful && marker.type == protocol::ControlRecordType::kCommit &&
      environment_.seeded_bug != SeededBug::kAnyMarkerEnds) {
    marker.type = protocol::ControlRecordType::kAbort;
    tell_of_abort(partition, doubtful.mapped(), producer);
  }
  partition.apply_marker(marker, environment_.scheduler.now());
  return keep(partition);
}

void SalvageTarget::abort_open(Partition& partition, Offset first, ProducerId id) {
  const ProducerState* const producer = partition.producers().find(id);
  CHECK(producer != nullptr);
  partition.apply_marker({.type = protocol::ControlRecordType::kAbort,
                          .producer = {id, producer->epoch},
                          .coordinator_epoch = producer->coordinator_epoch,
                          .timestamp_ms = environment_.scheduler.wall_now().ms},
                         environment_.scheduler.now());
  set_durable(partition);
  tell_of_abort(partition, first, id);
}

void SalvageTarget::tell_of_abort(const Partition& partition, Offset first, ProducerId producer) {
  report_.lost_states.push_back(fmt::format(
      "{}-{}: the transaction of producer {} from offset {} on was open, and what became "
      "of it is lost: it is aborted",
      partition.topic().name, partition.id().partition.value, producer.value, first.value));
}

void SalvageTarget::put_lost_offsets(Partition& partition, Offset next) {
  while (partition.log_end_offset() < next) {
    const Offset from = partition.log_end_offset();
    const Buffer batch = encode_lost_offsets(from, std::min(next, from + kLostOffsetsMax));
    partition.apply_batch({batch, nullptr}, *protocol::RecordBatchHeader::parse(batch), {},
                          environment_.scheduler.now());
    set_durable(partition);
  }
}

// After each batch: the next one may begin another segment.
void SalvageTarget::set_durable(Partition& partition) {
  Segment& active = partition.segments_.active();
  active.set_durable(active.size_bytes());
}

Status SalvageTarget::keep(Partition& partition) {
  if (!partition.segments_.empty()) {
    set_durable(partition);
    partition.advance_high_watermark(partition.log_end_offset());
  }
  return partition.segments_.flush(kFlushBytes);
}

Status SalvageTarget::leave_out(Partition& partition, Offset next) {
  put_lost_offsets(partition, next);
  return keep(partition);
}

Status SalvageTarget::abort_what_is_open() {
  for (const auto& [name, topic] : state_.topics.by_name()) {
    for (const auto& partition : topic->partitions) {
      while (!partition->open_transactions().empty()) {
        const auto [first, producer] = *partition->open_transactions().begin();
        abort_open(*partition, first, producer);
      }
      RETURN_IF_ERROR(keep(*partition));
    }
  }
  return {};
}

// --- To disk ---

Status SalvageTarget::write(ByteView coordinators) {
  count_what_is_kept();
  io::Disk& disk = environment_.disk;
  for (const auto& [name, topic] : state_.topics.by_name()) {
    for (const auto& partition : topic->partitions) {
      RETURN_IF_ERROR(partition->segments_.flush(1));
      for (const auto& segment : partition->segments_.all()) {
        const auto file = segment->begin_sync();
        RETURN_IF_ERROR(file);
        RETURN_IF_ERROR((*file)->sync());
      }
      if (!partition->segments_.empty()) {
        RETURN_IF_ERROR(disk.sync_directory(partition->segments_.directory()));
      }
    }
  }
  RETURN_IF_ERROR(disk.sync_directory(state_.topics_directory()));
  RETURN_IF_ERROR(
      make_journal_note(disk, state_.options.directory, {.journal_id = state_.journal_id}));
  state_.snapshot_writer = [coordinators](Buffer& buffer) { append(buffer, coordinators); };
  Buffer checkpoint = CheckpointCodec::encode(state_, environment_.scheduler.now());
  CheckpointCodec::set_tail(checkpoint, state_, JournalTail{}, 1);
  return io::replace_file(disk, state_.options.directory + "/" + checkpoint_file_name(1),
                          checkpoint);
}

void SalvageTarget::count_what_is_kept() {
  for (const auto& [name, topic] : state_.topics.by_name()) {
    ++report_.topic_count;
    for (const auto& partition : topic->partitions) {
      ++report_.partition_count;
      report_.bytes += partition->size_bytes();
    }
  }
}

}  // namespace onceflow::log
