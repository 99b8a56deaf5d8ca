// YamlReader: reads values of a YAML document and notes what is wrong, so that one pass finds all.
// Every getter answers with a usable value even where it has noted a problem; whoever reads asks
// for the problems at the end.
#pragma once

#include <yaml-cpp/yaml.h>

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secrets.h"
#include "pipeline/file.h"
#include "pipeline/problem.h"
#include "pipeline/record_members.h"

namespace onceflow::pipeline {

class YamlReader {
 public:
  explicit YamlReader(const Variables& variables) : variables_(variables) {}

  static int line_of(const YAML::Node& node) { return node.Mark().line + 1; }

  void report(int line, std::string what, std::string rule, std::string fix);
  void report(const YAML::Node& node, std::string what, std::string rule, std::string fix) {
    report(line_of(node), std::move(what), std::move(rule), std::move(fix));
  }

  /// Whether the node is a map with text for keys, each once and each one of `known` (all if
  /// empty). `place` names the map for messages: "the file", "step only-paid". A known key without
  /// a value is reported: it would be passed over.
  bool check_map(const YAML::Node& node, const std::string& place,
                 const std::vector<std::string_view>& known);

  /// Name and value of every entry, in the file's order. Only after check_map.
  static std::vector<std::pair<std::string, YAML::Node>> entries(const YAML::Node& map);

  /// The entry's node; reports if it is missing and was required. A null value counts as missing.
  std::optional<YAML::Node> find(const YAML::Node& map, std::string_view key);
  std::optional<YAML::Node> require(const YAML::Node& map, std::string_view key,
                                    const std::string& place, const std::string& fix);

  /// A scalar, as it is written.
  std::optional<std::string> scalar(const YAML::Node& node, std::string_view name);
  /// A scalar in which `${env:NAME}` has been replaced.
  std::optional<std::string> setting(const YAML::Node& node, std::string_view name);
  /// A list of settings, or one alone.
  std::vector<std::string> settings(const YAML::Node& node, std::string_view name);
  /// A scalar that is one of a few words; the index of the word.
  std::optional<std::size_t> choice(const YAML::Node& node, std::string_view name,
                                    const std::vector<std::string_view>& words);
  /// A scalar that is a whole number between the two.
  std::optional<std::int64_t> integer(const YAML::Node& node, std::string_view name,
                                      std::int64_t min, std::int64_t max);
  /// An SQL expression over records as they are at this place in the file.
  std::optional<Expression> expression(const YAML::Node& node, const std::string& name,
                                       Numbers numbers = Numbers::kSql);
  /// Reports an expression's error at the node.
  void report_expression(const YAML::Node& node, const std::string& name,
                         const ExpressionError& error);

  /// What the expressions that are read from now on find in a record; nullopt: anything.
  void set_members(std::optional<RecordMembers> members) { members_ = std::move(members); }
  std::optional<RecordMembers>& members() { return members_; }

  /// What settings have taken from the environment.
  const Secrets& secrets() const { return secrets_; }
  /// Without secrets.
  std::vector<Problem> take_problems();
  bool has_problems() const { return !problems_.empty(); }
  /// For a reader that has something to say only where nothing else is wrong.
  std::size_t problem_count() const { return problems_.size(); }

 private:
  void report_unknown(const YAML::Node& key, const YAML::Node& map, const std::string& place,
                      const std::vector<std::string_view>& known);

  const Variables& variables_;
  Secrets secrets_;
  /// (line of the map, key): missing, and it has been said where it went.
  std::set<std::pair<int, std::string>> answered_;
  std::vector<Problem> problems_;
  std::optional<RecordMembers> members_;
};

}  // namespace onceflow::pipeline
