// Request, Reply and RequestHandler: what passes between the connections and the broker. Values; on
// the broker's thread.
//
// A request is handled when it has been read, in the order of its connection, and its effect is in
// memory when handle() returns. Its answer may come later (a parked fetch, a rebalance), and leaves
// no earlier than all answers before it on the same connection, and than the journal is durable up
// to Reply::durable_at.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/callback.h"
#include "base/histogram.h"
#include "base/ids.h"
#include "coordinator/effects.h"
#include "protocol/error_code.h"
#include "protocol/header.h"

namespace onceflow::broker {

using coordinator::ConnectionNumber;

/// The place of one answer on one connection. Whoever answers a connection that is gone is ignored.
struct ReplySlot {
  ConnectionNumber connection;
  std::uint64_t number = 0;
};

struct Request {
  protocol::RequestHeader header;
  ByteView body;  ///< valid until handle() returns, or until the end of what kHeld holds
  ReplySlot slot;
  std::string_view client_host;
  MonotonicTime received;
  /// How many things the whole names, where this is a piece of one (pieces.h); else 0.
  std::size_t thing_count = 0;
};

/// One answer, as a whole frame. The bytes of records lie apart, so that they go from where the log
/// read them to the socket without a copy: the first `records_bytes` that are left of `records` are
/// sent before the byte `at` of `bytes`.
struct Reply {
  struct Splice {
    std::size_t at = 0;
    std::size_t records_bytes = 0;
  };
  Buffer bytes;
  Buffer records;
  std::vector<Splice> splices;  // by `at`

  /// Not sent before the journal is durable up to here; 0: at once.
  JournalPosition durable_at;
  /// For the statistics of its API; an error of one partition of many counts as well.
  protocol::ErrorCode error = protocol::ErrorCode::kNone;
  /// What a request keeps in memory that is answered later, beside its place here.
  std::size_t kept_bytes = 0;
  /// If set, gets the time from the request's arrival to when its answer may leave.
  Histogram* latency = nullptr;

  std::size_t size_bytes() const { return bytes.size() + records.size(); }
};

enum class Disposition {
  kAnswer,  ///< the reply is complete
  kLater,   ///< ReplySlot is kept by somebody who will call Server::complete
  kHeld,  ///< the work goes on: until Server::finish_held the frame stays where it is, and nothing
          ///< more of the connection is handled
  kNothing,  ///< the protocol has no answer here (acks=0)
  kClose,    ///< nonsense, or an error where no answer is possible: close the connection
  kNotNow,   ///< nothing was done, for want of memory or of a turn: handled again when woken
};

/// The broker, as its connections see it.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;

  virtual Disposition handle(const Request& request, Reply& reply) = 0;
  /// Whether handle() has begun to change state, and has not come to the end of it.
  virtual bool is_changing() const = 0;
  /// After each run of requests that one read brought: timers, and whatever is done once for many.
  virtual void on_requests_handled() = 0;
  /// Nobody will hear what is still answered there.
  virtual void on_connection_closed(ConnectionNumber connection) = 0;
  /// There may be memory now for an answer to this connection that was put off, or its turn has
  /// come.
  virtual void on_turn(ConnectionNumber connection) = 0;

  virtual JournalPosition durable() const = 0;
  virtual void when_durable(JournalPosition position, Callback<void()> callback) = 0;
  /// What was taken over from requests and is not on the disk yet.
  virtual std::size_t buffered_bytes() const = 0;
  /// No more requests shall be handled until when_not_full calls back.
  virtual bool is_full() const = 0;
  virtual void when_not_full(Callback<void()> callback) = 0;
};

}  // namespace onceflow::broker
