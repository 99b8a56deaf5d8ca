// Testing: a broker around the Coordinator that has nothing but a clock of its own and a journal of
// records, for the tests of this layer. After every step it replays the journal into a second
// Coordinator and compares: the records alone must rebuild the state (design D6).
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coordinator/coordinator.h"

namespace onceflow::coordinator {

inline TopicId topic(std::uint8_t number) {
  TopicId id;
  id.bytes.fill(number);
  return id;
}
inline TopicIdPartition partition(std::uint8_t topic_number, std::int32_t index = 0) {
  return {topic(topic_number), PartitionIndex(index)};
}
inline std::string text(const Buffer& bytes) { return std::string(as_text(bytes)); }

/// Small and the same on every machine: Knuth's MMIX generator, its upper bits.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 2862933555777941757ULL + 3037000493ULL) {}
  std::uint64_t below(std::uint64_t bound) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state_ >> 33) % bound;
  }
  bool one_in(std::uint64_t chances) { return below(chances) == 0; }

 private:
  std::uint64_t state_;
};

class TestBroker {
 public:
  explicit TestBroker(CoordinatorOptions options = {}) : options_(options) {
    live = std::make_unique<Coordinator>(options_);
    replayed_ = std::make_unique<Coordinator>(options_);
    live->start(moment(), effects);
  }

  Moment moment() const {
    return {MonotonicTime(now), WallTime{1'000'000 + to_ms(now + wall_clock_offset)}, boot};
  }
  Caller caller(std::int16_t api_version, std::uint64_t connection = 1) const {
    return {
        .moment = moment(), .connection = ConnectionNumber(connection), .api_version = api_version};
  }

  /// To be called after every step: what the broker would do with `effects`.
  void finish_step() {
    for (JournalEntry& entry : effects.entries) {
      ASSERT_TRUE(replayed_->replay(entry.record).has_value());
      if (entry.end_transaction) {
        ended.push_back(*entry.end_transaction);
      }
      records.push_back(std::move(entry.record));
    }
    for (JoinGroupAnswer& answer : effects.join_answers) {
      ASSERT_TRUE(joins.emplace(answer.ticket, std::move(answer.reply)).second)
          << "ticket " << answer.ticket.value << " is answered twice";
    }
    for (SyncGroupAnswer& answer : effects.sync_answers) {
      ASSERT_TRUE(syncs.emplace(answer.ticket, std::move(answer.reply)).second)
          << "ticket " << answer.ticket.value << " is answered twice";
    }
    effects.clear();
    ASSERT_TRUE(equal(live->snapshot(), replayed_->snapshot()))
        << "the records do not rebuild the state";
  }

  /// Lets time pass, as a timer that follows next_deadline() would.
  void advance(Duration duration) {
    const Duration until = now + duration;
    while (live->next_deadline() && *live->next_deadline() <= MonotonicTime(until)) {
      now = std::max(now, live->next_deadline()->time_since_epoch());
      live->on_time(moment(), effects);
      finish_step();
      ASSERT_TRUE(!live->next_deadline() || *live->next_deadline() > MonotonicTime(now))
          << "on_time leaves something that is due";
    }
    now = until;
  }

  enum class From { kRecords, kSnapshot };
  /// kill -9, and a new process `downtime` later.
  void restart(From from, Duration downtime = {}) {
    const Buffer snapshot = live->snapshot();
    live = std::make_unique<Coordinator>(options_);
    if (from == From::kSnapshot) {
      ASSERT_TRUE(live->restore(snapshot).has_value());
    } else {
      for (const Buffer& record : records) {
        ASSERT_TRUE(live->replay(record).has_value());
      }
    }
    ASSERT_TRUE(equal(live->snapshot(), snapshot));
    now += downtime;
    replayed_ = std::make_unique<Coordinator>(options_);
    ASSERT_TRUE(replayed_->restore(snapshot).has_value());
    ASSERT_TRUE(equal(replayed_->snapshot(), snapshot));
    live->start(moment(), effects);
    finish_step();
  }

  // --- Transactions, each with its step finished. ---

