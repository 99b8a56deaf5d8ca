#include "pipeline/expression_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "base/decimal.h"

namespace onceflow::pipeline {
namespace {

enum class NodeKind {
  kLiteral,  // as it is written
  kPath,     // a field
  kPart,     // of the record
  kUnary,    // `text` is the sign
  kBinary,   // `text` is the operator, in lower case
  kAnd,      // of two or more
  kOr,       // of two or more
  kNot,
  kIsNull,   // `text` is "is null" or "is not null"
  kIn,       // the first is looked for among the others; `text` is "in" or "not in"
  kBetween,  // three; `text` as above
  kLike,     // two, or three with `escape`; `text` as above, or of glob
  kCase,     // [base] when then … [else]: `text` says which of them, as "b", "wt", "e"
  kCast,     // `text` is the type
  kCall,     // `text` is the function
  kCollate,  // `text` is the collation
};

struct Node {
  NodeKind kind = NodeKind::kLiteral;
  std::string text;
  std::vector<std::unique_ptr<Node>> children;
};
using NodePtr = std::unique_ptr<Node>;

// SQLite's, from the loosest.
enum Precedence {
  kAnything,
  kOrLevel,
  kAndLevel,
  kNotLevel,
  kEqualityLevel,
  kOrderLevel,
  kEscapeLevel,
  kBitLevel,
  kSumLevel,
  kProductLevel,
  kJoinLevel,
  kCollateLevel,
  kUnaryLevel,
};

int level_of_sign(std::string_view sign) {
  constexpr std::array<std::pair<std::string_view, int>, 19> kLevels = {{
      {"=", kEqualityLevel}, {"==", kEqualityLevel}, {"<>", kEqualityLevel}, {"!=", kEqualityLevel},
      {"<", kOrderLevel},    {"<=", kOrderLevel},    {">", kOrderLevel},     {">=", kOrderLevel},
      {"&", kBitLevel},      {"|", kBitLevel},       {"<<", kBitLevel},      {">>", kBitLevel},
      {"+", kSumLevel},      {"-", kSumLevel},       {"*", kProductLevel},   {"/", kProductLevel},
      {"%", kProductLevel},  {"||", kJoinLevel},     {"->", kJoinLevel},
  }};
  const auto found = std::ranges::find(kLevels, sign, &std::pair<std::string_view, int>::first);
  return found != kLevels.end() ? found->second : sign == "->>" ? int{kJoinLevel} : -1;
}

// Recursive descent by precedence. The text is the user's own and short (4,096 bytes), and SQLite
// has refused what nests deeper than a hundred.
class Parser {
 public:
  explicit Parser(const std::vector<Token>& tokens) : tokens_(tokens) {}

  std::expected<NodePtr, ExpressionError> run() {
    NodePtr root = parse(kAnything);
    if (root && index_ < tokens_.size()) {
      fail();
    }
    if (error_) {
      return std::unexpected(*error_);
    }
    return root;
  }

 private:
  bool at_word(std::string_view word, std::size_t ahead = 0) const {
    return index_ + ahead < tokens_.size() && tokens_[index_ + ahead].kind == TokenKind::kWord &&
           lower(tokens_[index_ + ahead].text) == word;
  }
  bool at_sign(std::string_view sign) const {
    return index_ < tokens_.size() && tokens_[index_].kind == TokenKind::kSign &&
           tokens_[index_].text == sign;
  }
  bool take_word(std::string_view word) {
    const bool is_there = at_word(word);
    index_ += is_there ? 1 : 0;
    return is_there;
  }
  bool take_sign(std::string_view sign) {
    const bool is_there = at_sign(sign);
    index_ += is_there ? 1 : 0;
    return is_there;
  }

  NodePtr fail() {
    if (!error_) {
      const std::size_t place = std::min(index_, tokens_.size() - 1);
      error_ = ExpressionError{tokens_[place].begin + 1,
                               fmt::format("`{}` is not understood here", tokens_[place].text),
                               "an expression is one SQL expression; between takes simple bounds",
                               "put brackets around what belongs together"};
    }
    return nullptr;
  }

