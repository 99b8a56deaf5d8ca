// BrokerConnection: reading, writing, deadlines and the handshake.
#include "client/connection.h"

#include <fmt/format.h>

#include "protocol/messages/18_api_versions.h"

namespace onceflow::client {

namespace {

/// Small answers arrive here, several at once; a frame larger than what is left gets a buffer of
/// its own and is read straight into it.
constexpr std::size_t kStagingBytes = std::size_t{64} << 10;

Error lost(const io::Endpoint& endpoint, std::string_view why) {
  return Error{ErrorCode::kConnectionLost,
               fmt::format("connection to {}: {}", io::to_string(endpoint), why),
               Recovery::kRetriable};
}

}  // namespace

std::optional<BrokerFeatures::Range> BrokerFeatures::api(protocol::ApiKey key) const {
  for (const auto& [api_key, range] : apis) {
    if (api_key == key) {
      return range;
    }
  }
  return std::nullopt;
}

std::int16_t BrokerFeatures::finalized_level(std::string_view name) const {
  for (const Feature& feature : finalized) {
    if (feature.name == name) {
      return feature.version_max;
    }
  }
  return 0;
}

bool BrokerFeatures::supports(std::string_view name) const {
  return std::ranges::any_of(supported,
                             [&](const Feature& feature) { return feature.name == name; });
}

BrokerConnection::BrokerConnection(io::Environment environment, ClientOptions options,
                                   io::Endpoint endpoint)
    : environment_(environment), options_(std::move(options)), endpoint_(std::move(endpoint)) {}

BrokerConnection::~BrokerConnection() = default;

Task<Result<std::shared_ptr<BrokerConnection>>> BrokerConnection::open(io::Environment environment,
                                                                       ClientOptions options,
                                                                       io::Endpoint endpoint,
                                                                       MonotonicTime deadline) {
  struct Opened : BrokerConnection {
    Opened(io::Environment e, ClientOptions o, io::Endpoint p)
        : BrokerConnection(e, std::move(o), std::move(p)) {}
  };
  const std::shared_ptr<BrokerConnection> self =
      std::make_shared<Opened>(environment, std::move(options), std::move(endpoint));
  auto connection = co_await environment.network.connect(self->endpoint_, deadline);
  if (!connection) {
    co_return std::unexpected(std::move(connection).error());
  }
  self->connection_ = std::move(*connection);
  environment.scheduler.spawn(read_loop(self));
  if (Status greeted = co_await self->shake_hands(deadline); !greeted) {
    self->close(greeted.error());
    co_return std::unexpected(std::move(greeted).error());
  }
  co_return self;
}

Task<Status> BrokerConnection::shake_hands(MonotonicTime deadline) {
  using protocol::ApiVersionsRequest;
  using protocol::ApiVersionsResponse;
  ApiVersionsRequest request;
  request.client_software_name = "onceflow";
  request.client_software_version = "0.1.0";
  std::int16_t version = ApiVersionsRequest::kVersionMax;
  // At most one repetition: a broker that does not know our version says so, and which it knows, in
  // an answer of version 0 (KIP-511).
  for (int attempt = 0; attempt < 2; ++attempt) {
    Frame frame;
    const std::int32_t correlation_id = next_correlation_id_++;
    protocol::encode_request_frame(frame.bytes, request, version, correlation_id,
                                   options_.client_id);
    const PendingReply pending = submit_frame(std::move(frame), correlation_id,
                                              ApiVersionsRequest::kApiKey, version, deadline);
    co_await pending->wait();
    const Result<RawReply>& raw = pending->value();
    CO_RETURN_IF_ERROR(raw);
    const ByteView bytes = ByteView(*raw->bytes).subspan(raw->body_position);
    const auto error = static_cast<protocol::ErrorCode>(WireReader(bytes).read_int16());
    const bool is_refused = error == protocol::ErrorCode::kUnsupportedVersion;
    WireReader reader(bytes);
    auto response = ApiVersionsResponse::decode(reader, is_refused ? std::int16_t{0} : version);
    CO_RETURN_IF_ERROR(response);
    if (!is_refused && error != protocol::ErrorCode::kNone) {
      co_return fail(ErrorCode::kRefused,
                     fmt::format("{} answers ApiVersions with {}", io::to_string(endpoint_),
                                 protocol::to_string(error)));
    }
    features_ = {};
    for (const auto& api : response->api_keys) {
      features_.apis.emplace_back(static_cast<protocol::ApiKey>(api.api_key),
                                  BrokerFeatures::Range{api.min_version, api.max_version});
    }
    if (is_refused) {
      const auto range = features_.api(protocol::ApiKey::kApiVersions);
      version = range ? std::min(range->version_max, version) : std::int16_t{0};
      continue;
    }
    for (const auto& feature : response->supported_features) {
      features_.supported.push_back({feature.name, feature.min_version, feature.max_version});
    }
    for (const auto& feature : response->finalized_features) {
      features_.finalized.push_back(
          {feature.name, feature.min_version_level, feature.max_version_level});
    }
    features_.finalized_epoch = response->finalized_features_epoch;
    co_return Status{};
  }
  co_return fail(
      ErrorCode::kUnsupported,
      fmt::format("{} has no version of ApiVersions in common with us", io::to_string(endpoint_)));
}

Result<std::int16_t> BrokerConnection::choose_version(protocol::ApiKey key,
                                                      std::int16_t version_min,
                                                      std::int16_t version_max) const {
  const auto range = features_.api(key);
  const std::int16_t chosen = range ? std::min(range->version_max, version_max) : std::int16_t{-1};
  if (!range || chosen < version_min || chosen < range->version_min) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} has no version of {} between {} and {}", io::to_string(endpoint_),
                            protocol::to_string(key), version_min, version_max));
  }
  return chosen;
}

