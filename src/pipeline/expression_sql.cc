#include "pipeline/expression_sql.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "pipeline/expression_functions.h"
#include "pipeline/expression_numbers.h"
#include "pipeline/expression_text.h"
#include "pipeline/expression_times.h"

namespace onceflow::pipeline {
namespace {

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
// These read numbers as text: all arguments, or the first.
constexpr std::array<std::string_view, 10> kReadTexts = {
    "hex", "instr", "like", "lower", "ltrim", "replace", "rtrim", "trim", "upper", "glob"};
constexpr std::array<std::string_view, 4> kReadOneText = {"length", "substr", "substring",
                                                          "unicode"};
// printf() reads its first argument as text, and the others as it says.
constexpr std::array<std::string_view, 2> kWriteTexts = {"format", "printf"};
// These choose one of their arguments and hand it on.
constexpr std::array<std::string_view, 3> kChoose = {"coalesce", "ifnull", "iif"};
// These keep numbers by their digits.
constexpr std::array<std::string_view, 6> kKeepDigits = {
    "json_array", "json_object", "json_quote", "json_insert", "json_set", "json_replace"};
/// A number of so many digits is one of 64 bits.
constexpr std::size_t kDigitsOfAnyInteger = 18;
/// Of so many, a double stands for it.
constexpr std::size_t kDigitsOfAnyDouble = 15;
constexpr std::array<std::string_view, 4> kBitSigns = {"&", "|", "<<", ">>"};
constexpr std::array<std::string_view, 10> kComparisons = {"=",  "==", "<>", "!=", "<",
                                                           "<=", ">",  ">=", "is", "is not"};

// How a field's number must come: for SQLite to compute with, or by its digits for our own
// functions, which know it by its mark.
enum class Use { kComputed, kDigits };

bool is_sum_or_product(const Node& node) {
  return node.kind == NodeKind::kBinary &&
         (node.text == "+" || node.text == "-" || node.text == "*" || node.text == "/");
}

bool is_arithmetic(const Node& node) {
  return is_sum_or_product(node) || (node.kind == NodeKind::kUnary && node.text == "-") ||
         (node.kind == NodeKind::kCall && node.text == "round");
}

bool is_text_literal(const Node& node) {
  return node.kind == NodeKind::kLiteral && node.text.starts_with('\'');
}

// Not by SQLite's own reader of characters.
bool is_matched(const Node& literal, std::string_view user) {
  return matches_characters(user) && may_have_noncharacters(literal.text);
}

// What printf() makes of the argument, where its format is known.
std::optional<char> conversion_at(const Node& call, std::size_t index) {
  if (index == 0 || !contains(kWriteTexts, call.text) || !is_text_literal(*call.children[0])) {
    return std::nullopt;
  }
  const std::string conversions = conversions_of(unquoted(call.children[0]->text));
  return index <= conversions.size() ? std::optional(conversions[index - 1]) : std::nullopt;
}

// SQLite cuts a number there to an integer.
bool takes_integer(const Node& call, std::size_t index) {
  if (call.text == "char") {
    return true;
  }
  if (call.text == "round") {
    return index == 1;
  }
  if (call.text == "substr" || call.text == "substring") {
    return index > 0;
  }
  return conversion_at(call, index) == kIntegerConversion;
}

// SQLite makes a double of what comes there; abs() only of a text.
bool takes_double(const Node& call, std::size_t index) {
  const auto conversion = conversion_at(call, index);
  return call.text == "abs" || computes_with_doubles(call.text) ||
         (conversion && kDoubleConversions.contains(*conversion));
}

bool is_sum(std::string_view sign) { return sign == "+" || sign == "-"; }

class Emitter {
 public:
  Emitter(bool is_fast, Numbers numbers) : is_fast_(is_fast), numbers_(numbers) {}

