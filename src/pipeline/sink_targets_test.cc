// One table under several spellings, and names that a database takes for one another.
#include "pipeline/sink_targets.h"

#include <gtest/gtest.h>

#include <string>

#include "pipeline/planner.h"

namespace onceflow::pipeline {
namespace {

std::string sqlite(const std::string& file, const std::string& table) {
  return target_of({.kind = SinkKind::kSqlite, .file = file, .table = table});
}

std::string postgres(const std::string& dsn, const std::string& table) {
  return target_of({.kind = SinkKind::kPostgres, .dsn = dsn, .table = table});
}

TEST(SinkTargets, a_file_and_a_table_of_sqlite_have_one_spelling) {
  const std::string same = sqlite("o.db", "t");
  for (const char* const file : {"./o.db", "a/../o.db", ".//o.db", "a/b/../../o.db"}) {
    EXPECT_EQ(sqlite(file, "T"), same) << file;
  }
  for (const char* const file : {"O.db", "../o.db", "/o.db", "a/o.db"}) {
    EXPECT_NE(sqlite(file, "t"), same) << file;
  }
}

TEST(SinkTargets, a_database_of_postgresql_has_one_spelling) {
  const std::string same = postgres("postgresql://u:secret@h/d", "t");
  EXPECT_EQ(postgres("host=h dbname=d user=other", "t"), same);
  EXPECT_EQ(postgres("postgres://h:5432/d?connect_timeout=3", "public.t"), same);
  EXPECT_NE(postgres("postgresql://h:5433/d", "t"), same);
  EXPECT_NE(postgres("postgresql://h/d", "T"), same);  // quoted names are told apart
  EXPECT_NE(postgres("postgresql://h/d", "s.t"), same);
  EXPECT_EQ(postgres("host=127.0.0.1 user=d", "t"), postgres("host=localhost dbname=d", "t"));
  EXPECT_FALSE(same.contains("secret")) << same;
}

std::string problems(const std::string& steps, const std::string& sink) {
  const auto planned =
      plan_file("p.yaml",
                "name: p\nsource: { kafka: { topics: [in] } }\nsteps: [ " + steps +
                    " ]\nsinks: [ " + sink + " ]\n",
                [](const std::string&) { return std::optional<std::string>("postgresql://h/d"); });
  return planned ? "" : describe("p.yaml", planned.error());
}

TEST(SinkTargets, columns_that_sqlite_takes_for_one_are_refused) {
  const std::string lite = "sqlite: { file: o.db, table: t, mode: upsert }";
  const std::string counts = "{ id: a, key: $.k, aggregate: { n: count(*), N: count(*) } }";
  const std::string keys = "{ id: a, key: { k: $.k, K: $.j }, aggregate: { n: count(*) } }";
  EXPECT_TRUE(problems(counts, lite)
                  .contains("p.yaml:4: table t of sink sqlite would have columns "
                            "n and N"))
      << problems(counts, lite);
  EXPECT_TRUE(problems(keys, lite).contains("would have columns k and K"));
  EXPECT_EQ(problems(counts, "kafka: { topic: out }"), "");
  EXPECT_EQ(problems(counts, "postgres: { dsn: d, table: t, mode: upsert }"), "");
}

TEST(SinkTargets, a_column_that_is_the_sinks_own_is_refused) {
  for (const char* const name : {"onceflow_source", "Onceflow_Source"}) {
    const std::string step =
        std::string("{ id: a, key: $.k, aggregate: { ") + name + ": count(*) } }";
    EXPECT_TRUE(problems(step, "sqlite: { file: o.db, table: t, mode: upsert }")
                    .contains("names that begin with onceflow_ are ours"))
        << name;
  }
}

}  // namespace
}  // namespace onceflow::pipeline
