#include "pipeline/expression_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/json_document.h"
#include "base/json_text.h"
#include "pipeline/nearest.h"

namespace onceflow::pipeline {
namespace {

// Sorted, for a binary search. Date functions are here because the clock is not: see the file
// system of expressions in expression.cc.
constexpr std::array kFunctions = {
    std::string_view("->"),           std::string_view("->>"),
    std::string_view("abs"),          std::string_view("acos"),
    std::string_view("asin"),         std::string_view("atan"),
    std::string_view("atan2"),        std::string_view("ceil"),
    std::string_view("ceiling"),      std::string_view("char"),
    std::string_view("coalesce"),     std::string_view("cos"),
    std::string_view("date"),         std::string_view("datetime"),
    std::string_view("degrees"),      std::string_view("exp"),
    std::string_view("floor"),        std::string_view("format"),
    std::string_view("glob"),         std::string_view("hex"),
    std::string_view("ifnull"),       std::string_view("iif"),
    std::string_view("instr"),        std::string_view("json"),
    std::string_view("json_array"),   std::string_view("json_array_length"),
    std::string_view("json_extract"), std::string_view("json_insert"),
    std::string_view("json_object"),  std::string_view("json_patch"),
    std::string_view("json_quote"),   std::string_view("json_remove"),
    std::string_view("json_replace"), std::string_view("json_set"),
    std::string_view("json_type"),    std::string_view("json_valid"),
    std::string_view("julianday"),    std::string_view("length"),
    std::string_view("like"),         std::string_view("ln"),
    std::string_view("log"),          std::string_view("log10"),
    std::string_view("log2"),         std::string_view("lower"),
    std::string_view("ltrim"),        std::string_view("max"),
    std::string_view("min"),          std::string_view("mod"),
    std::string_view("nullif"),       std::string_view("pi"),
    std::string_view("pow"),          std::string_view("power"),
    std::string_view("printf"),       std::string_view("quote"),
    std::string_view("radians"),      std::string_view("replace"),
    std::string_view("round"),        std::string_view("rtrim"),
    std::string_view("sign"),         std::string_view("sin"),
    std::string_view("sqrt"),         std::string_view("strftime"),
    std::string_view("substr"),       std::string_view("substring"),
    std::string_view("tan"),          std::string_view("time"),
    std::string_view("trim"),         std::string_view("trunc"),
    std::string_view("typeof"),       std::string_view("unicode"),
    std::string_view("unixepoch"),    std::string_view("upper"),
};
static_assert(std::is_sorted(kFunctions.begin(), kFunctions.end()));

constexpr std::array<std::string_view, 31> kKeywords = {
    "and",     "as",  "between", "binary", "case",   "cast", "collate", "distinct",
    "else",    "end", "escape",  "false",  "from",   "glob", "in",      "int",
    "integer", "is",  "isnull",  "like",   "nocase", "not",  "notnull", "null",
    "numeric", "or",  "real",    "text",   "then",   "true", "when"};

constexpr std::array<std::string_view, 6> kDateFunctions = {"date",     "datetime", "julianday",
                                                            "strftime", "time",     "unixepoch"};

constexpr std::array<std::string_view, 21> kDoubleFunctions = {
    "acos",      "asin",  "atan",    "atan2", "cos",  "degrees", "exp",
    "julianday", "ln",    "log",     "log10", "log2", "mod",     "pi",
    "pow",       "power", "radians", "round", "sin",  "sqrt",    "tan"};

template <typename Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::string_view kNoClock =
    "there is no clock; take the record's own time: timestamp (milliseconds), or one of its fields";
constexpr std::string_view kInAggregate =
    "write it in an `aggregate` beside a `key`; a step after it sees the result as a field";
constexpr std::string_view kNoPatterns =
    "write like ('%' is any text, '_' any character) or glob ('*' and '?')";

constexpr std::string_view kToReal =
    "write cast(… as real), which takes the number that a text begins with, or 0";

// Words that people bring from other dialects, and what is written here.
constexpr std::array<std::pair<std::string_view, std::string_view>, 45> kInstead = {{
    {"array_length", "write json_array_length(value, '$.list')"},
    {"avg", kInAggregate},
    {"bool",
     "write case $.a when 'true' then true when 'false' then false end; true is 1, false is 0"},
    {"char_length", "write length(…)"},
    {"concat", "join texts with `||`: $.a || $.b"},
    {"concat_ws", "join texts with `||`: $.a || '-' || $.b"},
    {"contains", "write instr($.text, 'part') > 0"},
    {"count", kInAggregate},
    {"current_date", kNoClock},
    {"current_time", kNoClock},
    {"current_timestamp", kNoClock},
    {"date_format", "write strftime('%Y-%m-%d', $.at), which is the day in UTC"},
    {"date_trunc",
     "write date($.at, 'start of month'), or strftime('%Y-%m-%d %H', $.at); both are in UTC"},
    {"div", "write `/`, which of two integers is an integer"},
    {"double", kToReal},
    {"endswith", "write substr($.text, -3) = 'end'"},
    {"extract",
     "write cast(strftime('%Y', $.at) as integer), in UTC; of JSON json_extract(value, '$.name')"},
    {"float", kToReal},
    {"from_unixtime", "write datetime($.seconds, 'unixepoch')"},
    {"getdate", kNoClock},
    {"greatest",
     "write max($.a, $.b), which is null where one of them is; coalesce($.b, $.a) stands in"},
    {"if", "write iif(condition, then, else), or case when … then … else … end"},
    {"ilike", "write like, which takes upper and lower case of a to z for the same"},
    {"isnull", "write `… is null`, or ifnull(…, 'none')"},
    {"json_value", "write json_extract(value, '$.name')"},
    {"least",
     "write min($.a, $.b), which is null where one of them is; coalesce($.b, $.a) stands in"},
    {"left", "write substr($.text, 1, 3)"},
    {"len", "write length(…)"},
    {"match", kNoPatterns},
    {"mid", "write substr($.text, 2, 3)"},
    {"now", kNoClock},
    {"nvl", "write coalesce(…, 'none')"},
    {"regexp", kNoPatterns},
    {"regexp_like", kNoPatterns},
    {"right", "write substr($.text, -3)"},
    {"rlike", kNoPatterns},
    {"similar", kNoPatterns},
    {"split_part", "write substr($.text, 1, instr($.text || '-', '-') - 1)"},
    {"startswith", "write substr($.text, 1, 5) = 'begin'"},
    {"string", "write cast(… as text)"},
    {"sum", kInAggregate},
    {"to_char", "write strftime('%Y-%m-%d', $.at), or printf('%.2f', $.number)"},
    {"try_cast",
     "write iif(cast(cast($.a as integer) as text) = $.a, cast($.a as integer), null), of a text"},
    {"ucase", "write upper(…)"},
    {"varchar", "write cast(… as text)"},
}};

std::string_view instead_of(std::string_view word) {
  const auto found =
      std::ranges::find(kInstead, word, &std::pair<std::string_view, std::string_view>::first);
  return found == kInstead.end() ? std::string_view() : found->second;
}

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }
bool begins_word(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || letter == '_' ||
         static_cast<unsigned char>(letter) >= 0x80;
}
bool continues_word(char letter) { return begins_word(letter) || is_digit(letter); }

std::unexpected<ExpressionError> refuse(std::size_t begin, std::string what, std::string rule,
                                        std::string fix) {
  return std::unexpected(
      ExpressionError{begin + 1, std::move(what), std::move(rule), std::move(fix)});
}

// Where the quoted text that begins at `begin` ends, one past its quote; a doubled quote is a
// quote.
std::optional<std::size_t> end_of_quoted(std::string_view text, std::size_t begin) {
  const char quote = text[begin];
  for (std::size_t index = begin + 1; index < text.size(); ++index) {
    if (text[index] == quote) {
      if (index + 1 < text.size() && text[index + 1] == quote) {
        ++index;
      } else {
        return index + 1;
      }
    }
  }
  return std::nullopt;
}

// `[3]`, `[#-1]` or `[#]`; nullopt if it is none of them.
std::optional<std::size_t> end_of_subscript(std::string_view text, std::size_t begin) {
  std::size_t index = begin + 1;
  if (text.substr(index, 2) == "#]") {
    return index + 2;
  }
  if (text.substr(index, 2) == "#-") {
    index += 2;
  }
  const std::size_t digits = index;
  while (index < text.size() && is_digit(text[index])) {
    ++index;
  }
  if (index == digits || index >= text.size() || text[index] != ']') {
    return std::nullopt;
  }
  return index + 1;
}

// `a`, or `a.b.c`, that begins here.
std::string_view dotted_name(std::string_view text, std::size_t begin) {
  std::size_t end = begin;
  while (end < text.size() &&
         (continues_word(text[end]) ||
          (text[end] == '.' && end + 1 < text.size() && begins_word(text[end + 1])))) {
    ++end;
  }
  return text.substr(begin, end - begin);
}

// `order.id`, as other systems write a field.
std::unexpected<ExpressionError> refuse_dotted_name(std::string_view text, std::size_t begin) {
  constexpr std::string_view kValue = "value.";
  const std::string_view name = dotted_name(text, begin);
  const std::string_view below = name.starts_with(kValue) ? name.substr(kValue.size()) : name;
  return refuse(begin, fmt::format("`{}` is not a field", name),
                "a field is written $.name, $.a.b, $.list[0], or $.\"odd name\"",
                fmt::format("write `$.{}`", below));
}

std::expected<std::size_t, ExpressionError> end_of_path(std::string_view text, std::size_t begin) {
  const std::string rule = "a field is written $.name, $.a.b, $.list[0], or $.\"odd name\"";
  std::size_t index = begin + 1;
  if (index < text.size() && continues_word(text[index])) {
    return refuse(begin, "`$` is not followed by a dot", rule,
                  fmt::format("write `$.{}`", dotted_name(text, index)));
  }
  while (index < text.size() && (text[index] == '.' || text[index] == '[')) {
    if (text[index] == '[') {
      const std::optional<std::size_t> end = end_of_subscript(text, index);
      if (!end) {
        return refuse(index, "the brackets do not hold a number", rule,
                      "write the position in the list, from 0, or from its end as [#-1]");
      }
      index = *end;
      continue;
    }
    const std::size_t name = index + 1;
    if (name < text.size() && text[name] == '"') {
      std::size_t end = name + 1;
      while (end < text.size() && text[end] != '"') {
        end += text[end] == '\\' ? 2 : 1;
      }
      if (end >= text.size()) {
        return refuse(name, "the name's closing quote is missing", rule, "close it with \"");
      }
      index = end + 1;
      if (!parse_json_path(fmt::format("$.{}", text.substr(name, index - name)))) {
        return refuse(name, fmt::format("{} is not a JSON string", text.substr(name, index - name)),
                      "a name in quotes is written as in JSON, with its escapes",
                      "write \\\\ for a backslash and \\\" for a quote");
      }
    } else if (name < text.size() && begins_word(text[name])) {
      index = name;
      while (index < text.size() && continues_word(text[index])) {
        ++index;
      }
    } else {
      return refuse(index, "no field name after the dot", rule,
                    "write the field's name, in double quotes if it is not a plain word");
    }
  }
  if (!parse_json_path(text.substr(begin, index - begin))) {
    return refuse(begin, "a position in a list has too many digits", rule, "take some away");
  }
  return index;
}

std::size_t end_of_number(std::string_view text, std::size_t begin) {
  std::size_t index = begin;
  while (index < text.size() && (is_digit(text[index]) || text[index] == '.')) {
    ++index;
  }
  if (index < text.size() && (text[index] == 'e' || text[index] == 'E')) {
    std::size_t exponent = index + 1;
    if (exponent < text.size() && (text[exponent] == '+' || text[exponent] == '-')) {
      ++exponent;
    }
    if (exponent < text.size() && is_digit(text[exponent])) {
      index = exponent;
      while (index < text.size() && is_digit(text[index])) {
        ++index;
      }
    }
  }
  return index;
}

std::expected<std::size_t, ExpressionError> end_of_sign(std::string_view text, std::size_t begin) {
  constexpr std::array<std::string_view, 11> kLongSigns = {"->>", "->", "<=", ">=", "<>", "<<",
                                                           ">>",  "==", "!=", "||", "&&"};
  const std::string_view rest = text.substr(begin);
  if (rest.starts_with("--") || rest.starts_with("/*")) {
    return refuse(begin, "a comment", "an expression has no comments of SQL",
                  "put it into the file after a #, or write a space between two minus signs");
  }
  for (const std::string_view sign : kLongSigns) {
    if (rest.starts_with(sign)) {
      if (sign == "&&") {
        return refuse(begin, "`&&`", "conditions are joined as in SQL", "write `and`");
      }
      return begin + sign.size();
    }
  }
  if (std::string_view("()+-*/%<>=,&|~").contains(text[begin])) {
    return begin + 1;
  }
  return refuse(begin, fmt::format("`{}` cannot stand here", rest.substr(0, 1)),
                "an expression is made of fields, names, literals, operators and functions",
                text[begin] == '"' ? "write text in single quotes: 'paid'"
                                   : "take it out; a field is written $.name");
}

std::expected<std::vector<Token>, ExpressionError> tokenize(std::string_view text) {
  std::vector<Token> tokens;
  for (std::size_t index = 0; index < text.size();) {
    const char letter = text[index];
    if (letter == ' ' || letter == '\t' || letter == '\n' || letter == '\r') {
      ++index;
      continue;
    }
    TokenKind kind = TokenKind::kSign;
    std::size_t end = index;
    if (letter == '\'') {
      const std::optional<std::size_t> closed = end_of_quoted(text, index);
      if (!closed) {
        return refuse(index, "the text's closing quote is missing",
                      "text stands between single quotes; a quote inside is doubled",
                      "close it with '");
      }
      kind = TokenKind::kText;
      end = *closed;
    } else if (letter == '$') {
      const auto path_end = end_of_path(text, index);
      if (!path_end) {
        return std::unexpected(path_end.error());
      }
      kind = TokenKind::kPath;
      end = *path_end;
    } else if (is_digit(letter) ||
               (letter == '.' && index + 1 < text.size() && is_digit(text[index + 1]))) {
      kind = TokenKind::kNumber;
      end = end_of_number(text, index);
    } else if (begins_word(letter)) {
      kind = TokenKind::kWord;
      while (end < text.size() && continues_word(text[end])) {
        ++end;
      }
      if (end + 1 < text.size() && text[end] == '.' && begins_word(text[end + 1])) {
        return refuse_dotted_name(text, index);
      }
    } else {
      const auto sign_end = end_of_sign(text, index);
      if (!sign_end) {
        return std::unexpected(sign_end.error());
      }
      end = *sign_end;
    }
    tokens.push_back({kind, index, text.substr(index, end - index)});
    index = end;
  }
  return tokens;
}

std::optional<RecordPart> record_part(std::string_view word) {
  const auto found = std::ranges::find(kRecordParts, word);
  return found == kRecordParts.end()
             ? std::nullopt
             : std::optional(static_cast<RecordPart>(found - kRecordParts.begin()));
}

bool is_sign(const std::vector<Token>& tokens, std::size_t index, std::string_view sign) {
  return index < tokens.size() && tokens[index].kind == TokenKind::kSign &&
         tokens[index].text == sign;
}

// A word stands for a parameter, is a keyword, or is called as a function; nothing else is known.
std::expected<std::string, ExpressionError> translate_word(const std::vector<Token>& tokens,
                                                           std::size_t index) {
  const Token& token = tokens[index];
  std::string word = lower(token.text);
  const bool is_called = is_sign(tokens, index + 1, "(");
  if (is_called && is_allowed_function(word)) {
    return word;
  }
  if (contains(kKeywords, word)) {
    return word;
  }
  if (word == "select" || word == "exists" || word == "with" || word == "values") {
    return refuse(token.begin, fmt::format("`{}`", token.text),
                  "an expression sees one record; it has no tables and no subqueries",
                  "compare with the record's own fields, or list values as in $.a in ('x', 'y')");
  }
  const std::string_view instead = instead_of(word);
  if (is_called) {
    const std::string_view meant = instead.empty() ? nearest(word, kFunctions) : "";
    return refuse(token.begin, fmt::format("function {}() is not allowed", token.text),
                  "only deterministic functions of SQLite may be called: an expression must yield "
                  "the same each time it sees a record",
                  !instead.empty() ? std::string(instead)
                  : !meant.empty()
                      ? fmt::format("did you mean `{}`?", meant)
                      : "see docs/pipeline-file.md, section \"Functions\", for the list");
  }
  if (record_part(word)) {
    return ":" + word;
  }
  if (!instead.empty()) {
    return refuse(token.begin, fmt::format("`{}` is not a word of expressions", token.text),
                  "an expression is one SQL expression as SQLite reads it", std::string(instead));
  }
  return refuse(token.begin, fmt::format("unknown name `{}`", token.text),
                "a field of the value is written $.name; the record itself is value, key, topic, "
                "partition, offset, timestamp; text stands in single quotes",
                fmt::format("write `$.{0}` if it is a field, `'{0}'` if it is text", token.text));
}

std::expected<void, ExpressionError> check_shape(const std::vector<Token>& tokens) {
  int depth = 0;
  bool calls_date = false;
  for (std::size_t index = 0; index < tokens.size(); ++index) {
    const Token& token = tokens[index];
    depth += is_sign(tokens, index, "(") ? 1 : 0;
    depth -= is_sign(tokens, index, ")") ? 1 : 0;
    if (depth < 0) {
      return refuse(token.begin, "a `)` without its `(`", "brackets come in pairs", "take it out");
    }
    if (depth == 0 && is_sign(tokens, index, ",")) {
      return refuse(token.begin, "a comma between two expressions",
                    "an expression yields one value", "keep one of them");
    }
    calls_date = calls_date ||
                 (token.kind == TokenKind::kWord && contains(kDateFunctions, lower(token.text)));
  }
  if (depth > 0) {
    return refuse(tokens.back().begin, "a `)` is missing", "brackets come in pairs",
                  "close the bracket");
  }
  for (const Token& token : tokens) {
    const std::string word = lower(token.text);
    if (calls_date && (word == "'now'" || word == "'localtime'" || word == "'utc'")) {
      return refuse(token.begin, fmt::format("{} is not allowed", token.text),
                    "an expression must yield the same each time it sees a record, so there is no "
                    "clock and no time zone",
                    "use the record's own time: timestamp (milliseconds) or one of its fields");
    }
  }
  return {};
}

std::optional<ColumnType> type_of_name(std::string_view word) {
  if (word == "integer" || word == "int") {
    return ColumnType::kInteger;
  }
  if (word == "real") {
    return ColumnType::kReal;
  }
  return word == "text" ? std::optional(ColumnType::kText) : std::nullopt;
}

// cast(… as TYPE) around the whole, a name, or a literal.
std::optional<ColumnType> infer_type(const std::vector<Token>& tokens) {
  const std::size_t count = tokens.size();
  if (count == 1) {
    const Token& token = tokens.front();
    if (token.kind == TokenKind::kText) {
      return ColumnType::kText;
    }
    if (token.kind == TokenKind::kNumber) {
      return token.text.find_first_of(".eE") == std::string_view::npos ? ColumnType::kInteger
                                                                       : ColumnType::kReal;
    }
    const std::optional<RecordPart> part =
        token.kind == TokenKind::kWord ? record_part(lower(token.text)) : std::nullopt;
    if (!part) {
      return std::nullopt;
    }
    return *part >= RecordPart::kPartition ? ColumnType::kInteger : ColumnType::kText;
  }
  if (count < 6 || lower(tokens[0].text) != "cast" || lower(tokens[count - 3].text) != "as") {
    return std::nullopt;
  }
  int depth = 0;
  for (std::size_t index = 1; index < count; ++index) {
    depth += is_sign(tokens, index, "(") ? 1 : 0;
    depth -= is_sign(tokens, index, ")") ? 1 : 0;
    if (depth == 0) {
      return index + 1 == count ? type_of_name(lower(tokens[count - 2].text)) : std::nullopt;
    }
  }
  return std::nullopt;
}

// The last name of a path: "b" of $.a.b, "odd name" of $."odd name"; none if it ends in brackets.
std::optional<std::string> field_name(std::string_view path) {
  const auto steps = parse_json_path(path);
  const auto* name = steps && !steps->empty() ? std::get_if<std::string>(&steps->back()) : nullptr;
  return name == nullptr ? std::nullopt : std::optional(*name);
}

}  // namespace

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& letter : result) {
    if (letter >= 'A' && letter <= 'Z') {
      letter = static_cast<char>(letter - 'A' + 'a');
    }
  }
  return result;
}

