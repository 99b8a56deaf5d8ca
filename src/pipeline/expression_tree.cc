#include "pipeline/expression_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/decimal.h"

namespace onceflow::pipeline {
namespace {

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
    auto node = std::make_unique<Node>(Node{.kind = kind, .text = std::move(text)});
    (node->children.push_back(std::move(children)), ...);
    return node;
  }

  static NodePtr at(const Token& token, NodePtr node) {
    node->begin = token.begin;
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
    const Token& token = tokens_[index_];
    const std::string sign(token.text);
    const int own = level_of_sign(sign);
    if (own < 0 || own < level) {
      return left;
    }
    ++index_;
    NodePtr right = parse(own + 1);
    return at(token, make(NodeKind::kBinary, sign, std::move(left), std::move(right)));
  }

  NodePtr after_word(NodePtr left, int level) {
    if (level <= kOrLevel && at_word("or")) {
      return joined(NodeKind::kOr, "or", kAndLevel, std::move(left));
    }
    if (level <= kAndLevel && at_word("and")) {
      return joined(NodeKind::kAnd, "and", kNotLevel, std::move(left));
    }
    if (const Token& token = tokens_[index_]; level <= kCollateLevel && take_word("collate")) {
      return at(token, make(NodeKind::kCollate, word(), std::move(left)));
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
        return at(token, make(NodeKind::kLiteral, std::string(token.text)));
      case TokenKind::kNumber:
        ++index_;
        return number(token, "");
      case TokenKind::kPath:
        ++index_;
        return at(token, make(NodeKind::kPath, std::string(token.text)));
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
                          "compare texts: cast(… as text) = '…'"};
      return nullptr;
    }
    return at(token, make(NodeKind::kLiteral, text));
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
    const Token& token = tokens_[index_];
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
      return list(at(token, make(NodeKind::kCall, name)));
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

}  // namespace

std::expected<NodePtr, ExpressionError> parse_tree(const std::vector<Token>& tokens) {
  return Parser(tokens).run();
}

NodePtr tree_of(std::string_view expression) {
  const auto translated = translate_expression(expression);
  CHECK(translated.has_value());  // SQLite has accepted it
  auto tree = parse_tree(translated->tokens);
  CHECK(tree.has_value());
  return std::move(*tree);
}

NodePtr copy_of(const Node& node) {
  auto copy = std::make_unique<Node>();
  copy->kind = node.kind;
  copy->text = node.text;
  copy->begin = node.begin;
  for (const NodePtr& child : node.children) {
    copy->children.push_back(copy_of(*child));
  }
  return copy;
}

bool is_condition(const Node& node) {
  constexpr std::array<std::string_view, 10> kComparisons = {"=",  "==", "<>", "!=", "<",
                                                             "<=", ">",  ">=", "is", "is not"};
  switch (node.kind) {
    case NodeKind::kAnd:
    case NodeKind::kOr:
    case NodeKind::kNot:
    case NodeKind::kIsNull:
    case NodeKind::kIn:
    case NodeKind::kBetween:
    case NodeKind::kLike:
      return true;
    case NodeKind::kBinary:
      return std::ranges::find(kComparisons, node.text) != kComparisons.end();
    default:
      return false;
  }
}

bool is_choice_of_first(const Node& node) {
  return node.kind == NodeKind::kCall && (node.text == "coalesce" || node.text == "ifnull");
}

bool is_choice_by_condition(const Node& node) {
  return node.kind == NodeKind::kCase ||
         (node.kind == NodeKind::kCall && node.text == "iif" && node.children.size() <= 3);
}

std::string_view roles_of(const Node& node) {
  return node.kind == NodeKind::kCase ? std::string_view(node.text)
         : node.children.size() == 2  ? std::string_view("wt")
                                      : std::string_view("wte");
}

}  // namespace onceflow::pipeline
