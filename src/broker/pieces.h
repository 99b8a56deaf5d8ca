// Pieces: a request that names very much, cut into requests that name little, and their answers
// joined to the one that the whole would have had. So a handler knows nothing of slices: it is
// called for one piece after the other, and what it looks up by name is looked up when its piece
// has its turn, for topics come and go in between (api_table.cc).
//
// Only what an API does for each thing by itself may be cut: what is all or nothing, or one record
// in the journal, stays whole. Values; on the broker's thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "broker/answer_bytes.h"
#include "broker/core.h"
#include "protocol/messages/03_metadata.h"
#include "protocol/messages/09_offset_fetch.h"
#include "protocol/messages/35_describe_log_dirs.h"

namespace onceflow::broker {

/// At most so many things with so many parts are one piece: less than a millisecond of the loop,
/// which looks at its clock between two of them.
inline constexpr std::size_t kPieceThings = 16;
inline constexpr std::size_t kPieceParts = 256;

namespace pieces_detail {

template <typename T>
std::vector<T>& list_of(std::vector<T>& list) {
  return list;
}
template <typename T>
std::vector<T>& list_of(std::optional<std::vector<T>>& list) {
  return list ? *list : list.emplace();
}

template <typename T>
bool is_empty(const std::vector<T>& list) {
  return list.empty();
}
template <typename T>
bool is_empty(const std::optional<std::vector<T>>& list) {
  return !list || list->empty();
}

template <typename T>
void append(std::vector<T>& to, std::vector<T>& from) {
  to.insert(to.end(), std::move_iterator(from.begin()), std::move_iterator(from.end()));
}

template <typename Topic>
const std::string& name_of(const Topic& topic) {
  if constexpr (requires { topic.name; }) {
    return topic.name;
  } else {
    return topic.topic;
  }
}

/// The least name that comes after this one.
inline std::string after(const std::string& name) { return name + '\0'; }

/// Topics whose partitions may be in two pieces. A request names each once (collapse_repeats).
template <auto kParts, typename Topic>
void append_topics(std::vector<Topic>& to, std::vector<Topic>& from) {
  auto first = from.begin();
  if (!to.empty() && !from.empty() && name_of(to.back()) == name_of(*first)) {
    append(to.back().*kParts, (*first).*kParts);
    ++first;
  }
  to.insert(to.end(), std::move_iterator(first), std::move_iterator(from.end()));
}

}  // namespace pieces_detail

/// Topics with their partitions, taken from the front.
template <auto kParts, typename Topic>
class TopicsLeft {
 public:
  explicit TopicsLeft(std::vector<Topic> topics) : topics_(std::move(topics)) {}

  std::size_t count() const { return topics_.size(); }
  bool has_more() const { return next_ < topics_.size(); }

  void take(std::vector<Topic>& piece) {
    std::size_t parts_left = kPieceParts;
    while (has_more() && piece.size() < kPieceThings && parts_left > 0) {
      Topic& topic = topics_[next_];
      auto& parts = topic.*kParts;
      const std::size_t count = std::min(parts_left, parts.size() - next_part_);
      parts_left -= count;
      if (next_part_ == 0 && count == parts.size()) {
        piece.push_back(std::move(topic));
        ++next_;
        continue;
      }
      auto whole = std::exchange(parts, {});
      Topic& cut = piece.emplace_back(topic);
      const auto from = whole.begin() + static_cast<std::ptrdiff_t>(next_part_);
      (cut.*kParts).assign(from, from + static_cast<std::ptrdiff_t>(count));
      parts = std::move(whole);
      next_part_ += count;
      if (next_part_ == parts.size()) {
        ++next_;
        next_part_ = 0;
      }
    }
  }

 private:
  std::vector<Topic> topics_;
  std::size_t next_ = 0;
  std::size_t next_part_ = 0;
};

/// Things that are answered one by one: `kThings` of the request by `kAnswers` of the response.
template <auto kThings, auto kAnswers>
class ThingPieces {
 public:
  /// How many things are to be done; 0: another way to cut it fits.
  template <typename Body>
  static std::size_t work_of(const BrokerCore&, const Request&, const Body& body,
                             std::size_t name_count) {
    return pieces_detail::is_empty(body.*kThings) ? 0 : name_count;
  }

