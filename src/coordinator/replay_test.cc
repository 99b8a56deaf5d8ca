// Random histories against promises. Seeds are fixed, printed when one fails, and replay exactly.
// After each step the records are replayed and compared (coordinator_testing.h), and now and then
// the broker is killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "coordinator/coordinator_testing.h"

namespace onceflow::coordinator {
namespace {

/// Several clients of three transactional ids, all fallible: they remember old identities, repeat
/// themselves, and mix the protocols. Beside them a log of its own: what partitions and readers
/// see.
class TransactionHistory {
 public:
  explicit TransactionHistory(std::uint64_t seed) : dice_(seed) {}

  void run(int step_count) {
    for (Id& id : ids_) {
      broker_.init(id.name);
    }
    check_identities();
    for (int step = 0; step < step_count && !testing::Test::HasFatalFailure(); ++step) {
      one_step();
      check_identities();
    }
    nothing_is_stuck();
  }

 private:
  struct Id {
    std::string name;
    std::vector<ProducerIdentity> known;  // by some client, the newest last
    ProducerIdentity newest;
    bool is_poisoned = false;  // the ongoing transaction must abort
    int open_count = 0;        // batches that wait for a decision
  };
  struct LogPartition {
    std::map<ProducerId, ProducerEpoch> epochs;
    std::set<ProducerId> open;
  };

  ProducerIdentity some_identity(const Id& id) {
    ProducerIdentity identity = id.newest;
    if (!id.known.empty() && dice_.one_in(3)) {
      identity = id.known[dice_.below(id.known.size())];
    }
    if (dice_.one_in(30)) {
      identity.epoch = ProducerEpoch(static_cast<std::int16_t>(dice_.below(6)));
    }
    return identity;
  }

  void one_step() {
    Id& id = ids_[dice_.below(ids_.size())];
    const bool is_v2 = dice_.one_in(2);
    switch (dice_.below(12)) {
      case 0:
        init(id);
        break;
      case 1:
      case 2:
      case 3:
      case 4:
        produce(id, is_v2);
        break;
      case 5:
        commit_offsets(id, is_v2);
        break;
      case 6:
      case 7:
      case 8:
        end(id, is_v2);
        break;
      case 9:
        if (const ProducerIdentity who = some_identity(id); who.id.value >= 0) {
          broker_.mark_must_abort(who);
          id.is_poisoned |= who == id.newest;
        }
        break;
      case 10:
        broker_.advance(seconds(static_cast<std::int64_t>(dice_.below(40))));
        break;
      default:
        if (dice_.one_in(4)) {
          broker_.restart(
              dice_.one_in(2) ? TestBroker::From::kRecords : TestBroker::From::kSnapshot,
              seconds(static_cast<std::int64_t>(dice_.below(100))));
        }
    }
    absorb_ends();
    for (Id& one : ids_) {
      const TransactionDescription now = broker_.describe(one.name);
      if (now.state != TransactionState::kOngoing) {
        one.is_poisoned = false;
        ASSERT_EQ(one.open_count, 0) << "a batch waits for a decision that nobody will make";
      }
    }
  }

  void init(Id& id) {
    const ProducerIdentity expected = dice_.one_in(2) ? ProducerIdentity{} : some_identity(id);
    const auto reply = broker_.init(id.name, 5, expected);
    ASSERT_NE(reply.error, ErrorCode::kConcurrentTransactions);
    if (reply.error == ErrorCode::kNone) {
      id.known.push_back(reply.producer);
      ASSERT_EQ(reply.producer, broker_.describe(id.name).producer);
    } else {
      ASSERT_EQ(reply.error, ErrorCode::kProducerFenced);
      ASSERT_NE(expected, id.newest);
    }
  }

  void produce(Id& id, bool is_v2) {
    const ProducerIdentity who = some_identity(id);
    const TopicIdPartition where = partition(static_cast<std::uint8_t>(dice_.below(4)));
    if (!is_v2 && dice_.one_in(2)) {
      const auto added = broker_.add(id.name, who, {where}, 3);
      ASSERT_EQ(added.error == ErrorCode::kNone, who == id.newest);
    }
    const ErrorCode error = broker_.produce(id.name, who, where, is_v2 ? 12 : 11);
    if (error != ErrorCode::kNone) {
      ASSERT_TRUE(!is_v2 || who != id.newest);
      return;
    }
    ASSERT_EQ(who, id.newest) << "a stale producer was let in";
    LogPartition& at = log_[where];
    ProducerEpoch& stored = at.epochs.try_emplace(who.id, who.epoch).first->second;
    ASSERT_GE(who.epoch, stored);
    stored = who.epoch;
    at.open.insert(who.id);
    ++id.open_count;
  }

