// BrokerConnection: one connection to one broker. Requests are written in the order they were
// submitted, many in flight at once, and answered in that order.
//
// Owned by a Cluster (one per channel and node); runs on the scheduler it was made with. Held by
// shared_ptr, because its reading and writing coroutines may outlive its owner by a turn.
//
// Every request has a deadline. When one passes, the connection is closed and everything in flight
// fails with kConnectionLost: whether any of it took effect is unknown. A request that had not yet
// been handed to the network fails with kConnectionLost too; nobody can tell them apart, and D5
// does not need to. No request is ever repeated here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/task.h"
#include "client/options.h"
#include "io/environment.h"
#include "io/event.h"
#include "protocol/api_key.h"
#include "protocol/error_code.h"
#include "protocol/header.h"

namespace onceflow::client {

/// The broker's feature that says: one connection's requests take effect in order, and a
/// transaction in which any of them failed can only abort. Then a whole transaction may be written
/// at once.
inline constexpr std::string_view kPipelinedTransactionsFeature = "onceflow.pipelined.transactions";
inline constexpr std::string_view kTransactionVersionFeature = "transaction.version";

/// No limit on the version of a request but ours and the broker's.
inline constexpr std::int16_t kAnyVersion = std::numeric_limits<std::int16_t>::max();

/// An answer, and the bytes that its views point into.
template <typename Body>
struct Reply {
  Body body;
  std::int16_t version = 0;
  std::shared_ptr<const Buffer> bytes;  ///< shared with every batch that views it

  const Body* operator->() const { return &body; }
  Body* operator->() { return &body; }
};

/// What a broker says of itself in ApiVersions.
struct BrokerFeatures {
  struct Range {
    std::int16_t version_min = 0;
    std::int16_t version_max = -1;
  };
  struct Feature {
    std::string name;
    std::int16_t version_min = 0;
    std::int16_t version_max = 0;
  };
  std::vector<std::pair<protocol::ApiKey, Range>> apis;
  std::vector<Feature> supported;
  std::vector<Feature> finalized;
  std::int64_t finalized_epoch = -1;

  std::optional<Range> api(protocol::ApiKey key) const;
  /// 0 if it is not finalized.
  std::int16_t finalized_level(std::string_view name) const;
  bool supports(std::string_view name) const;
};

class BrokerConnection : public std::enable_shared_from_this<BrokerConnection> {
 public:
  struct RawReply {
    std::shared_ptr<const Buffer> bytes;
    std::size_t body_position = 0;
    std::int16_t version = 0;
  };
  using PendingReply = std::shared_ptr<io::Future<Result<RawReply>>>;

  /// Connects and shakes hands (ApiVersions, down to version 0 for a broker that asks for it).
  static Task<Result<std::shared_ptr<BrokerConnection>>> open(io::Environment environment,
                                                              ClientOptions options,
                                                              io::Endpoint endpoint,
                                                              MonotonicTime deadline);
  ~BrokerConnection();

  /// min(the broker's highest, ours, `version_max`); kUnsupported if the broker has nothing in
  /// common.
  template <typename Request>
  Result<std::int16_t> choose_version(std::int16_t version_max = kAnyVersion) const {
    return choose_version(Request::kApiKey, Request::kVersionMin,
                          std::min(Request::kVersionMax, version_max));
  }

  /// Writes after all that was submitted before; the answer is awaited with receive(). With an
  /// `owner` of the bytes that the request views, large ones are written from where they are; it
  /// is let go when they have been written.
  template <typename Request>
  PendingReply submit(const Request& request, MonotonicTime deadline,
                      std::int16_t version_max = kAnyVersion,
                      std::shared_ptr<const void> owner = nullptr) {
    const Result<std::int16_t> version = choose_version<Request>(version_max);
    if (!version) {
      return failed(version.error());
    }
    if (closed_error_) {
      return failed(*closed_error_);
    }
    Frame frame;
    const std::int32_t correlation_id = next_correlation_id_++;
    WireWriter writer = owner ? WireWriter(frame.bytes, frame.splices) : WireWriter(frame.bytes);
    protocol::encode_request_frame(writer, request, *version, correlation_id, options_.client_id);
    frame.owner = std::move(owner);
    return submit_frame(std::move(frame), correlation_id, Request::kApiKey, *version, deadline);
  }

  /// Waits for the answer; it comes, or the connection ends by its deadline at the latest.
  template <typename Request>
  static Task<Result<Reply<typename Request::Response>>> receive(PendingReply pending) {
    co_await pending->wait();
    const Result<RawReply>& raw = pending->value();
    if (!raw) {
      co_return std::unexpected(raw.error());
    }
    WireReader reader(ByteView(*raw->bytes).subspan(raw->body_position));
    auto body = Request::Response::decode(reader, raw->version);
    if (!body) {
      co_return std::unexpected(std::move(body).error());
    }
    co_return Reply<typename Request::Response>{std::move(*body), raw->version, raw->bytes};
  }

  /// Both. What an answer says is the caller's business; this fails only where there is none.
  template <typename Request>
  Task<Result<Reply<typename Request::Response>>> send(Request request, MonotonicTime deadline,
                                                       std::int16_t version_max = kAnyVersion) {
    co_return co_await receive<Request>(submit(request, deadline, version_max));
  }

  bool is_open() const { return !closed_error_.has_value(); }
  /// Everything in flight fails with `error`. Again: nothing.
  void close(Error error);
  const BrokerFeatures& features() const { return features_; }
  const io::Endpoint& endpoint() const { return endpoint_; }
  std::size_t in_flight() const { return pending_.size(); }

 private:
  struct Pending {
    std::int32_t correlation_id = 0;
    protocol::ApiKey api_key{};
    std::int16_t version = 0;
    MonotonicTime deadline;
    PendingReply reply;
  };

  /// A request as it is written.
  struct Frame {
    Buffer bytes;
    std::vector<Splice> splices;
    std::shared_ptr<const void> owner;  ///< of what the splices view
  };

  BrokerConnection(io::Environment environment, ClientOptions options, io::Endpoint endpoint);
  Result<std::int16_t> choose_version(protocol::ApiKey key, std::int16_t version_min,
                                      std::int16_t version_max) const;
  PendingReply submit_frame(Frame frame, std::int32_t correlation_id, protocol::ApiKey key,
                            std::int16_t version, MonotonicTime deadline);
  PendingReply failed(Error error);
  Task<Status> shake_hands(MonotonicTime deadline);
  static Task<void> read_loop(std::shared_ptr<BrokerConnection> self);
  Task<Status> read_answers();
  Status accept_frame(std::shared_ptr<const Buffer> frame);
  void write_frames();
  void add_parts(const Frame& frame);
  void arm_deadline(MonotonicTime deadline);
  void check_deadlines();

  io::Environment environment_;
  ClientOptions options_;
  io::Endpoint endpoint_;
  BrokerFeatures features_;
  std::unique_ptr<io::Connection> connection_;
  std::optional<Error> closed_error_;
  std::deque<Pending> pending_;
  std::vector<Frame> unwritten_;  ///< submitted, not yet handed to the network
  std::vector<Frame> being_written_;
  std::vector<ByteView> parts_;  ///< views of being_written_
  bool writing_ = false;         ///< a write is under way, or is posted
  std::int32_t next_correlation_id_ = 1;
  io::TimerId deadline_timer_ = 0;
  MonotonicTime deadline_armed_;
};

}  // namespace onceflow::client