BrokerConnection::PendingReply BrokerConnection::failed(Error error) {
  auto reply = std::make_shared<io::Future<Result<RawReply>>>(environment_.scheduler);
  reply->set(std::unexpected(std::move(error)));
  return reply;
}

BrokerConnection::PendingReply BrokerConnection::submit_frame(Frame frame,
                                                              std::int32_t correlation_id,
                                                              protocol::ApiKey key,
                                                              std::int16_t version,
                                                              MonotonicTime deadline) {
  if (closed_error_) {
    return failed(*closed_error_);
  }
  auto reply = std::make_shared<io::Future<Result<RawReply>>>(environment_.scheduler);
  pending_.push_back({correlation_id, key, version, deadline, reply});
  unwritten_.push_back(std::move(frame));
  arm_deadline(deadline);
  if (!writing_) {
    writing_ = true;
    // In a turn of its own, so that all that is submitted in this turn leaves in one write.
    environment_.scheduler.post([self = shared_from_this()] { self->write_frames(); });
  }
  return reply;
}

void BrokerConnection::write_frames() {
  being_written_.clear();
  if (closed_error_ || unwritten_.empty()) {
    writing_ = false;
    return;
  }
  being_written_.swap(unwritten_);
  parts_.clear();
  std::ranges::for_each(being_written_, [this](const Frame& frame) { add_parts(frame); });
  connection_->async_write(parts_, [self = shared_from_this()](Status written) {
    if (!written) {
      self->close(lost(self->endpoint_, written.error().text));
    }
    self->write_frames();
  });
}

void BrokerConnection::add_parts(const Frame& frame) {
  const ByteView bytes(frame.bytes);
  std::size_t taken = 0;
  for (const Splice& splice : frame.splices) {
    parts_.push_back(bytes.subspan(taken, splice.position - taken));
    parts_.push_back(splice.bytes);
    taken = splice.position;
  }
  parts_.push_back(bytes.subspan(taken));
}

Task<void> BrokerConnection::read_loop(std::shared_ptr<BrokerConnection> self) {
  const Status ended = co_await self->read_answers();
  self->close(ended ? lost(self->endpoint_, "closed") : ended.error());
}

