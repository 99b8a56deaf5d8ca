#include "audit/table_reader.h"

#include "audit/postgres_table_reader.h"
#include "audit/sqlite_table_reader.h"
#include "base/check.h"

namespace onceflow::audit {

Result<std::unique_ptr<TableReader>> open_table(const TableSubject& table,
                                                const MustStop& must_stop) {
  switch (table.kind) {
    case TableKind::kSqlite:
      return SqliteTableReader::open(table);
    case TableKind::kPostgres:
      return PostgresTableReader::open(table, must_stop);
  }
  CHECK(false);
}

}  // namespace onceflow::audit