  InitProducerIdReply init(std::string id, std::int16_t version = 5, ProducerIdentity expected = {},
                           std::uint64_t connection = 1, Duration timeout = seconds(60)) {
    const auto reply = live->transactions().init_producer_id(
        {.transactional_id = std::move(id), .transaction_timeout = timeout, .expected = expected},
        caller(version, connection), effects);
    finish_step();
    return reply;
  }
  TransactionReply add(std::string_view id, ProducerIdentity producer,
                       std::vector<TopicIdPartition> partitions, std::int16_t version = 3,
                       std::uint64_t connection = 1) {
    const auto reply = live->transactions().add_partitions({id, producer}, partitions,
                                                           caller(version, connection), effects);
    finish_step();
    return reply;
  }
  TransactionReply add_group(std::string_view id, ProducerIdentity producer, std::string_view group,
                             std::int16_t version = 3, std::uint64_t connection = 1) {
    const auto reply = live->transactions().add_offsets({id, producer}, group,
                                                        caller(version, connection), effects);
    finish_step();
    return reply;
  }
  EndTxnReply end(std::string_view id, ProducerIdentity producer, TransactionResult result,
                  std::int16_t version = 5, std::uint64_t connection = 1) {
    const auto reply =
        live->transactions().end_txn({id, producer}, result, caller(version, connection), effects);
    finish_step();
    return reply;
  }
  EndTxnReply commit(std::string_view id, ProducerIdentity producer, std::int16_t version = 5) {
    return end(id, producer, TransactionResult::kCommit, version);
  }
  EndTxnReply abort(std::string_view id, ProducerIdentity producer, std::int16_t version = 5) {
    return end(id, producer, TransactionResult::kAbort, version);
  }
  ErrorCode produce(std::string_view id, ProducerIdentity producer, const TopicIdPartition& where,
                    std::int16_t version = 12) {
    const ErrorCode error =
        live->transactions().admit_produce({id, producer}, where, version, moment(), effects);
    finish_step();
    return error;
  }
  /// With the transactional id whose producer id it is now.
  TransactionKey key_of(ProducerIdentity producer) const {
    return {live->transactions().find_by_producer_id(producer.id).value_or(std::string_view()),
            producer};
  }
  void mark_must_abort(ProducerIdentity producer) {
    live->transactions().mark_must_abort(key_of(producer), moment(), effects);
    finish_step();
  }
  void add_doubt(ProducerIdentity producer, const TransactionPart& refused) {
    live->transactions().add_doubt(key_of(producer), refused, moment(), effects);
    finish_step();
  }
  void settle_doubt(ProducerIdentity producer, const TransactionPart& accepted) {
    live->transactions().settle_doubt(key_of(producer), accepted, effects);
    finish_step();
  }
  void lose_ticket(std::string_view group, Ticket ticket) {
    live->groups().on_ticket_lost(group, ticket, moment());
    finish_step();
  }
  TransactionDescription describe(std::string_view id) const {
    return live->transactions().describe(id).value_or(TransactionDescription{});
  }

  // --- Groups, each with its step finished. ---

  Ticket join(JoinGroupRequest request) {
    const Ticket ticket(++next_ticket_);
    request.random_uuid = "uuid" + std::to_string(ticket.value);
    live->groups().join_group(std::move(request), ticket, moment(), effects);
    finish_step();
    return ticket;
  }
  Ticket sync(const SyncGroupRequest& request) {
    const Ticket ticket(++next_ticket_);
    live->groups().sync_group(request, ticket, moment(), effects);
    finish_step();
    return ticket;
  }
  ErrorCode heartbeat(const GroupMemberKey& key) {
    const ErrorCode error = live->groups().heartbeat(key, moment(), effects);
    finish_step();
    return error;
  }
  std::vector<ErrorCode> leave(std::string_view group, std::vector<MemberToRemove> members) {
    auto errors = live->groups().leave_group(group, members, moment(), effects);
    finish_step();
    return errors;
  }
  OffsetCommitReply commit_offsets(const GroupMemberKey& key, std::vector<OffsetToCommit> offsets,
                                   std::int16_t version = 8) {
    auto reply = live->groups().commit_offsets(key, offsets, version, moment(), effects);
    finish_step();
    return reply;
  }
  OffsetCommitReply txn_commit_offsets(std::string_view id, ProducerIdentity producer,
                                       const GroupMemberKey& key,
                                       std::vector<OffsetToCommit> offsets,
                                       std::int16_t version = 5) {
    auto reply = live->txn_offset_commit(
        {.transaction = {id, producer}, .member = key, .offsets = offsets, .api_version = version},
        moment(), effects);
    finish_step();
    return reply;
  }
  ErrorCode delete_group(std::string_view group) {
    const ErrorCode error = live->delete_group(group, effects);
    finish_step();
    return error;
  }
  FetchedOffset fetch(std::string_view group, const TopicIdPartition& where,
                      RequireStable require_stable = RequireStable::kYes) const {
    return live->groups().fetch_offsets(group, {&where, 1}, require_stable).front();
  }
  void delete_topic(const TopicId& id) {
    live->on_topic_deleted(id);
    replayed_->on_topic_deleted(id);
    finish_step();
  }

  bool is_join_answered(Ticket ticket) const { return joins.contains(ticket); }
  bool is_sync_answered(Ticket ticket) const { return syncs.contains(ticket); }
  std::uint64_t tickets_given() const { return next_ticket_; }

  std::unique_ptr<Coordinator> live;
  Duration now = std::chrono::hours(1);
  Duration wall_clock_offset{};
  std::uint64_t boot = 1;
  Effects effects;
  std::vector<Buffer> records;
  std::vector<EndTransaction> ended;
  std::map<Ticket, JoinGroupReply> joins;
  std::map<Ticket, SyncGroupReply> syncs;

 private:
  CoordinatorOptions options_;
  std::unique_ptr<Coordinator> replayed_;
  std::uint64_t next_ticket_ = 0;
};

}  // namespace onceflow::coordinator
