#include "audit/claims/aggregate_state.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <variant>

#include "audit/names.h"
#include "base/decimal.h"
#include "base/json_document.h"
#include "base/wire.h"

namespace onceflow::audit {
namespace {

constexpr std::int8_t kStateVersion = 2;
constexpr std::int8_t kStateVersionWithoutDefinition = 1;

/// One aggregate of one key: docs/formats/changelog.md.
struct StoredAggregate {
  std::int64_t count = 0;
  std::variant<std::monostate, std::int64_t, double, std::string, DecimalNumber> value;
};

std::optional<std::vector<StoredAggregate>> decode_state(ByteView bytes) {
  WireReader reader(bytes);
  const std::int8_t version = reader.read_int8();
  if (version == kStateVersion) {
    reader.read_uint64();  // the definition's hash
  } else if (version != kStateVersionWithoutDefinition) {
    return std::nullopt;
  }
  const std::uint64_t column_count = reader.read_unsigned_varint();
  std::vector<StoredAggregate> state;
  for (std::uint64_t index = 0; index < column_count && reader.ok(); ++index) {
    StoredAggregate& aggregate = state.emplace_back();
    aggregate.count = reader.read_varlong();
    switch (reader.read_int8()) {
      case 0:
        break;
      case 1:
        aggregate.value = reader.read_varlong();
        break;
      case 2:
        aggregate.value = reader.read_float64();
        break;
      case 3:
        aggregate.value = std::string(reader.read_sized_string());
        break;
      case 4: {
        const auto number = DecimalNumber::parse(reader.read_sized_string());
        if (!number) {
          return std::nullopt;
        }
        aggregate.value = *number;
        break;
      }
      default:
        return std::nullopt;
    }
  }
  return reader.ok() && reader.remaining() == 0 ? std::optional(std::move(state)) : std::nullopt;
}

/// What the stage should have written for a state that is a decimal: the mean has 20 places or as
/// many as the sum.
DecimalNumber decimal_result_of(const StoredAggregate& aggregate,
                                AggregateSubject::Function function) {
  constexpr std::int64_t kMeanPlaces = 20;
  const auto& value = std::get<DecimalNumber>(aggregate.value);
  return function == AggregateSubject::Function::kAvg && aggregate.count > 0
             ? value.divided_by(aggregate.count, kMeanPlaces)
             : value;
}

/// What the stage should have written for it.
nlohmann::json result_of(const StoredAggregate& aggregate, AggregateSubject::Function function) {
  using Function = AggregateSubject::Function;
  if (function == Function::kCount) {
    return aggregate.count;
  }
  if (aggregate.count == 0) {
    return nullptr;
  }
  if (const auto* text = std::get_if<std::string>(&aggregate.value)) {
    return *text;
  }
  const auto* integer = std::get_if<std::int64_t>(&aggregate.value);
  if (integer != nullptr && function != Function::kAvg) {
    return *integer;
  }
  const auto* real = std::get_if<double>(&aggregate.value);
  if (integer == nullptr && real == nullptr) {
    return nullptr;
  }
  const double value = integer != nullptr ? static_cast<double>(*integer) : *real;
  return function == Function::kAvg ? value / static_cast<double>(aggregate.count) : value;
}

class StateCheck {
 public:
  StateCheck(const StageSubject& stage, const LastValuesOf& values, Findings& findings)
      : stage_(stage), aggregate_(*stage.aggregate), values_(values), findings_(findings) {}

  void run() {
    for (const OutputTopicSubject& topic : stage_.output_topics) {
      if (topic.name != aggregate_.changelog_topic) {
        compare(topic.name);
      }
    }
  }

 private:
  struct Place {
    const LastValues* partition = nullptr;
    const LastValues::Last* last = nullptr;
  };

  // A key is in one partition of each topic.
  std::map<std::string_view, Place> places_of(const std::string& topic) const {
    std::map<std::string_view, Place> places;
    for (const auto& [partition, values] : values_) {
      if (partition.topic == topic) {
        for (const auto& [key, last] : values->by_key()) {
          places[key] = {values.get(), &last};
        }
      }
    }
    return places;
  }

