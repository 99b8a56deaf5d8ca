// FakeBroker: a broker of one node on the loopback network, whose every answer a test may script.
// Unless told otherwise it plays along: it knows every topic (one partition each) and acknowledges
// everything.
//
// Owned by a test; runs on the test's loop, beside the client.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/os/os_environment.h"
#include "protocol/api_table.h"
#include "protocol/header.h"
#include "protocol/messages/00_produce.h"
#include "protocol/messages/03_metadata.h"
#include "protocol/messages/10_find_coordinator.h"
#include "protocol/messages/18_api_versions.h"
#include "protocol/messages/22_init_producer_id.h"
#include "protocol/messages/26_end_txn.h"
#include "protocol/messages/28_txn_offset_commit.h"
#include "protocol/record_batch.h"

namespace onceflow::client {

class FakeBroker {
 public:
  enum class Fate {
    kAnswer,  ///< as the script or the default says
    kHangUp,  ///< close the connection instead of answering
    kSilence,
  };
  struct Seen {
    protocol::ApiKey key{};
    std::int16_t version = 0;
    int connection = 0;
    Buffer body;
  };
  /// The answer's body; the request's bytes come with it.
  using Script = std::function<void(WireReader& request, std::int16_t version, WireWriter& answer)>;

  explicit FakeBroker(io::OsEnvironment& environment) : environment_(environment) {
    script<protocol::ApiVersionsRequest>([this](const auto&, std::int16_t) { return features; });
    for (const protocol::ApiInfo& api : protocol::api_table()) {
      features.api_keys.push_back(
          {static_cast<std::int16_t>(api.key), api.version_min, api.version_max});
    }
    script_defaults();
    start();
  }

  void start() {
    auto listening = environment_.network().listen({"127.0.0.1", port});
    CHECK(listening);
    listener_ = std::move(*listening);
    port = listener_->local().port;
    environment_.loop().spawn(accept_all(listener_));
  }
  void stop() {
    listener_->close();
    hang_up_all();
  }
  void hang_up_all() {
    for (const auto& connection : connections_) {
      if (const auto alive = connection.lock()) {
        alive->close();
      }
    }
    connections_.clear();
  }

  /// answer(request, version) → response.
  template <typename Request, typename Answer>
  void script(Answer answer) {
    scripts_[Request::kApiKey] = [answer](WireReader& reader, std::int16_t version,
                                          WireWriter& writer) {
      auto request = Request::decode(reader, version);
      CHECK(request);
      answer(*request, version).encode(writer, version);
    };
  }
  /// What becomes of the next requests of this kind, one after the other; then they are answered.
  void set_fates(protocol::ApiKey key, std::deque<Fate> fates) { fates_[key] = std::move(fates); }

  std::vector<Seen> seen_of(protocol::ApiKey key) const {
    std::vector<Seen> found;
    for (const Seen& one : seen) {
      if (one.key == key) {
        found.push_back(one);
      }
    }
    return found;
  }
  void finalize_transaction_version(std::int16_t level) {
    features.finalized_features_epoch = 1;
    features.finalized_features.push_back({"transaction.version", level, level});
  }
  /// An older broker's.
  template <typename Request>
  void limit_version(std::int16_t version_max) {
    for (auto& api : features.api_keys) {
      if (api.api_key == static_cast<std::int16_t>(Request::kApiKey)) {
        api.max_version = version_max;
      }
    }
  }
  void pipeline_transactions() {
    features.supported_features.push_back({"onceflow.pipelined.transactions", 1, 1});
  }

  std::uint16_t port = 0;
  std::vector<Seen> seen;
  protocol::ApiVersionsResponse features;
  /// What Produce answers, in turn; afterwards kNone.
  std::deque<protocol::ErrorCode> produce_errors;
  std::int64_t next_offset = 0;
  std::int16_t next_epoch = 0;

