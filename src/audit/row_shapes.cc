#include "audit/row_shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "protocol/definition_lines.h"

namespace onceflow::audit {
namespace {

constexpr std::string_view kKeyColumn = "key column ";
constexpr std::string_view kColumn = "column ";

/// The column that the rest of a line speaks of ("NAME TYPE = EXPRESSION"). In lines of earlier
/// versions names may hold anything: the longest that fits is meant.
std::optional<std::size_t> find_column(const TableSubject& table, std::string_view line) {
  std::optional<std::size_t> found;
  for (std::size_t index = 0; index < table.columns.size(); ++index) {
    const ColumnSubject& column = table.columns[index];
    const std::string end = fmt::format(" {} = ", to_string(column.type));
    const bool fits = line.starts_with(protocol::name_in_line(column.name) + end) ||
                      line.starts_with(column.name + end);
    if (fits && (!found || column.name.size() > table.columns[*found].name.size())) {
      found = index;
    }
  }
  return found;
}

std::vector<std::size_t> keys_of(const TableSubject& table) {
  std::vector<std::size_t> keys;
  for (std::size_t index = 0; index < table.columns.size(); ++index) {
    if (table.columns[index].is_key) {
      keys.push_back(index);
    }
  }
  return keys;
}

}  // namespace

RowShapes::RowShapes(const StageSubject& stage, const DefinitionRecords& definitions)
    : stage_(stage), definitions_(definitions) {
  of_file_.columns.resize(stage.table->columns.size());
  for (std::size_t index = 0; index < of_file_.columns.size(); ++index) {
    of_file_.columns[index] = index;
  }
}

const RowShape& RowShapes::of(std::uint64_t definition) {
  const auto place = shapes_.find(definition);
  return place != shapes_.end() ? place->second
                                : shapes_.emplace(definition, find(definition)).first->second;
}

RowShape RowShapes::find(std::uint64_t definition) const {
  if (definition == 0) {
    for (const protocol::PipelineDefinition& record : definitions_.all()) {
      if (const auto* stage = record.find(stage_.id); stage != nullptr && stage->is_database()) {
        // Whether the file was changed as the version was, nobody can say.
        RowShape shape = parse(stage->columns);
        shape.known =
            shape.known == RowShape::Columns::kKnown ? RowShape::Columns::kUnsaid : shape.known;
        return shape;
      }
    }
    return of_file_;
  }
  if (const auto place = definitions_.find(stage_.id, definition); place.stage != nullptr) {
    return parse(place.stage->columns);
  }
  RowShape unsaid = of_file_;
  unsaid.known = RowShape::Columns::kUnsaid;
  return unsaid;
}

RowShape RowShapes::parse(const std::string& lines) const {
  RowShape shape;
  std::vector<std::size_t> keys;
  std::string_view mode;
  bool has_other_key = false;
  const std::vector<std::string> all = protocol::definition_lines(lines);
  for (std::string_view line : all) {
    const bool is_key = line.starts_with(kKeyColumn);
    if (!is_key && !line.starts_with(kColumn)) {
      mode = line;
      continue;
    }
    line.remove_prefix(is_key ? kKeyColumn.size() : kColumn.size());
    if (const auto column = find_column(*stage_.table, line)) {
      shape.columns.push_back(*column);
      if (is_key) {
        keys.push_back(*column);
      }
    } else {
      shape.known = RowShape::Columns::kOthers;
      has_other_key = has_other_key || is_key;
    }
  }
  shape.is_kept_alike = mode == (stage_.table->is_upsert ? "mode upsert" : "mode append") &&
                        !has_other_key && keys == keys_of(*stage_.table);
  return shape;
}

}  // namespace onceflow::audit
