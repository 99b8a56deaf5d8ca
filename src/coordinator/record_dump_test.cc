#include "coordinator/record_dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/coordinator_testing.h"

namespace onceflow::coordinator {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::Pair;

using Items = std::vector<std::pair<std::string, log::DumpFields>>;

// Of each record, or of a snapshot.
Items shown(const std::vector<Buffer>& records) {
  Items items;
  for (const Buffer& record : records) {
    EXPECT_TRUE(dump_record(record, [&](std::string what, log::DumpFields fields) {
      items.emplace_back(std::move(what), std::move(fields));
    }));
  }
  return items;
}
Items shown(const Buffer& snapshot) {
  Items items;
  EXPECT_TRUE(dump_snapshot(snapshot, [&](std::string what, log::DumpFields fields) {
    items.emplace_back(std::move(what), std::move(fields));
  }));
  return items;
}

// Something of every kind.
class RecordDump : public testing::Test {
 protected:
  RecordDump() {
    producer_ = broker_.init("t").producer;
    broker_.txn_commit_offsets("t", producer_, {.group_id = "g"},
                               {{.partition = partition(1), .offset = Offset(42)}});
    broker_.produce("t", producer_, partition(2, 3));
    broker_.add_doubt(producer_, {.group_id = {},
                                  .topic = "orders",
                                  .partition = PartitionIndex(5),
                                  .last_sequence = Sequence(7)});
    JoinGroupRequest join{.group_id = "g",
                          .instance_id = "i",
                          .client_id = "c",
                          .client_host = "/127.0.0.1",
                          .protocol_type = "consumer",
                          .session_timeout = seconds(10),
                          .rebalance_timeout = seconds(10)};
    join.protocols.push_back({"range", to_buffer("topics")});
    broker_.join(join);
    broker_.advance(seconds(4));
    broker_.commit_offsets({.group_id = "other"},
                           {{.partition = partition(1), .offset = Offset(7), .metadata = "m\n"}});
    broker_.delete_group("other");
    broker_.commit_offsets({.group_id = "more"},
                           {{.partition = partition(1), .offset = Offset(8)}});
    broker_.live->groups().delete_offsets("more", std::vector{partition(1)}, broker_.effects);
    broker_.finish_step();
    broker_.restart(TestBroker::From::kRecords);
  }

  TestBroker broker_;
  ProducerIdentity producer_;
};

TEST_F(RecordDump, names_what_each_record_says) {
  const Items items = shown(broker_.records);
  EXPECT_THAT(items, Contains(Pair("producer id block", Contains(Pair("block_end", "1000")))));
  EXPECT_THAT(items,
              Contains(Pair("transactional id", IsSupersetOf({Pair("transactional_id", "t"),
                                                              Pair("timeout_ms", "60000")}))));
  EXPECT_THAT(
      items, Contains(Pair("transaction extended", Contains(Pair("partitions", HasSubstr("-3"))))));
  EXPECT_THAT(items, Contains(Pair("pending offsets",
                                   AllOf(Contains(Pair("group_id", "g")),
                                         Contains(Pair(HasSubstr("-0"), HasSubstr("42 ")))))));
  EXPECT_THAT(
      items,
      Contains(Pair("offsets", Contains(Pair(HasSubstr("-0"), HasSubstr("metadata 'm\\x0a'"))))));
  EXPECT_THAT(items, Contains(Pair("transaction doubt",
                                   Contains(Pair("part", HasSubstr("'orders' partition 5"))))));
  EXPECT_THAT(
      items,
      Contains(Pair("group",
                    AllOf(Contains(Pair("state", "CompletingRebalance")),
                          Contains(Pair(HasSubstr("member "), HasSubstr("'range' of 6 bytes")))))));
  EXPECT_THAT(items, Contains(Pair("offsets deleted", Contains(Pair("group_id", "more")))));
  EXPECT_THAT(items, Contains(Pair("group deleted", Contains(Pair("group_id", "other")))));
}

TEST_F(RecordDump, of_a_snapshot_has_an_item_for_each_id_and_group) {
  const Items items = shown(broker_.live->snapshot());
  EXPECT_THAT(items,
              Contains(Pair("transactional id", IsSupersetOf({Pair("transactional_id", "t"),
                                                              Pair("is_ongoing", "true")}))));
  EXPECT_THAT(
      items,
      Contains(Pair("group", AllOf(Contains(Pair("group_id", "g")),
                                   Contains(Pair(HasSubstr("pending of"), HasSubstr("42 ")))))));
  EXPECT_THAT(items, Not(Contains(Pair("group", Contains(Pair("group_id", "other"))))));
}

TEST_F(RecordDump, says_what_does_not_decode) {
  const auto ignore = [](const std::string&, const log::DumpFields&) {};
  for (const Buffer& record : broker_.records) {
    for (std::size_t size = 0; size < record.size(); ++size) {
      EXPECT_FALSE(dump_record(ByteView(record).first(size), ignore));
    }
  }
  const Buffer snapshot = broker_.live->snapshot();
  for (std::size_t size = 0; size < snapshot.size(); ++size) {
    EXPECT_FALSE(dump_snapshot(ByteView(snapshot).first(size), ignore));
  }
}

}  // namespace
}  // namespace onceflow::coordinator
