// SimDatabase: the database double: tables, position rows and receipts behind connections that
// break, with the outcomes of connectors/sink.h. It outlives the processes that talk to it,
// and a commit that was sent is applied even when its sender has died or been replaced meanwhile:
// the zombie's case.
//
// Owned by the simulation; SimSink, its client, by a worker's stage.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "connectors/sink.h"
#include "sim/world/sim_process.h"
#include "sim/world/sim_world.h"

namespace onceflow::sim {

struct StoredDecimal {
  std::string digits;
  friend auto operator<=>(const StoredDecimal&, const StoredDecimal&) = default;
};

/// A Value that owns its text.
using StoredValue = std::variant<std::monostate, std::int64_t, double, std::string, StoredDecimal>;

/// A commit as it travels: nothing in it belongs to its sender.
struct SentCommit {
  struct Row {
    TopicPartition source;
    Offset source_offset;
    bool is_delete = false;
    std::vector<StoredValue> values;  ///< in the order of the table's columns
  };
  std::vector<Row> rows;
  std::vector<connectors::SinkPosition> positions;
  std::string receipt;
  std::int64_t shape = 0;  ///< of the table, as its sender knows it
};

class SimDatabase {
 public:
  explicit SimDatabase(SimWorld& world) : world_(world) {}

  struct Position {
    Offset next_offset = kNoOffset;
    std::int64_t epoch = 0;
    std::string topic_id;
    std::string table_id;
  };
  enum class Integers { kWide, kNarrow };  ///< 64 or 32 bits
  struct Table {
    std::vector<std::string> columns;  ///< as the first claim has made them
    std::string id;                    ///< as an oid: another table has another one
    Integers integers = Integers::kWide;
    std::int64_t shape = 0;                 ///< counts how often it was altered
    std::vector<SentCommit::Row> appended;  ///< append mode, as they came
    std::map<std::vector<StoredValue>, SentCommit::Row> by_key;  ///< upsert mode
    std::map<TopicPartition, Position> positions;
    std::vector<std::string> receipts;
  };

  /// All that is stored, by table: what a reader sees at one moment, and what a backup keeps.
  using Image = std::map<std::string, Table>;

  /// SNK-1, watched where it happens: called if a commit took effect under a claim that is not the
  /// newest.
  void on_stale_commit(std::function<void(const std::string&)> listener) {
    on_stale_commit_ = std::move(listener);
  }

  /// What a reader sees; empty before the first claim.
  const Table& table(const std::string& name) { return tables_[name]; }
  const Image& image() const { return tables_; }

  struct Claim {
    std::vector<connectors::ClaimedPartition> partitions;
    std::int64_t shape = 0;
  };
  /// kRefused, final: a column is not there, or the table is not that of the positions
  /// (connectors/table_past.h).
  Result<Claim> claim(const connectors::SinkTable& definition,
                      const std::vector<TopicPartition>& partitions);
  /// What claim() would answer; nothing is changed.
  Result<std::vector<connectors::ClaimedPartition>> look(
      const connectors::SinkTable& definition, const std::vector<TopicPartition>& partitions);
  connectors::CommitOutcome commit(const connectors::SinkTable& definition, const SentCommit& sent);
  std::vector<connectors::ClaimedPartition> read_positions(
      const connectors::SinkTable& definition, const std::vector<TopicPartition>& partitions);

  protocol::ReceiptsByStage receipts_by_stage(const std::string& pipeline) const;

  /// One table with all that belongs to it, as it was: rows, receipts and positions together.
  void restore(const std::string& table, const Image& backup);
  /// One position alone, to an offset that was passed; the rows stay. What it did, for people;
  /// empty if no position can be set back.
  std::string set_position_back(const std::string& table, SimRandom& random);

  // What is done to a table by hand. Who has claimed it before learns of it at its next commit.

  /// One that a pipeline writes, by chance; its name before.
  std::string rename_column(const std::string& table, SimRandom& random);
  void rename_back(const std::string& table);
  void set_integers(const std::string& table, Integers integers);
  /// A column that no pipeline knows.
  void add_column(const std::string& table) { ++tables_[table].shape; }
  /// The table is made anew with the same columns: positions and receipts stay.
  void forget_rows(const std::string& table);
  enum class Receipts { kStay, kGoToo };
  /// Rows stay.
  void forget_positions(const std::string& table, Receipts receipts);
  /// As a reset that deletes the rows: it begins as at a first start, and what was claimed before
  /// is fenced.
  void reset(const std::string& table);
  /// The whole database is another one, and empty.
  void forget_all(const std::string& table);

  SimWorld& world() { return world_; }

 private:
  Status check_table(const connectors::SinkTable& definition, Table& table, bool was_created,
                     std::vector<connectors::ClaimedPartition>& claimed) const;
  /// Of partitions that this commit begins and nobody has claimed.
  Status check_unclaimed(const connectors::SinkTable& definition, const Table& table,
                         const SentCommit& sent) const;
  /// Why it may not be: empty if the row is as the commit believes.
  std::string why_fenced(const Table& table, const connectors::SinkPosition& position) const;
  static connectors::CommitOutcome look_at_rows(const connectors::SinkTable& definition,
                                                const Table& table, const SentCommit& sent);

  SimWorld& world_;
  Image tables_;
  std::int64_t last_table_id_ = 0;
  std::function<void(const std::string&)> on_stale_commit_;
};

class SimSink final : public connectors::Sink {
 public:
  SimSink(SimProcess& process, SimDatabase& database, connectors::SinkTable definition)
      : process_(process), database_(database), definition_(std::move(definition)) {}

  Task<Result<std::vector<connectors::ClaimedPartition>>> claim(
      std::vector<TopicPartition> partitions) override;
  Task<Result<std::vector<connectors::ClaimedPartition>>> look(
      std::vector<TopicPartition> partitions) override;
  Task<connectors::CommitOutcome> commit(const connectors::SinkCommit& commit) override;
  Task<Result<std::vector<connectors::ClaimedPartition>>> read_positions(
      std::vector<TopicPartition> partitions) override;
  Task<Result<protocol::ReceiptsByStage>> receipts_by_stage() override;

 private:
  template <typename T>
  auto ask(std::function<T()> serve, T lost);

  SimProcess& process_;
  SimDatabase& database_;
  connectors::SinkTable definition_;
  std::optional<std::int64_t> shape_;  ///< of the table, at the claim
};

}  // namespace onceflow::sim