Task<Status> BrokerConnection::read_answers() {
  const auto read_some = [this](MutableByteView destination) {
    return io::await_callback<Result<std::size_t>>([this, destination](auto callback) {
      connection_->async_read(destination, std::move(callback));
    });
  };
  Buffer staging(kStagingBytes);
  std::size_t begin = 0;
  std::size_t end = 0;
  while (!closed_error_) {
    std::size_t frame_bytes = 0;
    bool has_size = false;
    if (end - begin >= protocol::kFrameSizeBytes) {
      const auto size = wire::load_big_endian<std::int32_t>(staging.data() + begin);
      if (size < 0 || static_cast<std::size_t>(size) > options_.response_bytes_max) {
        co_return std::unexpected(lost(endpoint_, fmt::format("an answer of {} bytes", size)));
      }
      frame_bytes = static_cast<std::size_t>(size);
      has_size = true;
    }
    const std::size_t body_begin = begin + protocol::kFrameSizeBytes;
    if (has_size && (end - body_begin >= frame_bytes || frame_bytes > kStagingBytes / 4)) {
      auto frame = std::make_shared<Buffer>(frame_bytes);
      std::size_t filled = std::min(frame_bytes, end - body_begin);
      std::memcpy(frame->data(), staging.data() + body_begin, filled);
      begin = body_begin + filled;
      while (filled < frame_bytes) {
        const auto count = co_await read_some(MutableByteView(*frame).subspan(filled));
        if (!count || *count == 0) {
          co_return std::unexpected(
              lost(endpoint_, count ? "the peer closed it" : count.error().text));
        }
        filled += *count;
      }
      CO_RETURN_IF_ERROR(accept_frame(std::move(frame)));
      continue;
    }
    std::memmove(staging.data(), staging.data() + begin, end - begin);
    end -= begin;
    begin = 0;
    const auto count = co_await read_some(MutableByteView(staging).subspan(end));
    if (!count || *count == 0) {
      co_return std::unexpected(lost(endpoint_, count ? "the peer closed it" : count.error().text));
    }
    end += *count;
  }
  co_return Status{};
}

Status BrokerConnection::accept_frame(std::shared_ptr<const Buffer> frame) {
  if (pending_.empty()) {
    return std::unexpected(lost(endpoint_, "an answer that nobody asked for"));
  }
  Pending pending = std::move(pending_.front());
  pending_.pop_front();
  WireReader reader(*frame);
  const auto header = protocol::ResponseHeader::decode(
      reader, protocol::response_header_version(pending.api_key, pending.version));
  if (!header || header->correlation_id != pending.correlation_id) {
    const Error error = lost(endpoint_, "an answer out of order");
    pending.reply->set(std::unexpected(error));
    return std::unexpected(error);
  }
  const std::size_t body_position = reader.position();
  pending.reply->set(RawReply{std::move(frame), body_position, pending.version});
  return {};
}

void BrokerConnection::close(Error error) {
  if (closed_error_) {
    return;
  }
  closed_error_ = error;
  unwritten_.clear();
  environment_.scheduler.cancel(std::exchange(deadline_timer_, 0));
  for (Pending& pending : std::exchange(pending_, {})) {
    pending.reply->set(std::unexpected(error));
  }
  if (connection_) {
    connection_->close();
  }
}

void BrokerConnection::arm_deadline(MonotonicTime deadline) {
  if (deadline_timer_ != 0) {
    if (deadline >= deadline_armed_) {
      return;
    }
    environment_.scheduler.cancel(deadline_timer_);
  }
  deadline_armed_ = deadline;
  deadline_timer_ = environment_.scheduler.schedule_at(deadline, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->check_deadlines();
    }
  });
}

void BrokerConnection::check_deadlines() {
  deadline_timer_ = 0;
  if (closed_error_ || pending_.empty()) {
    return;
  }
  const Pending& next = *std::ranges::min_element(pending_, {}, &Pending::deadline);
  if (next.deadline > environment_.scheduler.now()) {
    arm_deadline(next.deadline);
    return;
  }
  close(lost(endpoint_, fmt::format("no answer to {} in time", protocol::to_string(next.api_key))));
}

}  // namespace onceflow::client