std::string sql_literal(std::string_view text) {
  std::string result = "'";
  for (const char letter : text) {
    result.append(letter == '\'' ? 2 : 1, letter);
  }
  return result + '\'';
}

std::string unquoted(std::string_view literal) {
  std::string text;
  for (std::size_t index = 1; index + 1 < literal.size(); ++index) {
    text += literal[index];
    index += literal[index] == '\'' ? 1 : 0;
  }
  return text;
}

std::size_t TranslatedExpression::column_of(std::size_t sql_offset) const {
  std::size_t column = 1;
  for (const auto& [in_sql, in_text] : token_begins) {
    if (in_sql > sql_offset) {
      break;
    }
    column = in_text + 1;
  }
  return column;
}

bool is_allowed_function(std::string_view name) {
  return std::binary_search(kFunctions.begin(), kFunctions.end(), name);
}

bool is_date_function(std::string_view name) { return contains(kDateFunctions, name); }

bool computes_with_doubles(std::string_view name) { return contains(kDoubleFunctions, name); }

bool asks_for_time_zone(std::string_view text) {
  const std::string word = lower(text);
  return word == "localtime" || word == "utc";
}

std::string path_of_name(std::string_view name) {
  const bool is_plain =
      !name.empty() && begins_word(name.front()) && std::ranges::all_of(name, continues_word);
  std::string path = "$.";
  if (is_plain) {
    path += name;
  } else {
    append_json_string(path, name);
  }
  return path;
}

