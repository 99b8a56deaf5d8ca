// OutputCounts: how many partitions the topics have had that a stage has written to. A key's
// partition is chosen by their number, so what is written of a key before and after partitions are
// added lies in two of them. Nothing else remembers it: it stands with the stage's positions, in
// the metadata of committed offsets (docs/formats/positions.md), and audits read it there.
//
// Owned by GroupPositions. A topic that was made again is another one, of which nothing is known.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace onceflow::engine {

class OutputCounts {
 public:
  struct Grown {
    std::string topic;
    std::int32_t before = 0;  ///< the most that it has had
    std::int32_t now = 0;
  };

  /// Of a topic that the stage writes to. It forgets what is known of others of that name.
  void set(const std::string& topic, const std::string& topic_id, std::int32_t count);
  /// What an offset was committed with.
  void learn(std::string_view metadata);
  /// Of topics that had fewer partitions when this was learnt, each once.
  std::vector<Grown> take_grown();
  /// ` outputs=…`; empty: of no topic, or of more than fit into metadata.
  std::string to_text() const;

 private:
  struct Topic {
    std::string id;
    std::int32_t now = 0;
    std::set<std::int32_t> had;
    bool is_told = false;
  };

  std::map<std::string, Topic> topics_;
};

}  // namespace onceflow::engine
