#include "connectors/table_past.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "connectors/past_database.h"

namespace onceflow::connectors {
namespace {

using Found = TableSearch::Found;

// What an id of SQLite says.
struct PlaceInFile {
  std::int64_t schema_version = 0;
  std::string_view root_page;
  std::string_view name;
};

// Nothing for an id of PostgreSQL.
std::optional<PlaceInFile> place_of(std::string_view id) {
  const std::size_t page = id.find(':');
  const std::size_t name = page == std::string_view::npos ? page : id.find(':', page + 1);
  if (name == std::string_view::npos) {
    return std::nullopt;
  }
  PlaceInFile place{.root_page = id.substr(page + 1, name - page - 1), .name = id.substr(name + 1)};
  const auto parsed = std::from_chars(id.data(), id.data() + page, place.schema_version);
  return parsed.ec == std::errc() && parsed.ptr == id.data() + page ? std::optional(place)
                                                                    : std::nullopt;
}

bool is_of_another_table(const ClaimedPartition& partition, const FoundTable& found) {
  return !partition.table_id.empty() && partition.table_id != kAnyTable &&
         partition.table_id != found.id;
}

std::unexpected<Error> table_is_gone(const SinkTable& table, const ClaimedPartition& partition) {
  return fail(
      ErrorCode::kRefused,
      fmt::format("table {} is gone, but rows were written to it up to {}/{}@{}; the rule: a "
                  "committed row is written once, so it would not come back; the fix: restore "
                  "the table, or fill a new one from the beginning: onceflow reset FILE "
                  "--to-earliest --execute",
                  table.table, partition.source.topic, partition.source.partition.value,
                  partition.next_offset.value));
}

std::unexpected<Error> is_another_table(const SinkTable& table, const ClaimedPartition& partition,
                                        const FoundTable& found, const std::string& what) {
  // An oid is one table's for good; what SQLite has changes with the file.
  const bool is_sure = !place_of(found.id).has_value();
  const std::string go_on = fmt::format(
      "UPDATE onceflow_positions SET table_id = '{}' WHERE pipeline = '{}' AND stage = '{}'",
      kAnyTable, table.pipeline, table.stage);
  const std::string_view put_back =
      "put the table back under its name, or copy its rows into this one";
  return fail(
      ErrorCode::kRefused,
      fmt::format(
          "table {} {} another one than rows were written to up to {}/{}@{} (its id is {}, theirs "
          "{}{}), and {}; the rule: a committed row is written once, so it would not come back; "
          "the fix: {}; or write them all again: onceflow reset FILE --to-earliest --execute",
          table.table, is_sure ? "is" : "may be", partition.source.topic,
          partition.source.partition.value, partition.next_offset.value, found.id,
          partition.table_id,
          is_sure ? "" : "; VACUUM and changes of the file's tables give it others, too", what,
          is_sure ? fmt::format("{}; or go on without them: {}", put_back, go_on)
                  : fmt::format("if it is the table of before, or to go on without its rows: {}; "
                                "else {}",
                                go_on, put_back)));
}

std::unexpected<Error> is_written_twice(const SinkTable& table, const TableSearch::Other& twin) {
  return fail(
      ErrorCode::kRefused,
      fmt::format("table {}: sink {} of this pipeline writes the records of {} to it, too; the "
                  "rule: a table belongs to one sink, else each record would be in it twice; the "
                  "fix: give each sink a table of its own; if sinks without an `id` have changed "
                  "places in the file, put them back; or, if {} is not in the file any more, "
                  "say where to begin: onceflow reset FILE --to-earliest --delete-rows --execute, "
                  "or --keep-rows",
                  table.table, twin.stage, twin.source.topic, twin.stage));
}

// A table that was restored, or whose rows were copied, has another id and the same rows.
Status check_newest_row(const SinkTable& table, const FoundTable& found,
                        const NewestReceipts& receipts, TableSearch& search,
                        ClaimedPartition& partition) {
  if (receipts.says_no_row_was_written()) {
    return {};
  }
  const bool is_row_known = !receipts.row().empty();
  const auto answer = is_row_known ? search.find_row(receipts.row())
                                   : search.find_row_of({beginning_of(partition.source)});
  RETURN_IF_ERROR(answer);
  const bool is_same_place = is_at_the_same_place(partition.table_id, found.id);
  const bool is_same_table = is_one_change_later(partition.table_id, found.id);
  if (answer->found == Found::kYes || (answer->found == Found::kNotInTime && is_same_place)) {
    if (!is_same_place && !is_same_table) {
      partition.remark = fmt::format(
          "table {} is another one than rows were written to before (its id is {}, "
          "theirs {}), and has their newest row, {}: it was restored or copied, and "
          "the stage goes on with it",
          table.table, found.id, partition.table_id, answer->source);
    }
    return {};
  }
  const std::string wanted = is_row_known
                                 ? fmt::format("the newest row, of {}", receipts.row())
                                 : fmt::format("a row of {}", beginning_of(partition.source));
  if (is_same_table) {
    partition.remark = fmt::format(
        "table {}: {}, {}; the tables of the file were changed once since it was written to, as "
        "VACUUM does, so it is the table of before, and the stage goes on; rows that were deleted "
        "are not written again",
        table.table, wanted,
        answer->found == Found::kNo ? "is not in it any more" : "was not found in time");
    return {};
  }
  return is_another_table(
      table, partition, found,
      answer->found == Found::kNo
          ? wanted + ", is not in it"
          : wanted + fmt::format(
                         ", was not found in time (CREATE INDEX \"{}_by_source\" ON {} ({}) makes "
                         "it quick)",
                         bare_table_name(table.table), search.table(), kSourceColumn));
}

// They may be another sink's.
bool may_have_rows(const std::vector<TableSearch::Other>& others, const TopicPartition& source) {
  return std::ranges::any_of(others, [&](const TableSearch::Other& other) {
    return other.source == source && other.has_rows;
  });
}

// Of one pipeline no two stages write the records of one topic to one table: a position of another
// name is that of this stage before it was renamed.
bool may_have_rows_of_another_pipeline(const SinkTable& table,
                                       const std::vector<TableSearch::Other>& others,
                                       const TopicPartition& source) {
  return std::ranges::any_of(others, [&](const TableSearch::Other& other) {
    return other.source == source && other.has_rows && other.pipeline != table.pipeline;
  });
}

// Where no receipt says how far the rows go, they may lie past a position that was set back.
Status check_without_receipts(const SinkTable& table, const FoundTable& found, TableSearch& search,
                              const std::vector<ClaimedPartition>& claimed) {
  std::vector<TableSearch::Other> others;
  bool has_others = false;
  for (const ClaimedPartition& partition : claimed) {
    const bool is_new = partition.next_offset == kNoOffset && partition.table_id != found.id;
    if (is_new || partition.receipt_offset != kNoOffset || partition.table_id == kAnyTable) {
      continue;
    }
    if (!std::exchange(has_others, true)) {
      auto known = search.others();
      RETURN_IF_ERROR(known);
      others = std::move(*known);
    }
    if (may_have_rows_of_another_pipeline(table, others, partition.source)) {
      continue;
    }
    const auto answer =
        search.find_row_from(partition.source, std::max(partition.next_offset, Offset(0)));
    RETURN_IF_ERROR(answer);
    if (answer->found == Found::kYes) {
      return fail(
          ErrorCode::kRefused,
          fmt::format(
              "table {} has a row of {}, though the position of {}/{} in onceflow_positions is {}, "
              "and onceflow_receipts says nothing of that partition; the rule: rows, positions and "
              "receipts move together, and what lies past a position would be written again; the "
              "fix: restore the three tables together; or with the stage stopped put the position "
              "past the rows; or, if they may come again, UPDATE onceflow_positions SET table_id = "
              "'{}' WHERE pipeline = '{}' AND stage = '{}'",
              table.table, answer->source, partition.source.topic, partition.source.partition.value,
              partition.next_offset.value, kAnyTable, table.pipeline, table.stage));
    }
  }
  return {};
}

bool is_of_another_pipeline(const SinkTable& table, const TableSearch::Other& other) {
  return other.writes_here && other.pipeline != table.pipeline;
}

// A row is known by its record alone, so of two that are of one record nothing says whose each is:
// where one of them is lost, neither pipeline's audit could tell.
Status check_no_other_pipeline(const SinkTable& table, TableSearch& search,
                               const std::vector<ClaimedPartition>& claimed) {
  if (table.mode != SinkMode::kAppend) {
    return {};
  }
  const auto others = search.others();
  RETURN_IF_ERROR(others);
  const auto other = std::ranges::find_if(*others, [&](const TableSearch::Other& each) {
    return is_of_another_pipeline(table, each) &&
           std::ranges::any_of(claimed, [&](const ClaimedPartition& partition) {
             return partition.source.topic == each.source.topic;
           });
  });
  if (other == others->end()) {
    return {};
  }
  return fail(
      ErrorCode::kRefused,
      fmt::format(
          "table {0}: pipeline '{1}', sink {2}, writes the records of topic {3} to it, too; "
          "the rule: a row is known by its record alone, so each record is a row of one "
          "pipeline, or a lost row of one would look like the other's; the fix: give this "
          "sink a table of its own; or, if pipeline '{1}' will not run again, take its "
          "positions away, and this one asks what becomes of its rows: DELETE FROM "
          "onceflow_positions WHERE pipeline = '{1}' AND stage = '{2}'",
          table.table, other->pipeline, other->stage, other->source.topic));
}

// Each upserts rows that the other may have written, and the last one stays.
std::string keys_of_other_pipelines(const SinkTable& table,
                                    const std::vector<TableSearch::Other>& others) {
  const auto other = std::ranges::find_if(
      others, [&](const TableSearch::Other& each) { return is_of_another_pipeline(table, each); });
  if (table.mode != SinkMode::kUpsert || other == others.end()) {
    return {};
  }
  return fmt::format(
      "table {} is written by pipeline '{}', too: the row of a key that both write is the one that "
      "was written last, and the audit of the other pipeline says that its row is missing",
      table.table, other->pipeline);
}

// `of` is a topic, or a partition of it. By no pattern: `_` stands in names of topics, and SQLite's
// LIKE takes small letters for large ones.
std::string rows_of(const TableSearch& search, std::string_view of) {
  return fmt::format("{} WHERE substr({}, 1, {}) = '{}/'", search.table(), kSourceColumn,
                     of.size() + 1, of);
}

// Those of records of the partition at the offset or after it. Only CASE says what is evaluated
// first, and a cast of what is no number fails.
std::string rows_from(const TableSearch& search, const TopicPartition& source, Offset offset) {
  const std::string beginning = beginning_of(source);
  return fmt::format(
      "{0} WHERE CASE WHEN rtrim({1}, '0123456789') = '{2}' AND length({1}) > {3} THEN "
      "CAST(substr({1}, {4}) AS NUMERIC) >= {5} ELSE FALSE END",
      search.table(), kSourceColumn, beginning, beginning.size(), beginning.size() + 1,
      offset.value);
}

}  // namespace

bool is_at_the_same_place(std::string_view kept, std::string_view now) {
  const auto before = place_of(kept);
  const auto after = place_of(now);
  return before && after && before->root_page == after->root_page && before->name == after->name;
}

bool is_one_change_later(std::string_view kept, std::string_view now) {
  const auto before = place_of(kept);
  const auto after = place_of(now);
  return before && after && before->name == after->name &&
         before->schema_version + 1 == after->schema_version;
}

Status check_past(const SinkTable& table, const FoundTable& found, const NewestReceipts& receipts,
                  TableSearch& search, std::vector<ClaimedPartition>& claimed) {
  RETURN_IF_ERROR(check_positions(table, claimed));
  RETURN_IF_ERROR(check_no_other_pipeline(table, search, claimed));
  const auto is_gone = [](const ClaimedPartition& partition) {
    return partition.next_offset != kNoOffset && partition.table_id != kAnyTable;
  };
  if (const auto gone = std::ranges::find_if(claimed, is_gone);
      found.was_created && gone != claimed.end()) {
    return table_is_gone(table, *gone);
  }
  const auto other = std::ranges::find_if(claimed, [&](const ClaimedPartition& partition) {
    return is_of_another_table(partition, found) && partition.next_offset != kNoOffset;
  });
  if (other != claimed.end()) {
    RETURN_IF_ERROR(check_newest_row(table, found, receipts, search, *other));
  }
  std::vector<TopicPartition> without_past;
  for (const ClaimedPartition& partition : claimed) {
    if (partition.next_offset == kNoOffset && partition.receipt_offset == kNoOffset &&
        partition.table_id != found.id && partition.table_id != kAnyTable) {
      without_past.push_back(partition.source);
    }
  }
  if (!found.was_created) {
    if (receipts.has_seen_all()) {
      RETURN_IF_ERROR(check_without_receipts(table, found, search, claimed));
    }
    const auto remark = check_new_partitions(table, search, std::move(without_past));
    RETURN_IF_ERROR(remark);
    if (!remark->empty()) {
      claimed.front().remark = *remark;
    }
  }
  for (ClaimedPartition& partition : claimed) {
    partition.takes_any_rows = partition.table_id == kAnyTable;
    // Of a receipt without a position nothing is decided yet: the stage stops on it.
    if (partition.next_offset != kNoOffset || partition.receipt_offset == kNoOffset) {
      partition.table_id = found.id;
    }
  }
  return {};
}

// Positions and receipts that agree may have been taken back together, and alone.
Result<std::string> check_rows_past(const SinkTable& table, TableSearch& search,
                                    const std::vector<ClaimedPartition>& positions) {
  const auto others = search.others();
  RETURN_IF_ERROR(others);
  std::string found;
  std::string deletions;
  std::string remark;
  for (const ClaimedPartition& partition : positions) {
    if (may_have_rows_of_another_pipeline(table, *others, partition.source)) {
      continue;
    }
    const auto answer = search.find_row_from(partition.source, partition.next_offset);
    RETURN_IF_ERROR(answer);
    const std::string rows = rows_from(search, partition.source, partition.next_offset);
    if (answer->found == Found::kYes) {
      found += fmt::format("{}a row of {}, though the position of {}/{} is {}",
                           found.empty() ? "" : ", ", answer->source, partition.source.topic,
                           partition.source.partition.value, partition.next_offset.value);
      deletions += fmt::format("DELETE FROM {}; ", rows);
    } else if (answer->found == Found::kNotInTime) {
      remark += fmt::format(
          "{}{}/{} went back to {}, and whether table {} has rows past that could not be found out "
          "in time; if it has, they are written again: `SELECT count(*) FROM {}` tells",
          remark.empty() ? "" : "; ", partition.source.topic, partition.source.partition.value,
          partition.next_offset.value, table.table, rows);
    }
  }
  if (found.empty()) {
    return remark;
  }
  return fail(
      ErrorCode::kRefused,
      fmt::format(
          "table {0} has {1} in onceflow_positions, and onceflow_receipts say nothing else; the "
          "sink's group says that it had come further, so the two were restored without the rows; "
          "the rule: rows, positions and receipts move together, and what lies past a position is "
          "written again; the fix: restore the three tables together; or, if the topic has their "
          "records still, take away the rows that come again: {2}or, if they may be there twice, "
          "UPDATE onceflow_positions SET table_id = '{3}' WHERE pipeline = '{4}' AND stage = "
          "'{5}'",
          table.table, found, deletions, kAnyTable, table.pipeline, table.stage));
}

Result<std::string> check_new_partitions(const SinkTable& table, TableSearch& search,
                                         std::vector<TopicPartition> partitions) {
  if (partitions.empty()) {
    return std::string();
  }
  const auto others = search.others();
  RETURN_IF_ERROR(others);
  std::vector<std::string> beginnings;
  beginnings.reserve(partitions.size());
  for (const TopicPartition& partition : partitions) {
    if (!may_have_rows(*others, partition)) {
      beginnings.push_back(beginning_of(partition));
    }
    const auto twin = std::ranges::find_if(*others, [&](const TableSearch::Other& each) {
      return each.source == partition && each.writes_here && each.pipeline == table.pipeline;
    });
    if (twin != others->end()) {
      return is_written_twice(table, *twin);
    }
  }
  std::string remark = keys_of_other_pipelines(table, *others);
  if (beginnings.empty()) {
    return remark;
  }
  const auto answer = search.find_row_of(beginnings);
  RETURN_IF_ERROR(answer);
  if (answer->found == Found::kNo) {
    return remark;
  }
  const std::string first =
      fmt::format("{}/{}", partitions.front().topic, partitions.front().partition.value);
  if (answer->found == Found::kNotInTime) {
    return fmt::format(
        "{}{}{} has no position yet, and whether table {} has rows of it already could "
        "not be found out in time; if it has, they are written again: `SELECT "
        "count(*) FROM {}` tells",
        remark, remark.empty() ? "" : "; ", first, table.table, rows_of(search, first));
  }
  const std::string topic = answer->source.substr(0, answer->source.find('/'));
  return fail(
      ErrorCode::kRefused,
      fmt::format("table {} has rows of topic {}, {} for one, but onceflow_positions and "
                  "onceflow_receipts know nothing of them; the rule: a record is written once, and "
                  "these would be written again; the fix: restore the three tables together; or "
                  "take the rows away, to fill the table anew: DELETE FROM {}; or leave them "
                  "and say where to begin: onceflow reset FILE --to-earliest --keep-rows "
                  "--execute, or --to-latest",
                  table.table, topic, answer->source, rows_of(search, topic)));
}

}  // namespace onceflow::connectors