  void compare(const std::string& topic) {
    auto written = places_of(topic);
    for (const auto& [key, state] : places_of(aggregate_.changelog_topic)) {
      const auto place = written.find(key);
      if (place == written.end()) {
        add(FindingKind::kMissing, key,
            fmt::format("{} has its state, and nothing of it is in {}", name_of(state), topic));
        continue;
      }
      compare(key, state, place->second);
      written.erase(place);
    }
    for (const auto& [key, place] : written) {
      add(FindingKind::kMissing, key,
          fmt::format("{} has it, and {} has no state of it", name_of(place),
                      aggregate_.changelog_topic));
    }
  }

  void compare(std::string_view key, const Place& state_place, const Place& written_place) {
    const auto& stored = state_place.last->value;
    const auto& written = written_place.last->value;
    const auto state = stored ? decode_state(as_bytes(*stored)) : std::nullopt;
    // Read by its parts: the library refuses a whole object for one number beyond a double.
    JsonDocument output;
    const bool is_object = written && !output.parse(*written) &&
                           output.node(JsonDocument::kRoot).kind == JsonDocument::Kind::kObject;
    if (!state || state->size() != aggregate_.columns.size() || !is_object) {
      add(FindingKind::kAltered, key,
          fmt::format("{} does not decode", name_of(!is_object ? written_place : state_place)));
      return;
    }
    for (std::size_t index = 0; index < state->size(); ++index) {
      const AggregateSubject::Column& column = aggregate_.columns[index];
      const auto member = output.member(JsonDocument::kRoot, column.name);
      const std::string_view found = member ? output.raw(*member) : "nothing";
      const std::string wanted = wanted_of((*state)[index], column.function);
      if (!member || !is_same((*state)[index], column.function, found)) {
        add(FindingKind::kAltered, key,
            fmt::format("by its state at {}, {} is {}; {} says {}", name_of(state_place),
                        column.name, wanted, name_of(written_place), found));
        return;
      }
    }
  }

  static bool is_decimal(const StoredAggregate& aggregate, AggregateSubject::Function function) {
    return std::holds_alternative<DecimalNumber>(aggregate.value) &&
           function != AggregateSubject::Function::kCount;
  }

  static std::string wanted_of(const StoredAggregate& aggregate,
                               AggregateSubject::Function function) {
    return is_decimal(aggregate, function) ? decimal_result_of(aggregate, function).to_string()
                                           : result_of(aggregate, function).dump();
  }

  static bool is_same(const StoredAggregate& aggregate, AggregateSubject::Function function,
                      std::string_view found) {
    if (is_decimal(aggregate, function)) {
      return DecimalNumber::parse(found) == decimal_result_of(aggregate, function);
    }
    return nlohmann::json::parse(found, nullptr, false) == result_of(aggregate, function);
  }

  static std::string name_of(const Place& place) {
    return fmt::format("{} {}", audit::name_of(place.partition->partition()),
                       name_offsets(place.last->offset, place.last->offset + 1));
  }

  void add(FindingKind kind, std::string_view key, const std::string& text) {
    findings_.add(kind, stage_.id, 1,
                  fmt::format("stage {}, {}: {}", stage_.id, name_key(as_bytes(key)), text));
  }

  const StageSubject& stage_;
  const AggregateSubject& aggregate_;
  const LastValuesOf& values_;
  Findings& findings_;
};

}  // namespace

void LastValues::record(const protocol::RecordBatchHeader& batch,
                        const protocol::RecordView& record, bool is_decided) {
  std::string key(as_text(record.key.value_or(ByteView{})));
  Last last{.value = std::nullopt, .offset = batch.offset_of(record)};
  if (record.value) {
    last.value = std::string(as_text(*record.value));
  }
  if (is_decided) {
    by_key_[std::move(key)] = std::move(last);
  } else {
    open_[batch.producer_id].emplace_back(std::move(key), std::move(last));
  }
}

void LastValues::decided(ProducerId producer, bool is_committed) {
  auto node = open_.extract(producer);
  if (node.empty() || !is_committed) {
    return;
  }
  for (auto& [key, last] : node.mapped()) {
    Last& place = by_key_[std::move(key)];
    if (place.offset <= last.offset) {
      place = std::move(last);
    }
  }
}

void check_aggregate_state(const StageSubject& stage, const LastValuesOf& values,
                           Findings& findings) {
  StateCheck(stage, values, findings).run();
}

}  // namespace onceflow::audit
