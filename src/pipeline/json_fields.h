// Fields of a JSON value, read in two ways that yield the same: read_field() is thorough and says
// what is wrong; JsonFields is fast, and declines where it is not sure.
//
// A field is null where it is not there. Numbers are those of base/decimal.h's read_number(), true
// and false are 1 and 0, lists and objects are their JSON without spaces.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/json_document.h"
#include "base/value.h"
#include "pipeline/record_problem.h"

namespace onceflow::pipeline {

struct Field {
  Value value;
  bool is_json = false;  ///< a list or an object: `value` is its JSON
};

/// `path_text` is how messages call the field; what does not lie in the document lives in
/// `storage`. A problem: a text with half of a surrogate pair, a number beyond the limits of
/// DecimalNumber.
std::expected<Field, RecordProblem> read_field(const JsonDocument& document, const JsonPath& path,
                                               std::string_view path_text, std::string& storage);
/// Whether the field is there and not null; nothing is wrong with any.
bool has_field(const JsonDocument& document, const JsonPath& path);

RecordProblem malformed(const JsonDocument::Problem& problem);

/// Owned by a Program; one thread.
class JsonFields {
 public:
  explicit JsonFields(const std::vector<JsonPath>& paths);
  ~JsonFields();
  JsonFields(const JsonFields&) = delete;
  JsonFields& operator=(const JsonFields&) = delete;

  /// Reads all fields of the document. False if it is not sure: the document is not JSON, it has an
  /// escape of a surrogate, a field is a list, an object, or a number that a double may not stand
  /// for.
  bool read(ByteView document);
  /// Of the last read; text lives until the next one.
  const Value& operator[](std::size_t index) const { return values_[index]; }

 private:
  struct Reader;
  std::unique_ptr<Reader> reader_;
  std::vector<Value> values_;
};

}  // namespace onceflow::pipeline
