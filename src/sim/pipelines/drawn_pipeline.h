// DrawnPipeline: a pipeline file from a small grammar, drawn by seed, and beside it what its table
// must hold: computed from the documents alone, without an expression, a plan or a stage.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "pipeline/planner.h"
#include "sim/checkers/findings.h"
#include "sim/pipelines/documents.h"
#include "sim/pipelines/input_topic.h"
#include "sim/sim_database.h"

namespace onceflow::sim {

/// What a table must hold: of each row what tells it from the others, and all its values.
using ExpectedRows = std::map<std::vector<StoredValue>, std::vector<StoredValue>>;

class DrawnPipeline {
 public:
  /// Records go to a table, one by one: appended, or the last of a key.
  static DrawnPipeline rows(SimRandom& random);
  /// Records are grouped by key and aggregated; the results go to a topic and to a table.
  static DrawnPipeline totals(SimRandom& random, DocumentSource::Tombstones tombstones);

  const std::string& name() const { return name_; }
  const std::string& table() const { return table_; }
  const std::string& file() const { return has_gone_on_ ? next_file_ : file_; }
  /// The same pipeline with another definition that its results would not show.
  const std::string& changed_file() const { return changed_file_; }
  /// The same pipeline with what it goes on with: changed steps, which hold from a record on.
  const std::string& next_file() const { return next_file_; }
  /// That is its file from now on, for the records from these offsets on, by partition.
  void go_on_with_next_file(std::vector<std::size_t> offsets);
  /// What lies before these offsets, by partition, is not its input any more.
  void begin_at(std::vector<std::size_t> offsets) { begins_at_ = std::move(offsets); }
  /// Of the consumer group and stage that read the input.
  bool begins_at_latest() const { return begins_at_latest_; }
  /// The row of a key is its last record: all records of a key must be in one partition.
  bool keeps_last_of_key() const { return keeps_last_of_key_; }
  /// Its key is the record's own: one without a value deletes the row.
  bool takes_tombstones() const { return takes_tombstones_; }

  /// Whether a record is kept depends on that field.
  bool decides_by(Field Document::* field) const {
    return field != nullptr && field == steps_.decides_by;
  }

  static pipeline::PlannedPipeline plan(const std::string& file);

  /// What is wrong with the table, each with the promise that it breaks; empty: nothing.
  std::vector<Finding> judge(const SimDatabase::Image& image, const InputTopic& input) const;

 private:
  /// What its steps do to a record, up to its key or its columns.
  struct Steps {
    std::string yaml;
    std::function<bool(const Document&)> keeps;
    Field Document::* decides_by = nullptr;
    std::function<void(Document&)> change;
  };
  static Steps draw_steps(SimRandom& random, std::uint64_t where_out_of_12,
                          std::uint64_t set_out_of_12);

  const Steps& steps_at(std::size_t partition, std::size_t offset) const;
  /// The first offset of each partition that counts.
  std::vector<std::size_t> beginnings(const SimDatabase::Table& table,
                                      const InputTopic& input) const;
  ExpectedRows expected(const InputTopic& input, const std::vector<std::size_t>& begins) const;
  std::vector<StoredValue> identity_of(const std::vector<StoredValue>& row) const;

  std::string name_;
  std::string table_;
  std::string file_;
  std::string changed_file_;
  std::string next_file_;
  bool begins_at_latest_ = false;
  bool keeps_last_of_key_ = false;
  bool takes_tombstones_ = false;
  bool is_aggregate_ = false;
  std::size_t identity_width_ = 1;  ///< the first columns of a row tell it from the others
  Steps steps_;
  Steps next_steps_;
  bool has_gone_on_ = false;
  std::vector<std::size_t> next_from_;  ///< by partition; what is not there is 0
  std::vector<std::size_t> begins_at_;  ///< by partition; what is not there is 0
  /// The row of one document, or, of an aggregate, its key columns.
  std::function<std::vector<StoredValue>(const Document&)> row_of_;
  std::vector<std::function<StoredValue(const std::vector<const Document*>&)>> aggregates_;
};

}  // namespace onceflow::sim
