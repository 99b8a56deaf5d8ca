// The table of APIs: which versions the broker advertises, and who handles each. Constant.
#pragma once

#include <cstdint>
#include <span>

#include "broker/core.h"
#include "broker/request.h"
#include "protocol/api_key.h"

namespace onceflow::broker {

/// When an answer may leave.
enum class AnswerWhen : std::int8_t {
  kDurable,  ///< when all that was appended up to it is durable, for it tells of state in memory
  kAtOnce,   ///< it tells of nothing that a crash could take back
};

struct Api {
  protocol::ApiKey key;
  /// What we say. Lower than what we do where old clients look for an exact version: Kafka does the
  /// same since 4.0 (KAFKA-18659), for librdkafka up to 2.11.0 sends uncompressed batches
  /// otherwise.
  std::int16_t advertised_min;
  std::int16_t version_min;
  std::int16_t version_max;
  AnswerWhen when;
  Disposition (*handle)(BrokerCore& core, const Request& request, Reply& reply);
};

/// In order of the key.
std::span<const Api> api_table();
/// nullptr if we do not have it.
const Api* find_api(protocol::ApiKey key);

}  // namespace onceflow::broker
