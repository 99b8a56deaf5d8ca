// UUIDs as text: 32 hexadecimal digits, in lower case with hyphens in the canonical form.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace onceflow {

using UuidBytes = std::array<std::byte, 16>;

/// With or without hyphens after 8, 12, 16 and 20 digits, with or without braces, in upper or lower
/// case. nullopt: it is not one.
std::optional<UuidBytes> read_uuid(std::string_view text);

/// `123e4567-e89b-12d3-a456-426614174000`.
std::string uuid_text(const UuidBytes& uuid);

}  // namespace onceflow
