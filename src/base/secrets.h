// Secrets: texts that must not be shown, each with what is shown instead. What came into a pipeline
// file by ${env:NAME} is one, wherever it stands in the file: a secret is known by where it comes
// from, not by the key it is given to. A value; filled by the reader of the file (pipeline/file.h),
// asked by everything that writes for people or machines.
//
// A text of fewer than kBytesAnywhere bytes, or of digits alone, is taken for the secret only where
// it stands as a word of its own; else every "1" would be one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace onceflow {

class Secrets {
 public:
  static constexpr std::size_t kBytesAnywhere = 4;

  /// From now on `shown` is written for `secret`; nothing for an empty one. Of two that begin at
  /// one place the longer one counts.
  void add(std::string secret, std::string shown);

  bool empty() const { return secrets_.empty(); }
  /// The text with what is shown for each secret in it, also where it is written as in JSON.
  std::string masked(std::string_view text) const;
  /// Of JSON that this program has made: only the strings, without the names of members, so that it
  /// stays JSON of the same form also where a secret is a number.
  std::string masked_json(std::string_view json) const;
  /// The other way: for what a reader of masked texts gives back.
  std::string unmasked(std::string_view text) const;

 private:
  struct Secret {
    std::string text;
    std::string shown;
    bool is_a_word = false;  ///< counts only between what is no letter and no digit
    bool is_json = false;    ///< the text as it is written in JSON
  };
  void add_form(Secret secret);
  const Secret* find_at(std::string_view text, std::size_t index) const;

  std::vector<Secret> secrets_;  ///< the longest first
};

}  // namespace onceflow
