// Random work, random crashes: after each one the log holds a prefix of what was appended, with all
// that was durable, and every part of its state is that of the prefix.
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "log/log_testing.h"
#include "log/walker.h"

namespace onceflow::log {
namespace {

using testing::BatchSpec;
using testing::TestLog;

// What a log should hold, the slow and obvious way.
struct ModelPartition {
  std::vector<std::string> values;            // by offset
  std::map<std::int64_t, std::int64_t> open;  // producer -> first offset
  std::int64_t log_start = 0;
  std::map<std::int64_t, int> next_sequence;
  std::size_t aborted = 0;
};
struct ModelTopic {
  TopicId id;
  std::vector<ModelPartition> partitions;
};
struct Model {
  std::map<std::string, ModelTopic> topics;
  std::string records;
};

class RandomWork {
 public:
  RandomWork(std::uint64_t seed, FlushMode flush) : test_(seed), random_(seed * 7919 + 13) {
    test_.options.flush = flush;
    test_.options.checkpoint_every_bytes = 20'000 + pick(200'000);
    test_.options.journal_first_file_bytes = 16 << 10;
    test_.options.journal_file_bytes = 32 << 10;
    test_.options.open_files_max = 2;
    test_.options.segment_flush_bytes = 200 + pick(2000);
  }

  void run(int lives) {
    open();
    for (int life = 0; life < lives && !::testing::Test::HasFailure(); ++life) {
      const int steps = 1 + static_cast<int>(pick(150));
      for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
        do_something();
      }
      end_life();
      expect_sound_files();
      open();
      compare();
    }
  }

 private:
  std::uint64_t pick(std::uint64_t bound) { return random_.next() % bound; }

  void open() {
    const Status status = test_.try_open();
    ASSERT_TRUE(status) << test_.error.text;
    test_.log->set_snapshot_writer(
        [this](Buffer& buffer) { append(buffer, as_bytes(now_.records)); });
  }

  // What a crash leaves is no damage: the walker, which shares no code with recovery, agrees.
  void expect_sound_files() {
    const auto report = walk_log_directory(test_.world.disk, "data");
    ASSERT_TRUE(report) << report.error().text;
    for (const WalkFinding& finding : report->findings) {
      ADD_FAILURE() << finding.path << " " << finding.position << ": " << finding.what;
    }
  }

  void end_life() {
    const JournalPosition durable = test_.log->durable();
    const bool os = test_.options.flush == FlushMode::kOs;
    switch (pick(4)) {
      case 0:
        test_.close();
        least_ = history_.empty() ? JournalPosition{} : history_.back().position;
        break;
      case 1:
        test_.crash_machine();
        least_ = os ? JournalPosition{} : durable;
        break;
      default:
        test_.crash_process();
        least_ = durable;
    }
  }

  // Everything goes through here, so that the history is in the order of the journal.
  void log_op(JournalPosition position, std::function<void(Model&)> apply) {
    apply(now_);
    history_.push_back({position, std::move(apply)});
  }

  void do_something() {
    const std::uint64_t what = pick(100);
    if (what < 4 || now_.topics.empty()) {
      create_topic();
    } else if (what < 5) {
      delete_topic();
    } else if (what < 60) {
      append_batch();
    } else if (what < 75) {
      end_transaction();
    } else if (what < 80) {
      const std::string record = "r" + std::to_string(++counter_) + ";";
      log_op(test_.log->append_record(as_bytes(record)),
             [record](Model& model) { model.records += record; });
    } else if (what < 82) {
      const std::string name = some_topic();
      const int total = static_cast<int>(now_.topics[name].partitions.size()) + 1;
      const auto added = test_.log->add_partitions(name, total);
      ASSERT_TRUE(added);
      log_op(added->position,
             [name](Model& model) { model.topics[name].partitions.emplace_back(); });
    } else if (what < 85) {
      delete_records();
    } else if (what < 97) {
      test_.world.scheduler.run_for(microseconds(pick(300)));
    } else if (what < 98) {
      test_.world.scheduler.run_for(milliseconds(50));
    } else if (what < 99) {
      test_.world.scheduler.spawn(start_checkpoint(*test_.log));
    } else {
      compare_visible();
    }
  }
  static Task<void> start_checkpoint(Log& log) { static_cast<void>(co_await log.checkpoint()); }

