// Kills the SQLite sink with -9 at some moment of its work, again and again, and checks each time
// that rows, position and receipts in the file agree: none lost, none doubled, none torn.
//   sqlite_sink_kill_test DIRECTORY [LIVES]
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "connectors/sqlite_connection.h"
#include "connectors/sqlite_store.h"

namespace {

using namespace onceflow;
using namespace onceflow::connectors;

constexpr int kRowsPerCommit = 10;
const TopicPartition kSource{"in", PartitionIndex(0)};

// Commits from where the last life ended, until it is killed. The exit code says what went wrong.
[[noreturn]] void commit_for_ever(const std::string& file) {
  SqliteStore store({.file = file},
                    {"p", "s", "rows", SinkMode::kAppend, {{"id", ColumnType::kInteger}}});
  const auto claimed = store.claim({kSource});
  if (!claimed) {
    ::_exit(1);
  }
  std::int64_t offset = std::max<std::int64_t>(0, claimed->front().next_offset.value);
  for (;;) {
    SinkCommit commit;
    commit.positions.push_back({kSource, Offset(offset + kRowsPerCommit), claimed->front().epoch,
                                offset == 0 ? kNoOffset : Offset(offset)});
    commit.receipt = "a receipt";
    for (int row = 0; row < kRowsPerCommit; ++row, ++offset) {
      commit.rows.push_back({0, Offset(offset), false});
      commit.values.emplace_back(offset);
    }
    if (store.commit(commit).kind != CommitOutcome::Kind::kCommitted) {
      ::_exit(2);
    }
  }
}

std::int64_t query(const std::string& file, const std::string& sql) {
  auto connection = SqliteConnection::open(file, seconds(10));
  auto statement = connection ? (*connection)->prepare(sql) : std::unexpected(connection.error());
  if (!statement || *statement->step() != SqliteStatement::Step::kRow) {
    std::fprintf(stderr, "cannot ask %s: %s\n", file.c_str(), sql.c_str());
    std::exit(1);
  }
  return statement->integer(0);
}

bool agree(const std::string& file) {
  const std::int64_t position = query(file, "SELECT max(next_offset, 0) FROM onceflow_positions");
  const std::int64_t rows = query(file, "SELECT count(*) FROM rows");
  const std::int64_t distinct = query(file, "SELECT count(DISTINCT id) FROM rows");
  const std::int64_t last = query(file, "SELECT ifnull(max(id) + 1, 0) FROM rows");
  const std::int64_t receipts = query(file, "SELECT count(*) FROM onceflow_receipts");
  std::printf("position %lld, rows %lld\n", static_cast<long long>(position),
              static_cast<long long>(rows));
  return rows == position && distinct == position && last == position &&
         receipts * kRowsPerCommit == position;
}

}  // namespace

int main(int argument_count, char** arguments) {
  if (argument_count < 2) {
    std::fputs("usage: sqlite_sink_kill_test DIRECTORY [LIVES]\n", stderr);
    return 2;
  }
  const std::string file = std::string(arguments[1]) + "/sink.db";
  const int lives = argument_count > 2 ? std::atoi(arguments[2]) : 10;
  for (int life = 0; life < lives; ++life) {
    const pid_t child = ::fork();
    if (child == 0) {
      commit_for_ever(file);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(150 + 37 * life));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFSIGNALED(status)) {
      std::fprintf(stderr, "the writer ended by itself with %d\n", WEXITSTATUS(status));
      return 1;
    }
    if (!agree(file)) {
      std::fputs("rows, position and receipts do not agree\n", stderr);
      return 1;
    }
  }
  return query(file, "SELECT count(*) FROM rows") > 0 ? 0 : 1;
}
