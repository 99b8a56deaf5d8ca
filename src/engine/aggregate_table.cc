#include "engine/aggregate_table.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/json_document.h"
#include "base/json_text.h"
#include "base/utf8.h"

namespace onceflow::engine {
namespace {

constexpr std::int8_t kStateVersion = 1;

// The elements of the JSON array that the key step has made of `count` parts, as they are written;
// nullopt if it is not one.
std::optional<std::vector<std::string_view>> parts_of_key(std::string_view key, std::size_t count) {
  JsonDocument document;
  if (document.parse(key) ||
      document.node(JsonDocument::kRoot).kind != JsonDocument::Kind::kArray) {
    return std::nullopt;
  }
  std::vector<std::string_view> parts;
  document.for_each_element(JsonDocument::kRoot,
                            [&](std::uint32_t element) { parts.push_back(document.raw(element)); });
  return parts.size() == count ? std::optional(std::move(parts)) : std::nullopt;
}

void encode_state(Buffer& bytes, std::span<const Accumulator> state) {
  WireWriter writer(bytes);
  writer.write_int8(kStateVersion);
  writer.write_unsigned_varint(state.size());
  for (const Accumulator& accumulator : state) {
    accumulator.encode(writer);
  }
}

}  // namespace

std::string render_aggregate(const AggregateSpec& spec, std::string_view key,
                             std::span<const Accumulator> state) {
  std::string json = "{";
  const auto begin_member = [&json](std::string_view name) {
    if (json.size() > 1) {
      json += ',';
    }
    append_json_string(json, name);
    json += ':';
  };
  if (spec.key_columns.size() == 1) {
    begin_member(spec.key_columns.front());
    append_json_string(json, key);
  } else {
    const auto parts = parts_of_key(key, spec.key_columns.size());
    CHECK(parts.has_value());  // of a key that update() has taken
    for (std::size_t index = 0; index < spec.key_columns.size(); ++index) {
      begin_member(spec.key_columns[index]);
      json += (*parts)[index];
    }
  }
  std::string storage;
  for (std::size_t index = 0; index < spec.columns.size(); ++index) {
    begin_member(spec.columns[index].name);
    append_json_value(json, state[index].result(spec.columns[index].function, storage));
  }
  json += '}';
  return json;
}

AggregateTable::State& AggregateTable::pending_state(std::string_view key) {
  auto place = pending_.find(key);
  if (place == pending_.end()) {
    const auto committed = table_.find(key);
    place = pending_
                .emplace(std::string(key), committed != table_.end() ? committed->second
                                                                     : State(spec_.columns.size()))
                .first;
    pending_order_.push_back(&place->first);
  }
  return place->second;
}

// What a record's key must be, so that the output is JSON; asked once for each commit and key.
Status AggregateTable::check_key(std::string_view key) const {
  if (pending_.contains(key)) {
    return {};
  }
  const std::size_t count = spec_.key_columns.size();
  if (count == 1 ? !is_utf8(key) : !parts_of_key(key, count)) {
    return fail(ErrorCode::kInvalidArgument,
                count == 1 ? "the key is not UTF-8, which JSON is"
                           : fmt::format("the key is not a JSON array of {} parts", count));
  }
  return {};
}

Status AggregateTable::update(ByteView key, std::span<const Value> arguments) {
  RETURN_IF_ERROR(check_key(as_text(key)));
  State& state = pending_state(as_text(key));
  for (std::size_t index = 0; index < state.size(); ++index) {
    if (auto added = state[index].add(spec_.columns[index], arguments[index]); !added) {
      return fail(added.error().code,
                  "column '" + spec_.columns[index].name + "': " + added.error().text);
    }
  }
  return {};
}

void AggregateTable::for_each_pending(std::size_t first, std::size_t count_max,
                                      const std::function<void(const Change&)>& visit) {
  Buffer state_bytes;
  const std::size_t end = first + std::min(count_max, pending_order_.size() - first);
  for (std::size_t index = first; index < end; ++index) {
    const std::string* const key = pending_order_[index];
    const State& state = pending_.find(*key)->second;
    state_bytes.clear();
    encode_state(state_bytes, state);
    const std::string output = render_aggregate(spec_, *key, state);
    visit({.key = as_bytes(*key), .state = state_bytes, .output = as_bytes(output)});
  }
}

bool AggregateTable::apply_pending(std::size_t count_max) {
  const std::size_t end =
      applied_count_ + std::min(count_max, pending_order_.size() - applied_count_);
  for (; applied_count_ < end; ++applied_count_) {
    const std::string& key = *pending_order_[applied_count_];
    auto changed = pending_.find(key);
    table_.insert_or_assign(key, std::move(changed->second));
  }
  if (applied_count_ < pending_order_.size()) {
    return false;
  }
  drop_pending();
  return true;
}

void AggregateTable::drop_pending() {
  applied_count_ = 0;
  pending_order_.clear();
  pending_.clear();
}

Status AggregateTable::restore(ByteView key, std::optional<ByteView> state_bytes) {
  if (!state_bytes) {
    if (const auto place = table_.find(as_text(key)); place != table_.end()) {
      table_.erase(place);
    }
    return {};
  }
  WireReader reader(*state_bytes);
  const std::int8_t version = reader.read_int8();
  const std::uint64_t count = reader.read_unsigned_varint();
  if (version != kStateVersion || count != spec_.columns.size()) {
    return fail(
        ErrorCode::kCorrupt,
        fmt::format("changelog '{}': a state of version {} with {} columns; this pipeline "
                    "has {} columns. The aggregate of step '{}' was changed: give the step "
                    "a new id, so that it starts a new changelog",
                    spec_.changelog_topic, version, count, spec_.columns.size(), spec_.step));
  }
  State state;
  state.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t index = 0; index < count; ++index) {
    state.push_back(Accumulator::decode(reader));
  }
  if (!reader.ok() || reader.remaining() != 0) {
    return fail(ErrorCode::kCorrupt, "changelog '" + spec_.changelog_topic +
                                         "': a state whose length does not match its contents");
  }
  table_.insert_or_assign(std::string(as_text(key)), std::move(state));
  return {};
}

void AggregateTable::clear() {
  drop_pending();
  table_.clear();
}

}  // namespace onceflow::engine
