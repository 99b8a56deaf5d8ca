// What the client makes of an error in a broker's answer.
#include "client/broker_error.h"

#include <fmt/format.h>

namespace onceflow::client {

Error broker_error(protocol::ErrorCode code, std::string_view what) {
  using enum protocol::ErrorCode;
  std::string text = fmt::format("{}: {}", what, protocol::to_string(code));
  switch (code) {
    case kInvalidProducerEpoch:
    case kProducerFenced:
    case kInvalidProducerIdMapping:
    case kTransactionCoordinatorFenced:
      return {ErrorCode::kFenced, std::move(text), Recovery::kFatal};
    case kIllegalGeneration:
    case kUnknownMemberId:
    case kFencedInstanceId:
    case kStaleMemberEpoch:
    case kFencedMemberEpoch:
    case kRebalanceInProgress:
      return {ErrorCode::kFenced, std::move(text), Recovery::kAbort};
    case kInvalidTxnState:
    case kTransactionAbortable:
    case kOutOfOrderSequenceNumber:
    case kUnknownProducerId:
      return {ErrorCode::kRefused, std::move(text), Recovery::kAbort};
    case kConcurrentTransactions:
      return {ErrorCode::kRefused, std::move(text), Recovery::kRetriable};
    case kGroupIdNotFound:
    case kUnknownTopicOrPartition:
    case kUnknownTopicId:
      return {ErrorCode::kNotFound, std::move(text),
              protocol::retriable(code) ? Recovery::kRetriable : Recovery::kFatal};
    case kTopicAlreadyExists:
      return {ErrorCode::kAlreadyExists, std::move(text), Recovery::kFatal};
    default:
      return {ErrorCode::kRefused, std::move(text),
              protocol::retriable(code) ? Recovery::kRetriable : Recovery::kFatal};
  }
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