  void commit_offsets(Id& id, bool is_v2) {
    const ProducerIdentity who = some_identity(id);
    const OffsetToCommit offset{.partition = partition(9), .offset = Offset(++last_offset_)};
    const auto reply =
        broker_.txn_commit_offsets(id.name, who, {.group_id = id.name}, {offset}, is_v2 ? 5 : 4);
    if (reply.error == ErrorCode::kNone) {
      ASSERT_EQ(who, id.newest);
      pending_[id.name] = offset.offset;
    }
  }

  void end(Id& id, bool is_v2) {
    const ProducerIdentity who = some_identity(id);
    const bool is_commit = dice_.one_in(2);
    const TransactionDescription before = broker_.describe(id.name);
    const auto ended = broker_.ended.size();
    const auto reply = is_commit ? broker_.commit(id.name, who, is_v2 ? 5 : 4)
                                 : broker_.abort(id.name, who, is_v2 ? 5 : 4);
    ASSERT_NE(reply.error, ErrorCode::kConcurrentTransactions);
    const TransactionDescription after = broker_.describe(id.name);
    if (who != before.producer) {
      ASSERT_EQ(after.producer, before.producer) << "a stale producer moved the id";
      ASSERT_EQ(after.state, before.state);
      ASSERT_EQ(broker_.ended.size(), ended) << "a stale producer decided";
    } else if (before.state == TransactionState::kOngoing) {
      const bool may_end = !is_commit || !id.is_poisoned;
      ASSERT_EQ(reply.error, may_end ? ErrorCode::kNone : ErrorCode::kTransactionAbortable);
      if (may_end) {
        ASSERT_EQ(broker_.ended.size(), ended + (before.partitions.empty() ? 0 : 1));
        check_offsets(id, is_commit);
      }
    }
    if (reply.error != ErrorCode::kNone || !is_v2) {
      return;
    }
    ASSERT_EQ(reply.producer, after.producer);
    id.known.push_back(reply.producer);
    // The answer was lost: the retry is answered alike, and decides nothing.
    const auto decided = broker_.ended.size();
    if (who != after.producer) {
      const auto again = is_commit ? broker_.commit(id.name, who) : broker_.abort(id.name, who);
      ASSERT_EQ(again.error, ErrorCode::kNone);
      ASSERT_EQ(again.producer, reply.producer);
      ASSERT_EQ(broker_.ended.size(), decided);
    }
  }

  void check_offsets(Id& id, bool is_commit) {
    if (const auto pending = pending_.extract(id.name); !pending.empty()) {
      const FetchedOffset fetched = broker_.fetch(id.name, partition(9));
      ASSERT_EQ(fetched.error, ErrorCode::kNone);
      ASSERT_EQ(fetched.offset == pending.mapped(), is_commit);
    }
  }

  /// The log's side of every decision since the last step: markers fence and close.
  void absorb_ends() {
    for (; absorbed_ < broker_.ended.size(); ++absorbed_) {
      const EndTransaction& end = broker_.ended[absorbed_];
      ASSERT_GE(end.marker.epoch, ProducerEpoch(0));
      ASSERT_LE(end.marker.epoch, ProducerEpoch(5));
      for (const TopicIdPartition& where : end.partitions) {
        LogPartition& at = log_[where];
        ProducerEpoch& stored =
            at.epochs.try_emplace(end.marker.id, end.marker.epoch).first->second;
        ASSERT_GE(end.marker.epoch, stored) << "a marker of an old epoch";
        stored = end.marker.epoch;
        at.open.erase(end.marker.id);
      }
      for (const auto& [where, at] : log_) {
        ASSERT_FALSE(at.open.contains(end.marker.id)) << "a partition was forgotten";
      }
      for (Id& id : ids_) {
        id.open_count = id.newest.id == end.marker.id ? 0 : id.open_count;
      }
    }
    for (auto place = pending_.begin(); place != pending_.end();) {
      const bool is_over = broker_.describe(place->first).state != TransactionState::kOngoing;
      place = is_over ? pending_.erase(place) : std::next(place);
    }
  }