 private:
  void script_defaults() {
    script<protocol::MetadataRequest>(
        [this](const protocol::MetadataRequest& request, std::int16_t) {
          protocol::MetadataResponse response;
          response.brokers.push_back({.node_id = 1, .host = "127.0.0.1", .port = port});
          response.controller_id = 1;
          if (request.topics) {
            for (const auto& topic : *request.topics) {
              auto& known = response.topics.emplace_back();
              known.name = topic.name;
              known.partitions.push_back({.partition_index = 0, .leader_id = 1});
            }
          }
          return response;
        });
    script<protocol::FindCoordinatorRequest>(
        [this](const protocol::FindCoordinatorRequest& request, std::int16_t) {
          protocol::FindCoordinatorResponse response;
          response.node_id = 1;
          response.host = "127.0.0.1";
          response.port = port;
          for (const std::string& key : request.coordinator_keys) {
            response.coordinators.push_back(
                {.key = key, .node_id = 1, .host = "127.0.0.1", .port = port});
          }
          return response;
        });
    script<protocol::InitProducerIdRequest>(
        [this](const protocol::InitProducerIdRequest&, std::int16_t) {
          protocol::InitProducerIdResponse response;
          response.producer_id = 7;
          response.producer_epoch = next_epoch++;
          return response;
        });
    script<protocol::ProduceRequest>([this](const protocol::ProduceRequest& request, std::int16_t) {
      return answer_produce(request);
    });
    script<protocol::TxnOffsetCommitRequest>(
        [](const protocol::TxnOffsetCommitRequest& request, std::int16_t) {
          protocol::TxnOffsetCommitResponse response;
          for (const auto& topic : request.topics) {
            auto& answered = response.topics.emplace_back();
            answered.name = topic.name;
            for (const auto& partition : topic.partitions) {
              answered.partitions.push_back({.partition_index = partition.partition_index});
            }
          }
          return response;
        });
    script<protocol::EndTxnRequest>([this](const protocol::EndTxnRequest&, std::int16_t) {
      protocol::EndTxnResponse response;
      response.producer_id = 7;
      response.producer_epoch = next_epoch++;
      return response;
    });
  }

  protocol::ProduceResponse answer_produce(const protocol::ProduceRequest& request) {
    protocol::ProduceResponse response;
    for (const auto& topic : request.topic_data) {
      auto& answered = response.responses.emplace_back();
      answered.name = topic.name;
      for (const auto& partition : topic.partition_data) {
        auto& result = answered.partition_responses.emplace_back();
        result.index = partition.index;
        result.base_offset = -1;
        if (!produce_errors.empty()) {
          result.error_code = produce_errors.front();
          produce_errors.pop_front();
        }
        if (result.error_code == protocol::ErrorCode::kNone) {
          const auto header = protocol::RecordBatchHeader::parse(*partition.records);
          CHECK(header);
          result.base_offset = next_offset;
          next_offset += header->records_count;
        }
      }
    }
    return response;
  }

  Task<void> accept_all(std::shared_ptr<io::Listener> listener) {
    while (true) {
      auto accepted = co_await listener->accept();
      if (!accepted) {
        co_return;
      }
      std::shared_ptr<io::Connection> connection = std::move(*accepted);
      connections_.push_back(connection);
      environment_.loop().spawn(serve(connection, ++connection_count_));
    }
  }

  Task<void> serve(std::shared_ptr<io::Connection> connection, int number) {
    while (true) {
      Buffer size(protocol::kFrameSizeBytes);
      if (!co_await connection->read_fully(size)) {
        co_return;
      }
      Buffer frame(static_cast<std::size_t>(wire::load_big_endian<std::int32_t>(size.data())));
      if (!co_await connection->read_fully(frame)) {
        co_return;
      }
      Buffer answer;
      switch (handle(frame, number, answer)) {
        case Fate::kHangUp:
          connection->close();
          co_return;
        case Fate::kSilence:
          continue;
        case Fate::kAnswer:
          if (!co_await connection->write(answer)) {
            co_return;
          }
      }
    }
  }

  Fate handle(const Buffer& frame, int number, Buffer& answer) {
    WireReader reader(frame);
    const auto header = protocol::RequestHeader::decode(reader);
    CHECK(header);
    seen.push_back({header->api_key, header->api_version, number,
                    to_buffer(ByteView(frame).subspan(reader.position()))});
    auto& fates = fates_[header->api_key];
    if (!fates.empty()) {
      const Fate fate = fates.front();
      fates.pop_front();
      if (fate != Fate::kAnswer) {
        return fate;
      }
    }
    WireWriter writer(answer);
    const std::size_t start = protocol::begin_frame(writer);
    protocol::ResponseHeader{header->correlation_id}.encode(
        writer, protocol::response_header_version(header->api_key, header->api_version));
    const auto script = scripts_.find(header->api_key);
    CHECK(script != scripts_.end());
    if (header->api_key == protocol::ApiKey::kApiVersions &&
        header->api_version > api_versions_version_max) {
      // Only error and range, in version 0.
      protocol::ApiVersionsResponse refusal;
      refusal.error_code = protocol::ErrorCode::kUnsupportedVersion;
      refusal.api_keys.push_back(
          {static_cast<std::int16_t>(protocol::ApiKey::kApiVersions), 0, api_versions_version_max});
      refusal.encode(writer, 0);
    } else {
      script->second(reader, header->api_version, writer);
    }
    protocol::finish_frame(writer, start);
    return Fate::kAnswer;
  }

  io::OsEnvironment& environment_;
  std::shared_ptr<io::Listener> listener_;
  std::vector<std::weak_ptr<io::Connection>> connections_;
  int connection_count_ = 0;
  std::map<protocol::ApiKey, Script> scripts_;
  std::map<protocol::ApiKey, std::deque<Fate>> fates_;

 public:
  std::int16_t api_versions_version_max = 4;
};

}  // namespace onceflow::client