  std::string some_topic() {
    return std::next(now_.topics.begin(), static_cast<int>(pick(now_.topics.size())))->first;
  }

  void create_topic() {
    const std::string name = "t" + std::to_string(pick(3));
    const int partitions = 1 + static_cast<int>(pick(3));
    const auto created = test_.log->create_topic(
        name, partitions, {{"segment.bytes", std::to_string(2000 + pick(3000))}});
    if (now_.topics.contains(name)) {
      ASSERT_FALSE(created);
      return;
    }
    ASSERT_TRUE(created) << created.error().text;
    log_op(created->position, [name, partitions, id = created->id](Model& model) {
      model.topics[name] = {id, std::vector<ModelPartition>(static_cast<std::size_t>(partitions))};
    });
  }

  void delete_topic() {
    const std::string name = some_topic();
    const auto deleted = test_.log->delete_topic(name);
    ASSERT_TRUE(deleted);
    log_op(deleted->position, [name](Model& model) { model.topics.erase(name); });
  }

  void append_batch() {
    const std::string name = some_topic();
    const auto index = static_cast<int>(pick(now_.topics[name].partitions.size()));
    ModelPartition& model_partition = now_.topics[name].partitions[static_cast<std::size_t>(index)];
    BatchSpec spec{.records = 1 + static_cast<int>(pick(4)),
                   .value = "v" + std::to_string(++counter_) + std::string(pick(300), 'x')};
    const std::int64_t producer = static_cast<std::int64_t>(pick(6)) - 2;
    if (producer >= 0) {
      spec.producer = {ProducerId(producer), ProducerEpoch(0)};
      spec.sequence = Sequence(model_partition.next_sequence[producer]);
      spec.transactional = producer >= 2;
    }
    const auto appended = test_.append_to(test_.partition(name, index), spec);
    ASSERT_TRUE(appended) << static_cast<int>(appended.error());
    ASSERT_FALSE(appended->is_duplicate);
    ASSERT_EQ(appended->base_offset.value,
              static_cast<std::int64_t>(model_partition.values.size()));
    log_op(appended->position, [name, index, spec, producer](Model& model) {
      ModelPartition& partition = model.topics[name].partitions[static_cast<std::size_t>(index)];
      if (spec.transactional && !partition.open.contains(producer)) {
        partition.open[producer] = static_cast<std::int64_t>(partition.values.size());
      }
      for (int record = 0; record < spec.records; ++record) {
        partition.values.push_back(spec.value);
      }
      if (producer >= 0) {
        partition.next_sequence[producer] += spec.records;
      }
    });
  }

  void end_transaction() {
    const std::int64_t producer = 2 + static_cast<std::int64_t>(pick(2));
    EndTransaction end{.producer = {ProducerId(producer), ProducerEpoch(0)},
                       .commit = pick(2) == 0,
                       .timestamp_ms = 9};
    std::vector<std::pair<std::string, int>> places;
    for (auto& [name, topic] : now_.topics) {
      for (std::size_t index = 0; index < topic.partitions.size(); ++index) {
        if (topic.partitions[index].open.contains(producer)) {
          places.emplace_back(name, static_cast<int>(index));
          end.partitions.push_back(test_.partition(name, static_cast<int>(index)).id());
        }
      }
    }
    const std::string record = "e" + std::to_string(++counter_) + ";";
    const auto appended = test_.log->append_end_transaction(end, as_bytes(record));
    log_op(appended.position, [places, producer, record, commit = end.commit](Model& model) {
      for (const auto& [name, index] : places) {
        ModelPartition& partition = model.topics[name].partitions[static_cast<std::size_t>(index)];
        partition.values.push_back("marker");
        partition.open.erase(producer);
        partition.aborted += commit ? 0 : 1;
      }
      model.records += record;
    });
  }

