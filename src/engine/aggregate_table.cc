#include "engine/aggregate_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/json_document.h"
#include "base/json_text.h"
#include "base/utf8.h"
#include "protocol/definition.h"

namespace onceflow::engine {
namespace {

constexpr std::int8_t kStateVersion = 2;
constexpr std::int8_t kStateVersionWithoutDefinition = 1;

constexpr std::string_view kWaysOut =
    "the rule: only the definition that made a state goes on with it, and nothing was written; the "
    "fix: change the file back, or ask `onceflow plan FILE` for the ways to begin the state anew";

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

void encode_state(Buffer& bytes, std::uint64_t definition_hash,
                  std::span<const Accumulator> state) {
  WireWriter writer(bytes);
  writer.write_int8(kStateVersion);
  writer.write_uint64(definition_hash);
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

AggregateTable::AggregateTable(const AggregateSpec& spec, std::string_view definition,
                               std::span<const std::uint64_t> accepted)
    : spec_(spec),
      definition_(definition),
      definition_hash_(protocol::definition_hash(definition)),
      accepted_(accepted) {}

AggregateTable::Pending& AggregateTable::pending_state(std::string_view key, Offset offset) {
  auto place = pending_.find(key);
  if (place == pending_.end()) {
    const State* const committed = committed_state(key);
    place = pending_
                .emplace(std::string(key),
                         Pending{committed != nullptr ? *committed : State(spec_.columns.size()),
                                 offset, offset})
                .first;
    pending_order_.push_back(&place->first);
  }
  return place->second;
}

Offset AggregateTable::first_pending_record(Offset last_record) const {
  const auto found = std::ranges::find(pending_, last_record,
                                       [](const auto& entry) { return entry.second.last_record; });
  return found == pending_.end() ? last_record : found->second.first_record;
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

Status AggregateTable::update(ByteView key, std::span<const Value> arguments, Offset offset) {
  RETURN_IF_ERROR(check_key(as_text(key)));
  Pending& pending = pending_state(as_text(key), offset);
  pending.last_record = offset;
  State& state = pending.state;
  for (std::size_t index = 0; index < state.size(); ++index) {
    if (auto added = state[index].add(spec_.columns[index], arguments[index]); !added) {
      return fail(added.error().code,
                  fmt::format("column '{}' of key '{}': {}", spec_.columns[index].name,
                              as_text(key), added.error().text));
    }
  }
  return {};
}

const AggregateTable::State* AggregateTable::committed_state(std::string_view key) const {
  const auto committed = table_.find(key);
  return committed == table_.end() ? nullptr : &committed->second;
}

bool AggregateTable::has_same_results(const State& left, const State& right) const {
  for (std::size_t index = 0; index < left.size(); ++index) {
    if (!left[index].has_same_result(right[index], spec_.columns[index].function)) {
      return false;
    }
  }
  return true;
}

void AggregateTable::for_each_pending(std::size_t first, std::size_t count_max,
                                      const std::function<void(const Change&)>& visit) {
  Buffer state_bytes;
  std::string output;
  const std::size_t end = first + std::min(count_max, pending_order_.size() - first);
  for (std::size_t index = first; index < end; ++index) {
    const std::string* const key = pending_order_[index];
    const Pending& pending = pending_.find(*key)->second;
    const State& state = pending.state;
    const State* committed = committed_state(*key);
    if (committed != nullptr && *committed == state) {
      continue;
    }
    state_bytes.clear();
    encode_state(state_bytes, definition_hash_, state);
    Change change{.key = as_bytes(*key),
                  .state = state_bytes,
                  .output = std::nullopt,
                  .last_record = pending.last_record};
    if (committed == nullptr || !has_same_results(*committed, state)) {
      output = render_aggregate(spec_, *key, state);
      change.output = as_bytes(output);
    }
    visit(change);
  }
}

bool AggregateTable::apply_pending(std::size_t count_max) {
  const std::size_t end =
      applied_count_ + std::min(count_max, pending_order_.size() - applied_count_);
  for (; applied_count_ < end; ++applied_count_) {
    const std::string& key = *pending_order_[applied_count_];
    auto changed = pending_.find(key);
    table_.insert_or_assign(key, std::move(changed->second.state));
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
  if (version != kStateVersion && version != kStateVersionWithoutDefinition) {
    return fail(ErrorCode::kCorrupt,
                fmt::format("{}: version {}; this program knows {} and {}", name_state(key),
                            version, kStateVersionWithoutDefinition, kStateVersion));
  }
  bool is_of_another = false;
  if (version == kStateVersion) {
    const std::uint64_t hash = reader.read_uint64();
    RETURN_IF_ERROR(check_definition(key, hash));
    is_of_another = hash != definition_hash_;
  }
  const std::uint64_t count = reader.read_unsigned_varint();
  if (reader.ok() && count != spec_.columns.size()) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: it has {} aggregates, the step has {}; {}", name_state(key), count,
                            spec_.columns.size(), kWaysOut));
  }
  State state;
  state.reserve(static_cast<std::size_t>(reader.ok() ? count : 0));
  for (std::uint64_t index = 0; reader.ok() && index < count; ++index) {
    state.push_back(Accumulator::decode(reader));
    if (is_of_another) {
      state.back().go_on_as(spec_.columns[index]);
    }
  }
  if (!reader.ok() || reader.remaining() != 0) {
    return fail(ErrorCode::kCorrupt, name_state(key) + ": its length does not match its contents");
  }
  RETURN_IF_ERROR(check_values(key, state));
  table_.insert_or_assign(std::string(as_text(key)), std::move(state));
  return {};
}

std::string AggregateTable::name_state(ByteView key) const {
  return fmt::format("the state of key '{}' of step '{}'", as_text(key), spec_.step);
}

Status AggregateTable::check_definition(ByteView key, std::uint64_t hash) const {
  if (hash == definition_hash_ || std::ranges::find(accepted_, hash) != accepted_.end()) {
    return {};
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}: another definition has made it ({:016x}); the step is now "
                          "({:016x})\n{}{}",
                          name_state(key), hash, definition_hash_, definition_, kWaysOut));
}

// A state of version 1 does not say what has made it; this finds what cannot be.
Status AggregateTable::check_values(ByteView key, const State& state) const {
  for (std::size_t index = 0; index < state.size(); ++index) {
    if (!state[index].fits(spec_.columns[index])) {
      return fail(ErrorCode::kCorrupt,
                  fmt::format("{}: the value of '{}' is not one that its function comes to: the "
                              "record is damaged, or made by another definition; {}",
                              name_state(key), spec_.columns[index].name, kWaysOut));
    }
  }
  return {};
}

void AggregateTable::clear() {
  drop_pending();
  table_.clear();
}

}  // namespace onceflow::engine
