#include "client/group_refusal.h"

#include <fmt/format.h>

#include "client/broker_error.h"

namespace onceflow::client {
namespace {

std::string explain(protocol::ErrorCode code, const GroupOptions& options) {
  using enum protocol::ErrorCode;
  switch (code) {
    case kInconsistentGroupProtocol:
      return "its members share partitions by a protocol that this one does not speak (it speaks "
             "'range' of type 'consumer'); stop those members, or give the pipeline a group.id of "
             "its own";
    case kGroupMaxSizeReached:
      return "it has as many members as the broker allows; stop one, or raise group.max.size of "
             "the broker";
    case kInvalidSessionTimeout:
      return fmt::format(
          "session.timeout.ms is {}, and the broker allows what lies between its "
          "group.min.session.timeout.ms and group.max.session.timeout.ms; set session.timeout.ms "
          "in source.kafka of the pipeline file",
          to_ms(options.session_timeout));
    case kInvalidGroupId:
      return "the broker does not allow this group.id; set another in source.kafka of the "
             "pipeline file";
    case kGroupAuthorizationFailed:
      return "this user may not read as this group; grant READ on the group";
    case kTopicAuthorizationFailed:
      return "this user may not read the source topics; grant READ on them";
    case kGroupIdNotFound:
      return "a group of that name exists and is not a classic consumer group (a share group, or "
             "one of the new protocol); end it, or give the pipeline a group.id of its own";
    case kFencedInstanceId:
    case kUnreleasedInstanceId:
      return fmt::format(
          "another member has group.instance.id '{}'; give every worker of the "
          "pipeline its own name with --worker",
          options.group_instance_id.value_or(""));
    case kUnsupportedVersion:
      return "the broker does not speak the classic group protocol in a version that we speak";
    default:
      return {};
  }
}

}  // namespace

bool is_held_by_others(protocol::ErrorCode code) {
  using enum protocol::ErrorCode;
  return code == kInconsistentGroupProtocol || code == kGroupMaxSizeReached ||
         code == kGroupIdNotFound || code == kUnreleasedInstanceId;
}

Error group_refusal(protocol::ErrorCode code, std::string_view what, const GroupOptions& options) {
  Error error = broker_error(code, fmt::format("{} of group '{}'", what, options.group_id));
  if (const std::string explanation = explain(code, options); !explanation.empty()) {
    error.text = fmt::format("{} of group '{}': {}: {}", what, options.group_id,
                             protocol::to_string(code), explanation);
  }
  if (is_held_by_others(code)) {
    error.code = ErrorCode::kRefused;
    error.recovery = Recovery::kRetriable;
  }
  return error;
}

}  // namespace onceflow::client
