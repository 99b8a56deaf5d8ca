// ErrorClass: what an error of another system means to us. Decided once for each system, by a
// table: connectors/postgres_errors.cc, connectors/sqlite_errors.cc, client/broker_error.cc.
// docs/errors.md is printed from these tables.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace onceflow {

enum class ErrorClass {
  kPasses,  ///< nothing was done, and the cause goes away by itself: again, after a pause
  kAgain,   ///< what is open (a transaction, a generation) is over: begin it anew
  kRecord,  ///< this record will never be taken: refuse it by name
  kSetUp,   ///< nothing will be taken until a person changes something: stop, and say what
  kFenced,  ///< another has taken over
  kLost,    ///< the connection ended: what was on its way may have happened or not
  kOnce,    ///< nobody can tell: once more, then stop
};

constexpr std::string_view to_string(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::kPasses:
      return "passes by itself";
    case ErrorClass::kAgain:
      return "begin again";
    case ErrorClass::kRecord:
      return "this record";
    case ErrorClass::kSetUp:
      return "this set-up";
    case ErrorClass::kFenced:
      return "another has taken over";
    case ErrorClass::kLost:
      return "answer lost";
    case ErrorClass::kOnce:
      return "once more, then final";
  }
  return "unknown";
}

/// What the caller must do.
constexpr Recovery recovery_of(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::kPasses:
    case ErrorClass::kLost:
      return Recovery::kRetriable;
    case ErrorClass::kAgain:
    case ErrorClass::kOnce:
      return Recovery::kAbort;
    case ErrorClass::kRecord:
    case ErrorClass::kSetUp:
    case ErrorClass::kFenced:
      return Recovery::kFatal;
  }
  return Recovery::kFatal;
}

/// An error of kOnce: the work may be begun anew once, and if it comes again, it is final.
inline Error unclear_error(std::string text) {
  return {ErrorCode::kUnsupported, std::move(text), Recovery::kAbort};
}
inline bool is_unclear(const Error& error) {
  return error.code == ErrorCode::kUnsupported && error.recovery == Recovery::kAbort;
}

}  // namespace onceflow
