// Result<T>: for what can happen. Error says what happened and what the caller must do about it.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace onceflow {

/// What went wrong, where some caller does something different on it. Errors of the Kafka protocol
/// have their own numbers (protocol/error_code.h); these are for everything around it.
enum class ErrorCode {
  kInvalidArgument,  ///< a value from a user or a peer is against the rules; the text says which
  kCorrupt,          ///< bytes from disk or network do not decode or their checksum is wrong
  kNotFound,
  kAlreadyExists,
  kLocked,  ///< another process holds the lock
  kAddressInUse,
  kDiskFull,
  kIo,              ///< the disk or the operating system said no
  kConnectionLost,  ///< the peer is gone or was never there; its fate of our request is unknown
  kTimedOut,
  kFenced,          ///< a newer epoch or generation has taken over
  kRefused,         ///< the other side understood and said no; repeating it will not help
  kUnknownOutcome,  ///< a commit was sent and no answer came: read the positions again
  kCancelled,       ///< shut down by its owner
  kUnsupported,
};

/// What the caller must do.
enum class Recovery {
  kRetriable,  ///< the same call may be made again, after a pause
  kAbort,      ///< the transaction at hand must be rolled back; then go on
  kFatal,      ///< go back to the owner: this object cannot go on
};

struct Error {
  ErrorCode code = ErrorCode::kInvalidArgument;
  std::string text;
  Recovery recovery = Recovery::kFatal;
};

const char* to_string(ErrorCode code);

template <typename T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

inline std::unexpected<Error> fail(ErrorCode code, std::string text,
                                   Recovery recovery = Recovery::kFatal) {
  return std::unexpected<Error>(Error{code, std::move(text), recovery});
}

}  // namespace onceflow

// Leaves the function with the error of `expression`, a Status or a Result whose value is unused.
#define RETURN_IF_ERROR(expression)                                  \
  do {                                                               \
    if (auto&& status_or_ = (expression); !status_or_.has_value()) { \
      return std::unexpected(std::move(status_or_).error());         \
    }                                                                \
  } while (false)

// The same inside a coroutine.
#define CO_RETURN_IF_ERROR(expression)                               \
  do {                                                               \
    if (auto&& status_or_ = (expression); !status_or_.has_value()) { \
      co_return std::unexpected(std::move(status_or_).error());      \
    }                                                                \
  } while (false)
