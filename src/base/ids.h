// Numbers that must not be mixed up, each a type of its own.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace onceflow {

/// An integer with a name. Arithmetic is with plain integers only, so that two of them never add.
template <typename Tag, typename Integer>
struct NamedInteger {
  using value_type = Integer;
  Integer value = 0;

  constexpr NamedInteger() = default;
  constexpr explicit NamedInteger(Integer initial) : value(initial) {}

  friend constexpr auto operator<=>(NamedInteger, NamedInteger) = default;
  friend constexpr NamedInteger operator+(NamedInteger left, Integer right) {
    return NamedInteger(static_cast<Integer>(left.value + right));
  }
  friend constexpr NamedInteger operator-(NamedInteger left, Integer right) {
    return NamedInteger(static_cast<Integer>(left.value - right));
  }
  /// The distance between two positions of one kind.
  friend constexpr Integer operator-(NamedInteger left, NamedInteger right) {
    return static_cast<Integer>(left.value - right.value);
  }
  constexpr NamedInteger& operator++() {
    ++value;
    return *this;
  }
};

/// Position of a record in a partition, from 0; the next to be written is the log end offset.
using Offset = NamedInteger<struct OffsetTag, std::int64_t>;
/// Sequence number of a record within (producer id, epoch, partition); wraps from 2^31-1 to 0.
using Sequence = NamedInteger<struct SequenceTag, std::int32_t>;
using ProducerId = NamedInteger<struct ProducerIdTag, std::int64_t>;
using ProducerEpoch = NamedInteger<struct ProducerEpochTag, std::int16_t>;
/// Number of a partition within its topic, from 0.
using PartitionIndex = NamedInteger<struct PartitionIndexTag, std::int32_t>;
/// Number of a consumer group's rebalance; never repeats within a group (GRP-1).
using GenerationId = NamedInteger<struct GenerationIdTag, std::int32_t>;
/// Byte position in the journal's endless stream; it never restarts.
using JournalPosition = NamedInteger<struct JournalPositionTag, std::uint64_t>;

inline constexpr Offset kNoOffset{-1};
inline constexpr ProducerId kNoProducerId{-1};
inline constexpr ProducerEpoch kNoProducerEpoch{-1};
inline constexpr Sequence kNoSequence{-1};

/// A topic's identity (KIP-516): a topic re-created under an old name is another topic.
struct TopicId {
  std::array<std::uint8_t, 16> bytes{};
  friend constexpr auto operator<=>(const TopicId&, const TopicId&) = default;
  bool is_zero() const { return *this == TopicId{}; }
};

/// A partition by name, as clients speak of it.
struct TopicPartition {
  std::string topic;
  PartitionIndex partition;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

/// A partition by identity, as the log speaks of it.
struct TopicIdPartition {
  TopicId topic_id;
  PartitionIndex partition;
  friend auto operator<=>(const TopicIdPartition&, const TopicIdPartition&) = default;
};

/// Who produces, and in which life.
struct ProducerIdentity {
  ProducerId id = kNoProducerId;
  ProducerEpoch epoch = kNoProducerEpoch;
  friend auto operator<=>(const ProducerIdentity&, const ProducerIdentity&) = default;
};

}  // namespace onceflow

template <typename Tag, typename Integer>
struct std::hash<onceflow::NamedInteger<Tag, Integer>> {
  std::size_t operator()(onceflow::NamedInteger<Tag, Integer> number) const noexcept {
    return std::hash<Integer>{}(number.value);
  }
};

template <>
struct std::hash<onceflow::TopicId> {
  std::size_t operator()(const onceflow::TopicId& id) const noexcept {
    return std::hash<std::string_view>{}(
        {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()});
  }
};

template <>
struct std::hash<onceflow::TopicIdPartition> {
  std::size_t operator()(const onceflow::TopicIdPartition& partition) const noexcept {
    return std::hash<onceflow::TopicId>{}(partition.topic_id) * 31 +
           static_cast<std::size_t>(partition.partition.value);
  }
};

template <>
struct std::hash<onceflow::TopicPartition> {
  std::size_t operator()(const onceflow::TopicPartition& partition) const noexcept {
    return std::hash<std::string>{}(partition.topic) * 31 +
           static_cast<std::size_t>(partition.partition.value);
  }
};
