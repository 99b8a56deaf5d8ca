// What an error of SQLite means to a sink, by its result code. Stateless.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error_class.h"

namespace onceflow::connectors {

struct SqliteErrorRule {
  /// A primary code, for all of its extended codes that have no row of their own; or one of those.
  int code;
  std::string_view name;
  ErrorClass error_class;
  std::string_view meaning;
  std::string_view fix;  ///< empty where there is nothing for a person to do
};

/// docs/errors.md is printed from it.
std::span<const SqliteErrorRule> sqlite_error_rules();
/// Nullptr for a code that is not listed: it is ErrorClass::kOnce.
const SqliteErrorRule* find_sqlite_rule(int extended_code);
ErrorClass class_of_sqlite_code(int extended_code);
/// SQLite's words with the code's name, and the fix where there is one.
Error sqlite_error(int extended_code, std::string_view text);

}  // namespace onceflow::connectors
