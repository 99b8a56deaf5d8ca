#include "log/salvage.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "log/damage.h"
#include "log/forgetful_disk.h"
#include "log/journal_note.h"
#include "log/log_state.h"
#include "log/salvage_target.h"
#include "log/salvaged_catalogue.h"
#include "log/salvaged_evidence.h"
#include "log/salvaged_journal.h"
#include "log/salvaged_segment.h"

namespace onceflow::log {

namespace {

// How many offsets are left out at the end of a partition when it is not known how many were given.
// No fewer where it is known how many bytes of the journal are lost: a batch that is packed well
// has more records than bytes.
constexpr std::uint64_t kEndGapMin = 1'000'000;

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
                            environment.network, environment.random, environment.seeded_bug},
        source_(environment, log_options(options_.from)),
        target_(target_environment_, options_.to, report_),
        catalogue_(environment.disk, environment.random, source_.topics_directory()) {}

  Status read() {
    RETURN_IF_ERROR(open_directories());
    RETURN_IF_ERROR(read_checkpoint());
    RETURN_IF_ERROR(open_journal());
    RETURN_IF_ERROR(read_catalogue());
    RETURN_IF_ERROR(target_.make_topics(catalogue_.topics()));
    RETURN_IF_ERROR(read_segments());
    RETURN_IF_ERROR(read_entries());
    is_undecided_ = is_undecided_ || may_have_lost_an_end();
    return account_for_ends();
  }

  Status end_transaction(const EndTransaction& end) {
    for (const TopicIdPartition& id : end.partitions) {
      if (Partition* const partition = target_.topics().find(id)) {
        RETURN_IF_ERROR(target_.take_end(*partition, end));
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
      RETURN_IF_ERROR(target_.abort_what_is_open());
    }
    return target_.write(coordinators);
  }

  const SalvageReport& report() const { return report_; }
  bool is_undecided() const { return is_undecided_; }
  const SalvageTarget& target() const { return target_; }

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
    return target_.make_directories();
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
        target_.cluster_id() = decoded->cluster_id;
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
    if (target_.cluster_id().empty()) {
      target_.cluster_id() = options_.cluster_id;
    }
    if (target_.cluster_id().empty()) {
      report_.lost_states.push_back("the cluster id is lost: the next start makes a new one");
    }
    auto journal = SalvagedJournal::open(environment_.disk, source_.journal_directory(),
                                         known_.journal_id, known_.tail.position);
    RETURN_IF_ERROR(journal);
    journal_.emplace(*std::move(journal));
    const auto note = read_journal_note(environment_.disk, options_.from, journal_->journal_id());
    // Within one life of the machine it says where the journal ends, to the byte.
    const bool is_exact = note && options_.boot_id != 0 && note->boot_id == options_.boot_id;
    if (is_exact) {
      journal_->give_up_behind_gap_at(note->position);
    }
    for (const SalvagedJournal::Gap& gap : journal_->gaps()) {
      is_undecided_ = true;
      gap_bytes_ += gap.next - gap.from;
      report_.lost_states.push_back(fmt::format(
          "the journal cannot be read from position {} to {}: topics, groups' offsets and "
          "decisions of transactions that were written there are lost",
          gap.from.value, gap.next.value));
    }
    if (note) {
      const JournalPosition durable = known_durable(*note, options_.boot_id);
      if (durable > journal_->end()) {
        end_gap_ = kEndGapMin + (durable - journal_->end());
        report_.lost_states.push_back(fmt::format(
            "the journal ends at position {} and was durable up to {}: what was written last is "
            "lost",
            journal_->end().value, durable.value));
      }
    } else {
      lose_end_unknown("nothing says how far the journal was durable");
    }
    if (const auto file = missing_journal_file(); file && !is_exact && end_gap_ == 0) {
      lose_end_unknown(*file + " is missing or too short, and may have been the journal's end");
    }
    if (const std::string cut = torn_end(); !cut.empty() && !is_exact && end_gap_ == 0) {
      lose_end_unknown(cut);
    }
    is_undecided_ = is_undecided_ || end_gap_ > 0;
    return {};
  }

  // As a start finds it, which takes it for a frame that was being written.
  std::string torn_end() const {
    if (!has_checkpoint_) {
      return {};
    }
    const auto reading = read_journal(environment_.disk, source_.journal_directory(), known_,
                                      [](const JournalEntry&) { return Status{}; });
    return reading ? reading->cut : std::string();
  }

