// Names and retriability of the protocol's error codes.
#include "protocol/error_code.h"

#include <array>

namespace onceflow::protocol {
namespace {

struct ErrorInfo {
  ErrorCode code;
  std::string_view name;
  bool retriable;
};

// In order of the number, from -1, so that the number is the index.
constexpr std::array kErrors = {
    ErrorInfo{ErrorCode::kUnknownServerError, "UNKNOWN_SERVER_ERROR", false},
    ErrorInfo{ErrorCode::kNone, "NONE", false},
    ErrorInfo{ErrorCode::kOffsetOutOfRange, "OFFSET_OUT_OF_RANGE", false},
    ErrorInfo{ErrorCode::kCorruptMessage, "CORRUPT_MESSAGE", true},
    ErrorInfo{ErrorCode::kUnknownTopicOrPartition, "UNKNOWN_TOPIC_OR_PARTITION", true},
    ErrorInfo{ErrorCode::kInvalidFetchSize, "INVALID_FETCH_SIZE", false},
    ErrorInfo{ErrorCode::kLeaderNotAvailable, "LEADER_NOT_AVAILABLE", true},
    ErrorInfo{ErrorCode::kNotLeaderOrFollower, "NOT_LEADER_OR_FOLLOWER", true},
    ErrorInfo{ErrorCode::kRequestTimedOut, "REQUEST_TIMED_OUT", true},
    ErrorInfo{ErrorCode::kBrokerNotAvailable, "BROKER_NOT_AVAILABLE", false},
    ErrorInfo{ErrorCode::kReplicaNotAvailable, "REPLICA_NOT_AVAILABLE", true},
    ErrorInfo{ErrorCode::kMessageTooLarge, "MESSAGE_TOO_LARGE", false},
    ErrorInfo{ErrorCode::kStaleControllerEpoch, "STALE_CONTROLLER_EPOCH", false},
    ErrorInfo{ErrorCode::kOffsetMetadataTooLarge, "OFFSET_METADATA_TOO_LARGE", false},
    ErrorInfo{ErrorCode::kNetworkException, "NETWORK_EXCEPTION", true},
    ErrorInfo{ErrorCode::kCoordinatorLoadInProgress, "COORDINATOR_LOAD_IN_PROGRESS", true},
    ErrorInfo{ErrorCode::kCoordinatorNotAvailable, "COORDINATOR_NOT_AVAILABLE", true},
    ErrorInfo{ErrorCode::kNotCoordinator, "NOT_COORDINATOR", true},
    ErrorInfo{ErrorCode::kInvalidTopicException, "INVALID_TOPIC_EXCEPTION", false},
    ErrorInfo{ErrorCode::kRecordListTooLarge, "RECORD_LIST_TOO_LARGE", false},
    ErrorInfo{ErrorCode::kNotEnoughReplicas, "NOT_ENOUGH_REPLICAS", true},
    ErrorInfo{ErrorCode::kNotEnoughReplicasAfterAppend, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", true},
    ErrorInfo{ErrorCode::kInvalidRequiredAcks, "INVALID_REQUIRED_ACKS", false},
    ErrorInfo{ErrorCode::kIllegalGeneration, "ILLEGAL_GENERATION", false},
    ErrorInfo{ErrorCode::kInconsistentGroupProtocol, "INCONSISTENT_GROUP_PROTOCOL", false},
    ErrorInfo{ErrorCode::kInvalidGroupId, "INVALID_GROUP_ID", false},
    ErrorInfo{ErrorCode::kUnknownMemberId, "UNKNOWN_MEMBER_ID", false},
    ErrorInfo{ErrorCode::kInvalidSessionTimeout, "INVALID_SESSION_TIMEOUT", false},
    ErrorInfo{ErrorCode::kRebalanceInProgress, "REBALANCE_IN_PROGRESS", false},
    ErrorInfo{ErrorCode::kInvalidCommitOffsetSize, "INVALID_COMMIT_OFFSET_SIZE", false},
    ErrorInfo{ErrorCode::kTopicAuthorizationFailed, "TOPIC_AUTHORIZATION_FAILED", false},
    ErrorInfo{ErrorCode::kGroupAuthorizationFailed, "GROUP_AUTHORIZATION_FAILED", false},
    ErrorInfo{ErrorCode::kClusterAuthorizationFailed, "CLUSTER_AUTHORIZATION_FAILED", false},
    ErrorInfo{ErrorCode::kInvalidTimestamp, "INVALID_TIMESTAMP", false},
    ErrorInfo{ErrorCode::kUnsupportedSaslMechanism, "UNSUPPORTED_SASL_MECHANISM", false},
    ErrorInfo{ErrorCode::kIllegalSaslState, "ILLEGAL_SASL_STATE", false},
    ErrorInfo{ErrorCode::kUnsupportedVersion, "UNSUPPORTED_VERSION", false},
    ErrorInfo{ErrorCode::kTopicAlreadyExists, "TOPIC_ALREADY_EXISTS", false},
    ErrorInfo{ErrorCode::kInvalidPartitions, "INVALID_PARTITIONS", false},
    ErrorInfo{ErrorCode::kInvalidReplicationFactor, "INVALID_REPLICATION_FACTOR", false},
    ErrorInfo{ErrorCode::kInvalidReplicaAssignment, "INVALID_REPLICA_ASSIGNMENT", false},
    ErrorInfo{ErrorCode::kInvalidConfig, "INVALID_CONFIG", false},
    ErrorInfo{ErrorCode::kNotController, "NOT_CONTROLLER", true},
    ErrorInfo{ErrorCode::kInvalidRequest, "INVALID_REQUEST", false},
    ErrorInfo{ErrorCode::kUnsupportedForMessageFormat, "UNSUPPORTED_FOR_MESSAGE_FORMAT", false},
    ErrorInfo{ErrorCode::kPolicyViolation, "POLICY_VIOLATION", false},
    ErrorInfo{ErrorCode::kOutOfOrderSequenceNumber, "OUT_OF_ORDER_SEQUENCE_NUMBER", false},
    ErrorInfo{ErrorCode::kDuplicateSequenceNumber, "DUPLICATE_SEQUENCE_NUMBER", false},
    ErrorInfo{ErrorCode::kInvalidProducerEpoch, "INVALID_PRODUCER_EPOCH", false},
    ErrorInfo{ErrorCode::kInvalidTxnState, "INVALID_TXN_STATE", false},
    ErrorInfo{ErrorCode::kInvalidProducerIdMapping, "INVALID_PRODUCER_ID_MAPPING", false},
    ErrorInfo{ErrorCode::kInvalidTransactionTimeout, "INVALID_TRANSACTION_TIMEOUT", false},
    ErrorInfo{ErrorCode::kConcurrentTransactions, "CONCURRENT_TRANSACTIONS", true},
    ErrorInfo{ErrorCode::kTransactionCoordinatorFenced, "TRANSACTION_COORDINATOR_FENCED", false},
    ErrorInfo{ErrorCode::kTransactionalIdAuthorizationFailed,
              "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", false},
    ErrorInfo{ErrorCode::kSecurityDisabled, "SECURITY_DISABLED", false},
    ErrorInfo{ErrorCode::kOperationNotAttempted, "OPERATION_NOT_ATTEMPTED", false},
    ErrorInfo{ErrorCode::kKafkaStorageError, "KAFKA_STORAGE_ERROR", true},
    ErrorInfo{ErrorCode::kLogDirNotFound, "LOG_DIR_NOT_FOUND", false},
    ErrorInfo{ErrorCode::kSaslAuthenticationFailed, "SASL_AUTHENTICATION_FAILED", false},
    ErrorInfo{ErrorCode::kUnknownProducerId, "UNKNOWN_PRODUCER_ID", false},
    ErrorInfo{ErrorCode::kReassignmentInProgress, "REASSIGNMENT_IN_PROGRESS", false},
    ErrorInfo{ErrorCode::kDelegationTokenAuthDisabled, "DELEGATION_TOKEN_AUTH_DISABLED", false},
    ErrorInfo{ErrorCode::kDelegationTokenNotFound, "DELEGATION_TOKEN_NOT_FOUND", false},
    ErrorInfo{ErrorCode::kDelegationTokenOwnerMismatch, "DELEGATION_TOKEN_OWNER_MISMATCH", false},
    ErrorInfo{ErrorCode::kDelegationTokenRequestNotAllowed, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
              false},
    ErrorInfo{ErrorCode::kDelegationTokenAuthorizationFailed,
              "DELEGATION_TOKEN_AUTHORIZATION_FAILED", false},
    ErrorInfo{ErrorCode::kDelegationTokenExpired, "DELEGATION_TOKEN_EXPIRED", false},
    ErrorInfo{ErrorCode::kInvalidPrincipalType, "INVALID_PRINCIPAL_TYPE", false},
    ErrorInfo{ErrorCode::kNonEmptyGroup, "NON_EMPTY_GROUP", false},
    ErrorInfo{ErrorCode::kGroupIdNotFound, "GROUP_ID_NOT_FOUND", false},
    ErrorInfo{ErrorCode::kFetchSessionIdNotFound, "FETCH_SESSION_ID_NOT_FOUND", true},
    ErrorInfo{ErrorCode::kInvalidFetchSessionEpoch, "INVALID_FETCH_SESSION_EPOCH", true},
    ErrorInfo{ErrorCode::kListenerNotFound, "LISTENER_NOT_FOUND", true},
    ErrorInfo{ErrorCode::kTopicDeletionDisabled, "TOPIC_DELETION_DISABLED", false},
    ErrorInfo{ErrorCode::kFencedLeaderEpoch, "FENCED_LEADER_EPOCH", true},
    ErrorInfo{ErrorCode::kUnknownLeaderEpoch, "UNKNOWN_LEADER_EPOCH", true},
    ErrorInfo{ErrorCode::kUnsupportedCompressionType, "UNSUPPORTED_COMPRESSION_TYPE", false},
    ErrorInfo{ErrorCode::kStaleBrokerEpoch, "STALE_BROKER_EPOCH", false},
    ErrorInfo{ErrorCode::kOffsetNotAvailable, "OFFSET_NOT_AVAILABLE", true},
    ErrorInfo{ErrorCode::kMemberIdRequired, "MEMBER_ID_REQUIRED", false},
    ErrorInfo{ErrorCode::kPreferredLeaderNotAvailable, "PREFERRED_LEADER_NOT_AVAILABLE", true},
    ErrorInfo{ErrorCode::kGroupMaxSizeReached, "GROUP_MAX_SIZE_REACHED", false},
    ErrorInfo{ErrorCode::kFencedInstanceId, "FENCED_INSTANCE_ID", false},
    ErrorInfo{ErrorCode::kEligibleLeadersNotAvailable, "ELIGIBLE_LEADERS_NOT_AVAILABLE", true},
    ErrorInfo{ErrorCode::kElectionNotNeeded, "ELECTION_NOT_NEEDED", true},
    ErrorInfo{ErrorCode::kNoReassignmentInProgress, "NO_REASSIGNMENT_IN_PROGRESS", false},
    ErrorInfo{ErrorCode::kGroupSubscribedToTopic, "GROUP_SUBSCRIBED_TO_TOPIC", false},
    ErrorInfo{ErrorCode::kInvalidRecord, "INVALID_RECORD", false},
    ErrorInfo{ErrorCode::kUnstableOffsetCommit, "UNSTABLE_OFFSET_COMMIT", true},
    ErrorInfo{ErrorCode::kThrottlingQuotaExceeded, "THROTTLING_QUOTA_EXCEEDED", true},
    ErrorInfo{ErrorCode::kProducerFenced, "PRODUCER_FENCED", false},
    ErrorInfo{ErrorCode::kResourceNotFound, "RESOURCE_NOT_FOUND", false},
    ErrorInfo{ErrorCode::kDuplicateResource, "DUPLICATE_RESOURCE", false},
    ErrorInfo{ErrorCode::kUnacceptableCredential, "UNACCEPTABLE_CREDENTIAL", false},
    ErrorInfo{ErrorCode::kInconsistentVoterSet, "INCONSISTENT_VOTER_SET", false},
    ErrorInfo{ErrorCode::kInvalidUpdateVersion, "INVALID_UPDATE_VERSION", false},
    ErrorInfo{ErrorCode::kFeatureUpdateFailed, "FEATURE_UPDATE_FAILED", false},
    ErrorInfo{ErrorCode::kPrincipalDeserializationFailure, "PRINCIPAL_DESERIALIZATION_FAILURE",
              false},
    ErrorInfo{ErrorCode::kSnapshotNotFound, "SNAPSHOT_NOT_FOUND", false},
    ErrorInfo{ErrorCode::kPositionOutOfRange, "POSITION_OUT_OF_RANGE", false},
    ErrorInfo{ErrorCode::kUnknownTopicId, "UNKNOWN_TOPIC_ID", true},
    ErrorInfo{ErrorCode::kDuplicateBrokerRegistration, "DUPLICATE_BROKER_REGISTRATION", false},
    ErrorInfo{ErrorCode::kBrokerIdNotRegistered, "BROKER_ID_NOT_REGISTERED", false},
    ErrorInfo{ErrorCode::kInconsistentTopicId, "INCONSISTENT_TOPIC_ID", true},
    ErrorInfo{ErrorCode::kInconsistentClusterId, "INCONSISTENT_CLUSTER_ID", false},
    ErrorInfo{ErrorCode::kTransactionalIdNotFound, "TRANSACTIONAL_ID_NOT_FOUND", false},
    ErrorInfo{ErrorCode::kFetchSessionTopicIdError, "FETCH_SESSION_TOPIC_ID_ERROR", true},
    ErrorInfo{ErrorCode::kIneligibleReplica, "INELIGIBLE_REPLICA", false},
    ErrorInfo{ErrorCode::kNewLeaderElected, "NEW_LEADER_ELECTED", false},
    ErrorInfo{ErrorCode::kOffsetMovedToTieredStorage, "OFFSET_MOVED_TO_TIERED_STORAGE", false},
    ErrorInfo{ErrorCode::kFencedMemberEpoch, "FENCED_MEMBER_EPOCH", false},
    ErrorInfo{ErrorCode::kUnreleasedInstanceId, "UNRELEASED_INSTANCE_ID", false},
    ErrorInfo{ErrorCode::kUnsupportedAssignor, "UNSUPPORTED_ASSIGNOR", false},
    ErrorInfo{ErrorCode::kStaleMemberEpoch, "STALE_MEMBER_EPOCH", false},
    ErrorInfo{ErrorCode::kMismatchedEndpointType, "MISMATCHED_ENDPOINT_TYPE", false},
    ErrorInfo{ErrorCode::kUnsupportedEndpointType, "UNSUPPORTED_ENDPOINT_TYPE", false},
    ErrorInfo{ErrorCode::kUnknownControllerId, "UNKNOWN_CONTROLLER_ID", false},
    ErrorInfo{ErrorCode::kUnknownSubscriptionId, "UNKNOWN_SUBSCRIPTION_ID", false},
    ErrorInfo{ErrorCode::kTelemetryTooLarge, "TELEMETRY_TOO_LARGE", false},
    ErrorInfo{ErrorCode::kInvalidRegistration, "INVALID_REGISTRATION", false},
    ErrorInfo{ErrorCode::kTransactionAbortable, "TRANSACTION_ABORTABLE", false},
    ErrorInfo{ErrorCode::kInvalidRecordState, "INVALID_RECORD_STATE", false},
    ErrorInfo{ErrorCode::kShareSessionNotFound, "SHARE_SESSION_NOT_FOUND", true},
    ErrorInfo{ErrorCode::kInvalidShareSessionEpoch, "INVALID_SHARE_SESSION_EPOCH", true},
    ErrorInfo{ErrorCode::kFencedStateEpoch, "FENCED_STATE_EPOCH", false},
    ErrorInfo{ErrorCode::kInvalidVoterKey, "INVALID_VOTER_KEY", false},
    ErrorInfo{ErrorCode::kDuplicateVoter, "DUPLICATE_VOTER", false},
    ErrorInfo{ErrorCode::kVoterNotFound, "VOTER_NOT_FOUND", false},
    ErrorInfo{ErrorCode::kInvalidRegularExpression, "INVALID_REGULAR_EXPRESSION", false},
    ErrorInfo{ErrorCode::kRebootstrapRequired, "REBOOTSTRAP_REQUIRED", false},
    ErrorInfo{ErrorCode::kStreamsInvalidTopology, "STREAMS_INVALID_TOPOLOGY", false},
    ErrorInfo{ErrorCode::kStreamsInvalidTopologyEpoch, "STREAMS_INVALID_TOPOLOGY_EPOCH", false},
    ErrorInfo{ErrorCode::kStreamsTopologyFenced, "STREAMS_TOPOLOGY_FENCED", false},
    ErrorInfo{ErrorCode::kShareSessionLimitReached, "SHARE_SESSION_LIMIT_REACHED", true},
};

constexpr std::int16_t kFirst = -1;

constexpr bool is_dense() {
  for (std::size_t index = 0; index < kErrors.size(); ++index) {
    if (static_cast<int>(kErrors[index].code) != static_cast<int>(index) + kFirst) {
      return false;
    }
  }
  return true;
}
static_assert(is_dense());

const ErrorInfo* find(ErrorCode code) {
  const int index = static_cast<int>(code) - kFirst;
  const bool known = index >= 0 && index < static_cast<int>(kErrors.size());
  return known ? &kErrors[static_cast<std::size_t>(index)] : nullptr;
}

}  // namespace

std::string_view to_string(ErrorCode code) {
  const ErrorInfo* info = find(code);
  return info ? info->name : "UNKNOWN_ERROR_CODE";
}

bool retriable(ErrorCode code) {
  const ErrorInfo* info = find(code);
  return info && info->retriable;
}

}  // namespace onceflow::protocol