  template <typename... Children>
  static NodePtr make(NodeKind kind, std::string text, Children... children) {
    auto node = std::make_unique<Node>(Node{kind, std::move(text), {}});
    (node->children.push_back(std::move(children)), ...);
    return node;
  }

  NodePtr parse(int level) {
    NodePtr left = primary();
    while (left && !error_ && index_ < tokens_.size()) {
      const std::size_t before = index_;
      left = tokens_[index_].kind == TokenKind::kSign ? after_sign(std::move(left), level)
                                                      : after_word(std::move(left), level);
      if (index_ == before) {
        break;
      }
    }
    return error_ ? nullptr : std::move(left);
  }

  NodePtr after_sign(NodePtr left, int level) {
    const std::string sign(tokens_[index_].text);
    const int own = level_of_sign(sign);
    if (own < 0 || own < level) {
      return left;
    }
    ++index_;
    NodePtr right = parse(own + 1);
    return make(NodeKind::kBinary, sign, std::move(left), std::move(right));
  }

  NodePtr after_word(NodePtr left, int level) {
    if (level <= kOrLevel && at_word("or")) {
      return joined(NodeKind::kOr, "or", kAndLevel, std::move(left));
    }
    if (level <= kAndLevel && at_word("and")) {
      return joined(NodeKind::kAnd, "and", kNotLevel, std::move(left));
    }
    if (level <= kCollateLevel && take_word("collate")) {
      return make(NodeKind::kCollate, word(), std::move(left));
    }
    return level <= kEqualityLevel ? after_comparing_word(std::move(left)) : std::move(left);
  }

  NodePtr joined(NodeKind kind, std::string_view word, int level, NodePtr left) {
    NodePtr node = make(kind, "", std::move(left));
    while (take_word(word)) {
      NodePtr operand = parse(level);
      if (!operand) {
        return nullptr;
      }
      node->children.push_back(std::move(operand));
    }
    return node;
  }

  NodePtr after_comparing_word(NodePtr left) {
    if (take_word("isnull")) {
      return make(NodeKind::kIsNull, "is null", std::move(left));
    }
    if (take_word("notnull")) {
      return make(NodeKind::kIsNull, "is not null", std::move(left));
    }
    if (take_word("is")) {
      return after_is(std::move(left));
    }
    const bool is_negated = at_word("not");
    const auto at = [&](std::string_view word) { return at_word(word, is_negated ? 1 : 0); };
    const std::string_view negation = is_negated ? "not " : "";
    if (is_negated && at("null")) {
      index_ += 2;
      return make(NodeKind::kIsNull, "is not null", std::move(left));
    }
    for (const std::string_view word : {"in", "like", "glob", "between"}) {
      if (at(word)) {
        index_ += is_negated ? 2 : 1;
        const std::string text = fmt::format("{}{}", negation, word);
        return word == "in"        ? after_in(text, std::move(left))
               : word == "between" ? after_between(text, std::move(left))
                                   : after_like(text, std::move(left));
      }
    }
    return left;
  }

  NodePtr after_is(NodePtr left) {
    bool is_negated = take_word("not");
    if (take_word("distinct")) {
      is_negated = !is_negated;
      if (!take_word("from")) {
        return fail();
      }
    }
    NodePtr right = parse(kOrderLevel);
    if (right && right->kind == NodeKind::kLiteral && right->text == "null") {
      return make(NodeKind::kIsNull, is_negated ? "is not null" : "is null", std::move(left));
    }
    return make(NodeKind::kBinary, is_negated ? "is not" : "is", std::move(left), std::move(right));
  }

  NodePtr after_in(const std::string& text, NodePtr left) {
    NodePtr node = make(NodeKind::kIn, text, std::move(left));
    return take_sign("(") ? list(std::move(node)) : fail();
  }

  NodePtr after_between(const std::string& text, NodePtr left) {
    NodePtr low = parse(kOrderLevel);
    if (!take_word("and")) {
      return fail();
    }
    NodePtr high = parse(kOrderLevel);
    return make(NodeKind::kBetween, text, std::move(left), std::move(low), std::move(high));
  }