  void check_identities() {
    for (Id& id : ids_) {
      const ProducerIdentity now = broker_.describe(id.name).producer;
      ASSERT_LT(now.epoch, ProducerEpoch(5)) << "the reserved epoch was handed out";
      ASSERT_TRUE(now.id == id.newest.id ? now.epoch >= id.newest.epoch : now.id > id.newest.id)
          << "an epoch went back";
      if (now != id.newest) {
        id.known.push_back(now);
        id.newest = now;
      }
    }
  }

  void nothing_is_stuck() {
    broker_.advance(seconds(60));
    absorb_ends();
    ASSERT_EQ(broker_.live->transactions().ongoing_count(), 0U);
    for (const auto& [where, at] : log_) {
      ASSERT_TRUE(at.open.empty()) << "a transaction hangs";
    }
    for (Id& id : ids_) {
      const auto reply = broker_.init(id.name);
      ASSERT_EQ(reply.error, ErrorCode::kNone);
      ASSERT_EQ(broker_.produce(id.name, reply.producer, partition(1)), ErrorCode::kNone);
      ASSERT_EQ(broker_.commit(id.name, reply.producer).error, ErrorCode::kNone);
    }
  }

  Dice dice_;
  TestBroker broker_{{.transactions = {.epoch_max = ProducerEpoch(5)}}};
  std::vector<Id> ids_{{.name = "a"}, {.name = "b"}, {.name = "c"}};
  std::map<TopicIdPartition, LogPartition> log_;
  std::map<std::string, Offset> pending_;
  std::int64_t last_offset_ = 0;
  std::size_t absorbed_ = 0;
};

TEST(Replay, of_any_transaction_history_no_epoch_goes_back_no_zombie_decides_and_nothing_hangs) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TransactionHistory(seed).run(300);
    if (testing::Test::HasFatalFailure()) {
      return;
    }
  }
}

/// Members of two groups that join, sync, beat, commit, leave, vanish and come back, some of them
/// static; a producer that sends offsets in transactions; topics that are deleted; kills.
class GroupHistory {
 public:
  explicit GroupHistory(std::uint64_t seed) : dice_(seed) {}

  void run(int step_count) {
    producer_ = broker_.init("t").producer;
    for (int step = 0; step < step_count && !testing::Test::HasFatalFailure(); ++step) {
      one_step();
      read_answers();
    }
    everyone_is_answered();
  }

 private:
  struct Client {
    std::string group;
    std::optional<std::string> instance_id;
    std::string member_id;
    GenerationId generation{-1};
    std::vector<JoinGroupReply::Member> members;
  };

  GroupMemberKey key(const Client& client) {
    GenerationId generation = client.generation;
    if (dice_.one_in(10)) {
      generation = generation - 1;
    }
    return {.group_id = client.group,
            .member_id = client.member_id,
            .instance_id = client.instance_id,
            .generation = generation};
  }

  void one_step() {
    Client& client = clients_[dice_.below(clients_.size())];
    switch (dice_.below(12)) {
      case 0:
      case 1:
      case 2:
        join(client);
        break;
      case 3:
      case 4:
      case 5:
        sync(client);
        break;
      case 6:
        broker_.heartbeat(key(client));
        break;
      case 7:
        commit(client);
        break;
      case 8:
        commit_in_transaction(client);
        break;
      case 9:
        leave_or_forget(client);
        break;
      case 10:
        broker_.advance(milliseconds(static_cast<std::int64_t>(dice_.below(8000))));
        break;
      default:
        disturb();
    }
  }

  void join(Client& client) {
    JoinGroupRequest request{.group_id = client.group,
                             .member_id = client.member_id,
                             .instance_id = client.instance_id,
                             .client_id = "c",
                             .protocol_type = "consumer",
                             .session_timeout = seconds(6 + static_cast<int>(dice_.below(6))),
                             .rebalance_timeout = seconds(static_cast<int>(dice_.below(20))),
                             .api_version = static_cast<std::int16_t>(dice_.below(10))};
    request.protocols.push_back({"range", to_buffer(dice_.one_in(5) ? "more" : "topics")});
    if (dice_.one_in(2)) {
      request.protocols.push_back({"sticky", to_buffer("topics")});
    }
    if (dice_.one_in(40)) {
      request.protocols.front().name = "other";
    }
    waiting_[broker_.join(std::move(request))] = &client;
  }

