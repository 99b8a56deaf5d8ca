// ServerProperties: Kafka's server.properties and its --override, turned into BrokerOptions. Pure.
//
// Every key of Kafka's is known: those that mean something here are obeyed, those that do not on
// one node are named in one word of notice, and any other is a warning with its place.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "broker/broker_options.h"

namespace onceflow::broker {

class ServerProperties {
 public:
  /// `name` is how messages call the file.
  void add_file(std::string_view text, std::string name);
  /// "key=value", as behind --override; overrides the file, and earlier ones. kInvalidArgument.
  Status add_override(std::string_view text);
  /// As add_override, from an option of ours that says the same; `origin` is how messages call it.
  void set(std::string key, std::string value, std::string origin);

  struct Applied {
    BrokerOptions options;
    std::vector<std::string> warnings;  ///< one line each
  };
  /// kInvalidArgument, with place, rule and fix, for the first value that is wrong.
  Result<Applied> apply() const;

 private:
  struct Entry {
    std::string key;
    std::string value;
    std::string origin;  ///< "file:line" or "--override"
  };
  const Entry* last(std::string_view key) const;
  /// Each may be given without the other, so they are compared once both are known.
  Status check_session_timeouts(const BrokerOptions& options) const;

  std::vector<Entry> entries_;  // later ones win
};

}  // namespace onceflow::broker
