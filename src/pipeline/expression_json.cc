#include "pipeline/expression_json.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "base/json_text.h"
#include "pipeline/expression_arguments.h"

namespace onceflow::pipeline {
namespace {

using Arguments = sqlite3_value**;

// The argument as JSON; false if it is null, or malformed and so refused.
bool parse_argument(sqlite3_context* call, sqlite3_value* argument, JsonDocument& document) {
  if (sqlite3_value_type(argument) == SQLITE_NULL) {
    sqlite3_result_null(call);
    return false;
  }
  if (const auto problem = document.parse(text_of(argument))) {
    refuse(call, malformed(*problem));
    return false;
  }
  return true;
}

void return_json(sqlite3_context* call, std::string_view json) {
  std::string minified;
  append_minified(minified, json);
  return_value(call, std::string_view(minified), true);
}

void return_field(sqlite3_context* call, const JsonDocument& document, const JsonPath& path,
                  std::string_view path_text) {
  std::string storage;
  auto field = read_field(document, path, path_text, storage);
  if (!field) {
    refuse(call, std::move(field).error());
  } else if (const auto* decimal = std::get_if<Decimal>(&field->value)) {
    refuse(call, beyond_computing(path_text, decimal->digits));
  } else {
    return_value(call, field->value, field->is_json);
  }
}

// The value after `->` and `->>` is a path, a name, or a position.
std::optional<JsonPath> arrow_path(sqlite3_value* argument) {
  if (sqlite3_value_type(argument) == SQLITE_INTEGER) {
    const auto index = sqlite3_value_int64(argument);
    return JsonPath{JsonPosition{static_cast<std::size_t>(index < 0 ? -index : index), index < 0}};
  }
  const std::string_view text = text_of(argument);
  return text.starts_with('$') ? parse_json_path(text) : JsonPath{std::string(text)};
}

bool find_arrow(sqlite3_context* call, Arguments arguments, JsonDocument& document,
                JsonPath& path) {
  if (sqlite3_value_type(arguments[1]) == SQLITE_NULL) {
    return false;
  }
  auto found = arrow_path(arguments[1]);
  if (!found) {
    refuse(call, {fmt::format("`{}` is not a path", text_of(arguments[1])),
                  "a path is $, $.name, $.a.b, $.list[0] or $.\"odd name\"", "mend the path"});
    return false;
  }
  path = std::move(*found);
  return parse_argument(call, arguments[0], document);
}

void arrow(sqlite3_context* call, int, Arguments arguments) {
  JsonDocument document;
  JsonPath path;
  if (find_arrow(call, arguments, document, path)) {
    if (const auto place = document.find(path)) {
      return_json(call, document.raw(*place));
    }
  }
}

void double_arrow(sqlite3_context* call, int, Arguments arguments) {
  JsonDocument document;
  JsonPath path;
  if (find_arrow(call, arguments, document, path)) {
    return_field(call, document, path, text_of(arguments[1]));
  }
}

void json(sqlite3_context* call, int, Arguments arguments) {
  JsonDocument document;
  if (parse_argument(call, arguments[0], document)) {
    return_json(call, document.text());
  }
}

void json_valid(sqlite3_context* call, int, Arguments arguments) {
  if (sqlite3_value_type(arguments[0]) != SQLITE_NULL) {
    JsonDocument document;
    sqlite3_result_int(call, document.parse(text_of(arguments[0])) ? 0 : 1);
  }
}

void json_extract(sqlite3_context* call, int count, Arguments arguments) {
  JsonDocument document;
  if (count < 2 || !parse_argument(call, arguments[0], document)) {
    return;
  }
  std::string list = "[";
  for (int index = 1; index < count; ++index) {
    if (sqlite3_value_type(arguments[index]) == SQLITE_NULL) {
      sqlite3_result_null(call);
      return;
    }
    const JsonPath* path = path_argument(call, arguments[index]);
    if (path == nullptr) {
      return;
    }
    if (count == 2) {
      return_field(call, document, *path, text_of(arguments[index]));
      return;
    }
    const auto place = document.find(*path);
    list += index > 1 ? "," : "";
    list += place ? document.raw(*place) : "null";
  }
  return_json(call, list + "]");
}

// The place that json_type and json_array_length look at; nullopt if there is none.
std::optional<std::uint32_t> place_argument(sqlite3_context* call, int count, Arguments arguments,
                                            JsonDocument& document) {
  if (!parse_argument(call, arguments[0], document)) {
    return std::nullopt;
  }
  if (count < 2) {
    return JsonDocument::kRoot;
  }
  const JsonPath* path =
      sqlite3_value_type(arguments[1]) == SQLITE_NULL ? nullptr : path_argument(call, arguments[1]);
  return path == nullptr ? std::nullopt : document.find(*path);
}

void json_type(sqlite3_context* call, int count, Arguments arguments) {
  constexpr const char* kNames[] = {"null", "true", "false", "real", "text", "array", "object"};
  JsonDocument document;
  if (const auto place = place_argument(call, count, arguments, document)) {
    const auto kind = document.node(*place).kind;
    const bool is_integer = kind == JsonDocument::Kind::kNumber &&
                            document.raw(*place).find_first_of(".eE") == std::string_view::npos;
    sqlite3_result_text(call, is_integer ? "integer" : kNames[std::to_underlying(kind)], -1,
                        SQLITE_STATIC);
  }
}

void json_array_length(sqlite3_context* call, int count, Arguments arguments) {
  JsonDocument document;
  if (const auto place = place_argument(call, count, arguments, document)) {
    const bool is_array = document.node(*place).kind == JsonDocument::Kind::kArray;
    sqlite3_result_int64(call,
                         is_array ? static_cast<sqlite3_int64>(document.element_count(*place)) : 0);
  }
}

void json_array(sqlite3_context* call, int count, Arguments arguments) {
  std::string list = "[";
  for (int index = 0; index < count; ++index) {
    list += index > 0 ? "," : "";
    if (!append_json(call, list, arguments[index])) {
      return;
    }
  }
  return_json(call, list + "]");
}

void json_object(sqlite3_context* call, int count, Arguments arguments) {
  std::string object = "{";
  for (int index = 0; index < count; index += 2) {
    if (index + 1 == count || sqlite3_value_type(arguments[index]) != SQLITE_TEXT) {
      refuse(call, {"json_object() with a name that is not text, or without a value",
                    "json_object() takes a text and a value for each member",
                    "write json_object('name', …)"});
      return;
    }
    object += index > 0 ? "," : "";
    if (!append_json(call, object, arguments[index])) {
      return;
    }
    object += ':';
    if (!append_json(call, object, arguments[index + 1])) {
      return;
    }
  }
  return_json(call, object + "}");
}

void json_quote(sqlite3_context* call, int, Arguments arguments) {
  std::string quoted;
  if (append_json(call, quoted, arguments[0])) {
    return_json(call, quoted);
  }
}

// json_set and its like: a document, then a path and a value for each edit.
template <JsonEdit edit>
void json_edit(sqlite3_context* call, int count, Arguments arguments) {
  JsonDocument document;
  if (count == 0 || !parse_argument(call, arguments[0], document)) {
    return;
  }
  std::string text(document.text());
  for (int index = 1; index + 1 < count; index += 2) {
    const JsonPath* path = path_argument(call, arguments[index]);
    std::string value;
    if (path == nullptr || !append_json(call, value, arguments[index + 1])) {
      return;
    }
    document.parse(text);
    if (auto edited = edit_json(document, *path, value, edit)) {
      text = std::move(*edited);
    }
  }
  return_json(call, text);
}

void json_remove(sqlite3_context* call, int count, Arguments arguments) {
  JsonDocument document;
  if (count == 0 || !parse_argument(call, arguments[0], document)) {
    return;
  }
  std::string text(document.text());
  for (int index = 1; index < count; ++index) {
    const JsonPath* path = path_argument(call, arguments[index]);
    if (path == nullptr) {
      return;
    }
    if (path->empty()) {
      sqlite3_result_null(call);
      return;
    }
    document.parse(text);
    text = remove_json(document, *path);
  }
  return_json(call, text);
}

// What a merge patch (RFC 7396) does, member by member: at each path, a value, or a removal where
// it is null. Objects are merged, so they are gone into.
struct PatchEdit {
  JsonPath path;
  std::uint32_t value = 0;
};

std::vector<PatchEdit> edits_of(const JsonDocument& patch) {
  std::vector<PatchEdit> edits;
  std::vector<PatchEdit> open = {{{}, JsonDocument::kRoot}};
  while (!open.empty()) {
    const PatchEdit object = std::move(open.back());
    open.pop_back();
    patch.for_each_member(object.value, [&](std::uint32_t name, std::uint32_t value) {
      std::string decoded;
      const auto text = patch.string(name, decoded);
      if (!text) {
        return;
      }
      PatchEdit edit{object.path, value};
      edit.path.emplace_back(std::string(*text));
      edits.push_back(edit);
      if (patch.node(value).kind == JsonDocument::Kind::kObject) {
        open.push_back(std::move(edit));
      }
    });
  }
  return edits;
}

void json_patch(sqlite3_context* call, int, Arguments arguments) {
  using Kind = JsonDocument::Kind;
  JsonDocument document;
  JsonDocument patch;
  if (!parse_argument(call, arguments[0], document) || !parse_argument(call, arguments[1], patch)) {
    return;
  }
  if (patch.node(JsonDocument::kRoot).kind != Kind::kObject) {
    return_json(call, patch.text());
    return;
  }
  std::string text(document.node(JsonDocument::kRoot).kind == Kind::kObject ? document.text()
                                                                            : "{}");
  for (const PatchEdit& edit : edits_of(patch)) {
    document.parse(text);
    const Kind kind = patch.node(edit.value).kind;
    const auto there = document.find(edit.path);
    if (kind == Kind::kNull) {
      text = remove_json(document, edit.path);
    } else if (kind != Kind::kObject) {
      text = edit_json(document, edit.path, patch.raw(edit.value), JsonEdit::kSet).value_or(text);
    } else if (!there || document.node(*there).kind != Kind::kObject) {
      text = edit_json(document, edit.path, "{}", JsonEdit::kSet).value_or(text);
    }
  }
  return_json(call, text);
}

}  // namespace

bool register_json_functions(sqlite3* database, EvaluationContext& context) {
  static constexpr SqlFunction kFunctions[] = {
      {"->", 2, arrow},
      {"->>", 2, double_arrow},
      {"json", 1, json},
      {"json_array", -1, json_array},
      {"json_array_length", 1, json_array_length},
      {"json_array_length", 2, json_array_length},
      {"json_extract", -1, json_extract},
      {"json_insert", -1, json_edit<JsonEdit::kInsert>},
      {"json_object", -1, json_object},
      {"json_patch", 2, json_patch},
      {"json_quote", 1, json_quote},
      {"json_remove", -1, json_remove},
      {"json_replace", -1, json_edit<JsonEdit::kReplace>},
      {"json_set", -1, json_edit<JsonEdit::kSet>},
      {"json_type", 1, json_type},
      {"json_type", 2, json_type},
      {"json_valid", 1, json_valid},
  };
  return register_all(database, context, kFunctions);
}

}  // namespace onceflow::pipeline
