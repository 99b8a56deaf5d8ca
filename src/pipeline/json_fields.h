// JsonFields: reads a few fields of a JSON document, fast, where it is sure to read what SQLite's
// json_extract would; everywhere else it says so and SQLite does the work.
//
// Owned by a Program; one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/value.h"

namespace onceflow::pipeline {

class JsonFields {
 public:
  /// Paths as check_json_path takes them.
  explicit JsonFields(const std::vector<std::string>& paths);
  ~JsonFields();
  JsonFields(const JsonFields&) = delete;
  JsonFields& operator=(const JsonFields&) = delete;

  /// Reads all fields of the document. False if SQLite must be asked: the document is not JSON, has
  /// escapes, or a field is a list, an object or an integer beyond 64 bits.
  bool read(ByteView document);
  /// Of the last read; text lives until the next one.
  const Value& operator[](std::size_t index) const { return values_[index]; }

 private:
  struct Reader;
  std::unique_ptr<Reader> reader_;
  std::vector<Value> values_;
};

}  // namespace onceflow::pipeline
