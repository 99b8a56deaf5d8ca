// How findings name things: "orders-3", "offsets 120..131", "12 records". Stateless.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "audit/findings.h"
#include "audit/subject.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/value.h"

namespace onceflow::audit {

std::string name_of(const TopicPartition& partition);
/// From the first to the last before `next`: "offset 120", "offsets 120..131".
std::string name_offsets(Offset from, Offset next);
/// "1 record", "12 records".
std::string count_of(std::int64_t count, std::string_view noun);
/// "key 'c'", "no key"; long keys are cut.
std::string name_key(const std::optional<ByteView>& key);
/// "id=7, note='paid', amount=null"; long texts are cut.
std::string name_columns(std::span<const ColumnSubject> columns, std::span<const Value> values);

/// Of a record that does not decode as one of ours.
FindingKind kind_of_odd(const Error& error);

}  // namespace onceflow::audit
