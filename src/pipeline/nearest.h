// The word that was probably meant.
#pragma once

#include <span>
#include <string_view>

namespace onceflow::pipeline {

/// The candidate that was probably meant; empty if none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace onceflow::pipeline