  NodePtr after_like(const std::string& text, NodePtr left) {
    NodePtr pattern = parse(kOrderLevel);
    NodePtr node = make(NodeKind::kLike, text, std::move(left), std::move(pattern));
    if (take_word("escape")) {
      node->children.push_back(parse(kBitLevel));
    }
    return node;
  }

  // Expressions up to the closing bracket.
  NodePtr list(NodePtr node) {
    if (take_sign(")")) {
      return node;
    }
    do {
      NodePtr item = parse(kAnything);
      if (!item) {
        return nullptr;
      }
      node->children.push_back(std::move(item));
    } while (take_sign(","));
    return take_sign(")") ? std::move(node) : fail();
  }

  std::string word() {
    if (index_ >= tokens_.size() || tokens_[index_].kind != TokenKind::kWord) {
      fail();
      return "";
    }
    return lower(tokens_[index_++].text);
  }

  NodePtr primary() {
    if (index_ >= tokens_.size()) {
      return fail();
    }
    const Token& token = tokens_[index_];
    switch (token.kind) {
      case TokenKind::kText:
        ++index_;
        return make(NodeKind::kLiteral, std::string(token.text));
      case TokenKind::kNumber:
        ++index_;
        return number(token, "");
      case TokenKind::kPath:
        ++index_;
        return make(NodeKind::kPath, std::string(token.text));
      case TokenKind::kSign:
        return after_leading_sign();
      default:
        return after_leading_word();
    }
  }

  // The sign belongs to the number: 2^63 has no place in 64 bits, its negative has.
  NodePtr number(const Token& token, std::string_view sign) {
    std::string digits;
    const std::string text = fmt::format("{}{}", sign, token.text);
    const auto value = read_number(text, digits);
    if (!value || std::holds_alternative<Decimal>(*value)) {
      error_ =
          ExpressionError{token.begin + 1, fmt::format("the number {} is not exact here", text),
                          "a number in an expression fits 64 bits, or is what a double stands for",
                          "compare texts: cast($.field as text) = '…'"};
      return nullptr;
    }
    return make(NodeKind::kLiteral, text);
  }

  NodePtr after_leading_sign() {
    if (take_sign("(")) {
      NodePtr inner = parse(kAnything);
      return take_sign(")") ? std::move(inner) : fail();
    }
    const std::string sign(tokens_[index_].text);
    if (sign != "-" && sign != "+" && sign != "~") {
      return fail();
    }
    ++index_;
    if (sign == "-" && index_ < tokens_.size() && tokens_[index_].kind == TokenKind::kNumber) {
      return number(tokens_[index_++], "-");
    }
    return make(NodeKind::kUnary, sign, parse(kUnaryLevel));
  }

  NodePtr after_leading_word() {
    if (take_word("not")) {
      return make(NodeKind::kNot, "", parse(kNotLevel));
    }
    if (take_word("case")) {
      return after_case();
    }
    const std::string name = word();
    if (name == "cast" && take_sign("(")) {
      NodePtr value = parse(kAnything);
      if (!take_word("as")) {
        return fail();
      }
      NodePtr node = make(NodeKind::kCast, word(), std::move(value));
      return take_sign(")") ? std::move(node) : fail();
    }
    if (take_sign("(")) {
      return list(make(NodeKind::kCall, name));
    }
    if (std::ranges::find(kRecordParts, name) != kRecordParts.end()) {
      return make(NodeKind::kPart, name);
    }
    return name == "null" || name == "true" || name == "false" ? make(NodeKind::kLiteral, name)
                                                               : (--index_, fail());
  }

  NodePtr after_case() {
    NodePtr node = make(NodeKind::kCase, "");
    const auto add = [&](std::string_view role) {
      node->text += role;
      node->children.push_back(parse(kAnything));
      return node->children.back() != nullptr;
    };
    if (!at_word("when") && !add("b")) {
      return nullptr;
    }
    while (take_word("when")) {
      if (!add("w") || !take_word("then") || !add("t")) {
        return fail();
      }
    }
    if (take_word("else") && !add("e")) {
      return nullptr;
    }
    return take_word("end") ? std::move(node) : fail();
  }