std::expected<TranslatedExpression, ExpressionError> translate_expression(std::string_view text) {
  if (text.size() > kExpressionBytesMax) {
    return refuse(0, fmt::format("{} bytes long", text.size()),
                  fmt::format("an expression has at most {} bytes", kExpressionBytesMax),
                  "split it over several steps");
  }
  if (const std::size_t place = text.find('\0'); place != std::string_view::npos) {
    return refuse(place, "a byte 0", "an expression is text, and SQLite ends it there",
                  "write char(0) for U+0000");
  }
  auto tokens = tokenize(text);
  if (!tokens) {
    return std::unexpected(std::move(tokens).error());
  }
  if (tokens->empty()) {
    return refuse(0, "the expression is empty", "an expression yields one value",
                  "write one, for example $.status = 'paid'");
  }
  if (const auto shape = check_shape(*tokens); !shape) {
    return std::unexpected(shape.error());
  }
  TranslatedExpression result;
  for (std::size_t index = 0; index < tokens->size(); ++index) {
    const Token& token = (*tokens)[index];
    result.sql += index > 0 ? " " : "";
    result.token_begins.emplace_back(result.sql.size(), token.begin);
    if (token.kind == TokenKind::kPath) {
      result.sql += field_parameter(token.text);
    } else if (token.kind == TokenKind::kWord) {
      auto word = translate_word(*tokens, index);
      if (!word) {
        return std::unexpected(std::move(word).error());
      }
      result.sql += *word;
    } else {
      result.sql += token.text;
    }
  }
  result.type = infer_type(*tokens);
  if (tokens->size() == 1) {
    const Token& only = tokens->front();
    if (only.kind == TokenKind::kPath) {
      result.path = std::string(only.text);
      result.field_name = field_name(only.text);
    } else if (only.kind == TokenKind::kWord) {
      result.part = record_part(lower(only.text));
    }
  }
  result.tokens = std::move(*tokens);
  return result;
}

