#include "base/record_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <bit>

#include "base/wire.h"

namespace onceflow {
namespace {

std::uint64_t hash(ByteView bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

// Null and empty differ; so do key and value, by the order in which they are chained.
std::uint64_t hash_part(std::optional<ByteView> part, std::uint64_t seed) {
  return part ? hash(*part, seed ^ 1) : hash({}, seed ^ 2);
}

}  // namespace

std::uint64_t input_record_hash(PartitionIndex partition, Offset offset,
                                std::optional<ByteView> key, std::optional<ByteView> value) {
  std::byte place[12];
  wire::store_big_endian(place, partition.value);
  wire::store_big_endian(place + 4, offset.value);
  return hash_part(value, hash_part(key, hash(place, 0)));
}

std::uint64_t output_record_hash(PartitionIndex partition, std::optional<ByteView> key,
                                 std::optional<ByteView> value) {
  std::byte place[4];
  wire::store_big_endian(place, partition.value);
  return hash_part(value, hash_part(key, hash(place, 0)));
}

void RowHash::add(std::string_view column, const Value& value) {
  state_ = hash(as_bytes(column), state_);
  std::byte raw[9] = {static_cast<std::byte>(value.index())};
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    wire::store_big_endian(raw + 1, *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    wire::store_big_endian(raw + 1, std::bit_cast<std::int64_t>(*real == 0 ? 0.0 : *real));
  } else if (const auto* text = std::get_if<std::string_view>(&value)) {
    state_ = hash(as_bytes(*text), state_);
  } else if (const auto* decimal = std::get_if<Decimal>(&value)) {
    state_ = hash(as_bytes(decimal->digits), state_);
  }
  state_ = hash(raw, state_);
}

}  // namespace onceflow
