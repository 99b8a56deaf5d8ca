// What a group coordinator's refusal means for a member, and what to do about it. Stateless.
#pragma once

#include <string_view>

#include "base/result.h"
#include "client/options.h"
#include "protocol/error_code.h"

namespace onceflow::client {

/// The refusal says that others hold the group in a way that leaves no place for this member. It
/// passes when they leave, so the member goes on trying.
bool is_held_by_others(protocol::ErrorCode code);

/// "<what> of group '<id>': <KAFKA_NAME>: what is wrong; the rule; the fix". The code and recovery
/// are broker_error()'s, but kRetriable where is_held_by_others().
Error group_refusal(protocol::ErrorCode code, std::string_view what, const GroupOptions& options);

}  // namespace onceflow::client