  void sync(Client& client) {
    const GroupMemberKey who = key(client);
    SyncGroupRequest request{.member = who};
    for (const JoinGroupReply::Member& member : client.members) {
      request.assignments.push_back({member.member_id, to_buffer("a" + member.member_id)});
    }
    waiting_[broker_.sync(request)] = nullptr;
  }

  void commit(Client& client) {
    const GroupMemberKey who = key(client);
    const auto reply = broker_.commit_offsets(who, {some_offset()});
    if (reply.error == ErrorCode::kNone && who.generation.value >= 0) {
      ASSERT_EQ(who.generation, newest_[client.group]) << "an old generation commits";
      ASSERT_FALSE(removed_.contains(client.member_id)) << "a fenced member commits";
    }
  }

  void commit_in_transaction(Client& client) {
    const GroupMemberKey who = key(client);
    const auto reply = broker_.txn_commit_offsets("t", producer_, who, {some_offset()});
    if (reply.error == ErrorCode::kNone && who.generation.value >= 0) {
      ASSERT_EQ(who.generation, newest_[client.group]) << "an old generation commits";
      ASSERT_FALSE(removed_.contains(client.member_id)) << "a fenced member commits";
    }
    if (dice_.one_in(3)) {
      const bool is_commit = reply.error == ErrorCode::kNone && dice_.one_in(2);
      end_transaction(is_commit);
    }
  }

  void end_transaction(bool is_commit) {
    auto ended = is_commit ? broker_.commit("t", producer_) : broker_.abort("t", producer_);
    if (ended.error == ErrorCode::kTransactionAbortable) {
      ended = broker_.abort("t", producer_);
    }
    if (ended.error == ErrorCode::kNone) {
      producer_ = ended.producer;
    } else {
      producer_ = broker_.init("t").producer;
    }
  }

  void leave_or_forget(Client& client) {
    if (dice_.one_in(2)) {
      const auto errors = broker_.leave(client.group, {{client.member_id, client.instance_id}});
      if (errors[0] == ErrorCode::kNone && !client.member_id.empty()) {
        removed_.insert(client.member_id);
      }
    }
    client.member_id.clear();
    client.generation = GenerationId(-1);
  }

  void disturb() {
    switch (dice_.below(6)) {
      case 0:
        broker_.restart(dice_.one_in(2) ? TestBroker::From::kRecords : TestBroker::From::kSnapshot);
        waiting_.clear();
        break;
      case 1:
        broker_.delete_group(clients_[dice_.below(clients_.size())].group);
        break;
      case 2:
        // A simple consumer of the same group, or of none.
        broker_.commit_offsets({.group_id = dice_.one_in(2) ? "g1" : "simple"}, {some_offset()});
        break;
      case 3:
        broker_.advance(seconds(static_cast<std::int64_t>(dice_.below(700))));
        break;
      case 4:
        end_transaction(false);
        break;
      default:
        broker_.produce("t", producer_, partition(1));
    }
  }

  OffsetToCommit some_offset() {
    return {.partition = partition(static_cast<std::uint8_t>(dice_.below(3))),
            .offset = Offset(static_cast<std::int64_t>(dice_.below(1000)))};
  }

  void read_answers() {
    for (auto place = waiting_.begin(); place != waiting_.end();) {
      const auto& [ticket, client] = *place;
      const auto joined = broker_.joins.find(ticket);
      if (joined != broker_.joins.end()) {
        read_join(joined->second, *client);
        place = waiting_.erase(place);
      } else if (broker_.is_sync_answered(ticket)) {
        place = waiting_.erase(place);
      } else {
        ++place;
      }
    }
  }

