// RowShapes: of which columns, and by which key, the rows of a receipt were made, as the definition
// says that the receipt names. A file that has changed since does not say it any more. Owned by one
// claim about a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "audit/definition_records.h"
#include "audit/subject.h"

namespace onceflow::audit {

struct RowShape {
  enum class Columns {
    kKnown,   ///< the hash of a row is that of `columns`
    kOthers,  ///< it is of columns too that the file does not name, or of another type
    kUnsaid,  ///< no definition says which: where those of the file do not fit, nobody knows
  };
  /// The table was kept by the same mode and the same columns of the key, in their order.
  bool is_kept_alike = true;
  Columns known = Columns::kKnown;
  std::vector<std::size_t> columns{};  ///< of TableSubject::columns, in the order of the hash
};

class RowShapes {
 public:
  /// Both outlive it.
  RowShapes(const StageSubject& stage, const DefinitionRecords& definitions);

  /// `definition` as in a receipt; 0, of a version that named none, is the first that is known. The
  /// reference lasts as long as this.
  const RowShape& of(std::uint64_t definition);

 private:
  RowShape find(std::uint64_t definition) const;
  /// `lines`: PipelineDefinition::Stage::columns.
  RowShape parse(const std::string& lines) const;

  const StageSubject& stage_;
  const DefinitionRecords& definitions_;
  RowShape of_file_;
  std::map<std::uint64_t, RowShape> shapes_;
};

}  // namespace onceflow::audit
