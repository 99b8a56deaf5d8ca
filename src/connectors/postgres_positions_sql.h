// The statements on our two tables in PostgreSQL.
#pragma once

#include <string>

#include "connectors/postgres_table.h"

namespace onceflow::connectors {

// Two workers that start at once create our tables one after the other.
inline constexpr const char* kLockSchema =
    "SELECT pg_advisory_xact_lock(hashtextextended('onceflow_positions', 0))";

// Of ours one that does not last as long as the rows do, or a partition of it: its name, what it
// is, and what makes it another.
inline constexpr const char* kFindFleeting =
    "WITH RECURSIVE tree AS (SELECT one.oid FROM unnest(ARRAY["
    "to_regclass('onceflow_positions')::oid, to_regclass('onceflow_receipts')::oid]) AS one (oid)"
    " UNION ALL SELECT inhrelid FROM tree JOIN pg_inherits ON inhparent = tree.oid"
    ") SELECT c.oid::regclass::text, c.relkind::text FROM tree"
    " JOIN pg_class AS c ON c.oid = tree.oid"
    " WHERE c.relkind NOT IN ('r', 'p') OR (c.relkind = 'r' AND c.relpersistence <> 'p')"
    " ORDER BY 1 LIMIT 1";

inline constexpr const char* kFindOurTables =
    "SELECT (to_regclass('onceflow_positions') IS NOT NULL)::int,"
    " (to_regclass('onceflow_receipts') IS NOT NULL)::int,"
    " EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('onceflow_positions')"
    " AND attname = 'topic_id' AND NOT attisdropped)::int,"
    " EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('onceflow_positions')"
    " AND attname = 'table_id' AND NOT attisdropped)::int";

inline constexpr const char* kCreatePositions =
    "CREATE TABLE onceflow_positions ("
    " pipeline text NOT NULL, stage text NOT NULL, topic text NOT NULL, partition integer NOT NULL,"
    " next_offset bigint NOT NULL, epoch bigint NOT NULL, topic_id text NOT NULL DEFAULT '',"
    " table_id text NOT NULL DEFAULT '', PRIMARY KEY (pipeline, stage, topic, partition))";

// Tables of earlier versions lack these columns.
inline constexpr const char* kAddTopicId =
    "ALTER TABLE onceflow_positions ADD COLUMN topic_id text NOT NULL DEFAULT ''";
inline constexpr const char* kAddTableId =
    "ALTER TABLE onceflow_positions ADD COLUMN table_id text NOT NULL DEFAULT ''";

inline constexpr const char* kCreateReceipts =
    "CREATE TABLE onceflow_receipts ("
    " receipt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " pipeline text NOT NULL, stage text NOT NULL, receipt bytea NOT NULL)";

// Rows that were copied back leave the sequence behind: ids would collide, or be taken for older.
inline constexpr const char* kRaiseReceiptIds =
    "SELECT setval(ids.name, kept.newest) FROM"
    " (SELECT pg_get_serial_sequence('onceflow_receipts', 'receipt_id')::regclass AS name) AS ids,"
    " (SELECT max(receipt_id) AS newest FROM onceflow_receipts) AS kept"
    " WHERE CASE WHEN has_sequence_privilege(ids.name, 'SELECT')"
    " AND has_sequence_privilege(ids.name, 'UPDATE')"
    " THEN kept.newest > coalesce(pg_sequence_last_value(ids.name), 0) ELSE false END";

inline constexpr const char* kClaim =
    "INSERT INTO onceflow_positions AS claimed"
    " (pipeline, stage, topic, partition, next_offset, epoch)"
    " VALUES ($1, $2, $3, $4, -1, 1)"
    " ON CONFLICT (pipeline, stage, topic, partition) DO UPDATE SET epoch = claimed.epoch + 1"
    " RETURNING epoch, next_offset, topic_id, table_id";

inline constexpr const char* kAddUnclaimed =
    "INSERT INTO onceflow_positions (pipeline, stage, topic, partition, next_offset, epoch,"
    " table_id) VALUES ($1, $2, $3, $4, -1, 0, $5) ON CONFLICT DO NOTHING";

inline constexpr const char* kKeepTableIds =
    "UPDATE onceflow_positions AS held SET table_id = given.table_id"
    " FROM unnest($3::text[], $4::bigint[], $5::text[]) AS given (topic, partition, table_id)"
    " WHERE held.pipeline = $1 AND held.stage = $2 AND held.topic = given.topic"
    " AND held.partition = given.partition AND held.table_id <> given.table_id";

// Parameters: pipeline, stage, the table's id.
inline constexpr const char* kReadOthers =
    "SELECT pipeline, stage, topic, partition, (table_id = $3)::int, (next_offset > 0)::int"
    " FROM onceflow_positions"
    " WHERE (pipeline, stage) <> ($1, $2) AND table_id IN ('', $3)"
    " AND (next_offset > 0 OR table_id = $3)";

// How many rows are as the commit believes. The fence (SNK-1): a claim raises the epoch, so a
// zombie's update matches no row; nor does one that moves from where the row is not. It waits for a
// claim that is under way, and then sees the epoch that was claimed. Rows that do not move are only
// looked at: nothing of this commit comes from their partitions, so a claim that comes a moment
// later takes nothing back.
inline constexpr const char* kMovePositions =
    "WITH believed AS ("
    "  SELECT * FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],"
    "  $8::text[]) AS one (topic, partition, next_offset, epoch, from_offset, topic_id)"
    "), moved AS ("
    "  UPDATE onceflow_positions AS held SET next_offset = believed.next_offset,"
    "  topic_id = CASE believed.topic_id WHEN '' THEN held.topic_id ELSE believed.topic_id END"
    "  FROM believed WHERE held.pipeline = $1 AND held.stage = $2 AND held.topic = believed.topic"
    "  AND held.partition = believed.partition AND held.epoch = believed.epoch"
    "  AND held.next_offset = believed.from_offset"
    "  AND (believed.next_offset <> believed.from_offset OR believed.topic_id <> '') RETURNING 1"
    ") SELECT (SELECT count(*) FROM moved) + count(*) FROM believed"
    " JOIN onceflow_positions AS held ON held.pipeline = $1 AND held.stage = $2"
    "  AND held.topic = believed.topic AND held.partition = believed.partition"
    "  AND held.epoch = believed.epoch AND held.next_offset = believed.from_offset"
    " WHERE believed.next_offset = believed.from_offset AND believed.topic_id = ''";

inline constexpr const char* kReadPosition =
    "SELECT epoch, next_offset, topic_id FROM onceflow_positions"
    " WHERE pipeline = $1 AND stage = $2 AND topic = $3 AND partition = $4";

// The rows' lock keeps the table's columns as they are from here to the end of the transaction.
// Parameters after the receipt's own: the table, its shape as claimed.
inline const std::string& write_receipt_sql() {
  static const std::string sql =
      "WITH receipt AS (INSERT INTO onceflow_receipts (pipeline, stage, receipt)"
      " VALUES ($1, $2, $3)) SELECT (" +
      postgres_shape_sql("$4") + " IS NOT DISTINCT FROM $5)::int";
  return sql;
}

inline constexpr const char* kReadReceipts =
    "SELECT receipt_id, encode(receipt, 'hex') FROM onceflow_receipts"
    " WHERE pipeline = $1 AND stage = $2 AND receipt_id < $3 ORDER BY receipt_id DESC LIMIT 20";

}  // namespace onceflow::connectors