  void read_join(const JoinGroupReply& reply, Client& client) {
    if (reply.error == ErrorCode::kMemberIdRequired) {
      client.member_id = reply.member_id;
    } else if (reply.error == ErrorCode::kUnknownMemberId ||
               reply.error == ErrorCode::kFencedInstanceId) {
      client.member_id.clear();
    } else if (reply.error == ErrorCode::kNone) {
      client.member_id = reply.member_id;
      client.generation = reply.generation;
      client.members = reply.members;
      GenerationId& newest = newest_[client.group];
      ASSERT_GE(reply.generation, newest) << "a generation went back";
      newest = std::max(newest, reply.generation);
      if (!reply.members.empty()) {
        check_generation(reply, client);
      }
    }
  }

  /// A generation has one set of members. Static members may come back under new ids.
  void check_generation(const JoinGroupReply& reply, const Client& client) {
    std::set<std::string> members;
    for (const JoinGroupReply::Member& member : reply.members) {
      members.insert(member.instance_id.value_or(member.member_id));
    }
    const auto seen = generations_.try_emplace({client.group, reply.generation}, members).first;
    ASSERT_EQ(seen->second, members) << "a generation was given out twice";
  }

  void everyone_is_answered() {
    broker_.advance(seconds(100));
    read_answers();
    ASSERT_TRUE(waiting_.empty()) << "a ticket is never answered";
  }

  Dice dice_;
  TestBroker broker_{{.groups = {.initial_rebalance_delay = seconds(2)}}};
  std::vector<Client> clients_{{.group = "g1"},
                               {.group = "g1"},
                               {.group = "g1", .instance_id = "i1"},
                               {.group = "g1", .instance_id = "i2"},
                               {.group = "g2"},
                               {.group = "g2", .instance_id = "i1"}};
  std::map<Ticket, Client*> waiting_;
  std::map<std::string, GenerationId> newest_;
  std::map<std::pair<std::string, GenerationId>, std::set<std::string>> generations_;
  std::set<std::string> removed_;
  ProducerIdentity producer_;
};

TEST(Replay, of_any_group_history_no_generation_repeats_no_fenced_member_commits_all_are_answered) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    GroupHistory(seed).run(400);
    if (testing::Test::HasFatalFailure()) {
      return;
    }
  }
}

// --- Damage ---

TEST(Replay, of_a_damaged_record_is_refused_or_harmless_never_a_crash) {
  TestBroker broker;
  const ProducerIdentity producer = broker.init("t").producer;
  broker.txn_commit_offsets("t", producer, {.group_id = "g"},
                            {{.partition = partition(1), .offset = Offset(1)}});
  broker.produce("t", producer, partition(2));
  JoinGroupRequest join{.group_id = "g",
                        .instance_id = "i",
                        .protocol_type = "consumer",
                        .session_timeout = seconds(10),
                        .rebalance_timeout = seconds(10)};
  join.protocols.push_back({"range", to_buffer("topics")});
  broker.join(join);
  broker.advance(seconds(4));
  broker.commit_offsets({.group_id = "other"}, {{.partition = partition(1), .offset = Offset(7)}});
  broker.delete_group("other");
  broker.leave("g", {{"", "i"}});
  broker.commit("t", producer);

  for (std::size_t damaged = 0; damaged < broker.records.size(); ++damaged) {
    for (std::size_t byte = 0; byte < broker.records[damaged].size(); ++byte) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        Coordinator machine({});
        for (std::size_t index = 0; index < broker.records.size(); ++index) {
          Buffer record = broker.records[index];
          if (index == damaged) {
            record[byte] ^= static_cast<std::byte>(flip);
          }
          if (!machine.replay(record)) {
            break;
          }
        }
      }
    }
    const ByteView whole = broker.records[damaged];
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(Coordinator({}).replay(whole.first(size)).has_value());
    }
  }
  const Buffer snapshot = broker.live->snapshot();
  for (std::size_t size = 0; size < snapshot.size(); ++size) {
    EXPECT_FALSE(Coordinator({}).restore(ByteView(snapshot).first(size)).has_value());
  }
}

TEST(Replay, of_an_unknown_kind_or_version_is_refused_with_a_sentence) {
  Coordinator machine({});
  for (const Buffer& record : {to_buffer(std::string_view("\x63\x00", 2)),
                               to_buffer(std::string_view("\x01\x07", 2)), Buffer{}}) {
    const Status status = machine.replay(record);
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code, onceflow::ErrorCode::kCorrupt);
    EXPECT_THAT(status.error().text, testing::HasSubstr("does not decode"));
  }
}

}  // namespace
}  // namespace onceflow::coordinator