  const std::vector<Token>& tokens_;
  std::size_t index_ = 0;
  std::optional<ExpressionError> error_;
};

// ---------------------------------------------------------------------------------------------

template <typename Names>
bool contains(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// These carry any text as it is. SQLite's others end it at U+0000, or read it as UTF-8.
constexpr std::array<std::string_view, 26> kCarryAnyText = {"coalesce",     "ifnull",
                                                            "iif",          "nullif",
                                                            "max",          "min",
                                                            "typeof",       "hex",
                                                            "instr",        "upper",
                                                            "lower",        "char",
                                                            "replace",      "json",
                                                            "json_array",   "json_quote",
                                                            "json_object",  "json_extract",
                                                            "json_insert",  "json_patch",
                                                            "json_type",    "json_valid",
                                                            "json_remove",  "json_set",
                                                            "json_replace", "json_array_length"};
// These keep numbers by their digits.
constexpr std::array<std::string_view, 6> kKeepDigits = {
    "json_array", "json_object", "json_quote", "json_insert", "json_set", "json_replace"};
constexpr std::array<std::string_view, 10> kComparisons = {"=",  "==", "<>", "!=", "<",
                                                           "<=", ">",  ">=", "is", "is not"};

// How a field's number must come: for SQLite to compute with, or by its digits for our own
// functions, which know it by its mark.
enum class Use { kComputed, kDigits };

// By its operator alone: a truth or a number, whatever it is about.
bool yields_no_text(const Node& node) {
  switch (node.kind) {
    case NodeKind::kUnary:
    case NodeKind::kAnd:
    case NodeKind::kOr:
    case NodeKind::kNot:
    case NodeKind::kIsNull:
    case NodeKind::kIn:
    case NodeKind::kBetween:
    case NodeKind::kLike:
      return true;
    case NodeKind::kBinary:
      return node.text != "||" && node.text != "->" && node.text != "->>";
    case NodeKind::kLiteral:
      return !node.text.starts_with('\'');
    case NodeKind::kCall:
      return node.text == "json_valid";
    default:
      return false;
  }
}

class Emitter {
 public:
  explicit Emitter(bool is_fast) : is_fast_(is_fast) {}

  std::string emit(const Node& node, Use use = Use::kComputed) {
    switch (node.kind) {
      case NodeKind::kLiteral:
        return node.text;
      case NodeKind::kPath:
        return field(use == Use::kDigits ? "onceflow_digits" : "onceflow_field", node);
      case NodeKind::kPart:
        return ":" + node.text;
      case NodeKind::kUnary:
        return node.text == "-" ? fmt::format("onceflow_arithmetic('-', 0, {})", child(node, 0))
                                : fmt::format("({}{})", node.text, child(node, 0));
      case NodeKind::kBinary:
        return binary(node);
      case NodeKind::kAnd:
      case NodeKind::kOr:
        return junction(node);
      case NodeKind::kNot:
        return fmt::format("(NOT {})", condition(*node.children[0]));
      case NodeKind::kIsNull:
        return fmt::format("({} {})",
                           node.children[0]->kind == NodeKind::kPath
                               ? field("onceflow_has", *node.children[0])
                               : child(node, 0),
                           node.text);
      case NodeKind::kIn:
        return fmt::format("({} {} ({}))", child(node, 0), node.text, children(node, 1, ", "));
      case NodeKind::kBetween:
        return between(node);
      case NodeKind::kLike:
        return like(node);
      case NodeKind::kCase:
        return conditional(node);
      case NodeKind::kCast:
        return cast(node);
      case NodeKind::kCall:
        return call(node);
      case NodeKind::kCollate:
        return fmt::format("({} COLLATE {})", whole(node, 0, "collate"), node.text);
    }
    return "";
  }

 private:
  std::string child(const Node& node, std::size_t index, Use use = Use::kComputed) {
    return emit(*node.children[index], use);
  }

  std::string children(const Node& node, std::size_t from, std::string_view separator) {
    std::string sql;
    for (std::size_t index = from; index < node.children.size(); ++index) {
      sql += index > from ? separator : "";
      sql += child(node, index);
    }
    return sql;
  }

  // A child that stands where true or false belongs.
  std::string condition(const Node& node) {
    return yields_no_text(node) ? emit(node) : fmt::format("onceflow_truth({})", emit(node));
  }

  std::string field(std::string_view function, const Node& node) const {
    return is_fast_ ? field_parameter(node.text)
                    : fmt::format("{}({})", function, quoted(node.text));
  }

  // As text, in which a real has all its digits: SQLite writes 15 of them.
  std::string text(const Node& node) {
    return node.kind == NodeKind::kLiteral || node.kind == NodeKind::kPart
               ? emit(node)
               : fmt::format("onceflow_text({})", emit(node, Use::kDigits));
  }

  // A child for what ends text at U+0000: it must have none, and be UTF-8.
  std::string whole(const Node& node, std::size_t index, std::string_view user) {
    const Node& operand = *node.children[index];
    return operand.kind == NodeKind::kLiteral
               ? emit(operand)
               : fmt::format("onceflow_whole({}, '{}')", emit(operand), user);
  }

  static bool is_sum_or_product(const Node& node) {
    return node.kind == NodeKind::kBinary &&
           (node.text == "+" || node.text == "-" || node.text == "*" || node.text == "/");
  }

  std::string binary(const Node& node) {
    if (is_sum_or_product(node)) {
      std::string signs;
      std::string operands;
      add_operands(node, signs, operands);
      return fmt::format("onceflow_arithmetic('{}'{})", signs, operands);
    }
    if (contains(kComparisons, node.text)) {
      return comparison(node.text, *node.children[0], *node.children[1]);
    }
    if (node.text == "||") {
      const Node& first = *node.children[0];
      if (first.kind == NodeKind::kBinary && first.text == "||") {
        // Without brackets of its own: they would nest as deep as the chain is long.
        const std::string left = emit(first);
        return fmt::format("{} || {})", std::string_view(left).substr(0, left.size() - 1),
                           text(*node.children[1]));
      }
      return fmt::format("({} || {})", text(first), text(*node.children[1]));
    }
    return fmt::format("({} {} {})", child(node, 0), node.text, child(node, 1));
  }

  // A chain of signs of one precedence, from its first operand.
  void add_operands(const Node& node, std::string& signs, std::string& operands) {
    const Node& left = *node.children[0];
    const bool is_chain =
        is_sum_or_product(left) && level_of_sign(left.text) == level_of_sign(node.text);
    if (is_chain) {
      add_operands(left, signs, operands);
    } else {
      operands += ", " + emit(left);
    }
    signs += node.text;
    operands += ", " + child(node, 1);
  }

  // Casts bring an affinity and collations an order, which only SQLite's own operator knows.
  static bool is_compared_by_digits(const Node& left, const Node& right) {
    const auto is_plain = [](const Node& node) {
      return node.kind != NodeKind::kCast && node.kind != NodeKind::kCollate &&
             node.text != "true" && node.text != "false";
    };
    return (left.kind == NodeKind::kPath || right.kind == NodeKind::kPath) && is_plain(left) &&
           is_plain(right);
  }

  std::string comparison(std::string_view sign, const Node& left, const Node& right) {
    if (!is_fast_ && is_compared_by_digits(left, right)) {
      return fmt::format("onceflow_compare('{}', {}, {})", sign, emit(left, Use::kDigits),
                         emit(right, Use::kDigits));
    }
    return fmt::format("({} {} {})", emit(left), sign, emit(right));
  }

  // SQLite evaluates both sides of and and or; what follows must be guarded by what is before it.
  std::string junction(const Node& node) {
    const bool is_and = node.kind == NodeKind::kAnd;
    if (is_fast_) {
      std::string sql = "(" + condition(*node.children[0]);
      for (std::size_t index = 1; index < node.children.size(); ++index) {
        sql += (is_and ? " AND " : " OR ") + condition(*node.children[index]);
      }
      return sql + ")";
    }
    const std::size_t slot = slot_count_++;
    std::string sql = fmt::format("(CASE {}", is_and ? 0 : 1);
    for (std::size_t index = 0; index < node.children.size(); ++index) {
      sql += fmt::format(" WHEN onceflow_{}({}, {}) THEN {}", index == 0 ? "first" : "next", slot,
                         condition(*node.children[index]), is_and ? 0 : 1);
    }
    return sql + fmt::format(" ELSE onceflow_last({}, {}) END)", slot, is_and ? 1 : 0);
  }

  std::string between(const Node& node) {
    const bool is_negated = node.text.starts_with("not");
    const auto is_path = [&](std::size_t index) {
      return node.children[index]->kind == NodeKind::kPath;
    };
    if (!is_fast_ && (is_path(0) || is_path(1) || is_path(2))) {
      return fmt::format("({}({} AND {}))", is_negated ? "NOT " : "",
                         comparison(">=", *node.children[0], *node.children[1]),
                         comparison("<=", *node.children[0], *node.children[2]));
    }
    return fmt::format("({} {} {} AND {})", child(node, 0), node.text, child(node, 1),
                       child(node, 2));
  }

  std::string like(const Node& node) {
    const std::string_view user = node.text.ends_with("glob") ? "glob" : "like";
    std::string sql =
        fmt::format("({} {} {}", whole(node, 0, user), node.text, whole(node, 1, user));
    if (node.children.size() > 2) {
      sql += " ESCAPE " + whole(node, 2, user);
    }
    return sql + ")";
  }

  std::string conditional(const Node& node) {
    std::string sql = "(CASE";
    for (std::size_t index = 0; index < node.children.size(); ++index) {
      const char role = node.text[index];
      sql += role == 'w' ? " WHEN " : role == 't' ? " THEN " : role == 'e' ? " ELSE " : " ";
      // With a base, what follows `when` is compared with it.
      const bool is_condition = role == 'w' && node.text.front() != 'b';
      sql += is_condition ? condition(*node.children[index]) : child(node, index);
    }
    return sql + " END)";
  }

  std::string cast(const Node& node) {
    if (node.text == "text") {
      return fmt::format("CAST({} AS text)", text(*node.children[0]));
    }
    std::string value = child(node, 0, node.text == "real" ? Use::kDigits : Use::kComputed);
    if (node.text == "integer" || node.text == "int") {
      value = fmt::format("onceflow_within_64_bits({})", value);
    }
    return fmt::format("CAST({} AS {})", value, node.text);
  }

  std::string call(const Node& node) {
    const bool carries_any_text = contains(kCarryAnyText, node.text);
    const Use use = contains(kKeepDigits, node.text) ? Use::kDigits : Use::kComputed;
    std::string sql = node.text + "(";
    for (std::size_t index = 0; index < node.children.size(); ++index) {
      sql += index > 0 ? ", " : "";
      if (index == 0 && node.text == "iif") {
        sql += condition(*node.children[index]);
      } else {
        sql += carries_any_text ? child(node, index, use) : whole(node, index, node.text);
      }
    }
    return sql + ")";
  }

  bool is_fast_;
  std::size_t slot_count_ = 0;
};

}  // namespace

std::expected<EmittedSql, ExpressionError> emit_sql(const std::vector<Token>& tokens) {
  auto root = Parser(tokens).run();
  if (!root) {
    return std::unexpected(std::move(root).error());
  }
  if ((*root)->kind == NodeKind::kCollate) {
    return std::unexpected(
        ExpressionError{1, "`collate` stands outside of a comparison",
                        "a value is what it is: keys, groups and columns are told apart by their "
                        "bytes; `collate` belongs to a comparison",
                        "write lower(…) to put together what differs in case"});
  }
  return EmittedSql{.thorough = Emitter(false).emit(**root),
                    .fast = Emitter(true).emit(**root),
                    .is_condition = yields_no_text(**root)};
}

}  // namespace onceflow::pipeline
