// RecordMembers: which members the JSON values of the records have at a place in the file. Behind
// an aggregate they are known: a field that is none of them would be null for every record.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/expression.h"
#include "pipeline/spec.h"

namespace onceflow::pipeline {

class RecordMembers {
 public:
  /// Of what the step's aggregate writes of each key.
  RecordMembers(std::string step, const KeySpec& key, const AggregateStepSpec& aggregate);

  /// What a step that sets this path leaves; the path is one that check_set() has let through.
  void set(std::string_view path);

  /// A field that is null for every record; nullopt: there is none.
  std::optional<ExpressionError> check(const Expression& expression) const;
  /// As check(), of the path that a `set` writes to.
  std::optional<ExpressionError> check_set(std::string_view path) const;

 private:
  enum class Kind {
    kScalar,  ///< a number, a text or null: nothing is below it
    kAny,
  };
  struct Member {
    std::string name;
    Kind kind = Kind::kAny;
  };

  const Member* find(std::string_view name) const;
  std::optional<ExpressionError> check_path(std::string_view path, std::size_t column) const;
  std::string list() const;

  std::string step_;
  std::vector<Member> members_;
};

}  // namespace onceflow::pipeline