  void delete_records() {
    const std::string name = some_topic();
    const auto index = static_cast<int>(pick(now_.topics[name].partitions.size()));
    Partition& partition = test_.partition(name, index);
    const Offset stable = partition.last_stable_offset();
    if (stable <= partition.log_start_offset()) {
      return;
    }
    const Offset to =
        partition.log_start_offset() +
        static_cast<std::int64_t>(
            pick(static_cast<std::uint64_t>(stable - partition.log_start_offset())) + 1);
    const auto moved = test_.log->delete_records(partition, to);
    ASSERT_TRUE(moved);
    log_op(*moved, [name, index, to](Model& model) {
      model.topics[name].partitions[static_cast<std::size_t>(index)].log_start = to.value;
    });
  }

  // After a crash: which prefix is it?
  void compare() {
    const JournalPosition end = test_.log->end();
    ASSERT_GE(end, least_) << "durable data was lost";
    now_ = {};
    std::vector<Operation> kept;
    for (Operation& operation : history_) {
      if (operation.position <= end) {
        operation.apply(now_);
        kept.push_back(std::move(operation));
      }
    }
    ASSERT_TRUE(kept.empty() || kept.back().position == end);
    history_ = std::move(kept);
    std::string records;
    for (const std::string& event : test_.listener.events) {
      if (event != "deleted") {
        records += event.substr(event.starts_with("commit ") || event.starts_with("abort ")
                                    ? event.find(' ', event.find(' ') + 1) + 1
                                    : event.find(' ') + 1);
      }
    }
    ASSERT_EQ(records, now_.records);
    ASSERT_EQ(test_.log->topics().by_name().size(), now_.topics.size());
    for (auto& [name, topic] : now_.topics) {
      ASSERT_NE(test_.log->topics().find(name), nullptr);
      ASSERT_EQ(test_.log->topics().find(name)->partitions.size(), topic.partitions.size());
      EXPECT_EQ(test_.log->topics().find(name)->id, topic.id);
      for (std::size_t index = 0; index < topic.partitions.size(); ++index) {
        compare(test_.partition(name, static_cast<int>(index)), topic.partitions[index]);
      }
    }
  }

  void compare(Partition& partition, const ModelPartition& model) {
    ASSERT_EQ(partition.log_end_offset().value, static_cast<std::int64_t>(model.values.size()));
    EXPECT_EQ(partition.high_watermark(), partition.log_end_offset());
    EXPECT_EQ(partition.log_start_offset().value, model.log_start);
    EXPECT_EQ(partition.open_transactions().size(), model.open.size());
    std::int64_t stable = partition.high_watermark().value;
    for (const auto& [producer, first] : model.open) {
      stable = std::min(stable, first);
    }
    EXPECT_EQ(partition.last_stable_offset().value, stable);
    if (model.log_start == 0) {
      EXPECT_EQ(partition.aborted_transactions(Offset(0), partition.high_watermark()).size(),
                model.aborted);
    }
    compare_values(partition, model);
  }

  void compare_values(Partition& partition, const ModelPartition& model) {
    const std::vector<std::string> found = test_.values(partition);
    // The first batch may begin before the log start.
    std::int64_t next = partition.high_watermark().value - static_cast<std::int64_t>(found.size());
    EXPECT_LE(next, model.log_start);
    if (found.size() == 1 && next > model.log_start) {
      ADD_FAILURE() << test_.damage.back();
    }
    for (const std::string& value : found) {
      ASSERT_EQ(value, std::to_string(next) + ":" + model.values[static_cast<std::size_t>(next)]);
      ++next;
    }
  }

  void compare_visible() {
    for (auto& [name, topic] : now_.topics) {
      for (std::size_t index = 0; index < topic.partitions.size(); ++index) {
        compare_values(test_.partition(name, static_cast<int>(index)), topic.partitions[index]);
      }
    }
  }

  struct Operation {
    JournalPosition position;
    std::function<void(Model&)> apply;
  };

  TestLog test_;
  testing::TestRandom random_;
  Model now_;
  std::vector<Operation> history_;
  JournalPosition least_;
  int counter_ = 0;
};

TEST(Crash, a_prefix_with_all_that_was_durable_is_there) {
  for (std::uint64_t seed = 1; seed <= 150 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomWork(seed, FlushMode::kDurable).run(8);
  }
}

TEST(Crash, page_cache_flushing_keeps_a_prefix_too) {
  for (std::uint64_t seed = 1; seed <= 100 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomWork(seed, FlushMode::kOs).run(8);
  }
}

}  // namespace
}  // namespace onceflow::log
