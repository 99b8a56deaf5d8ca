// What the client makes of an error in a broker's answer. Stateless.
#pragma once

#include <string_view>

#include "base/result.h"
#include "protocol/error_code.h"

namespace onceflow::client {

/// "<what>: <KAFKA_NAME>". kFenced for the codes that say so, kNotFound and kAlreadyExists for
/// topics and groups, else kRefused. Recovery is kRetriable where Kafka says so, kAbort where only
/// the transaction (or the group's generation) is at fault, else kFatal.
Error broker_error(protocol::ErrorCode code, std::string_view what);

/// The coordinator asked is not, or not yet, the one: ask who is.
bool is_wrong_coordinator(protocol::ErrorCode code);
/// The partition's leader asked is not the one: ask who is.
bool is_wrong_leader(protocol::ErrorCode code);

Error cancelled_error();
Error timed_out_error(std::string_view what, Recovery recovery = Recovery::kRetriable);

}  // namespace onceflow::client
