#include "pipeline/json_fields.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cmath>
#include <cstring>

#include "base/decimal.h"

namespace onceflow::pipeline {

RecordProblem malformed(const JsonDocument::Problem& problem) {
  return {fmt::format("malformed JSON at byte {}: {}", problem.offset, problem.what),
          "fields are read from a value that is JSON",
          "mend the producer, or " + step_before("value is null or json_valid(value)")};
}

bool has_field(const JsonDocument& document, const JsonPath& path) {
  const auto place = document.find(path);
  return place && document.node(*place).kind != JsonDocument::Kind::kNull;
}

std::expected<Field, RecordProblem> read_field(const JsonDocument& document, const JsonPath& path,
                                               std::string_view path_text, std::string& storage) {
  const auto place = document.find(path);
  if (!place) {
    return Field{};
  }
  switch (document.node(*place).kind) {
    case JsonDocument::Kind::kNull:
      return Field{};
    case JsonDocument::Kind::kTrue:
      return Field{std::int64_t{1}};
    case JsonDocument::Kind::kFalse:
      return Field{std::int64_t{0}};
    case JsonDocument::Kind::kString:
      if (const auto text = document.string(*place, storage)) {
        return Field{*text};
      }
      return std::unexpected(RecordProblem{
          fmt::format("{} holds half of a surrogate pair", path_text),
          "text is Unicode, and half of a pair is none of its characters", "mend the producer"});
    case JsonDocument::Kind::kNumber:
      if (const auto number = read_number(document.raw(*place), storage)) {
        return Field{*number};
      }
      return std::unexpected(
          RecordProblem{fmt::format("{} is a number beyond what is computed with", path_text),
                        fmt::format("a number has at most {} digits and an exponent of at most {}",
                                    DecimalNumber::kDigitsMax, DecimalNumber::kExponentMax),
                        "mend the producer"});
    default:
      storage.clear();
      append_minified(storage, document.raw(*place));
      return Field{std::string_view(storage), true};
  }
}

namespace {

using simdjson::dom::element;

// The element at the path; false if there is none.
bool find(element from, const JsonPath& path, element& found) {
  for (const JsonStep& step : path) {
    if (const auto* name = std::get_if<std::string>(&step)) {
      simdjson::dom::object object;
      if (from.get_object().get(object) != simdjson::SUCCESS ||
          object.at_key(*name).get(from) != simdjson::SUCCESS) {
        return false;
      }
      continue;
    }
    const JsonPosition& position = std::get<JsonPosition>(step);
    simdjson::dom::array array;
    if (from.get_array().get(array) != simdjson::SUCCESS) {
      return false;
    }
    std::size_t index = position.index;
    if (position.is_from_end) {
      const std::size_t count = array.size();
      if (index == 0 || index > count) {
        return false;
      }
      index = count - index;
    }
    if (array.at(index).get(from) != simdjson::SUCCESS) {
      return false;
    }
  }
  found = from;
  return true;
}

// An escape of a surrogate: whether it is half of a pair is for the thorough reader.
bool may_hold_surrogate(std::string_view document) {
  for (std::size_t index = document.find('\\'); index != std::string_view::npos;
       index = document.find('\\', index + 2)) {
    const std::string_view escape = document.substr(index, 3);
    if (escape == "\\ud" || escape == "\\uD") {
      return true;
    }
  }
  return false;
}

bool is_digit_or_point(std::byte letter) {
  const auto code = static_cast<unsigned char>(letter);
  return (code >= '0' && code <= '9') || code == '.';
}

// A real with as many digits as doubles do not all give back. Runs that are shorter than a stride
// hold too few digits.
bool may_hold_long_real(ByteView document) {
  constexpr std::size_t kStride = 16;
  for (std::size_t index = kStride - 1; index < document.size(); index += kStride) {
    if (!is_digit_or_point(document[index])) [[likely]] {
      continue;
    }
    std::size_t begin = index;
    while (begin > 0 && is_digit_or_point(document[begin - 1])) {
      --begin;
    }
    std::size_t end = index;
    bool has_point = false;
    for (; end < document.size() && is_digit_or_point(document[end]); ++end) {
    }
    for (std::size_t place = begin; place < end; ++place) {
      has_point = has_point || document[place] == std::byte{'.'};
    }
    const bool has_exponent = end < document.size() &&
                              (document[end] == std::byte{'e'} || document[end] == std::byte{'E'});
    if (end - begin >= kStride && (has_point || has_exponent)) {
      return true;
    }
  }
  return false;
}

}  // namespace

struct JsonFields::Reader {
  std::vector<JsonPath> paths;
  simdjson::dom::parser parser;
  Buffer padded;

  // False if the value is none that both read alike.
  static bool convert(const element& from, Value& to) {
    constexpr double kSmallest = 1e-290;  // of those that no longer number is rounded to
    switch (from.type()) {
      case simdjson::dom::element_type::STRING:
        to = from.get_string().value_unsafe();
        return true;
      case simdjson::dom::element_type::INT64:
        to = from.get_int64().value_unsafe();
        return true;
      case simdjson::dom::element_type::DOUBLE: {
        const double real = from.get_double().value_unsafe();
        to = real;
        return std::abs(real) >= kSmallest;
      }
      case simdjson::dom::element_type::BOOL:
        to = std::int64_t{from.get_bool().value_unsafe() ? 1 : 0};
        return true;
      case simdjson::dom::element_type::NULL_VALUE:
        to = std::monostate{};
        return true;
      default:
        return false;
    }
  }
};

JsonFields::JsonFields(const std::vector<JsonPath>& paths)
    : reader_(std::make_unique<Reader>()), values_(paths.size()) {
  reader_->paths = paths;
}

JsonFields::~JsonFields() = default;

bool JsonFields::read(ByteView document) {
  // The library skips a byte order mark, which JSON does not have.
  if (document.empty() || document.front() == std::byte{0xef} ||
      may_hold_surrogate(as_text(document)) || may_hold_long_real(document)) {
    return false;
  }
  Buffer& padded = reader_->padded;
  if (padded.size() < document.size() + simdjson::SIMDJSON_PADDING) {
    padded.resize(2 * (document.size() + simdjson::SIMDJSON_PADDING));
  }
  std::memcpy(padded.data(), document.data(), document.size());
  element root;
  if (reader_->parser.parse(reinterpret_cast<const char*>(padded.data()), document.size(), false)
          .get(root) != simdjson::SUCCESS) {
    return false;
  }
  for (std::size_t index = 0; index < values_.size(); ++index) {
    element found;
    if (!find(root, reader_->paths[index], found)) {
      values_[index] = std::monostate{};
    } else if (!Reader::convert(found, values_[index])) {
      return false;
    }
  }
  return true;
}

}  // namespace onceflow::pipeline
