#include "protocol/position_topics.h"

#include <gtest/gtest.h>

namespace onceflow::protocol {
namespace {

TEST(PositionTopics, both_ids_come_back_and_rows_of_earlier_versions_have_one) {
  const PositionTopics both{"AAAAAAAAAAAAAAAAAAAAAQ", "AAAAAAAAAAAAAAAAAAAAAg"};
  EXPECT_EQ(to_text(both), "AAAAAAAAAAAAAAAAAAAAAQ receipts=AAAAAAAAAAAAAAAAAAAAAg");
  EXPECT_EQ(parse_position_topics(to_text(both)).topic_id, both.topic_id);
  EXPECT_EQ(parse_position_topics(to_text(both)).receipts_id, both.receipts_id);
  for (const char* text : {"AAAAAAAAAAAAAAAAAAAAAQ", "unknown", ""}) {
    EXPECT_EQ(parse_position_topics(text).topic_id, text);
    EXPECT_EQ(parse_position_topics(text).receipts_id, "");
    EXPECT_EQ(to_text({text, ""}), text);
  }
}

}  // namespace
}  // namespace onceflow::protocol