  template <typename Body>
  class Of {
   public:
    Of(const BrokerCore&, Body body)
        : things_(std::exchange(pieces_detail::list_of(body.*kThings), {})),
          rest_(std::move(body)) {}

    std::size_t thing_count() const { return things_.size(); }
    bool has_more() const { return next_ < things_.size(); }
    Body next() {
      Body piece = rest_;
      const auto from = things_.begin() + static_cast<std::ptrdiff_t>(next_);
      const std::size_t count = std::min(kPieceThings, things_.size() - next_);
      pieces_detail::list_of(piece.*kThings)
          .assign(std::move_iterator(from),
                  std::move_iterator(from + static_cast<std::ptrdiff_t>(count)));
      next_ += count;
      return piece;
    }
    template <typename Response>
    static void join(Response& whole, Response piece) {
      pieces_detail::append(whole.*kAnswers, piece.*kAnswers);
    }

   private:
    std::remove_reference_t<decltype(pieces_detail::list_of(std::declval<Body&>().*kThings))>
        things_;
    Body rest_;
    std::size_t next_ = 0;
  };
};

/// Topics that are answered partition by partition.
template <auto kTopics, auto kParts, auto kAnswers, auto kAnsweredParts>
class PartitionPieces {
 public:
  template <typename Body>
  static std::size_t work_of(const BrokerCore&, const Request&, const Body& body,
                             std::size_t name_count) {
    return pieces_detail::is_empty(body.*kTopics) ? 0 : name_count;
  }

  template <typename Body>
  class Of {
   public:
    Of(const BrokerCore&, Body body)
        : left_(std::exchange(pieces_detail::list_of(body.*kTopics), {})), rest_(std::move(body)) {}

    std::size_t thing_count() const { return left_.count(); }
    bool has_more() const { return left_.has_more(); }
    Body next() {
      Body piece = rest_;
      left_.take(pieces_detail::list_of(piece.*kTopics));
      return piece;
    }
    template <typename Response>
    static void join(Response& whole, Response piece) {
      pieces_detail::append_topics<kAnsweredParts>(whole.*kAnswers, piece.*kAnswers);
    }

   private:
    using Topic = typename std::remove_reference_t<decltype(pieces_detail::list_of(
        std::declval<Body&>().*kTopics))>::value_type;
    TopicsLeft<kParts, Topic> left_;
    Body rest_;
  };
};

/// The offsets of many groups (version 8 and later). One that asks for all of its own is a piece.
class OffsetFetchGroups {
 public:
  using Body = protocol::OffsetFetchRequest;
  using Response = protocol::OffsetFetchResponse;

  static std::size_t work_of(const BrokerCore&, const Request&, const Body& body,
                             std::size_t name_count) {
    return body.groups.empty() ? 0 : name_count;
  }

  template <typename>
  class Of {
   public:
    Of(const BrokerCore&, Body body)
        : groups_(std::exchange(body.groups, {})), rest_(std::move(body)) {
      begin_group();
    }

    std::size_t thing_count() const { return groups_.size(); }
    bool has_more() const { return next_ < groups_.size(); }
    Body next() {
      Body piece = rest_;
      Body::Group& group = piece.groups.emplace_back(groups_[next_]);
      if (group.topics) {
        left_.take(*group.topics);
      }
      if (!left_.has_more()) {
        ++next_;
        begin_group();
      }
      return piece;
    }
    static void join(Response& whole, Response piece) {
      Response::Group& answered = piece.groups.front();
      if (!whole.groups.empty() && whole.groups.back().group_id == answered.group_id) {
        pieces_detail::append_topics<&Response::GroupTopic::partitions>(whole.groups.back().topics,
                                                                        answered.topics);
      } else {
        whole.groups.push_back(std::move(answered));
      }
    }

   private:
    using Left = TopicsLeft<&Body::GroupTopic::partition_indexes, Body::GroupTopic>;

