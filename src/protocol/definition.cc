#include "protocol/definition.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/record_hash.h"
#include "base/wire.h"
#include "protocol/own_record.h"

namespace onceflow::protocol {
namespace {

constexpr std::int8_t kDefinitionVersion = 2;
/// Still read: it lacks the flags of a reset.
constexpr std::int8_t kFirstVersion = 1;
// Of the smallest encodings, so that a count is checked against the bytes that are left.
constexpr std::size_t kStringBytesMin = 1;
constexpr std::size_t kStageBytesMin = 9;

// A line "key column NAME text = cast(EXPRESSION as text)" without the cast. Where brackets or
// quotes leave it open whether the cast is around all of it, the line stays as it is.
std::string without_cast_to_text(std::string_view line) {
  constexpr std::string_view kBegin = " text = cast(";
  constexpr std::string_view kEnd = " as text)";
  const std::size_t begin = line.find(kBegin);
  if (begin == std::string_view::npos || !line.ends_with(kEnd)) {
    return std::string(line);
  }
  const std::string_view inner =
      line.substr(0, line.size() - kEnd.size()).substr(begin + kBegin.size());
  if (inner.find_first_of("()'\"") != std::string_view::npos) {
    return std::string(line);
  }
  return std::string(line.substr(0, begin)).append(" text = ").append(inner);
}

std::uint64_t read_count(WireReader& reader, std::size_t element_bytes_min) {
  const std::uint64_t count = reader.read_unsigned_varint();
  if (count > reader.remaining() / element_bytes_min) {
    reader.fail();
    return 0;
  }
  return count;
}

void write_strings(WireWriter& writer, const std::vector<std::string>& strings) {
  writer.write_unsigned_varint(strings.size());
  for (const std::string& text : strings) {
    writer.write_sized_string(text);
  }
}

std::vector<std::string> read_strings(WireReader& reader) {
  std::vector<std::string> strings(static_cast<std::size_t>(read_count(reader, kStringBytesMin)));
  for (std::string& text : strings) {
    text = reader.read_sized_string();
  }
  return strings;
}

PipelineDefinition::Stage read_stage(WireReader& reader) {
  PipelineDefinition::Stage stage;
  stage.id = reader.read_sized_string();
  stage.group_id = reader.read_sized_string();
  stage.sources = read_strings(reader);
  stage.steps = reader.read_sized_string();
  stage.state = reader.read_sized_string();
  stage.changelog_topic = reader.read_sized_string();
  stage.database = reader.read_sized_string();
  stage.outputs = read_strings(reader);
  stage.columns = reader.read_sized_string();
  return stage;
}

}  // namespace

std::string PipelineDefinition::Stage::text() const { return steps + state + columns; }

std::string PipelineDefinition::text() const {
  std::string text = "pipeline " + pipeline + "\nguarantee " + guarantee + "\n";
  for (const Stage& stage : stages) {
    text += "stage " + stage.id + "\ngroup " + stage.group_id + "\n";
    for (const std::string& source : stage.sources) {
      text += "source " + source + "\n";
    }
    text += stage.steps + "state\n" + stage.state + "changelog " + stage.changelog_topic +
            "\ndatabase " + stage.database + "\n";
    for (const std::string& output : stage.outputs) {
      text += "output " + output + "\n";
    }
    text += stage.columns;
  }
  return text;
}

std::vector<std::string> PipelineDefinition::Stage::kept_by() const {
  std::vector<std::string> lines;
  for (const std::string& line : definition_lines(columns)) {
    if (line.starts_with("mode ") || line.starts_with("key column ")) {
      lines.push_back(without_cast_to_text(line));
    }
  }
  std::ranges::sort(lines);
  return lines;
}

const PipelineDefinition::Stage* PipelineDefinition::find(const std::string& id) const {
  const auto place = std::ranges::find(stages, id, &Stage::id);
  return place == stages.end() ? nullptr : &*place;
}

std::vector<std::string> definition_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::uint64_t definition_hash(std::string_view text) {
  RowHash hash;
  hash.add("definition", text);
  return hash.finish();
}

Buffer encode_definition(const PipelineDefinition& definition) {
  Buffer bytes;
  WireWriter writer(bytes);
  writer.write_int8(kDefinitionVersion);
  writer.write_uint32(0);
  writer.write_int8(static_cast<std::int8_t>(definition.kind));
  writer.write_int64(definition.written_at_ms);
  writer.write_sized_string(definition.pipeline);
  writer.write_sized_string(definition.guarantee);
  writer.write_unsigned_varint(definition.stages.size());
  for (const PipelineDefinition::Stage& stage : definition.stages) {
    writer.write_sized_string(stage.id);
    writer.write_sized_string(stage.group_id);
    write_strings(writer, stage.sources);
    writer.write_sized_string(stage.steps);
    writer.write_sized_string(stage.state);
    writer.write_sized_string(stage.changelog_topic);
    writer.write_sized_string(stage.database);
    write_strings(writer, stage.outputs);
    writer.write_sized_string(stage.columns);
  }
  writer.write_sized_string(definition.flags);
  writer.patch_integer(1, crc32c(ByteView(bytes).subspan(5)));
  return bytes;
}

Result<PipelineDefinition> decode_definition(ByteView bytes) {
  WireReader reader(bytes);
  const auto version = read_own_record(reader, bytes, "definition",
                                       {.first = kFirstVersion, .last = kDefinitionVersion});
  RETURN_IF_ERROR(version);
  PipelineDefinition definition;
  const std::int8_t kind = reader.read_int8();
  definition.kind = static_cast<PipelineDefinition::Kind>(kind);
  definition.written_at_ms = reader.read_int64();
  definition.pipeline = reader.read_sized_string();
  definition.guarantee = reader.read_sized_string();
  const std::uint64_t count = read_count(reader, kStageBytesMin);
  for (std::uint64_t index = 0; reader.ok() && index < count; ++index) {
    definition.stages.push_back(read_stage(reader));
  }
  if (*version > kFirstVersion) {
    definition.flags = reader.read_sized_string();
  }
  const bool is_known = kind >= 1 && kind <= 4;
  if (!reader.ok() || reader.remaining() != 0 || !is_known) {
    return fail(ErrorCode::kCorrupt, "definition: its contents do not decode");
  }
  return definition;
}

}  // namespace onceflow::protocol
