#include "engine/output_counts.h"

#include <gtest/gtest.h>

namespace onceflow::engine {
namespace {

constexpr const char* kId = "AAAAAAAAAAAAAAAAAAAAAQ";

TEST(OutputCounts, what_was_committed_tells_that_partitions_were_added_once) {
  OutputCounts before;
  before.set("out", kId, 2);
  before.set("b.c-d_e", kId, 7);
  const std::string text = "onceflow topic=x" + before.to_text() + " pipeline=p";
  EXPECT_EQ(before.to_text(), std::string(" outputs=b.c-d_e@") + kId + ":7,out@" + kId + ":2");
  before.learn(text);
  EXPECT_TRUE(before.take_grown().empty());

  OutputCounts after;
  after.set("b.c-d_e", kId, 7);
  after.set("out", kId, 4);
  after.learn(text);
  const auto grown = after.take_grown();
  ASSERT_EQ(grown.size(), 1u);
  EXPECT_EQ(grown[0].topic, "out");
  EXPECT_EQ(grown[0].before, 2);
  EXPECT_EQ(grown[0].now, 4);
  EXPECT_TRUE(after.take_grown().empty());
  // It is kept from then on, for the audit, and a further one is told again.
  EXPECT_TRUE(after.to_text().contains("out@" + std::string(kId) + ":2/4")) << after.to_text();
  after.learn(after.to_text());
  after.set("out", kId, 5);
  ASSERT_EQ(after.take_grown().size(), 1u);
}

TEST(OutputCounts, of_another_topic_of_the_name_and_of_what_is_not_ours_nothing_is_known) {
  OutputCounts counts;
  counts.set("out", kId, 4);
  for (const std::string& text :
       {std::string(), std::string("onceflow topic=x pipeline=p"),
        std::string(" outputs=out@AAAAAAAAAAAAAAAAAAAAAg:2"), std::string(" outputs=other@x:2"),
        std::string(" outputs=out"), std::string(" outputs=,,@:/"),
        " outputs=out@" + std::string(kId) + ":x/"}) {
    counts.learn(text);
    EXPECT_TRUE(counts.take_grown().empty()) << text;
  }
  counts.learn(" outputs=out@" + std::string(kId) + ":2");
  counts.set("out", "AAAAAAAAAAAAAAAAAAAAAg", 3);
  EXPECT_TRUE(counts.take_grown().empty());
}

}  // namespace
}  // namespace onceflow::engine