    void begin_group() {
      left_ = Left({});
      if (next_ < groups_.size() && groups_[next_].topics) {
        left_ = Left(std::exchange(*groups_[next_].topics, {}));
      }
    }

    std::vector<Body::Group> groups_;
    Body rest_;
    std::size_t next_ = 0;
    Left left_{{}};
  };
};

/// Metadata of all topics that there are when their turn comes.
class MetadataOfAll {
 public:
  using Body = protocol::MetadataRequest;
  using Response = protocol::MetadataResponse;

  static std::size_t work_of(const BrokerCore& core, const Request& request, const Body& body,
                             std::size_t) {
    return asks_for_all(request, body) ? core.log.topics().partition_count() : 0;
  }

  template <typename>
  class Of {
   public:
    Of(const BrokerCore& core, Body body) : core_(core), rest_(std::move(body)) {}

    static std::size_t thing_count() { return 0; }
    bool has_more() const { return place() != core_.log.topics().by_name().end(); }
    Body next() {
      Body piece = rest_;
      auto& named = piece.topics.emplace();
      std::size_t parts_left = kPieceParts;
      for (auto next = place(); next != core_.log.topics().by_name().end() &&
                                named.size() < kPieceThings && parts_left > 0;
           ++next) {
        named.push_back({.name = next->first});
        parts_left -= std::min(parts_left, next->second->partitions.size());
        name_ = pieces_detail::after(next->first);
      }
      return piece;
    }
    static void join(Response& whole, Response piece) {
      pieces_detail::append(whole.topics, piece.topics);
    }

   private:
    auto place() const { return core_.log.topics().by_name().lower_bound(name_); }

    const BrokerCore& core_;
    Body rest_;
    std::string name_;  // the next has it, or one that comes after it
  };
};

/// What all partitions, or those that are named, take of the directory.
class LogDirPieces {
 public:
  using Body = protocol::DescribeLogDirsRequest;
  using Response = protocol::DescribeLogDirsResponse;

  static std::size_t work_of(const BrokerCore& core, const Request&, const Body& body,
                             std::size_t name_count) {
    return body.topics ? name_count : core.log.topics().partition_count();
  }

  template <typename>
  class Of {
   public:
    Of(const BrokerCore& core, Body body)
        : core_(core),
          is_of_all_(!body.topics),
          left_(std::exchange(pieces_detail::list_of(body.topics), {})),
          rest_(std::move(body)) {}

    static std::size_t thing_count() { return 0; }
    bool has_more() const {
      return is_of_all_ ? place() != core_.log.topics().by_name().end() : left_.has_more();
    }
    Body next() {
      Body piece = rest_;
      if (is_of_all_) {
        take_of_all(*piece.topics);
      } else {
        left_.take(*piece.topics);
      }
      return piece;
    }
    static void join(Response& whole, Response piece) {
      pieces_detail::append_topics<&Response::Topic::partitions>(whole.results.front().topics,
                                                                 piece.results.front().topics);
    }

   private:
    auto place() const { return core_.log.topics().by_name().lower_bound(name_); }
    void take_of_all(std::vector<Body::Topic>& piece) {
      std::size_t parts_left = kPieceParts;
      for (auto next = place(); next != core_.log.topics().by_name().end() &&
                                piece.size() < kPieceThings && parts_left > 0;
           next = place()) {
        const auto end = static_cast<std::int32_t>(next->second->partitions.size());
        if (next->first != name_) {
          next_part_ = 0;
        }
        Body::Topic& topic = piece.emplace_back();
        topic.topic = name_ = next->first;
        for (; next_part_ < end && parts_left > 0; ++next_part_, --parts_left) {
          topic.partitions.push_back(next_part_);
        }
        if (next_part_ >= end) {
          name_ = pieces_detail::after(name_);
          next_part_ = 0;
        }
      }
    }

    const BrokerCore& core_;
    const bool is_of_all_;
    TopicsLeft<&Body::Topic::partitions, Body::Topic> left_;
    Body rest_;
    std::string name_;
    std::int32_t next_part_ = 0;
  };
};

}  // namespace onceflow::broker
