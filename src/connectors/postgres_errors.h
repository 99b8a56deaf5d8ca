// What an error of PostgreSQL means to a sink, by its SQLSTATE. Stateless.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error_class.h"

namespace onceflow::connectors {

struct PostgresErrorRule {
  /// Five letters; or two, for all codes of a class that have no row of their own.
  std::string_view sqlstate;
  ErrorClass error_class;
  std::string_view meaning;
  std::string_view fix;  ///< empty where there is nothing for a person to do
};

/// In the order of the codes; docs/errors.md is printed from it.
std::span<const PostgresErrorRule> postgres_error_rules();
/// Nullptr for a code that is not listed: it is ErrorClass::kOnce.
const PostgresErrorRule* find_postgres_rule(std::string_view sqlstate);
ErrorClass class_of_sqlstate(std::string_view sqlstate);
/// Whether a right of the user may be missing, of the kind that a GRANT gives.
bool is_missing_right(std::string_view sqlstate);
/// "(SQLSTATE 42501); the fix: …"; without a fix where there is none to give.
std::string explain_sqlstate(std::string_view sqlstate);

/// Why no connection came about, in libpq's words: kSetUp if a server or libpq itself said what
/// only a person can mend; else kPasses, because a server that is away may come back.
struct ConnectFailure {
  ErrorClass error_class = ErrorClass::kPasses;
  std::string text;      ///< one line
  std::string sqlstate;  ///< empty: none was told
};
/// `message` is libpq's, with PQERRORS_VERBOSE, so that it holds the SQLSTATE in any language.
ConnectFailure judge_connect_failure(std::string_view message);

}  // namespace onceflow::connectors
