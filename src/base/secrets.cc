#include "base/secrets.h"

#include <algorithm>

#include "base/json_text.h"

namespace onceflow {
namespace {

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

bool is_of_a_word(char letter) {
  return is_digit(letter) || (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         static_cast<unsigned char>(letter) >= 0x80;
}

std::string in_json(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  return json.substr(1, json.size() - 2);
}

}  // namespace

void Secrets::add(std::string secret, std::string shown) {
  if (secret.empty() || secret == shown) {
    return;
  }
  if (std::string json = in_json(secret); json != secret) {
    add_form(std::move(json), in_json(shown));
  }
  add_form(std::move(secret), std::move(shown));
}

void Secrets::add_form(std::string secret, std::string shown) {
  if (std::ranges::find(secrets_, secret, &Secret::text) != secrets_.end()) {
    return;
  }
  const bool is_a_word = secret.size() < kBytesAnywhere || std::ranges::all_of(secret, is_digit);
  const auto place = std::ranges::find_if(
      secrets_, [&](const Secret& other) { return other.text.size() < secret.size(); });
  secrets_.insert(place, {std::move(secret), std::move(shown), is_a_word});
}

const Secrets::Secret* Secrets::find_at(std::string_view text, std::size_t index) const {
  for (const Secret& secret : secrets_) {
    if (!text.substr(index).starts_with(secret.text)) {
      continue;
    }
    const std::size_t end = index + secret.text.size();
    const bool begins = index == 0 || !is_of_a_word(text[index - 1]);
    const bool ends = end == text.size() || !is_of_a_word(text[end]);
    if (!secret.is_a_word || (begins && ends)) {
      return &secret;
    }
  }
  return nullptr;
}

std::string Secrets::masked(std::string_view text) const {
  std::string result;
  for (std::size_t index = 0; index < text.size();) {
    if (const Secret* const secret = find_at(text, index)) {
      result += secret->shown;
      index += secret->text.size();
    } else {
      result += text[index++];
    }
  }
  return result;
}

}  // namespace onceflow
