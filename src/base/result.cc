#include "base/result.h"

namespace onceflow {

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case ErrorCode::kCorrupt:
      return "CORRUPT";
    case ErrorCode::kNotFound:
      return "NOT_FOUND";
    case ErrorCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case ErrorCode::kLocked:
      return "LOCKED";
    case ErrorCode::kAddressInUse:
      return "ADDRESS_IN_USE";
    case ErrorCode::kDiskFull:
      return "DISK_FULL";
    case ErrorCode::kIo:
      return "IO";
    case ErrorCode::kConnectionLost:
      return "CONNECTION_LOST";
    case ErrorCode::kTimedOut:
      return "TIMED_OUT";
    case ErrorCode::kFenced:
      return "FENCED";
    case ErrorCode::kRefused:
      return "REFUSED";
    case ErrorCode::kUnknownOutcome:
      return "UNKNOWN_OUTCOME";
    case ErrorCode::kCancelled:
      return "CANCELLED";
    case ErrorCode::kUnsupported:
      return "UNSUPPORTED";
  }
  return "UNKNOWN";
}

}  // namespace onceflow
