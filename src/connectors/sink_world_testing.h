// Test harness of the sinks: a database, real and empty, seen from beside the sink.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "connectors/sink.h"
#include "io/os/os_environment.h"

namespace onceflow::connectors {

/// Runs one task to its end on the environment's loop.
template <typename T>
T run_to_end(io::OsEnvironment& os, Task<T> task) {
  auto result = std::make_shared<std::optional<T>>();
  os.loop().spawn([](Task<T> inner, std::shared_ptr<std::optional<T>> place) -> Task<void> {
    place->emplace(co_await inner);
  }(std::move(task), result));
  const bool ended = os.loop().run_until([&] { return result->has_value(); }, seconds(120));
  EXPECT_TRUE(ended);
  return std::move(**result);
}

class SinkWorld {
 public:
  virtual ~SinkWorld() = default;
  virtual std::unique_ptr<Sink> make_sink(io::Environment environment, SinkTable table) = 0;
  /// Rows joined with '\n', columns with '|'; null is "null".
  virtual std::string query(const std::string& sql) = 0;
};

std::unique_ptr<SinkWorld> make_sqlite_world();
/// Null if ONCEFLOW_TEST_POSTGRES_DSN is not set. All tables are dropped.
std::unique_ptr<SinkWorld> make_postgres_world();

/// Rows of one commit, owned.
struct TestCommit {
  SinkCommit commit;

  /// From where it was claimed.
  TestCommit& at(const ClaimedPartition& claimed, std::int64_t next_offset) {
    return from(claimed, claimed.next_offset.value, next_offset);
  }
  TestCommit& from(const ClaimedPartition& claimed, std::int64_t from_offset,
                   std::int64_t next_offset) {
    commit.positions.push_back(
        {claimed.source, Offset(next_offset), claimed.epoch, Offset(from_offset)});
    return *this;
  }
  TestCommit& row(std::int64_t offset, std::vector<Value> values) {
    commit.rows.push_back({0, Offset(offset), false});
    commit.values.insert(commit.values.end(), values.begin(), values.end());
    return *this;
  }
  TestCommit& remove(std::int64_t offset, std::vector<Value> values) {
    row(offset, std::move(values));
    commit.rows.back().is_delete = true;
    return *this;
  }
};

}  // namespace onceflow::connectors
