// What the client makes of an error in a broker's answer.
#include "client/broker_error.h"

#include <fmt/format.h>

#include <algorithm>

namespace onceflow::client {

namespace {

using Code = protocol::ErrorCode;
using Is = onceflow::ErrorCode;
using enum ErrorClass;

constexpr std::string_view kNotAsked = "answers a request that onceflow does not send";

constexpr BrokerErrorRule kRules[] = {
    {Code::kUnknownServerError, kOnce, Is::kUnsupported, "the broker does not say what is wrong",
     "see the broker's log"},
    {Code::kOffsetOutOfRange, kSetUp, Is::kRefused, "the position is outside the log",
     "move the position, or raise retention.ms"},
    {Code::kCorruptMessage, kOnce, Is::kUnsupported, "the batch arrived with another checksum",
     "look at the network between here and the broker"},
    {Code::kUnknownTopicOrPartition, kPasses, Is::kNotFound,
     "there is no such topic, or this broker does not know of it yet", ""},
    {Code::kInvalidFetchSize, kSetUp, Is::kRefused, "the fetch asks for no bytes",
     "see the broker's log"},
    {Code::kLeaderNotAvailable, kPasses, Is::kRefused, "", ""},
    {Code::kNotLeaderOrFollower, kPasses, Is::kRefused, "", ""},
    {Code::kRequestTimedOut, kPasses, Is::kRefused,
     "the broker did not get it done in time; what is sent again is written once", ""},
    {Code::kBrokerNotAvailable, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kReplicaNotAvailable, kPasses, Is::kRefused, "", ""},
    {Code::kMessageTooLarge, kRecord, Is::kRefused, "the batch is larger than the topic takes",
     "raise the topic's max.message.bytes, or make the record smaller"},
    {Code::kStaleControllerEpoch, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kOffsetMetadataTooLarge, kSetUp, Is::kRefused, "the metadata of an offset is too long",
     "raise the broker's offset.metadata.max.bytes"},
    {Code::kNetworkException, kPasses, Is::kRefused, "", ""},
    {Code::kCoordinatorLoadInProgress, kPasses, Is::kRefused, "", ""},
    {Code::kCoordinatorNotAvailable, kPasses, Is::kRefused, "", ""},
    {Code::kNotCoordinator, kPasses, Is::kRefused, "", ""},
    {Code::kInvalidTopicException, kSetUp, Is::kRefused, "the topic may not be called so",
     "mend its name"},
    {Code::kRecordListTooLarge, kRecord, Is::kRefused,
     "the batch is larger than a segment of the topic",
     "raise the topic's segment.bytes, or make the record smaller"},
    {Code::kNotEnoughReplicas, kPasses, Is::kRefused, "", ""},
    {Code::kNotEnoughReplicasAfterAppend, kPasses, Is::kRefused, "", ""},
    {Code::kInvalidRequiredAcks, kSetUp, Is::kRefused, "the topic asks for other acknowledgements",
     "set the topic's min.insync.replicas to what its replicas can give"},
    {Code::kIllegalGeneration, kAgain, Is::kFenced, "the group has gone on without this member",
     ""},
    {Code::kInconsistentGroupProtocol, kSetUp, Is::kRefused,
     "the group's members do not agree on a protocol", "give this pipeline a group.id of its own"},
    {Code::kInvalidGroupId, kSetUp, Is::kRefused, "the group may not be called so",
     "mend group.id"},
    {Code::kUnknownMemberId, kAgain, Is::kFenced, "the group has gone on without this member", ""},
    {Code::kInvalidSessionTimeout, kSetUp, Is::kRefused,
     "the broker allows no such session.timeout.ms",
     "set it between the broker's group.min.session.timeout.ms and group.max.session.timeout.ms"},
    {Code::kRebalanceInProgress, kAgain, Is::kFenced, "the group has gone on without this member",
     ""},
    {Code::kInvalidCommitOffsetSize, kSetUp, Is::kRefused, "the offsets of a commit are too many",
     "read fewer partitions in one pipeline"},
    {Code::kTopicAuthorizationFailed, kSetUp, Is::kRefused,
     "the user may not read or write the topic",
     "grant READ on sources and WRITE on outputs and internal topics"},
    {Code::kGroupAuthorizationFailed, kSetUp, Is::kRefused, "the user may not use the group",
     "grant READ on the group"},
    {Code::kClusterAuthorizationFailed, kSetUp, Is::kRefused,
     "the user may not do this to the cluster",
     "grant IDEMPOTENT_WRITE, and CREATE for topics that are missing"},
    {Code::kInvalidTimestamp, kRecord, Is::kRefused,
     "the record's time is too far from the broker's",
     "raise the topic's message.timestamp.before.max.ms or message.timestamp.after.max.ms"},
    {Code::kUnsupportedSaslMechanism, kSetUp, Is::kRefused,
     "the broker wants another way to log in", "see the broker's sasl.enabled.mechanisms"},
    {Code::kIllegalSaslState, kSetUp, Is::kRefused, "the broker wants clients to log in",
     "use a listener without SASL"},
    {Code::kUnsupportedVersion, kSetUp, Is::kRefused,
     "the broker does not speak a request that is needed", "use a newer broker"},
    {Code::kTopicAlreadyExists, kSetUp, Is::kAlreadyExists, "the topic is there already", ""},
    {Code::kInvalidPartitions, kSetUp, Is::kRefused, "no topic can have so many partitions",
     "make the topic by hand"},
    {Code::kInvalidReplicationFactor, kSetUp, Is::kRefused,
     "there are fewer brokers than replicas asked for",
     "set the broker's default.replication.factor, or make the topic by hand"},
    {Code::kInvalidReplicaAssignment, kSetUp, Is::kRefused, "the replicas cannot be placed so",
     "make the topic by hand"},
    {Code::kInvalidConfig, kSetUp, Is::kRefused, "the broker does not take a topic's configuration",
     "mend the value that its words name"},
    {Code::kNotController, kPasses, Is::kRefused, "", ""},
    {Code::kInvalidRequest, kSetUp, Is::kRefused, "the broker does not understand the request",
     "see the broker's log"},
    {Code::kUnsupportedForMessageFormat, kSetUp, Is::kRefused,
     "the topic's format is too old for transactions",
     "set its message.format.version to 0.11.0 or higher"},
    {Code::kPolicyViolation, kSetUp, Is::kRefused, "a policy of the cluster forbids this",
     "mend what its words name, or make the topic by hand"},
    {Code::kOutOfOrderSequenceNumber, kAgain, Is::kRefused, "a batch before this one is missing",
     ""},
    {Code::kDuplicateSequenceNumber, kSetUp, Is::kRefused,
     "the batch is there already: as good as an acknowledgement", ""},
    {Code::kInvalidProducerEpoch, kFenced, Is::kFenced,
     "another producer has this transactional id", ""},
    {Code::kInvalidTxnState, kAgain, Is::kRefused, "the transaction is not in a state for this",
     ""},
    {Code::kInvalidProducerIdMapping, kFenced, Is::kFenced,
     "the transactional id has another producer id now", ""},
    {Code::kInvalidTransactionTimeout, kSetUp, Is::kRefused,
     "the transaction time-out is above the broker's",
     "raise the broker's transaction.max.timeout.ms, or lower commit.interval.ms"},
    {Code::kConcurrentTransactions, kPasses, Is::kRefused,
     "the broker is still ending the transaction before this one",
     "if it lasts, a topic of that transaction does not take its end: see the broker's log, and "
     "the topic's message.timestamp.before.max.ms and min.insync.replicas"},
    {Code::kTransactionCoordinatorFenced, kFenced, Is::kFenced,
     "another coordinator has taken over", ""},
    {Code::kTransactionalIdAuthorizationFailed, kSetUp, Is::kRefused,
     "the user may not use the transactional id",
     "grant WRITE and DESCRIBE on transactional ids that begin with the pipeline's name"},
    {Code::kSecurityDisabled, kSetUp, Is::kRefused, "the broker has no authorizer", ""},
    {Code::kOperationNotAttempted, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kKafkaStorageError, kPasses, Is::kRefused,
     "the broker cannot use its disk there, or what it holds there is damaged",
     "a disk that comes back and another leader end it, damage stays: the broker's log names the "
     "file; of a data directory onceflow audit --data-dir DIR names all that is damaged, and "
     "docs/what-to-do-when.md says what to do"},
    {Code::kLogDirNotFound, kSetUp, Is::kRefused, "the broker has no such directory",
     "see the broker's log"},
    {Code::kSaslAuthenticationFailed, kSetUp, Is::kRefused,
     "the broker does not let this client in", "check its credentials"},
    {Code::kUnknownProducerId, kAgain, Is::kRefused, "the broker has forgotten the producer", ""},
    {Code::kReassignmentInProgress, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kDelegationTokenAuthDisabled, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kDelegationTokenNotFound, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kDelegationTokenOwnerMismatch, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kDelegationTokenRequestNotAllowed, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kDelegationTokenAuthorizationFailed, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kDelegationTokenExpired, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kInvalidPrincipalType, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kNonEmptyGroup, kSetUp, Is::kRefused, "the group has members", "stop them first"},
    {Code::kGroupIdNotFound, kSetUp, Is::kNotFound, "there is no such group", ""},
    {Code::kFetchSessionIdNotFound, kPasses, Is::kRefused, "", ""},
    {Code::kInvalidFetchSessionEpoch, kPasses, Is::kRefused, "", ""},
    {Code::kListenerNotFound, kPasses, Is::kRefused, "", ""},
    {Code::kTopicDeletionDisabled, kSetUp, Is::kRefused, "the cluster does not delete topics",
     "set the broker's delete.topic.enable"},
    {Code::kFencedLeaderEpoch, kPasses, Is::kRefused, "", ""},
    {Code::kUnknownLeaderEpoch, kPasses, Is::kRefused, "", ""},
    {Code::kUnsupportedCompressionType, kSetUp, Is::kRefused,
     "the topic does not take the compression", "choose another compression.type"},
    {Code::kStaleBrokerEpoch, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kOffsetNotAvailable, kPasses, Is::kRefused, "", ""},
    {Code::kMemberIdRequired, kAgain, Is::kRefused, "the group gives the member an id first", ""},
    {Code::kPreferredLeaderNotAvailable, kPasses, Is::kRefused, "", ""},
    {Code::kGroupMaxSizeReached, kSetUp, Is::kRefused, "the group is full",
     "raise the broker's group.max.size"},
    {Code::kFencedInstanceId, kAgain, Is::kFenced, "the group has gone on without this member", ""},
    {Code::kEligibleLeadersNotAvailable, kPasses, Is::kRefused, "", ""},
    {Code::kElectionNotNeeded, kPasses, Is::kRefused, "", ""},
    {Code::kNoReassignmentInProgress, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kGroupSubscribedToTopic, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kInvalidRecord, kRecord, Is::kRefused, "the topic does not take such a record",
     "mend the record; a compacted topic needs keys"},
    {Code::kUnstableOffsetCommit, kPasses, Is::kRefused, "", ""},
    {Code::kThrottlingQuotaExceeded, kPasses, Is::kRefused, "the client is over its quota", ""},
    {Code::kProducerFenced, kFenced, Is::kFenced, "another producer has this transactional id", ""},
    {Code::kResourceNotFound, kSetUp, Is::kRefused, "there is no such thing", ""},
    {Code::kDuplicateResource, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kUnacceptableCredential, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kInconsistentVoterSet, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kInvalidUpdateVersion, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kFeatureUpdateFailed, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kPrincipalDeserializationFailure, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kSnapshotNotFound, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kPositionOutOfRange, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kUnknownTopicId, kPasses, Is::kNotFound,
     "there is no topic with this id, or this broker does not know of it yet", ""},
    {Code::kDuplicateBrokerRegistration, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kBrokerIdNotRegistered, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kInconsistentTopicId, kPasses, Is::kRefused, "", ""},
    {Code::kInconsistentClusterId, kSetUp, Is::kRefused, "the broker belongs to another cluster",
     "mend bootstrap.servers"},
    {Code::kTransactionalIdNotFound, kAgain, Is::kRefused,
     "the coordinator does not know the transactional id", ""},
    {Code::kFetchSessionTopicIdError, kPasses, Is::kRefused, "", ""},
    {Code::kIneligibleReplica, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kNewLeaderElected, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kOffsetMovedToTieredStorage, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kFencedMemberEpoch, kAgain, Is::kFenced, "the group has gone on without this member",
     ""},
    {Code::kUnreleasedInstanceId, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kUnsupportedAssignor, kSetUp, Is::kRefused, "the group uses another assignor",
     "give this pipeline a group.id of its own"},
    {Code::kStaleMemberEpoch, kAgain, Is::kFenced, "the group has gone on without this member", ""},
    {Code::kMismatchedEndpointType, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kUnsupportedEndpointType, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kUnknownControllerId, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kUnknownSubscriptionId, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kTelemetryTooLarge, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kInvalidRegistration, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kTransactionAbortable, kAgain, Is::kRefused,
     "the transaction cannot commit, and may be begun again", ""},
    {Code::kInvalidRecordState, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kShareSessionNotFound, kPasses, Is::kRefused, "", ""},
    {Code::kInvalidShareSessionEpoch, kPasses, Is::kRefused, "", ""},
    {Code::kFencedStateEpoch, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kInvalidVoterKey, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kDuplicateVoter, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kVoterNotFound, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kInvalidRegularExpression, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kRebootstrapRequired, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kStreamsInvalidTopology, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kStreamsInvalidTopologyEpoch, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kStreamsTopologyFenced, kOnce, Is::kUnsupported, kNotAsked, ""},
    {Code::kShareSessionLimitReached, kPasses, Is::kRefused, "", ""},
};

const BrokerErrorRule* find_rule(Code code) {
  const auto found = std::ranges::lower_bound(kRules, code, {}, &BrokerErrorRule::broker_code);
  return found != std::end(kRules) && found->broker_code == code ? &*found : nullptr;
}

static_assert(std::ranges::is_sorted(kRules, {}, &BrokerErrorRule::broker_code));

}  // namespace

std::span<const BrokerErrorRule> broker_error_rules() { return kRules; }

ErrorClass class_of_broker_error(Code code) {
  const BrokerErrorRule* rule = find_rule(code);
  return rule == nullptr ? kOnce : rule->error_class;
}

std::string fix_of_broker_error(Code code) {
  const BrokerErrorRule* rule = find_rule(code);
  return rule == nullptr || rule->fix.empty() ? "" : fmt::format("; the fix: {}", rule->fix);
}

Error broker_error(Code code, std::string_view what) {
  const BrokerErrorRule* rule = find_rule(code);
  if (rule == nullptr) {
    return unclear_error(
        fmt::format("{}: error {}, which onceflow does not know", what, static_cast<int>(code)));
  }
  std::string text = fmt::format("{}: {}", what, protocol::to_string(code));
  if (rule->error_class == kSetUp) {
    text += fix_of_broker_error(code);
  } else if (code == Code::kKafkaStorageError) {
    text += fmt::format(": {}: {}", rule->meaning, rule->fix);
  }
  return {rule->code, std::move(text), recovery_of(rule->error_class)};
}

bool is_wrong_coordinator(protocol::ErrorCode code) {
  return code == protocol::ErrorCode::kNotCoordinator ||
         code == protocol::ErrorCode::kCoordinatorNotAvailable;
}

bool is_wrong_leader(protocol::ErrorCode code) {
  using enum protocol::ErrorCode;
  return code == kNotLeaderOrFollower || code == kUnknownTopicOrPartition ||
         code == kLeaderNotAvailable || code == kFencedLeaderEpoch || code == kKafkaStorageError ||
         code == kReplicaNotAvailable || code == kUnknownTopicId || code == kInconsistentTopicId;
}

Error cancelled_error() {
  return {ErrorCode::kCancelled, "the client was closed", Recovery::kFatal};
}

Error timed_out_error(std::string_view what, Recovery recovery) {
  return {ErrorCode::kTimedOut, fmt::format("{}: not in time", what), recovery};
}

}  // namespace onceflow::client
