#include "log/salvage.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "base/check.h"
#include "base/crc32c.h"
#include "log/damage.h"
#include "log/forgetful_disk.h"
#include "log/journal_note.h"
#include "log/log_state.h"
#include "log/lost_offsets.h"
#include "log/salvaged_catalogue.h"
#include "log/salvaged_journal.h"
#include "log/salvaged_segment.h"

namespace onceflow::log {

namespace {

constexpr std::uint64_t kFlushBytes = 1u << 20;
// How many offsets are left out at the end of a partition when it is not known how many were given.
constexpr std::uint64_t kEndGapUnknown = 1'000'000;
constexpr std::uint64_t kEndGapMin = 1'000;

std::uint64_t count_offsets(const std::vector<LostOffsets>& lost, bool is_left_out) {
  std::uint64_t count = 0;
  for (const LostOffsets& range : lost) {
    count +=
        range.is_left_out == is_left_out ? static_cast<std::uint64_t>(range.next - range.from) : 0;
  }
  return count;
}

}  // namespace

std::uint64_t SalvageReport::lost_offset_count() const { return count_offsets(lost, false); }
std::uint64_t SalvageReport::left_out_offset_count() const { return count_offsets(lost, true); }

class SalvageRun {
 public:
  SalvageRun(const io::Environment& environment, SalvageOptions options, RecoveryListener& listener)
      : environment_(environment),
        options_(std::move(options)),
        listener_(listener),
        target_environment_{environment.scheduler,
                            options_.is_rehearsal ? forgetful_disk_ : environment.disk,
                            environment.network, environment.random},
        source_(environment, log_options(options_.from)),
        target_(target_environment_, log_options(options_.to)),
        catalogue_(environment.disk, environment.random, source_.topics_directory()) {}

  Status read() {
    RETURN_IF_ERROR(open_directories());
    RETURN_IF_ERROR(read_checkpoint());
    RETURN_IF_ERROR(open_journal());
    RETURN_IF_ERROR(read_catalogue());
    RETURN_IF_ERROR(make_target());
    RETURN_IF_ERROR(read_segments());
    RETURN_IF_ERROR(read_entries());
    is_undecided_ = is_undecided_ || may_have_lost_an_end();
    return account_for_ends();
  }

  Status end_transaction(const EndTransaction& end) {
    for (const TopicIdPartition& id : end.partitions) {
      if (Partition* const partition = target_.topics.find(id)) {
        partition->apply_marker(marker_of(end), environment_.scheduler.now());
        RETURN_IF_ERROR(keep(*partition));
      }
    }
    report_.notes.push_back(
        fmt::format("the open transaction of producer {} on {} partition{} was {}",
                    end.producer.id.value, end.partitions.size(),
                    end.partitions.size() == 1 ? "" : "s", end.commit ? "committed" : "aborted"));
    return {};
  }

