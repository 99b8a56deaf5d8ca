#include "broker/api_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <type_traits>

#include "base/task.h"
#include "base/utf8.h"
#include "broker/answer_bytes.h"
#include "broker/handlers/handlers.h"
#include "broker/name_count.h"
#include "broker/pieces.h"

namespace onceflow::broker {
namespace {

template <typename Function>
struct HandlerTraits;
template <typename Answer, typename Body>
struct HandlerTraits<Answer (*)(BrokerCore&, const Request&, Body&)> {
  using RequestBody = std::remove_const_t<Body>;
};
template <typename Body>
struct HandlerTraits<Disposition (*)(BrokerCore&, const Request&, Body&, Reply&)> {
  using RequestBody = std::remove_const_t<Body>;
};

template <typename T>
inline constexpr bool kIsOptional = false;
template <typename T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

template <typename Response>
void answer(const Request& request, const Response& response, Reply& reply) {
  if constexpr (requires { response.error_code; }) {
    reply.error = response.error_code;
  }
  encode_reply(response, request.header.api_version, request.header.correlation_id, reply);
}

// What one request may take in memory beside its bytes, once it is decoded.
constexpr std::size_t kDecodedBytesMax = 32u << 20;
// Answers of this size are made without asking, unless memory is short.
constexpr std::size_t kAnswerBytesUnasked = 16 * 1024;

// Memory for what is decoded and for the answer, before that is made. Nullopt: go on.
std::optional<Disposition> take_for_answer(BrokerCore& core, const Request& request,
                                           std::size_t decoded, std::size_t answer) {
  if (decoded + answer <= kAnswerBytesUnasked && !core.server.memory_is_short()) {
    return std::nullopt;
  }
  if (answer > core.server.answer_bytes_max()) {
    core.tell_of_large_answer(request.header.api_key, answer);
    return Disposition::kClose;
  }
  if (decoded + answer > core.server.grant_bytes_max() / 2) {
    core.tell_of_client(
        ClientNews::kLargeAnswer,
        fmt::format(
            "a request {} of {} would take {} MiB to answer, and {} is the most: its connection "
            "was closed; ask for fewer things at a time, or raise queued.max.request.bytes",
            protocol::to_string(request.header.api_key), request.client_host,
            (decoded + answer) >> 20, core.server.grant_bytes_max() / 2 >> 20));
    return Disposition::kClose;
  }
  return core.server.may_make_answer(request.slot.connection, answer) &&
                 core.server.take_for_answer(request.slot.connection, decoded + answer)
             ? std::nullopt
             : std::optional(Disposition::kNotNow);
}

// Calls the handler for one piece after the other, in slices of the loop, while the connection is
// held. A client that has gone meanwhile has what has been done by then, and no more.
template <auto kHandler, typename Cut, typename Body>
Task<void> answer_in_slices(BrokerCore& core, Request request, Body body) {
  co_await core.slices.begin();  // handle() returns first
  typename Cut::template Of<Body> pieces(core, std::move(body));
  request.thing_count = pieces.thing_count();
  std::optional<typename Body::Response> response;
  bool has_memory = true;
  do {
    co_await core.wait_while_full();
    if (!core.server.is_open(request.slot.connection)) {
      core.server.finish_held(request.slot, Disposition::kClose, {});
      co_return;
    }
    has_memory = core.try_to([&] {
      const Body piece = pieces.next();
      auto answered = kHandler(core, request, piece);
      if (response) {
        pieces.join(*response, std::move(answered));
      } else {
        response = std::move(answered);
      }
    });
    co_await core.slices.rest();
  } while (has_memory && pieces.has_more());
  std::optional<Reply> reply;
  if (has_memory) {
    reply = co_await encode_reply_off_loop(core, *std::move(response), request.header.api_version,
                                           request.header.correlation_id);
  }
  core.finish_held(Body::kApiKey, request.slot, std::move(reply));
}

// Whether it is: by the first of `Cuts` that fits it.
template <auto kHandler, typename... Cuts, typename Body>
bool is_answered_in_slices(BrokerCore& core, const Request& request, Body& body,
                           std::size_t name_count) {
  const auto is_by = [&]<typename Cut>(std::type_identity<Cut>) {
    if (Cut::work_of(core, request, body, name_count) <= core.options.names_at_once_max) {
      return false;
    }
    core.environment.scheduler.spawn(
        answer_in_slices<kHandler, Cut, std::remove_const_t<Body>>(core, request, std::move(body)));
    return true;
  };
  return (is_by(std::type_identity<Cuts>{}) || ...);
}

// Decodes, makes one of what is named more than once, calls the handler, encodes what it returns.
template <auto kHandler, typename... Cuts>
Disposition handle_as(BrokerCore& core, const Request& request, Reply& reply) {
  using Body = typename HandlerTraits<decltype(kHandler)>::RequestBody;
  WireReader reader(request.body);
  reader.limit_memory(kDecodedBytesMax);
  auto body = Body::decode(reader, request.header.api_version);
  if (!body) {
    core.tell_of_client(
        ClientNews::kNotDecoded,
        fmt::format("a request of {} (client id '{}') is refused and its connection closed: {}",
                    request.client_host, printable(request.header.client_id.value_or("")),
                    body.error().text));
    return Disposition::kClose;
  }
  if (core.environment.seeded_bug != SeededBug::kRepeatsAreWorkedOff) {
    body->collapse_repeats();
  }
  const std::size_t name_count = NameCount::of(*body, request.header.api_version);
  if (name_count > kNamesFree && name_count > names_max(core)) {
    core.tell_of_client(
        ClientNews::kManyNames,
        fmt::format(
            "a request {} of {} names {} things, and {} is the most here: its connection was "
            "closed; name fewer at a time",
            protocol::to_string(request.header.api_key), request.client_host, name_count,
            names_max(core)));
    return Disposition::kClose;
  }
  // What may be kept until it is answered, and the answer.
  const std::size_t decoded_bytes = kDecodedBytesMax - reader.memory_left();
  const std::size_t bytes_of_answer = answer_bytes(core, request, *body);
  reply.kept_bytes = decoded_bytes + bytes_of_answer;
  if (const auto refused = take_for_answer(core, request, decoded_bytes, bytes_of_answer)) {
    return *refused;
  }
  if constexpr (sizeof...(Cuts) > 0) {
    if (is_answered_in_slices<kHandler, Cuts...>(core, request, *body, name_count)) {
      return Disposition::kHeld;
    }
  }
  if constexpr (std::is_invocable_v<decltype(kHandler), BrokerCore&, const Request&, Body&,
                                    Reply&>) {
    return kHandler(core, request, *body, reply);
  } else {
    const auto response = kHandler(core, request, *body);
    if constexpr (kIsOptional<std::remove_const_t<decltype(response)>>) {
      if (!response) {
        return Disposition::kClose;
      }
      answer(request, *response, reply);
    } else {
      answer(request, response, reply);
    }
    return Disposition::kAnswer;
  }
}

// `Cuts`: how one that names much is cut into pieces; where there is none it is done whole.
template <auto kHandler, typename... Cuts>
constexpr Api api(AnswerWhen when = AnswerWhen::kDurable) {
  using Body = typename HandlerTraits<decltype(kHandler)>::RequestBody;
  return {.key = Body::kApiKey,
          .advertised_min =
              Body::kApiKey == protocol::ApiKey::kProduce ? std::int16_t{0} : Body::kVersionMin,
          .version_min = Body::kVersionMin,
          .version_max = Body::kVersionMax,
          .when = when,
          .handle = &handle_as<kHandler, Cuts...>};
}

constexpr Api up_to(Api entry, std::int16_t version_max) {
  entry.version_max = version_max;
  return entry;
}

constexpr std::array kApis = {
    api<&handle_produce>(),
    api<&handle_fetch>(AnswerWhen::kAtOnce),
    api<&handle_list_offsets>(AnswerWhen::kAtOnce),
    api<&handle_metadata, MetadataOfAll,
        ThingPieces<&protocol::MetadataRequest::topics, &protocol::MetadataResponse::topics>>(),
    api<&handle_offset_commit,
        PartitionPieces<&protocol::OffsetCommitRequest::topics,
                        &protocol::OffsetCommitRequest::Topic::partitions,
                        &protocol::OffsetCommitResponse::topics,
                        &protocol::OffsetCommitResponse::Topic::partitions>>(),
    api<&handle_offset_fetch, OffsetFetchGroups,
        PartitionPieces<&protocol::OffsetFetchRequest::topics,
                        &protocol::OffsetFetchRequest::Topic::partition_indexes,
                        &protocol::OffsetFetchResponse::topics,
                        &protocol::OffsetFetchResponse::Topic::partitions>>(),
    api<&handle_find_coordinator, ThingPieces<&protocol::FindCoordinatorRequest::coordinator_keys,
                                              &protocol::FindCoordinatorResponse::coordinators>>(
        AnswerWhen::kAtOnce),
    api<&handle_join_group>(),
    api<&handle_heartbeat>(),
    api<&handle_leave_group>(),
    api<&handle_sync_group>(),
    api<&handle_describe_groups>(),
    api<&handle_list_groups>(),
    api<&handle_api_versions>(AnswerWhen::kAtOnce),
    api<&handle_create_topics, ThingPieces<&protocol::CreateTopicsRequest::topics,
                                           &protocol::CreateTopicsResponse::topics>>(),
    api<&handle_delete_topics,
        ThingPieces<&protocol::DeleteTopicsRequest::topic_names,
                    &protocol::DeleteTopicsResponse::responses>,
        ThingPieces<&protocol::DeleteTopicsRequest::topics,
                    &protocol::DeleteTopicsResponse::responses>>(),
    api<&handle_delete_records,
        PartitionPieces<&protocol::DeleteRecordsRequest::topics,
                        &protocol::DeleteRecordsRequest::Topic::partitions,
                        &protocol::DeleteRecordsResponse::topics,
                        &protocol::DeleteRecordsResponse::Topic::partitions>>(),
    api<&handle_init_producer_id>(),
    api<&handle_offset_for_leader_epoch,
        PartitionPieces<&protocol::OffsetForLeaderEpochRequest::topics,
                        &protocol::OffsetForLeaderEpochRequest::Topic::partitions,
                        &protocol::OffsetForLeaderEpochResponse::topics,
                        &protocol::OffsetForLeaderEpochResponse::Topic::partitions>>(
        AnswerWhen::kAtOnce),
    api<&handle_add_partitions_to_txn>(),
    api<&handle_add_offsets_to_txn>(),
    api<&handle_end_txn>(),
    api<&handle_txn_offset_commit>(),
    api<&handle_describe_acls>(AnswerWhen::kAtOnce),
    api<&handle_create_acls>(AnswerWhen::kAtOnce),
    api<&handle_delete_acls>(AnswerWhen::kAtOnce),
    api<&handle_describe_configs, ThingPieces<&protocol::DescribeConfigsRequest::resources,
                                              &protocol::DescribeConfigsResponse::results>>(),
    api<&handle_alter_configs, ThingPieces<&protocol::AlterConfigsRequest::resources,
                                           &protocol::AlterConfigsResponse::responses>>(),
    api<&handle_describe_log_dirs, LogDirPieces>(),
    api<&handle_create_partitions, ThingPieces<&protocol::CreatePartitionsRequest::topics,
                                               &protocol::CreatePartitionsResponse::results>>(),
    api<&handle_delete_groups, ThingPieces<&protocol::DeleteGroupsRequest::groups_names,
                                           &protocol::DeleteGroupsResponse::results>>(),
    api<&handle_incremental_alter_configs,
        ThingPieces<&protocol::IncrementalAlterConfigsRequest::resources,
                    &protocol::IncrementalAlterConfigsResponse::responses>>(),
    api<&handle_list_partition_reassignments>(AnswerWhen::kAtOnce),
    api<&handle_offset_delete>(),
    api<&handle_describe_cluster>(AnswerWhen::kAtOnce),
    api<&handle_describe_producers,
        PartitionPieces<&protocol::DescribeProducersRequest::topics,
                        &protocol::DescribeProducersRequest::Topic::partition_indexes,
                        &protocol::DescribeProducersResponse::topics,
                        &protocol::DescribeProducersResponse::Topic::partitions>>(),
    api<&handle_describe_transactions,
        ThingPieces<&protocol::DescribeTransactionsRequest::transactional_ids,
                    &protocol::DescribeTransactionsResponse::transaction_states>>(),
    // v2 adds a regular expression from outside; nobody needs it here.
    up_to(api<&handle_list_transactions>(), 1),
    api<&handle_list_config_resources>(),
};
static_assert(std::ranges::is_sorted(kApis, {}, &Api::key));

constexpr std::size_t kKeyCount = static_cast<std::size_t>(kApis.back().key) + 1;

constexpr auto kIndexByKey = [] {
  std::array<std::int8_t, kKeyCount> index_by_key{};
  index_by_key.fill(-1);
  for (std::size_t index = 0; index < kApis.size(); ++index) {
    index_by_key[static_cast<std::size_t>(kApis[index].key)] = static_cast<std::int8_t>(index);
  }
  return index_by_key;
}();

}  // namespace

std::span<const Api> api_table() { return kApis; }

const Api* find_api(protocol::ApiKey key) {
  const auto number = static_cast<std::int16_t>(key);
  if (number < 0 || static_cast<std::size_t>(number) >= kKeyCount) {
    return nullptr;
  }
  const std::int8_t index = kIndexByKey[static_cast<std::size_t>(number)];
  return index < 0 ? nullptr : &kApis[static_cast<std::size_t>(index)];
}

}  // namespace onceflow::broker
