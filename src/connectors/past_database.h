// PastDatabase: one database, as far as a reset needs it (sink_past.h): the statements are the
// same, and this is what differs. Every value goes as text, which both take for what it is; answers
// are text, too. The connection and the table outlive it; its calls block.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "connectors/postgres_connection.h"
#include "connectors/sink.h"
#include "connectors/sqlite_connection.h"

namespace onceflow::connectors {

struct PastDatabase {
  using Row = std::vector<std::string>;
  using VisitText = std::function<Status(const std::string& text)>;
  using Run = std::function<Result<std::vector<Row>>(const std::string& sql, const Row& values)>;

  Run run;
  std::string table;  ///< the user's, quoted
  /// Whether a table is there; its name is the value.
  std::string has_table_sql;
  std::string table_name;
  std::function<Status()> ensure_positions;
  std::string begin;
  std::string check_now;                                         ///< checks what COMMIT would
  std::string number;                                            ///< the type of a whole number
  std::string receipt;                                           ///< an expression: the bytes of $3
  std::function<std::string(std::string_view)> to_receipt_text;  ///< what $3 is then
  std::string read_receipt;  ///< an expression: the bytes of `receipt` as a text
  std::function<Buffer(std::string_view)> from_receipt_text;
  std::string members;  ///< a query: the texts in $2, which is a JSON array
  /// Visits the first column of each row, a null as an empty text, without holding them all.
  std::function<Status(const std::string& sql, const VisitText& visit)> for_each;
  std::function<Result<std::string>()> table_id;
  /// Whether a table id that is not this table's now is that of another one which is there. A table
  /// that was restored or made anew has another id than positions of before.
  std::function<Result<bool>(const std::string& id)> is_of_another_table;
};

PastDatabase sqlite_past_database(SqliteConnection& connection, const SinkTable& table);
PastDatabase postgres_past_database(PostgresConnection& connection, const SinkTable& table);

/// Of "Public.Orders" and orders the last part in small letters: names of one table are never taken
/// for those of two.
std::string bare_table_name(const std::string& table);

}  // namespace onceflow::connectors