  std::string emit(const Node& node, Use use = Use::kComputed) {
    switch (node.kind) {
      case NodeKind::kLiteral:
        return node.text;
      case NodeKind::kPath:
        return field(use == Use::kDigits ? "onceflow_digits" : "onceflow_field", node);
      case NodeKind::kPart:
        return ":" + node.text;
      case NodeKind::kUnary:
        return unary(node, use);
      case NodeKind::kBinary:
        return binary(node, use);
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
        return conditional(node, use);
      case NodeKind::kCast:
        return cast(node);
      case NodeKind::kCall:
        return call(node, use);
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
                    : fmt::format("{}({})", function, sql_literal(node.text));
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
    return operand.kind == NodeKind::kLiteral && !is_matched(operand, user)
               ? emit(operand)
               : fmt::format("onceflow_whole({}, '{}')", emit(operand), user);
  }

  bool is_exact() const { return numbers_ == Numbers::kExact; }

  // Exact arithmetic knows numbers by their digits; so does what it hands its result to.
  std::string_view arithmetic(Use use) const {
    return !is_exact()           ? "onceflow_arithmetic"
           : use == Use::kDigits ? "onceflow_exact_digits"
                                 : "onceflow_exact";
  }
  std::string operand(const Node& node) {
    return emit(node, is_exact() ? Use::kDigits : Use::kComputed);
  }

  std::string unary(const Node& node, Use use) {
    const Node& inner = *node.children[0];
    if (node.text == "-") {
      return fmt::format("{}('-', 0, {})", arithmetic(use), operand(inner));
    }
    return node.text == "~" ? fmt::format("onceflow_bits('~', {}, 0)", emit(inner))
                            : fmt::format("(+{})", emit(inner, use));
  }

  // The same, in which a real has all its digits.
  std::string whole_text(const Node& node, std::size_t index, std::string_view user) {
    const Node& operand = *node.children[index];
    return operand.kind == NodeKind::kLiteral || operand.kind == NodeKind::kPart
               ? whole(node, index, user)
               : fmt::format("onceflow_whole(onceflow_text({}), '{}')", emit(operand), user);
  }

  std::string binary(const Node& node, Use use) {
    if (is_sum_or_product(node)) {
      std::string signs;
      std::string operands;
      add_operands(node, signs, operands);
      return fmt::format("{}('{}'{})", arithmetic(use), signs, operands);
    }
    if (node.text == "%" || contains(kBitSigns, node.text)) {
      return fmt::format("onceflow_{}('{}', {}, {})", node.text == "%" ? "remainder" : "bits",
                         node.text, child(node, 0), child(node, 1));
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
    if (is_sum_or_product(left) && is_sum(left.text) == is_sum(node.text)) {
      add_operands(left, signs, operands);
    } else {
      operands += ", " + operand(left);
    }
    signs += node.text;
    operands += ", " + operand(*node.children[1]);
  }

  // Casts bring an affinity and collations an order, which only SQLite's own operator knows.
  bool is_compared_by_digits(const Node& left, const Node& right) const {
    const auto is_plain = [](const Node& node) {
      return node.kind != NodeKind::kCast && node.kind != NodeKind::kCollate &&
             node.text != "true" && node.text != "false";
    };
    const auto may_be_decimal = [this](const Node& node) {
      return (!is_fast_ && node.kind == NodeKind::kPath) || (is_exact() && is_arithmetic(node));
    };
    return (may_be_decimal(left) || may_be_decimal(right)) && is_plain(left) && is_plain(right);
  }

  std::string comparison(std::string_view sign, const Node& left, const Node& right) {
    if (is_compared_by_digits(left, right)) {
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
    const Node& tried = *node.children[0];
    const Node& low = *node.children[1];
    const Node& high = *node.children[2];
    const auto is_path = [](const Node& each) { return each.kind == NodeKind::kPath; };
    const auto is_computed = [](const Node& each) { return is_arithmetic(each); };
    if ((!is_fast_ && (is_path(tried) || is_path(low) || is_path(high))) ||
        (is_exact() && (is_computed(tried) || is_computed(low) || is_computed(high)))) {
      return fmt::format("({}({} AND {}))", is_negated ? "NOT " : "", comparison(">=", tried, low),
                         comparison("<=", tried, high));
    }
    return fmt::format("({} {} {} AND {})", child(node, 0), node.text, child(node, 1),
                       child(node, 2));
  }

  std::string like(const Node& node) {
    const std::string_view user = node.text.ends_with("glob") ? "glob" : "like";
    std::string sql =
        fmt::format("({} {} {}", whole_text(node, 0, user), node.text, whole_text(node, 1, user));
    if (node.children.size() > 2) {
      sql += " ESCAPE " + whole_text(node, 2, user);
    }
    return sql + ")";
  }

  std::string conditional(const Node& node, Use use) {
    std::string sql = "(CASE";
    for (std::size_t index = 0; index < node.children.size(); ++index) {
      const char role = node.text[index];
      sql += role == 'w' ? " WHEN " : role == 't' ? " THEN " : role == 'e' ? " ELSE " : " ";
      // With a base, what follows `when` is compared with it.
      const bool is_condition = role == 'w' && node.text.front() != 'b';
      const bool is_result = role == 't' || role == 'e';
      sql += is_condition ? condition(*node.children[index])
                          : child(node, index, is_result ? handed_on(use) : Use::kComputed);
    }
    return sql + " END)";
  }

  // How what is chosen must come: exact arithmetic and what it ends in take digits, marked or not.
  Use handed_on(Use use) const { return is_exact() ? use : Use::kComputed; }

  std::string cast(const Node& node) {
    if (node.text == "real") {
      // Who asks for a double gets what is computed with doubles.
      Emitter inner(is_fast_, Numbers::kSql);
      inner.slot_count_ = slot_count_;
      const std::string value = inner.emit(*node.children[0], Use::kDigits);
      slot_count_ = inner.slot_count_;
      return fmt::format("CAST({} AS real)", value);
    }
    if (node.text == "text") {
      return fmt::format("CAST({} AS text)", text(*node.children[0]));
    }
    std::string value = child(node, 0);
    if (node.text == "integer" || node.text == "int") {
      value = fmt::format("onceflow_within_64_bits({})", value);
    }
    return fmt::format("CAST({} AS {})", value, node.text);
  }

  std::string call(const Node& node, Use use) {
    if (is_exact() && node.text == "round") {
      return fmt::format("{}('round', {}, {})", arithmetic(use), operand(*node.children[0]),
                         node.children.size() > 1 ? argument(node, 1, Use::kComputed) : "0");
    }
    const Use use_of_arguments = contains(kKeepDigits, node.text) ? Use::kDigits
                                 : contains(kChoose, node.text)   ? handed_on(use)
                                                                  : Use::kComputed;
    std::string sql = node.text + "(";
    for (std::size_t index = 0; index < node.children.size(); ++index) {
      sql += index > 0 ? ", " : "";
      sql += index == 0 && node.text == "iif" ? condition(*node.children[index])
                                              : argument(node, index, use_of_arguments);
    }
    return sql + ")";
  }

  std::string argument(const Node& node, std::size_t index, Use use) {
    const std::string& function = node.text;
    const Node& given = *node.children[index];
    std::string value = emit(given, use);
    if (takes_integer(node, index)) {
      const bool is_one = given.kind == NodeKind::kLiteral && function != "char" &&
                          given.text.size() <= kDigitsOfAnyInteger &&
                          given.text.find_first_not_of("0123456789") == std::string::npos;
      if (is_one) {
        return value;
      }
      return fmt::format("onceflow_integer({}, '{}')", value, function);
    }
    if (given.kind == NodeKind::kLiteral && !is_matched(given, function) &&
        (is_text_literal(given) || given.text.size() <= kDigitsOfAnyDouble)) {
      return value;
    }
    if (is_date_function(function)) {
      return time_argument(node, index, value);
    }
    if (takes_double(node, index)) {
      value = fmt::format("onceflow_double({}, '{}')", value, function);
    }
    if (index > 0 && contains(kWriteTexts, function) && !is_text_literal(*node.children[0])) {
      value =
          fmt::format("onceflow_printed({}, {}, {}, '{}')", child(node, 0), index, value, function);
    }
    const bool is_text = contains(kReadTexts, function) ||
                         (index == 0 && contains(kReadOneText, function)) ||
                         (index > 0 && contains(kWriteTexts, function));
    const std::string read =
        is_text && given.kind != NodeKind::kPart ? fmt::format("onceflow_text({})", value) : value;
    return contains(kCarryAnyText, function) || computes_with_doubles(function)
               ? read
               : fmt::format("onceflow_whole({}, '{}')", read, function);
  }

  // The time itself; a modifier or a format.
  static std::string time_argument(const Node& call, std::size_t index, std::string_view value) {
    return index == time_argument_of(call.text)
               ? fmt::format("onceflow_moment({}, '{}', {})", value, call.text,
                             takes_numbers_as_times(call) ? 1 : 0)
               : fmt::format("onceflow_time({}, '{}')", value, call.text);
  }

  bool is_fast_;
  Numbers numbers_;
  std::size_t slot_count_ = 0;
};

}  // namespace

bool yields_no_text(const Node& node) {
  if (is_condition(node)) {
    return true;
  }
  switch (node.kind) {
    case NodeKind::kUnary:
      return node.text != "+";  // which changes nothing
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

EmittedSql emit_sql(const Node& root, Numbers numbers) {
  const Use use = numbers == Numbers::kExact ? Use::kDigits : Use::kComputed;
  return {.thorough = Emitter(false, numbers).emit(root, use),
          .fast = Emitter(true, numbers).emit(root, use),
          .is_condition = yields_no_text(root)};
}

}  // namespace onceflow::pipeline
