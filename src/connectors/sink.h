// Sink: the contract of every system downstream that is not a Kafka topic.
//
// A sink keeps, in the same transaction as its rows, one position row per source partition:
//   onceflow_positions(pipeline, stage, topic, partition, next_offset, epoch, topic_id, table_id)
// and one receipt row per commit: onceflow_receipts(pipeline, stage, receipt_id, receipt).
// Whoever reads a partition claims it first, which raises the epoch; a commit updates the position
// row only where the epoch is still its own, so a zombie's transaction matches no row and is rolled
// back whole (SNK-1). It is conditional on the offset it believes it moves from as well: a row that
// went back (a restored backup, a failover) or forward (an edit) is found before anything is
// skipped. Rows that do not move are checked and not written.
//
// Four calls and five outcomes. The fifth, kNotNow, came when a server that had turned read-only
// was taken for a lost answer: what was certainly not written is another thing than what may have
// been.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "base/value.h"
#include "protocol/receipt.h"
#include "protocol/stage_receipts.h"

namespace onceflow::connectors {

enum class SinkMode {
  kAppend,  ///< each record is a new row
  kUpsert,  ///< the last record of a key is its row; a null value deletes it
};

struct SinkColumn {
  std::string name;
  ColumnType type = ColumnType::kText;
  bool is_key = false;  ///< upsert: part of the primary key
};

/// What a table holds beside the user's columns: the place of the record that wrote the row, as
/// "topic/partition/offset".
inline constexpr std::string_view kSourceColumn = "onceflow_source";

struct SinkTable {
  std::string pipeline;
  std::string stage;
  std::string table;
  SinkMode mode = SinkMode::kAppend;
  std::vector<SinkColumn> columns;
};

/// Rows of one commit, column values in the table's order, row after row. Text values are views
/// into memory that the committer keeps until commit() has returned.
struct SinkRow {
  std::uint32_t source_index = 0;  ///< which of SinkCommit::positions the record came from
  Offset source_offset;
  bool is_delete = false;  ///< upsert: only the key columns are set
};

/// What stands as table_id in a position row where an operator has decided about the rows that are
/// there (`onceflow reset`): whichever table it is, and whatever is in it, the stage goes on.
inline constexpr std::string_view kAnyTable = "any";

/// What stands as topic_id in a position row: empty where no program wrote one that knew of ids,
/// this on a cluster that has none, else base/topic_id_text.h.
inline constexpr std::string_view kUnknownTopicId = "unknown";

struct SinkPosition {
  TopicPartition source;
  Offset next_offset;      ///< the first offset not yet reflected in the rows
  std::int64_t epoch = 0;  ///< as claimed; 0: nobody has claimed it yet, and its row may be missing
  Offset from_offset = kNoOffset;  ///< what next_offset in the row is believed to be
  std::string topic_id{};          ///< to be kept in the row; empty: what is there stays

  bool is_written() const { return next_offset != from_offset || !topic_id.empty(); }
};

struct SinkCommit {
  std::vector<SinkRow> rows;
  std::vector<Value> values;  ///< rows.size() * columns.size()
  std::vector<SinkPosition> positions;
  std::string receipt;  ///< encoded, stored as it is; empty: none
};

struct CommitOutcome {
  enum class Kind {
    kCommitted,
    kFenced,   ///< a newer claim holds a partition, or its position is not where this commit moves
               ///< from: nothing was written, claim again
    kRefused,  ///< the sink will not take `refused_row`, or nothing at all: nothing was written
    kNotNow,   ///< nothing was written, and what was in the way passes: claim again, after a pause
    kUnknown,  ///< the answer was lost: claim again and read the positions
  };
  /// As `refused_row`: no row is at fault, but the table, the rights or the set-up.
  static constexpr std::size_t kNoRow = std::numeric_limits<std::size_t>::max();

  Kind kind = Kind::kUnknown;
  std::size_t refused_row = 0;
  std::string text;  ///< for people: what the sink said
  /// Of kRefused: false where a claim may mend it, or the sink does not know what it means; then it
  /// may be tried once more.
  bool is_final = true;
};

struct ClaimedPartition {
  TopicPartition source;
  std::int64_t epoch = 0;
  Offset next_offset = kNoOffset;  ///< kNoOffset: nothing was ever committed for it
  std::string topic_id{};          ///< of the topic that next_offset belongs to, as in the row
  /// Where the newest receipt of the partition ended; kNoOffset: there is none among the newest.
  Offset receipt_offset = kNoOffset;
  /// What that receipt says of the partition.
  std::optional<protocol::Receipt::Input> receipt_input{};
  /// Of the user's table that the partition's rows went to; empty: unknown. table_past.h.
  std::string table_id{};
  /// An operator has said so of the rows that are there (kAnyTable).
  bool takes_any_rows = false;
  std::string remark{};  ///< for people: what the claim found, or could not find out
};

/// How far back claim() looks for the newest receipt of each partition.
inline constexpr std::size_t kReceiptsLookedAtMax = 1'000;

class Sink {
 public:
  virtual ~Sink() = default;

  /// Connects if need be, creates the tables that are missing, checks those that are there against
  /// `SinkTable` (kRefused, naming column, rule and fix, if they do not fit), raises the epoch of
  /// every partition and returns it with the committed position, all durable. Position tables of
  /// earlier versions get the columns they lack. kRefused as well where the rows are not those that
  /// the positions speak of (table_past.h). kConnectionLost is retriable.
  virtual Task<Result<std::vector<ClaimedPartition>>> claim(
      std::vector<TopicPartition> partitions) = 0;

  /// What claim() would return or refuse now, with epochs as they would be. Nothing is changed: no
  /// file and no table is made, and no claim is taken from its holder, who may wait meanwhile. For
  /// a sink of its own, which does nothing else.
  virtual Task<Result<std::vector<ClaimedPartition>>> look(
      std::vector<TopicPartition> partitions) = 0;

  /// After claim() or look(), for positions of theirs that this sink had been past, as others know:
  /// kRefused where the table has rows of then, which would be written again. A remark where that
  /// could not be found out in time, or nothing. Asks no rows that may be another stage's.
  virtual Task<Result<std::string>> check_rows_past(std::vector<ClaimedPartition> /*positions*/) {
    co_return std::string();
  }

  /// Rows, positions and receipt in one transaction.
  virtual Task<CommitOutcome> commit(const SinkCommit& commit) = 0;

  /// The positions as committed, without claiming or receipts; epoch 0: there is no row. kTimedOut,
  /// retriable, where tables were changed since the claim, so that a commit would be kNotNow.
  virtual Task<Result<std::vector<ClaimedPartition>>> read_positions(
      std::vector<TopicPartition> partitions) = 0;

  /// Of the receipts of the whole pipeline in this database. Makes nothing: empty where there is no
  /// database yet, or no receipt.
  virtual Task<Result<protocol::ReceiptsByStage>> receipts_by_stage() = 0;
};

}  // namespace onceflow::connectors
