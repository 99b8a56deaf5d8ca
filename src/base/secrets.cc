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

// As others write it: with a letter for the control characters that have one.
std::string in_json_with_letters(std::string_view text) {
  constexpr std::string_view kEscaped = "\b\f\n\r\t";
  constexpr std::string_view kLetters = "bfnrt";
  std::string json;
  for (const char letter : text) {
    const std::size_t place = kEscaped.find(letter);
    json += place == std::string_view::npos ? in_json({&letter, 1})
                                            : std::string("\\") + kLetters[place];
  }
  return json;
}

// Past the closing quote of the string that the text begins with.
std::size_t end_of_json_string(std::string_view text) {
  std::size_t end = 1;
  while (end < text.size() && text[end] != '"') {
    end += text[end] == '\\' ? 2 : 1;
  }
  return std::min(end + 1, text.size());
}

}  // namespace

void Secrets::add(std::string secret, std::string shown) {
  if (secret.empty() || secret == shown) {
    return;
  }
  for (std::string json : {in_json(secret), in_json_with_letters(secret)}) {
    if (json != secret) {
      add_form({.text = std::move(json), .shown = in_json(shown), .is_json = true});
    }
  }
  add_form({.text = std::move(secret), .shown = std::move(shown)});
}

void Secrets::add_form(Secret secret) {
  if (std::ranges::find(secrets_, secret.text, &Secret::text) != secrets_.end()) {
    return;
  }
  secret.is_a_word =
      secret.text.size() < kBytesAnywhere || std::ranges::all_of(secret.text, is_digit);
  const auto place = std::ranges::find_if(
      secrets_, [&](const Secret& other) { return other.text.size() < secret.text.size(); });
  secrets_.insert(place, std::move(secret));
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

std::string Secrets::masked_json(std::string_view json) const {
  std::string result;
  while (!json.empty()) {
    const std::size_t begin = std::min(json.find('"'), json.size());
    result += json.substr(0, begin);
    json.remove_prefix(begin);
    if (json.empty()) {
      break;
    }
    const std::size_t end = end_of_json_string(json);
    const std::string_view string = json.substr(0, end);
    json.remove_prefix(end);
    const std::size_t next = json.find_first_not_of(" \n");
    const bool is_name = next != std::string_view::npos && json[next] == ':';
    result += is_name ? std::string(string) : masked(string);
  }
  return result;
}

std::string Secrets::unmasked(std::string_view text) const {
  std::string result;
  while (!text.empty()) {
    const auto secret = std::ranges::find_if(
        secrets_, [&](const Secret& one) { return !one.is_json && text.starts_with(one.shown); });
    result += secret == secrets_.end() ? text.substr(0, 1) : std::string_view(secret->text);
    text.remove_prefix(secret == secrets_.end() ? 1 : secret->shown.size());
  }
  return result;
}

}  // namespace onceflow