  Status finish(ByteView coordinators) {
    if (is_undecided_) {
      RETURN_IF_ERROR(abort_what_is_open());
    }
    count_what_is_kept();
    io::Disk& disk = target_environment_.disk;
    for (const auto& [name, topic] : target_.topics.by_name()) {
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
    RETURN_IF_ERROR(disk.sync_directory(target_.topics_directory()));
    RETURN_IF_ERROR(make_journal_note(disk, options_.to, {.journal_id = target_.journal_id}));
    target_.snapshot_writer = [coordinators](Buffer& buffer) { append(buffer, coordinators); };
    Buffer checkpoint = CheckpointCodec::encode(target_, environment_.scheduler.now());
    CheckpointCodec::set_tail(checkpoint, target_, JournalTail{}, 1);
    return io::replace_file(disk, options_.to + "/" + checkpoint_file_name(1), checkpoint);
  }

  const SalvageReport& report() const { return report_; }
  bool is_undecided() const { return is_undecided_; }
  const std::string& cluster_id() const { return target_.cluster_id; }
  ProducerId producer_id_max() const {
    ProducerId greatest = kNoProducerId;
    for (const auto& [name, topic] : target_.topics.by_name()) {
      for (const auto& partition : topic->partitions) {
        for (const auto& [id, producer] : partition->producers().sorted()) {
          greatest = std::max(greatest, id);
        }
      }
    }
    return greatest;
  }

 private:
  static LogOptions log_options(const std::string& directory) {
    LogOptions options;
    options.directory = directory;
    return options;
  }

  // --- What there is ---

  Status open_directories() {
    const auto exists = environment_.disk.exists(options_.from);
    RETURN_IF_ERROR(exists);
    if (!*exists) {
      return fail(ErrorCode::kNotFound, options_.from + " is not there");
    }
    RETURN_IF_ERROR(check_holds_log());
    auto lock = environment_.disk.lock_directory(options_.from);
    RETURN_IF_ERROR(lock);
    source_.lock = *std::move(lock);
    const auto is_there = environment_.disk.exists(options_.to);
    RETURN_IF_ERROR(is_there);
    if (*is_there) {
      const auto entries = environment_.disk.list(options_.to);
      RETURN_IF_ERROR(entries);
      if (!entries->empty()) {
        return fail(
            ErrorCode::kAlreadyExists,
            fmt::format("{} is not empty; name a directory that is not there yet", options_.to));
      }
    }
    io::Disk& disk = target_environment_.disk;
    RETURN_IF_ERROR(disk.make_directory(target_.topics_directory()));
    RETURN_IF_ERROR(disk.make_directory(target_.journal_directory()));
    RETURN_IF_ERROR(disk.sync_directory(io::parent_directory(options_.to)));
    RETURN_IF_ERROR(disk.sync_directory(options_.to));
    target_.journal_id = environment_.random.next();
    return {};
  }

  // Before the lock, which is a file: of what is no log nothing is changed.
  Status check_holds_log() {
    io::Disk& disk = environment_.disk;
    for (const std::string& path :
         {options_.from + "/" + checkpoint_file_name(0),
          options_.from + "/" + checkpoint_file_name(1), journal_note_path(options_.from)}) {
      const auto exists = disk.exists(path);
      RETURN_IF_ERROR(exists);
      if (*exists) {
        return {};
      }
    }
    for (const std::string& path : {source_.journal_directory(), source_.topics_directory()}) {
      const auto entries = disk.list(path);
      for (const io::DirectoryEntry& entry : entries.value_or(std::vector<io::DirectoryEntry>())) {
        if (parse_journal_file_name(entry.name) ||
            (entry.is_directory && parse_partition_directory_name(entry.name))) {
          return {};
        }
      }
    }
    return fail(
        ErrorCode::kNotFound,
        fmt::format("{} holds no log: no checkpoint, no journal and no topics", options_.from));
  }

  Status read_checkpoint() {
    std::optional<CheckpointHeader> newest;
    Buffer bytes;
    for (std::uint64_t slot = 0; slot < 2; ++slot) {
      const std::string path = options_.from + "/" + checkpoint_file_name(slot);
      auto found = io::read_file(environment_.disk, path);
      if (!found) {
        continue;
      }
      if (checkpoint_version(*found).value_or(0) > kCheckpointVersion) {
        return fail_damaged(Damage::kNewerFormat, path);
      }
      const auto header = decode_checkpoint_header(*found);
      const ByteView body =
          ByteView(*found).subspan(std::min(found->size(), kCheckpointHeaderBytes));
      if (!header || header->body_bytes != body.size() || header->body_checksum != crc32c(body)) {
        report_.notes.push_back(path + ": this checkpoint is damaged");
      } else if (!newest || header->sequence > newest->sequence) {
        newest = header;
        bytes = *std::move(found);
      }
    }
    if (newest) {
      const auto decoded = CheckpointCodec::decode(source_, newest->version,
                                                   ByteView(bytes).subspan(kCheckpointHeaderBytes),
                                                   environment_.scheduler.now());
      if (decoded) {
        has_checkpoint_ = true;
        known_ = decoded->journal;
        target_.cluster_id = decoded->cluster_id;
        if (!decoded->coordinators.empty() && !listener_.on_snapshot(decoded->coordinators)) {
          is_undecided_ = true;
          report_.lost_states.push_back(
              "what the checkpoint holds of groups and transactions does not decode");
        }
        return {};
      }
      report_.notes.push_back("the newest checkpoint does not decode");
    }
    is_undecided_ = true;
    report_.lost_states.push_back(
        "no checkpoint can be read: of groups, offsets, transactions, topics and their "
        "configurations only what the journal still tells is known");
    return {};
  }

  Status open_journal() {
    if (target_.cluster_id.empty()) {
      target_.cluster_id = options_.cluster_id;
    }
    if (target_.cluster_id.empty()) {
      report_.lost_states.push_back("the cluster id is lost: the next start makes a new one");
    }
    auto journal = SalvagedJournal::open(environment_.disk, source_.journal_directory(),
                                         known_.journal_id, known_.tail.position);
    RETURN_IF_ERROR(journal);
    journal_.emplace(*std::move(journal));
    for (const SalvagedJournal::Gap& gap : journal_->gaps()) {
      is_undecided_ = true;
      report_.lost_states.push_back(fmt::format(
          "the journal cannot be read from position {} to {}: topics, groups' offsets and "
          "decisions of transactions that were written there are lost",
          gap.from.value, gap.next.value));
    }
    const auto note = read_journal_note(environment_.disk, options_.from, journal_->journal_id());
    if (note) {
      const JournalPosition durable = known_durable(*note, options_.boot_id);
      if (durable > journal_->end()) {
        end_gap_ = std::max<std::uint64_t>(kEndGapMin, durable - journal_->end());
        report_.lost_states.push_back(fmt::format(
            "the journal ends at position {} and was durable up to {}: what was written last is "
            "lost",
            journal_->end().value, durable.value));
      }
    } else if (journal_->journal_id() != 0 || has_checkpoint_) {
      end_gap_ = kEndGapUnknown;
      report_.lost_states.push_back(
          "nothing says how far the journal was durable: what was written last may be lost");
    }
    is_undecided_ = is_undecided_ || end_gap_ > 0;
    return {};
  }

  // Topics as they are at the end: the checkpoint's, moved on by the journal.
  Status read_catalogue() {
    for (const auto& [name, topic] : source_.topics.by_name()) {
      catalogue_.add(*topic);
    }
    RETURN_IF_ERROR(journal_->for_each([this](const JournalEntry& entry) {
      catalogue_.read(entry);
      return Status{};
    }));
    const auto& gaps = journal_->gaps();
    RETURN_IF_ERROR(
        catalogue_.complete({.has_checkpoint = has_checkpoint_,
                             .is_whole_journal = gaps.empty() && end_gap_ == 0,
                             .known_from = gaps.empty() ? JournalPosition() : gaps.back().next}));
    std::ranges::copy(catalogue_.lost_states(), std::back_inserter(report_.lost_states));
    return {};
  }

  // --- What becomes of it ---

  Status make_target() {
    for (const auto& [id, entry] : catalogue_.topics()) {
      TopicEntry wanted = entry;
      auto topic = target_.make_topic(wanted);
      if (!topic) {
        report_.lost_states.push_back(
            fmt::format("the configuration of topic {} is not valid and "
                        "was left out: {}",
                        entry.name, topic.error().text));
        wanted.overrides.clear();
        topic = target_.make_topic(wanted);
      }
      RETURN_IF_ERROR(topic);
      if (target_.topics.find(entry.name) != nullptr) {
        report_.lost_states.push_back(
            fmt::format("two topics are called {}; the second was left out", entry.name));
        continue;
      }
      target_.topics.add(*std::move(topic));
    }
    return {};
  }

  Status read_segments() {
    for (const auto& [name, topic] : target_.topics.by_name()) {
      for (const auto& partition : topic->partitions) {
        const auto bases = catalogue_.segment_bases(name, partition->id().partition);
        RETURN_IF_ERROR(bases);
        for (const Offset base : *bases) {
          const auto segment = SalvagedSegment::open(
              environment_.disk, catalogue_.segment_path(name, partition->id().partition, base));
          all_bytes_ += segment ? segment->size_bytes() : 0;
        }
      }
    }
    for (const auto& [name, topic] : target_.topics.by_name()) {
      for (const auto& partition : topic->partitions) {
        RETURN_IF_ERROR(read_partition(name, *partition));
      }
    }
    return {};
  }

  const Partition* known(const Partition& partition) const {
    return source_.topics.find(partition.id());
  }

  Status read_partition(const std::string& topic, Partition& partition) {
    const Partition* const as_known = known(partition);
    const Offset log_start = catalogue_.log_start(partition.id());
    auto bases = catalogue_.segment_bases(topic, partition.id().partition);
    RETURN_IF_ERROR(bases);
    std::set<Offset> all(bases->begin(), bases->end());
    if (as_known != nullptr) {
      for (const auto& segment : as_known->segments_.all()) {
        all.insert(segment->base_offset());
      }
      if (!as_known->segments_.empty()) {
        known_end_[partition.id()] = as_known->log_end_offset();
      }
    }
    bool has_begun = false;
    for (auto place = all.begin(); place != all.end(); ++place) {
      const Offset next = std::next(place) == all.end() ? kNoOffset : *std::next(place);
      if (next != kNoOffset && next <= log_start) {
        continue;  // deleted; its file waits to be removed
      }
      if (!std::exchange(has_begun, true)) {
        begin_partition(partition, std::max(*place, Offset(0)), log_start);
      }
      RETURN_IF_ERROR(read_segment(topic, partition, *place));
    }
    if (!has_begun) {
      begin_partition(partition, log_start, log_start);
    }
    if (const auto end = known_end_.find(partition.id()); end != known_end_.end()) {
      RETURN_IF_ERROR(lose(partition, end->second, "the segments end before it"));
    }
    return keep(partition);
  }

  static void begin_partition(Partition& partition, Offset begin, Offset log_start) {
    partition.log_end_offset_ = begin;
    partition.log_start_offset_ = std::max(begin, log_start);
    partition.high_watermark_ = partition.last_stable_offset_ = begin;
    partition.durable_end_ = begin;
  }

  Status read_segment(const std::string& topic, Partition& partition, Offset base_offset) {
    const std::string path = catalogue_.segment_path(topic, partition.id().partition, base_offset);
    auto opened = SalvagedSegment::open(environment_.disk, path);
    if (!opened) {
      missing_cause_[partition.id()] = fmt::format("{} is missing or cannot be opened", path);
      return {};
    }
    SalvagedSegment& segment = *opened;
    const auto is_foreign = belongs_elsewhere(partition, base_offset, segment);
    if (!is_foreign || *is_foreign) {
      missing_cause_[partition.id()] =
          is_foreign ? path + " does not hold what was written to it" : is_foreign.error().text;
      done_bytes_ += segment.size_bytes();
      return {};
    }
    while (true) {
      const auto batch = segment.next(partition.log_end_offset());
      if (!batch) {
        missing_cause_[partition.id()] = batch.error().text;
        return {};
      }
      if (segment.damaged_at()) {
        missing_cause_[partition.id()] =
            fmt::format("{} byte {}: what lies there is damaged", path, *segment.damaged_at());
      }
      if (!*batch) {
        break;
      }
      RETURN_IF_ERROR(take(partition, **batch));
      done_bytes_ += (*batch)->bytes().size();
      if (options_.on_progress) {
        options_.on_progress(done_bytes_, all_bytes_);
      }
    }
    return {};
  }

  Result<bool> belongs_elsewhere(const Partition& partition, Offset base_offset,
                                 SalvagedSegment& segment) {
    const Partition* const as_known = known(partition);
    if (as_known == nullptr) {
      return false;
    }
    const auto& all = as_known->segments_.all();
    const auto found =
        std::ranges::find(all, base_offset, [](const auto& each) { return each->base_offset(); });
    if (found == all.end()) {
      return false;
    }
    const auto verdict = segment.judge((*found)->summary(), (*found)->next_offset());
    RETURN_IF_ERROR(verdict);
    return *verdict == SalvagedSegment::Verdict::kForeign;
  }

  // A whole batch, from a segment or the journal.
  Status take(Partition& partition, const protocol::RecordBatchView& batch) {
    const protocol::RecordBatchHeader& header = batch.header();
    if (header.base_offset < partition.log_end_offset()) {
      return {};
    }
    RETURN_IF_ERROR(lose(partition, header.base_offset, "it was not found"));
    missing_cause_.erase(partition.id());
    const MonotonicTime now = environment_.scheduler.now();
    if (header.is_control()) {
      if (const auto marker = protocol::parse_end_transaction_marker(batch); marker && *marker) {
        partition.apply_marker(**marker, now);
        ++report_.batch_count;
        return keep(partition);
      }
    }
    partition.apply_batch({batch.bytes(), nullptr}, header, {}, now);
    ++report_.batch_count;
    return keep(partition);
  }

  // Lost offsets up to `next`, if there are any.
  Status lose(Partition& partition, Offset next, std::string_view cause) {
    const Offset from = partition.log_end_offset();
    if (next <= from) {
      return {};
    }
    const auto known_cause = missing_cause_.find(partition.id());
    if (next > partition.log_start_offset()) {
      report_.lost.push_back(
          {partition.topic().name, partition.id().partition,
           std::max(from, partition.log_start_offset()), next,
           known_cause == missing_cause_.end() ? std::string(cause) : known_cause->second});
    }
    leave_out(partition, next);
    return {};
  }

  void leave_out(Partition& partition, Offset next) {
    while (partition.log_end_offset() < next) {
      const Offset from = partition.log_end_offset();
      const Buffer batch = encode_lost_offsets(from, std::min(next, from + kLostOffsetsMax));
      partition.apply_batch({batch, nullptr}, *protocol::RecordBatchHeader::parse(batch), {},
                            environment_.scheduler.now());
      Segment& active = partition.segments_.active();
      active.set_durable(active.size_bytes());
    }
  }

  Status keep(Partition& partition) {
    if (!partition.segments_.empty()) {
      Segment& active = partition.segments_.active();
      active.set_durable(active.size_bytes());
      partition.advance_high_watermark(partition.log_end_offset());
    }
    return partition.segments_.flush(kFlushBytes);
  }

  // --- The journal ---

  Status read_entries() {
    std::size_t refused_count = 0;
    RETURN_IF_ERROR(journal_->for_each([&](const JournalEntry& entry) -> Status {
      if (entry.type == EntryType::kBatch) {
        return read_batch(entry.body);
      }
      if (entry.type == EntryType::kEndTransaction) {
        return read_end_of_transaction(entry.body, refused_count);
      }
      if (entry.type == EntryType::kRecord) {
        refused_count += listener_.on_record(entry.body) ? 0 : 1;
      }
      if (entry.type == EntryType::kTopicDeleted) {
        if (const auto id = decode_topic_deleted(entry.body)) {
          listener_.on_topic_deleted(*id);
        }
      }
      return {};
    }));
    if (refused_count > 0) {
      report_.lost_states.push_back(fmt::format(
          "{} records of groups and transactions do not fit what is known of them", refused_count));
    }
    return {};
  }

  Status read_batch(ByteView body) {
    const auto entry = decode_batch_entry(body);
    Partition* const partition = entry ? target_.topics.find(entry->partition) : nullptr;
    if (partition == nullptr) {
      return {};
    }
    const auto batch = protocol::RecordBatchView::parse(entry->batch);
    return batch ? take(*partition, *batch) : Status{};
  }

  Status read_end_of_transaction(ByteView body, std::size_t& refused_count) {
    EndTransaction end;
    std::vector<Offset> offsets;
    ByteView record;
    if (!decode_end_transaction(body, end, offsets, record)) {
      return {};
    }
    for (std::size_t index = 0; index < end.partitions.size(); ++index) {
      Partition* const partition = target_.topics.find(end.partitions[index]);
      if (partition == nullptr || offsets[index] < partition->log_end_offset()) {
        continue;
      }
      RETURN_IF_ERROR(lose(*partition, offsets[index], "the journal does not hold it"));
      partition->apply_marker(marker_of(end), environment_.scheduler.now());
      RETURN_IF_ERROR(keep(*partition));
    }
    refused_count += listener_.on_end_transaction(end, record) ? 0 : 1;
    return {};
  }

  // --- Ends ---

  // A transaction is open, and a marker of it may have been where offsets are lost: it would stay
  // open, and hide from readers all that follows.
  bool may_have_lost_an_end() const {
    return std::ranges::any_of(report_.lost, [this](const LostOffsets& lost) {
      const auto& partitions = target_.topics.find(lost.topic)->partitions;
      const auto& open =
          partitions[static_cast<std::size_t>(lost.partition.value)]->open_transactions();
      return !open.empty() && open.begin()->first < lost.from;
    });
  }

  // So that no offset that may have been given is given again.
  Status account_for_ends() {
    if (end_gap_ == 0) {
      return {};
    }
    for (const auto& [name, topic] : target_.topics.by_name()) {
      for (const auto& partition : topic->partitions) {
        const Offset from = partition->log_end_offset();
        const Offset next = from + static_cast<std::int64_t>(end_gap_);
        report_.lost.push_back({.topic = name,
                                .partition = partition->id().partition,
                                .from = from,
                                .next = next,
                                .cause = end_gap_ == kEndGapUnknown
                                             ? "nothing says whether the journal is whole to its "
                                               "end, so these offsets may have been given"
                                             : "the end of the journal is lost, so these offsets "
                                               "may have been given",
                                .is_left_out = true});
        leave_out(*partition, next);
        RETURN_IF_ERROR(keep(*partition));
      }
    }
    return {};
  }

  Status abort_what_is_open() {
    for (const auto& [name, topic] : target_.topics.by_name()) {
      for (const auto& partition : topic->partitions) {
        while (!partition->open_transactions().empty()) {
          const auto [first_offset, id] = *partition->open_transactions().begin();
          const ProducerState* const producer = partition->producers().find(id);
          CHECK(producer != nullptr);
          partition->apply_marker({.type = protocol::ControlRecordType::kAbort,
                                   .producer = {id, producer->epoch},
                                   .coordinator_epoch = producer->coordinator_epoch,
                                   .timestamp_ms = environment_.scheduler.wall_now().ms},
                                  environment_.scheduler.now());
          report_.lost_states.push_back(fmt::format(
              "{}-{}: the transaction of producer {} from offset {} on was open, and what became "
              "of it is lost: it is aborted",
              name, partition->id().partition.value, id.value, first_offset.value));
        }
        RETURN_IF_ERROR(keep(*partition));
      }
    }
    return {};
  }

  void count_what_is_kept() {
    for (const auto& [name, topic] : target_.topics.by_name()) {
      ++report_.topic_count;
      for (const auto& partition : topic->partitions) {
        ++report_.partition_count;
        report_.bytes += partition->size_bytes();
      }
    }
  }

  io::Environment environment_;
  const SalvageOptions options_;
  RecoveryListener& listener_;
  ForgetfulDisk forgetful_disk_;
  io::Environment target_environment_;
  LogState source_;  // as the checkpoint tells; its files are read elsewhere
  LogState target_;
  SalvagedCatalogue catalogue_;
  SalvageReport report_;

  bool has_checkpoint_ = false;
  bool is_undecided_ = false;
  JournalKnown known_;
  std::optional<SalvagedJournal> journal_;
  std::uint64_t end_gap_ = 0;  // offsets to leave out at the end of every partition
  std::map<TopicIdPartition, Offset> known_end_;
  std::map<TopicIdPartition, std::string> missing_cause_;
  std::uint64_t done_bytes_ = 0;
  std::uint64_t all_bytes_ = 0;
};

Salvage::Salvage(const io::Environment& environment, SalvageOptions options,
                 RecoveryListener& listener)
    : run_(std::make_unique<SalvageRun>(environment, std::move(options), listener)) {}
Salvage::~Salvage() = default;

Status Salvage::read() { return run_->read(); }
bool Salvage::is_undecided() const { return run_->is_undecided(); }
Status Salvage::end_transaction(const EndTransaction& end) { return run_->end_transaction(end); }
Status Salvage::finish(ByteView coordinators) { return run_->finish(coordinators); }
const SalvageReport& Salvage::report() const { return run_->report(); }
std::string Salvage::cluster_id() const { return run_->cluster_id(); }
ProducerId Salvage::producer_id_max() const { return run_->producer_id_max(); }

}  // namespace onceflow::log
