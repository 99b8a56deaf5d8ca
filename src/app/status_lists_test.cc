// What a broker's partitions and groups look like on the status port: valid whatever they are
// called, complete over the pages, and small where it says so.
#include "app/status_lists.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "app/metrics_of_partitions.h"
#include "app/status_parts.h"
#include "base/utf8.h"
#include "console/http.h"
#include "console/metrics.h"

namespace onceflow::app {
namespace {

using broker::StatusMirror;
using broker::StatusNews;
using Json = nlohmann::json;

TopicId topic_id(std::size_t number) {
  TopicId id;
  id.bytes.fill(0);
  id.bytes[0] = static_cast<std::uint8_t>(number >> 8);
  id.bytes[1] = static_cast<std::uint8_t>(number);
  return id;
}

/// `topics` with so many partitions each, and `groups` with an offset in each partition of the
/// first topic.
StatusMirror mirror_of(const std::vector<std::string>& topics, std::int32_t partition_count,
                       const std::vector<std::string>& groups) {
  StatusMirror mirror;
  StatusNews news;
  for (std::size_t index = 0; index < topics.size(); ++index) {
    news.log.topics.push_back({topic_id(index), topics[index], partition_count});
    for (std::int32_t partition = 0; partition < partition_count; ++partition) {
      news.log.partitions.push_back({.id = {topic_id(index), PartitionIndex(partition)},
                                     .high_watermark = Offset(10 + partition),
                                     .last_stable_offset = Offset(10),
                                     .size_bytes = 100});
    }
  }
  for (const std::string& group_id : groups) {
    coordinator::GroupNews group{.group_id = group_id, .state = "Stable", .member_count = 1};
    for (std::int32_t partition = 0; partition < partition_count; ++partition) {
      group.offsets.offsets.emplace_back(TopicIdPartition{topic_id(0), PartitionIndex(partition)},
                                         Offset(3));
    }
    news.groups.groups.push_back(std::move(group));
  }
  mirror.apply(std::move(news));
  return mirror;
}

std::vector<std::string> numbered(const std::string& prefix, int count) {
  std::vector<std::string> names;
  for (int number = 0; number < count; ++number) {
    names.push_back(prefix + std::to_string(number));
  }
  return names;
}

std::string metrics_text(const StatusMirror& mirror, std::size_t piece_bytes) {
  PartitionMetrics source(mirror, {});
  std::string text;
  while (source.append(text, piece_bytes)) {
  }
  return text;
}

Query query_of(const std::string& url) {
  return console::parse_http_request("GET " + url + " HTTP/1.1\r\n\r\n").request.query;
}

// The grammar of Prometheus' text form, as far as it is used: label values are quoted, and in them
// backslash, quote and line feed are escaped.
bool is_sample(const std::string& line) {
  std::size_t at =
      line.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789");
  if (at == 0 || at == std::string::npos) {
    return false;
  }
  if (line[at] == '{') {
    do {
      const std::size_t equals = line.find("=\"", at + 1);
      if (equals == std::string::npos) {
        return false;
      }
      for (at = equals + 2; at < line.size() && line[at] != '"'; ++at) {
        if (line[at] == '\\' && (++at == line.size() ||
                                 std::string_view("\\\"n").find(line[at]) == std::string::npos)) {
          return false;
        }
      }
      if (++at >= line.size()) {
        return false;
      }
    } while (line[at] == ',');
    if (line[at++] != '}') {
      return false;
    }
  }
  return at < line.size() && line[at] == ' ' &&
         line.find_first_not_of("-+.0123456789eInfNa", at + 1) == std::string::npos &&
         at + 1 < line.size();
}

void expect_prometheus(const std::string& text) {
  EXPECT_TRUE(is_utf8(text));
  EXPECT_TRUE(text.empty() || text.ends_with('\n'));
  std::set<std::string> series;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    if (!line.starts_with("# ")) {
      EXPECT_TRUE(is_sample(line)) << line;
      EXPECT_TRUE(series.insert(line.substr(0, line.rfind(' '))).second)
          << line << " is there twice";
    }
  }
}

// --- Names ---

TEST(StatusLists, all_texts_are_valid_whatever_names_are) {
  std::uint64_t state = 20261129;
  const auto dice = [&state](std::uint64_t bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % bound;
  };
  const std::vector<std::string> pieces{"\"",
                                        "\\",
                                        "\n",
                                        "\r",
                                        "{",
                                        "}",
                                        "\xff",
                                        "\xc3",
                                        "\xed\xa0\x80",
                                        "\xf0\x9f\x98\x80",
                                        std::string(1, '\0'),
                                        "\x1b",
                                        "\x7f",
                                        "a",
                                        "\xc3\xa9",
                                        "%",
                                        "&",
                                        "?",
                                        "/",
                                        " ",
                                        "\xe2\x80\xa8",
                                        "=",
                                        ","};
  for (int round = 0; round < 300; ++round) {
    const auto names = [&](const std::string& prefix) {
      std::vector<std::string> made;
      for (std::uint64_t count = dice(6); count > 0; --count) {
        std::string name = prefix + std::to_string(count);
        for (std::uint64_t length = dice(8); length > 0; --length) {
          name += dice(2) == 0 ? pieces[dice(pieces.size())]
                               : std::string(1, static_cast<char>(dice(256)));
        }
        made.push_back(name);
      }
      return made;
    };
    const std::vector<std::string> topics = names("t");
    const std::vector<std::string> groups = topics.empty() ? topics : names("g");
    const StatusMirror mirror = mirror_of(topics, 2, groups);
    expect_prometheus(metrics_text(mirror, 1 + dice(200)));
    Families families;
    for (const std::string& name : topics) {
      families.gauge("g", name).add({{"a", name}}, 1.5);
    }
    expect_prometheus(console::to_prometheus(families.take()));
    std::vector<std::string> texts{lists_json(mirror), partitions_page(mirror, {}),
                                   groups_page(mirror, {}), lay_out(lists_json(mirror))};
    for (const std::string& group : groups) {
      texts.push_back(groups_page(mirror, {{"group", group}}));
    }
    for (const std::string& text : texts) {
      EXPECT_TRUE(is_utf8(text));
      EXPECT_TRUE(Json::accept(text)) << text;
    }
  }
}

// --- Metrics ---

TEST(PartitionMetrics, the_pieces_are_the_whole) {
  const StatusMirror mirror = mirror_of(numbered("t", 3), 4, numbered("g", 2));
  const std::string whole = metrics_text(mirror, 1u << 20);
  EXPECT_THAT(whole, ::testing::StartsWith("# HELP onceflow_partition_high_watermark "));
  EXPECT_THAT(whole, ::testing::HasSubstr(
                         "onceflow_partition_high_watermark{topic=\"t0\",partition=\"3\"} 13\n"));
  EXPECT_THAT(whole,
              ::testing::HasSubstr("onceflow_lso_gap_records{topic=\"t2\",partition=\"3\"} 3\n"));
  EXPECT_THAT(whole,
              ::testing::HasSubstr(
                  "onceflow_group_lag_records{group=\"g1\",topic=\"t0\",partition=\"2\"} 7\n"));
  EXPECT_EQ(std::ranges::count(whole, '\n'), 4 * 2 + 3 * 12 + 8);
  for (const std::size_t piece : {1u, 10u, 100u, 1000u}) {
    EXPECT_EQ(metrics_text(mirror, piece), whole) << piece;
  }
  EXPECT_EQ(metrics_text(StatusMirror(), 100), "");
}

TEST(PartitionMetrics, what_comes_and_goes_meanwhile_hides_and_repeats_nothing_else) {
  StatusMirror mirror = mirror_of(numbered("t", 9), 3, {});
  PartitionMetrics source(mirror, {});
  std::string text;
  for (std::size_t step = 0; source.append(text, 60); ++step) {
    StatusNews news;
    if (step % 2 == 0) {
      news.log.topics.push_back({topic_id(1 + step % 7), {}, 0});  // t1 to t7 go
    } else {
      news.log.topics.push_back({topic_id(100 + step), "t8x" + std::to_string(step), 1});
    }
    mirror.apply(std::move(news));
  }
  expect_prometheus(text);
  for (const std::string name : {"t0", "t8"}) {
    for (int partition = 0; partition < 3; ++partition) {
      EXPECT_THAT(text, ::testing::HasSubstr("onceflow_lso_gap_records{topic=\"" + name +
                                             "\",partition=\"" + std::to_string(partition)));
    }
  }
}

// --- /status ---

TEST(StatusLists, of_few_all_are_there_by_name) {
  const Json json = Json::parse(lists_json(mirror_of(numbered("t", 3), 4, numbered("g", 2))));
  EXPECT_EQ(json["partition_count"], 12);
  ASSERT_EQ(json["partitions"].size(), 12u);
  EXPECT_EQ(json["partitions"][4]["topic"], "t1");
  EXPECT_EQ(json["partitions"][4]["high_watermark"], 10);
  ASSERT_EQ(json["groups"].size(), 2u);
  EXPECT_EQ(json["groups"][0]["positions"].size(), 4u);
  EXPECT_EQ(json["groups"][0]["positions"][0]["lag"], 7);
  EXPECT_EQ(json["groups"][0]["lag"], 28);
}

TEST(StatusLists, of_many_the_worst_are_there) {
  const StatusMirror mirror = mirror_of(numbered("t", 30), 50, numbered("g", 500));
  const std::string text = lists_json(mirror);
  EXPECT_LT(text.size(), 100'000u);
  const Json json = Json::parse(text);
  EXPECT_EQ(json["partition_count"], 1500);
  EXPECT_EQ(json["partitions"].size(), kStatusPartitionsMax);
  EXPECT_EQ(json["partitions"][0]["partition"], 49);  // of which most is held back
  EXPECT_EQ(json["partitions"][0]["topic"], "t0");
  EXPECT_EQ(json["group_count"], 500);
  EXPECT_EQ(json["groups"].size(), kStatusGroupsMax);
}

TEST(StatusLists, the_pages_together_are_all) {
  const StatusMirror mirror = mirror_of({"a", "b/c", "d&e=f", "g"}, 7, numbered("g\"&\xff/", 23));
  for (const std::size_t limit : {1u, 3u, 7u, 1000u}) {
    std::set<std::pair<std::string, int>> partitions;
    std::string url = "/status/partitions?limit=" + std::to_string(limit);
    for (int pages = 0; !url.empty() && pages < 100; ++pages) {
      const Json page = Json::parse(partitions_page(mirror, query_of(url)));
      EXPECT_LE(page["partitions"].size(), limit);
      for (const Json& row : page["partitions"]) {
        EXPECT_TRUE(partitions.emplace(row["topic"], row["partition"]).second) << row;
      }
      url = page["next"].is_null() ? "" : page["next"].get<std::string>();
    }
    EXPECT_EQ(partitions.size(), 28u) << limit;

    std::size_t group_count = 0;
    url = "/status/groups?limit=" + std::to_string(limit);
    for (int pages = 0; !url.empty() && pages < 100; ++pages) {
      const Json page = Json::parse(groups_page(mirror, query_of(url)));
      group_count += page["groups"].size();
      url = page["next"].is_null() ? "" : page["next"].get<std::string>();
    }
    EXPECT_EQ(group_count, 23u) << limit;

    std::set<int> positions;
    url = "/status/groups?limit=" + std::to_string(limit) +
          "&group=" + console::percent_encoded("g\"&\xff/3");
    for (int pages = 0; !url.empty() && pages < 100; ++pages) {
      const Json page = Json::parse(groups_page(mirror, query_of(url)));
      EXPECT_EQ(page["position_count"], 7);
      for (const Json& row : page["positions"]) {
        EXPECT_TRUE(positions.insert(row["partition"].get<int>()).second);
      }
      url = page["next"].is_null() ? "" : page["next"].get<std::string>();
    }
    EXPECT_EQ(positions.size(), 7u) << limit;
  }
}

TEST(StatusLists, a_page_of_one_topic_has_no_other) {
  const StatusMirror mirror = mirror_of({"a", "ab", "b"}, 3, {});
  const Json page = Json::parse(partitions_page(mirror, query_of("/p?topic=ab&limit=2")));
  ASSERT_EQ(page["partitions"].size(), 2u);
  EXPECT_EQ(page["partitions"][0]["topic"], "ab");
  const Json last = Json::parse(partitions_page(mirror, query_of(page["next"])));
  ASSERT_EQ(last["partitions"].size(), 1u);
  EXPECT_TRUE(last["next"].is_null());
  EXPECT_TRUE(Json::parse(partitions_page(mirror, query_of("/p?topic=x")))["partitions"].empty());
}

TEST(StatusLists, nonsense_in_a_query_is_a_page_all_the_same) {
  const StatusMirror mirror = mirror_of({"a", "b"}, 3, {"g"});
  for (const std::string query :
       {"?limit=-1", "?limit=x", "?limit=99999999999999999999", "?limit=0", "?after=", "?after=/",
        "?after=a/-5", "?after=a/99999999999999999999", "?after=%ff%00", "?topic=", "?group=",
        "?group=g&after=x/1", "?group=g&after=/", "?after=a/9223372036854775807"}) {
    EXPECT_TRUE(Json::accept(partitions_page(mirror, query_of("/p" + query)))) << query;
    EXPECT_TRUE(Json::accept(groups_page(mirror, query_of("/p" + query)))) << query;
  }
}

}  // namespace
}  // namespace onceflow::app
