// PostgresColumn: a column of the user's table, and which values it would cut or round.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/value.h"
#include "connectors/postgres_binary.h"
#include "connectors/sink.h"

namespace onceflow::connectors {

struct PostgresColumn {
  PostgresType type = PostgresType::kText;  ///< of an enum text: its labels travel as such
  std::int32_t modifier = -1;  ///< pg_attribute.atttypmod: length, precision and scale; -1: none
  std::string declaration{};   ///< as the user knows it: numeric(10,2)
  std::string type_name{};     ///< without length, precision and scale, as a cast says it
};

/// kRefused, with column, rule and fix, for a value that the column does not keep as it is: the
/// server would round or cut it without a word, or refuse it. `value` is of the sink's type.
Status check_kept(const SinkTable& table, std::string_view name, const PostgresColumn& column,
                  const Value& value);

}  // namespace onceflow::connectors
