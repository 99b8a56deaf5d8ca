// Endings of tables: positions set back or lost, backups, columns and whole databases changed by
// hand under a pipeline that goes on.
#include <fmt/format.h>

#include "sim/pipelines/ending.h"

namespace onceflow::sim {

namespace {

bool is_empty(const SimDatabase::Table& table) {
  return table.appended.empty() && table.by_key.empty();
}

// As if the positions alone came from a backup: what lies after them is in the table already.
void positions_set_back(Ending& ending) {
  ending.take_down();
  const DrawnPipeline& pipeline = ending.draw_pipeline();
  const std::string moved =
      ending.scene.database.set_position_back(pipeline.table(), ending.scene.random);
  ending.scene.world.note("world", moved);
  ending.feed(ending.draw_documents());
  ending.scene.workers.take_up();
  ending.expect_right_or_refused(moved, {"offset"}, Ending::Refused::kStopped);
}

// No commit will find it: nothing comes that is to be committed.
void backup_restored_while_idle(Ending& ending) {
  const DrawnPipeline& pipeline = ending.draw_pipeline();
  const std::string what =
      fmt::format("a backup of table {} is restored while nothing is fed", pipeline.table());
  ending.scene.world.note("world", what);
  ending.scene.database.restore(pipeline.table(), ending.scene.backup);
  ending.expect_right(what);
}

// A table that has not the columns of the file is refused; once it has them again, all is right.
void column_renamed_and_back(Ending& ending) {
  const DrawnPipeline& pipeline = ending.draw_pipeline();
  const std::string column =
      ending.scene.database.rename_column(pipeline.table(), ending.scene.random);
  const std::string what =
      fmt::format("column {} of table {} is renamed", column, pipeline.table());
  ending.scene.world.note("world", what);
  ending.feed(ending.draw_documents());
  ending.expect_right_or_refused(what, {column}, Ending::Refused::kBefore);
  ending.take_down();
  ending.scene.database.rename_back(pipeline.table());
  ending.scene.workers.take_up();
  ending.expect_right(what + " and renamed back");
}

// What does not fit a column any more is refused by its record; once it fits again, all is right.
void column_narrowed_and_widened(Ending& ending) {
  const DrawnPipeline& pipeline = ending.draw_pipeline();
  ending.scene.database.set_integers(pipeline.table(), SimDatabase::Integers::kNarrow);
  const std::string what = fmt::format("integers of table {} get 32 bits", pipeline.table());
  ending.scene.world.note("world", what);
  ending.feed(ending.draw_documents());
  ending.expect_right_or_refused(what, {"@"}, Ending::Refused::kMidway);
  ending.take_down();
  ending.scene.database.set_integers(pipeline.table(), SimDatabase::Integers::kWide);
  ending.scene.workers.take_up();
  ending.expect_right(what + " and 64 again");
}

// Its rows stay in the one that was renamed.
void table_made_anew(Ending& ending) {
  const DrawnPipeline& pipeline = ending.draw_pipeline();
  if (is_empty(ending.scene.database.table(pipeline.table()))) {
    return;
  }
  const std::string what = fmt::format("table {} is made anew", pipeline.table());
  ending.scene.world.note("world", what);
  ending.scene.database.forget_rows(pipeline.table());
  if (ending.is_right(pipeline)) {
    ending.scene.findings.report("AUD-1", "the model does not see that the rows are gone");
  }
  if (audit(ending.scene.world, ending.scene.database.image(), pipeline).empty()) {
    ending.scene.findings.report("AUD-1", "the audit does not see that the rows are gone");
  }
  // Who claims it finds it; a worker that has nothing to write does not.
  ending.take_down();
  ending.feed(ending.draw_documents());
  ending.scene.workers.take_up();
  ending.expect_right_or_refused(what, {"another one than rows were written to"},
                                 Ending::Refused::kStopped);
}

// As if our tables, one of them or both, were dropped or restored alone. Rows are there.
void positions_lost(Ending& ending) {
  ending.take_down();
  const DrawnPipeline& pipeline = ending.draw_pipeline();
  const bool all = ending.scene.random.coin();
  ending.scene.database.forget_positions(
      pipeline.table(), all ? SimDatabase::Receipts::kGoToo : SimDatabase::Receipts::kStay);
  const std::string what =
      fmt::format("positions{} of table {} are lost", all ? " and receipts" : "", pipeline.table());
  ending.scene.world.note("world", what);
  ending.feed(ending.draw_documents());
  ending.scene.workers.take_up();
  ending.expect_right_or_refused(
      what, {"the position is gone", "know nothing of them", "holds no position of this sink"},
      is_empty(ending.scene.database.table(pipeline.table())) ? Ending::Refused::kAnew
                                                              : Ending::Refused::kStopped);
}

// As if another, empty one were named in the file. What can be is written again from the beginning.
void database_lost(Ending& ending) {
  ending.take_down();
  for (const DrawnPipeline& pipeline : ending.scene.pipelines) {
    ending.scene.database.forget_all(pipeline.table());
  }
  ending.scene.world.note("world", "the database is made anew");
  ending.feed(ending.draw_documents());
  ending.scene.workers.take_up();
  ending.expect_right_or_refused("the database is made anew", {"holds no position of this sink"},
                                 Ending::Refused::kAnew);
}

}  // namespace

std::span<const EndingKind> table_endings() {
  static constexpr EndingKind kEndings[] = {
      {"positions set back", positions_set_back},
      {"positions lost", positions_lost},
      {"database lost", database_lost},
      {"backup restored while idle", backup_restored_while_idle},
      {"column renamed and back", column_renamed_and_back},
      {"column narrowed and widened", column_narrowed_and_widened},
      {"table made anew", table_made_anew},
  };
  return kEndings;
}

}  // namespace onceflow::sim
