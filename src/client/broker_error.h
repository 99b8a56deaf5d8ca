// What the client makes of an error in a broker's answer. Stateless.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error_class.h"
#include "protocol/error_code.h"

namespace onceflow::client {

struct BrokerErrorRule {
  protocol::ErrorCode broker_code;
  ErrorClass error_class;
  ErrorCode code;            ///< of the Error that is made of it
  std::string_view meaning;  ///< empty where Kafka's name says it
  std::string_view fix;      ///< empty where there is nothing for a person to do
};

/// One for each code of the protocol, in their order; docs/errors.md is printed from it.
std::span<const BrokerErrorRule> broker_error_rules();
/// kOnce for a code that is not listed.
ErrorClass class_of_broker_error(protocol::ErrorCode code);
/// "; the fix: ...", or nothing.
std::string fix_of_broker_error(protocol::ErrorCode code);

/// "<what>: <KAFKA_NAME>", with the fix where only a person can mend it, or may have to. Code and
/// recovery are those of the table.
Error broker_error(protocol::ErrorCode code, std::string_view what);

/// The coordinator asked is not, or not yet, the one: ask who is.
bool is_wrong_coordinator(protocol::ErrorCode code);
/// The partition's leader asked is not the one: ask who is.
bool is_wrong_leader(protocol::ErrorCode code);

Error cancelled_error();
Error timed_out_error(std::string_view what, Recovery recovery = Recovery::kRetriable);

}  // namespace onceflow::client
