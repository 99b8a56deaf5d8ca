// Effects: what a step of the coordinators asks of the outside world. Values, stateless.
//
// The coordinators are pure (design D6): a step takes a request and the time, changes the state in
// memory at once, returns the reply and adds to an Effects what must follow. The broker then, in
// the same turn of the loop: appends the journal entries in their order; sends every reply and
// every answer, also those that appended nothing, once all that was appended up to now is durable.
// So no reply ever tells of something that a crash could take back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "protocol/error_code.h"

namespace onceflow::coordinator {

using protocol::ErrorCode;

/// The time of a step, both kinds: `monotonic` for deadlines, `wall` for what people read.
struct Moment {
  MonotonicTime monotonic;
  WallTime wall;
  /// Whose count `monotonic` is: another one after each start of the machine. 0: not known.
  std::uint64_t monotonic_epoch = 0;
};

/// Numbers connections in the order they were accepted, from 1, within one life of the broker.
using ConnectionNumber = NamedInteger<struct ConnectionNumberTag, std::uint64_t>;

/// Names a parked JoinGroup or SyncGroup. The broker chooses it and never reuses it; it is answered
/// exactly once, in the step that parked it or in a later one.
using Ticket = NamedInteger<struct TicketTag, std::uint64_t>;

enum class TransactionResult : std::int8_t { kAbort = 0, kCommit = 1 };

/// The end of one transaction: for log::Log::append_end_transaction, with the record of its entry.
struct EndTransaction {
  /// Of the markers: the epoch of the data (v1), or the next one (v2 and every fencing abort).
  ProducerIdentity marker;
  TransactionResult result = TransactionResult::kAbort;
  WallTime timestamp;
  std::vector<TopicIdPartition> partitions;  ///< never empty, sorted
};

/// One entry for the journal. With `end_transaction`: decision, markers and record in one entry
/// (append_end_transaction); else an opaque record (append_record).
struct JournalEntry {
  Buffer record;
  std::optional<EndTransaction> end_transaction;
};

struct JoinGroupReply {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    Buffer metadata;
  };
  ErrorCode error = ErrorCode::kNone;
  GenerationId generation{-1};
  std::string protocol_type;  ///< empty: null on the wire
  std::string protocol_name;  ///< empty: null on the wire from v7, "" before
  std::string leader;
  bool skip_assignment = false;
  std::string member_id;
  std::vector<Member> members;  ///< for the leader; empty for the others
};

struct SyncGroupReply {
  ErrorCode error = ErrorCode::kNone;
  std::string protocol_type;
  std::string protocol_name;
  Buffer assignment;
};

struct JoinGroupAnswer {
  Ticket ticket;
  JoinGroupReply reply;
};

struct SyncGroupAnswer {
  Ticket ticket;
  SyncGroupReply reply;
};

/// Filled by steps, emptied by the broker: append `entries` in order, then answer the tickets when
/// they are durable.
struct Effects {
  std::vector<JournalEntry> entries;
  std::vector<JoinGroupAnswer> join_answers;
  std::vector<SyncGroupAnswer> sync_answers;

  bool empty() const { return entries.empty() && join_answers.empty() && sync_answers.empty(); }
  void clear() {
    entries.clear();
    join_answers.clear();
    sync_answers.clear();
  }
};

}  // namespace onceflow::coordinator