  void lose_end_unknown(const std::string& why) {
    end_gap_ = kEndGapMin;
    is_end_unknown_ = true;
    report_.lost_states.push_back(why + ": what was written last may be lost");
  }

  // Of those that the checkpoint knows.
  std::optional<std::string> missing_journal_file() const {
    for (const JournalFile& known : known_.files) {
      std::string path = source_.journal_directory() + "/" + journal_file_name(known.number);
      const auto file = environment_.disk.open(path, io::OpenMode::kRead);
      const auto size_bytes = file ? (*file)->size() : Result<std::uint64_t>(0);
      if (!file || !size_bytes || *size_bytes < known.size_bytes) {
        return path;
      }
    }
    return std::nullopt;
  }

  // Topics as they are at the end: the checkpoint's, moved on by the journal.
  Status read_catalogue() {
    for (const auto& [name, topic] : source_.topics.by_name()) {
      catalogue_.add(*topic);
      evidence_.add(*topic);
    }
    RETURN_IF_ERROR(journal_->for_each([this](const JournalEntry& entry) {
      catalogue_.read(entry);
      evidence_.read(entry);
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

  Status read_segments() {
    for (const auto& [name, topic] : target_.topics().by_name()) {
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
    for (const auto& [name, topic] : target_.topics().by_name()) {
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
    const auto is_its_own = folder_is_its_own(topic, partition, *bases);
    RETURN_IF_ERROR(is_its_own);
    if (!*is_its_own) {
      bases->clear();
    }
    std::set<Offset> all(bases->begin(), bases->end());
    Offset known_end;
    if (as_known != nullptr) {
      for (const auto& segment : as_known->segments_.all()) {
        all.insert(segment->base_offset());
      }
      if (!as_known->segments_.empty()) {
        known_end = as_known->log_end_offset();
      }
    }
    bool has_begun = false;
    for (auto place = all.begin(); place != all.end(); ++place) {
      const Offset next = std::next(place) == all.end() ? kNoOffset : *std::next(place);
      if (next != kNoOffset && next <= log_start) {
        continue;  // deleted; its file waits to be removed
      }
      if (!std::exchange(has_begun, true)) {
        // Files may be missing in front, where the log start is known.
        SalvageTarget::begin(partition,
                             knows_beginning(partition) ? std::min(*place, log_start) : *place,
                             log_start);
      }
      RETURN_IF_ERROR(read_segment(topic, partition, *place));
    }
    if (!has_begun) {
      SalvageTarget::begin(partition, log_start, log_start);
    }
    RETURN_IF_ERROR(fill_from_journal(partition, known_end));
    RETURN_IF_ERROR(target_.lose(partition, known_end, "the segments end before it"));
    return target_.keep(partition);
  }

  bool knows_beginning(const Partition& partition) const {
    return known(partition) != nullptr || evidence_.was_created_in_journal(partition.id().topic_id);
  }

  // A topic that the checkpoint does not know may have the folder of one that had its name before.
  Result<bool> folder_is_its_own(const std::string& topic, const Partition& partition,
                                 const std::vector<Offset>& bases) {
    const TopicId& id = partition.id().topic_id;
    if (known(partition) != nullptr ||
        (!has_checkpoint_ && !evidence_.was_created_in_journal(id))) {
      return true;
    }
    for (const Offset base : bases) {
      auto segment = SalvagedSegment::open(
          environment_.disk, catalogue_.segment_path(topic, partition.id().partition, base));
      while (segment) {
        const auto batch = segment->next(Offset(0));
        if (!batch || !*batch) {
          break;
        }
        const auto verdict = evidence_.judge(partition.id(), (*batch)->header());
        if (verdict != SalvagedEvidence::Verdict::kUnknown) {
          return verdict == SalvagedEvidence::Verdict::kSame;
        }
      }
    }
    return !evidence_.had_another(topic, id);
  }

  Status read_segment(const std::string& topic, Partition& partition, Offset base_offset) {
    const std::string path = catalogue_.segment_path(topic, partition.id().partition, base_offset);
    auto opened = SalvagedSegment::open(environment_.disk, path);
    if (!opened) {
      target_.blame(partition) = fmt::format("{} is missing or cannot be opened", path);
      return {};
    }
    SalvagedSegment& segment = *opened;
    const auto is_foreign = belongs_elsewhere(partition, base_offset, segment);
    if (!is_foreign || *is_foreign) {
      target_.blame(partition) = is_foreign ? does_not_hold_it(path) : is_foreign.error().text;
      done_bytes_ += segment.size_bytes();
      return {};
    }
    while (true) {
      const auto batch = segment.next(partition.log_end_offset());
      if (!batch) {
        target_.blame(partition) = batch.error().text;
        return {};
      }
      if (segment.damaged_at()) {
        target_.blame(partition) =
            fmt::format("{} byte {}: what lies there is damaged", path, *segment.damaged_at());
      }
      if (!*batch) {
        break;
      }
      if (evidence_.judge(partition.id(), (*batch)->header()) ==
          SalvagedEvidence::Verdict::kOther) {
        target_.blame(partition) = does_not_hold_it(path);
        break;
      }
      RETURN_IF_ERROR(fill_from_journal(partition, (*batch)->header().base_offset));
      if (may_be_older(partition, base_offset, **batch)) {
        target_.blame(partition) = path + " may be of a topic that had the name before";
        break;
      }
      RETURN_IF_ERROR(target_.take(partition, **batch));
      done_bytes_ += (*batch)->bytes().size();
      if (options_.on_progress) {
        options_.on_progress(done_bytes_, all_bytes_);
      }
    }
    return {};
  }

  // Behind what the checkpoint knows of a topic: a file, or of one that it does not know a batch,
  // that the journal tells nothing of, and that what lies before it does not lead to.
  bool may_be_older(const Partition& partition, Offset base_offset,
                    const protocol::RecordBatchView& batch) const {
    const Offset offset = batch.header().base_offset;
    const Partition* const as_known = known(partition);
    const bool is_behind =
        as_known == nullptr || (offset == base_offset && offset >= as_known->log_end_offset());
    return has_checkpoint_ && is_behind && offset > partition.log_end_offset() &&
           evidence_.judge(partition.id(), batch.header()) == SalvagedEvidence::Verdict::kUnknown;
  }

  Result<bool> belongs_elsewhere(const Partition& partition, Offset base_offset,
                                 SalvagedSegment& segment) {
    const auto begin = segment.begin();
    RETURN_IF_ERROR(begin);
    if (*begin && **begin != base_offset) {
      return true;
    }
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
    if (*verdict == SalvagedSegment::Verdict::kDamaged) {
      return is_of_another(partition, base_offset, segment);
    }
    return *verdict == SalvagedSegment::Verdict::kForeign;
  }

  // One that is too short for its own may be all that the checkpoint knows of another.
  Result<bool> is_of_another(const Partition& partition, Offset base_offset,
                             SalvagedSegment& segment) const {
    for (const auto& [name, topic] : source_.topics.by_name()) {
      for (const auto& other : topic->partitions) {
        for (const auto& each : other->segments_.all()) {
          if (other->id() == partition.id() || each->base_offset() != base_offset ||
              each->size_bytes() == 0) {
            continue;
          }
          const auto verdict = segment.judge(each->summary(), each->next_offset());
          RETURN_IF_ERROR(verdict);
          if (*verdict == SalvagedSegment::Verdict::kWhole) {
            return true;
          }
        }
      }
    }
    return false;
  }

  static std::string does_not_hold_it(const std::string& path) {
    return path + " does not hold what was written to it";
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
    Partition* const partition = entry ? target_.topics().find(entry->partition) : nullptr;
    if (partition == nullptr) {
      return {};
    }
    const auto batch = protocol::RecordBatchView::parse(entry->batch);
    return batch ? target_.take(*partition, *batch) : Status{};
  }

  Status read_end_of_transaction(ByteView body, std::size_t& refused_count) {
    EndTransaction end;
    std::vector<Offset> offsets;
    ByteView record;
    if (!decode_end_transaction(body, end, offsets, record)) {
      return {};
    }
    for (std::size_t index = 0; index < end.partitions.size(); ++index) {
      if (Partition* const partition = target_.topics().find(end.partitions[index])) {
        RETURN_IF_ERROR(target_.take_marker(*partition, end, offsets[index]));
      }
    }
    refused_count += listener_.on_end_transaction(end, record) ? 0 : 1;
    return {};
  }

  Status take_before(Partition& partition, ByteView bytes, Offset next) {
    const auto batch = protocol::RecordBatchView::parse(bytes);
    return batch && batch->header().base_offset < next ? target_.take(partition, *batch) : Status{};
  }

  // What the files do not have before `next` and the journal does.
  Status fill_from_journal(Partition& partition, Offset next) {
    const TopicIdPartition id = partition.id();
    if (!evidence_.has_batch_in(id, partition.log_end_offset(), next)) {
      return {};
    }
    return journal_->for_each([&](const JournalEntry& entry) -> Status {
      if (entry.type == EntryType::kBatch) {
        const auto found = decode_batch_entry(entry.body);
        return found && found->partition == id ? take_before(partition, found->batch, next)
                                               : Status{};
      }
      EndTransaction end;
      std::vector<Offset> offsets;
      ByteView record;
      if (entry.type != EntryType::kEndTransaction ||
          !decode_end_transaction(entry.body, end, offsets, record)) {
        return {};
      }
      const auto own = std::ranges::find(end.partitions, id);
      const auto index = static_cast<std::size_t>(own - end.partitions.begin());
      return own == end.partitions.end() || offsets[index] >= next
                 ? Status{}
                 : target_.take_marker(partition, end, offsets[index]);
    });
  }

  // --- Ends ---

  // A transaction is open, and a marker of it may have been where offsets are lost: it would stay
  // open, and hide from readers all that follows.
  bool may_have_lost_an_end() const {
    return std::ranges::any_of(report_.lost, [this](const LostOffsets& lost) {
      const auto& partitions = target_.topics().find(lost.topic)->partitions;
      const auto& open =
          partitions[static_cast<std::size_t>(lost.partition.value)]->open_transactions();
      return !open.empty() && open.begin()->first < lost.from;
    });
  }

  // So that no offset that may have been given is given again.
  Status account_for_ends() {
    for (const auto& [name, topic] : target_.topics().by_name()) {
      for (const auto& partition : topic->partitions) {
        const std::uint64_t count = offsets_in_doubt(partition->id());
        if (count == 0) {
          continue;
        }
        const Offset from = partition->log_end_offset();
        const Offset next = from + static_cast<std::int64_t>(count);
        report_.lost.push_back({.topic = name,
                                .partition = partition->id().partition,
                                .from = from,
                                .next = next,
                                .cause = cause_of_doubt(),
                                .is_left_out = true});
        RETURN_IF_ERROR(target_.leave_out(*partition, next));
      }
    }
    return {};
  }

  std::uint64_t offsets_in_doubt(const TopicIdPartition& partition) const {
    const auto& gaps = journal_->gaps();
    const bool may_end_in_gap =
        !gaps.empty() && !evidence_.has_entry_behind(partition, gaps.back().next);
    return end_gap_ + (may_end_in_gap ? kEndGapMin + gap_bytes_ : 0);
  }

  std::string cause_of_doubt() const {
    if (is_end_unknown_) {
      return "nothing says whether the journal is whole to its end, so these offsets may have been "
             "given";
    }
    return end_gap_ > 0 ? "the end of the journal is lost, so these offsets may have been given"
                        : "a part of the journal is lost, so these offsets may have been given";
  }

  io::Environment environment_;
  const SalvageOptions options_;
  RecoveryListener& listener_;
  ForgetfulDisk forgetful_disk_;
  io::Environment target_environment_;
  SalvageReport report_;
  LogState source_;  // as the checkpoint tells; its files are read elsewhere
  SalvageTarget target_;
  SalvagedCatalogue catalogue_;
  SalvagedEvidence evidence_;

  bool has_checkpoint_ = false;
  bool is_undecided_ = false;
  JournalKnown known_;
  std::optional<SalvagedJournal> journal_;
  std::uint64_t end_gap_ = 0;  // offsets to leave out at the end of every partition
  bool is_end_unknown_ = false;
  std::uint64_t gap_bytes_ = 0;  // of the journal, between frames that can be read
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
std::string Salvage::cluster_id() const { return run_->target().cluster_id(); }
ProducerId Salvage::producer_id_max() const { return run_->target().producer_id_max(); }

}  // namespace onceflow::log
