// Whether the user's table is the one that the positions speak of. Each claim asks before rows go
// into it: a table may have been replaced under its name or restored alone, and positions and
// receipts may have been lost alone. The id of the table is kept with the positions
// (docs/formats/positions.md). Another id alone says little, because a restored or copied database
// has others: so the newest row that the receipts speak of is looked for. Stateless.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "connectors/positions.h"
#include "connectors/sink.h"

namespace onceflow::connectors {

/// How a store looks into its database. Nothing says that there is an index for it, so each look
/// has an end.
class TableSearch {
 public:
  enum class Found : std::uint8_t { kNo, kYes, kNotInTime };
  struct Answer {
    Found found = Found::kNo;
    std::string source;  ///< of the row that was found
  };

  virtual ~TableSearch() = default;
  /// The user's table, as it is written in a statement.
  virtual std::string table() const = 0;
  /// The row of this record: "in/0/4".
  virtual Result<Answer> find_row(const std::string& source) = 0;
  /// Any row of one of these partitions, as the beginnings of their sources: "in/0/".
  virtual Result<Answer> find_row_of(const std::vector<std::string>& beginnings) = 0;
  /// Any row of a record of the partition at the offset or after it.
  virtual Result<Answer> find_row_from(const TopicPartition& source, Offset offset) = 0;
  /// A position that another stage has, rows of which in this table, if there are any, may be its
  /// own.
  struct Other {
    std::string pipeline;
    std::string stage;
    TopicPartition source;
    bool writes_here = false;  ///< for certain, into this table
    bool has_rows = false;     ///< it has read something
  };
  virtual Result<std::vector<Other>> others() = 0;
};

struct FoundTable {
  /// PostgreSQL: its oid. SQLite: "schema_version:rootpage:name".
  std::string id;
  bool was_created = false;
};

/// Of two ids of SQLite, whose first part changes with any table of the file.
bool is_at_the_same_place(std::string_view kept, std::string_view now);
/// Of two ids of SQLite: each statement that changes the tables of a file counts its schema_version
/// up by one, and so does VACUUM, which moves them all. To replace a table takes two: the old one
/// is dropped or renamed, and another gets its name.
bool is_one_change_later(std::string_view kept, std::string_view now);

/// kRefused, with the ways on, if rows of before are missing from the table, or if it has rows that
/// no position knows of. Else `claimed` has the table's id wherever rows may be written under it,
/// and remarks.
Status check_past(const SinkTable& table, const FoundTable& found, const NewestReceipts& receipts,
                  TableSearch& search, std::vector<ClaimedPartition>& claimed);

/// As Sink::check_rows_past().
Result<std::string> check_rows_past(const SinkTable& table, TableSearch& search,
                                    const std::vector<ClaimedPartition>& positions);

/// The same for partitions that have no past: they are claimed for the first time, or get a
/// position from the worker that begins. A remark, or nothing.
Result<std::string> check_new_partitions(const SinkTable& table, TableSearch& search,
                                         std::vector<TopicPartition> partitions);

}  // namespace onceflow::connectors