// The path in hexadecimal digits: any path makes a name, and the same path the same name.
std::string field_parameter(std::string_view path) {
  std::string name = ":field_";
  for (const char letter : path) {
    name += fmt::format("{:02x}", static_cast<unsigned char>(letter));
  }
  return name;
}

std::optional<std::string> path_of_parameter(std::string_view parameter) {
  constexpr std::string_view kBegin = ":field_";
  if (!parameter.starts_with(kBegin)) {
    return std::nullopt;
  }
  parameter.remove_prefix(kBegin.size());
  std::string path;
  for (std::size_t index = 0; index + 1 < parameter.size(); index += 2) {
    unsigned letter = 0;
    std::from_chars(parameter.data() + index, parameter.data() + index + 2, letter, 16);
    path += static_cast<char>(letter);
  }
  return path;
}

std::expected<std::string, ExpressionError> check_json_path(std::string_view text) {
  const std::string rule = "a field is written $.name, $.a.b, $.list[0], or $.\"odd name\"";
  if (!text.starts_with('$')) {
    return refuse(0, fmt::format("`{}` is not a field", text), rule,
                  fmt::format("write `$.{}`", text));
  }
  const auto end = end_of_path(text, 0);
  if (!end) {
    return std::unexpected(end.error());
  }
  if (*end != text.size() || *end == 1) {
    return refuse(*end == 1 ? 0 : *end, "it does not name one field", rule,
                  "name a field below the whole value");
  }
  return std::string(text);
}

std::string conversions_of(std::string_view format) {
  std::string conversions;
  for (std::size_t index = 0; (index = format.find('%', index)) != std::string_view::npos;) {
    for (++index; index < format.size(); ++index) {
      if (format[index] == '*') {
        conversions += kIntegerConversion;
      } else if (!std::string_view("-+ #0123456789,!.l").contains(format[index])) {
        break;
      }
    }
    const char letter = index < format.size() ? format[index++] : '%';
    if (letter != '%') {
      conversions += std::string_view("diuxXorp").contains(letter) ? kIntegerConversion : letter;
    }
  }
  return conversions;
}

}  // namespace onceflow::pipeline
