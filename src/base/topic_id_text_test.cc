#include "base/topic_id_text.h"

#include <gtest/gtest.h>

namespace onceflow {
namespace {

TEST(TopicIdText, is_what_kafkas_tools_print) {
  TopicId id;
  EXPECT_EQ(to_text(id), "AAAAAAAAAAAAAAAAAAAAAA");
  id.bytes = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
              0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  EXPECT_EQ(to_text(id), "_____________________w");
}

TEST(TopicIdText, reads_back) {
  TopicId id;
  for (std::size_t index = 0; index < id.bytes.size(); ++index) {
    id.bytes[index] = static_cast<std::uint8_t>(index * 37 + 11);
  }
  EXPECT_EQ(parse_topic_id(to_text(id)), id);
}

TEST(TopicIdText, anything_else_is_refused) {
  for (const char* text : {"", "unknown", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA",
                           "AAAAAAAAAAAAAAAAAAAAA+", "AAAAAAAAAAAAAAAAAAAAAB"}) {
    EXPECT_EQ(parse_topic_id(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace onceflow
